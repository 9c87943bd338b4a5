//! Smart HTTP by the `git` program: a request becomes one `git http-backend` (CGI, RFC 3875).

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Path, State as Extract};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use base64::Engine as _;
use futures::StreamExt as _;
use sprint_core::access::Caller;
use sprint_core::ids::RepoName;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio_util::io::ReaderStream;

use crate::face::Face;
use crate::face::caller::{Peer, bearer};
use crate::service::code::{self, Commands, commands};
use crate::service::error::Kind;
use crate::service::{ServiceError, audit, repos};

/// The header lines of a CGI answer; git's are far shorter.
const MAX_HEAD: usize = 64;

/// How long a request's body may pause.
const BODY_PAUSE: Duration = Duration::from_secs(30);

/// What is read of a refused push, so that its client comes to hear of it.
const DRAINED_BYTES: usize = 64 << 20;

/// What a request is served with.
#[derive(Clone)]
pub(super) struct State {
    pub(super) face: Face,
    pub(super) programs: Arc<Semaphore>,
}

/// What a client may ask of a repository; everything else is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    InfoRefs,
    UploadPack,
    ReceivePack,
}

impl Endpoint {
    const ALL: [Self; 3] = [Self::InfoRefs, Self::UploadPack, Self::ReceivePack];

    const fn path(self) -> &'static str {
        match self {
            Self::InfoRefs => "info/refs",
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

pub(super) async fn serve(
    Extract(state): Extract<State>,
    Path(path): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let what = format!("git {} {}", request.method(), request.uri().path());
    let Some(peer) = request.extensions().get::<Peer>().cloned() else {
        return answer(StatusCode::INTERNAL_SERVER_ERROR, "the connection is not known");
    };
    let token = bearer(request.headers()).map(ToOwned::to_owned).or_else(|| password(request.headers()));
    let (caller, result) = match peer.identify(&state.face.sprint, token.as_deref()) {
        Ok(caller) => (caller.clone(), answer_to(&state, &caller, &path, request).await),
        Err(error) => (peer.stranger(), Err(error)),
    };
    match result {
        Ok(response) => response,
        Err(error) => {
            let status = match error.kind() {
                Kind::NotFound => StatusCode::NOT_FOUND,
                Kind::Invalid => StatusCode::BAD_REQUEST,
                Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
                Kind::Forbidden => StatusCode::FORBIDDEN,
                Kind::Precondition | Kind::Exists | Kind::Exhausted | Kind::Unavailable | Kind::Internal => {
                    tracing::error!(%error, path, "git could not be served");
                    return answer(StatusCode::INTERNAL_SERVER_ERROR, "git could not be served");
                }
            };
            let why = error.to_string();
            audit::refused(&state.face.sprint, caller, &what, &why).await;
            answer(status, &why)
        }
    }
}

async fn answer_to(
    state: &State,
    caller: &Caller,
    path: &str,
    request: Request<Body>,
) -> Result<Response<Body>, ServiceError> {
    let sprint = &state.face.sprint;
    let nothing = || ServiceError::NotFound("there is no such repository".to_owned());
    let (name, endpoint) = split(path).ok_or_else(nothing)?;
    let pushes = endpoint == Endpoint::ReceivePack || query_is_push(request.uri().query());
    let (head, body) = request.into_parts();
    let mut body = body.into_data_stream();
    let (begin, commands) = if endpoint == Endpoint::ReceivePack {
        if head.headers.contains_key(header::CONTENT_ENCODING) {
            return Err(ServiceError::invalid("a push is not compressed as a whole"));
        }
        // Who they are is looked at before anything that they send.
        code::may_push(sprint, &caller.identity, &name, &[]).await?;
        read_updates(&mut body).await?
    } else {
        (Bytes::new(), Commands::default())
    };
    if pushes {
        match code::may_push(sprint, &caller.identity, &name, &commands.updates).await {
            Ok(()) => {}
            // Git shows its user what its own protocol says, and of an HTTP error the number only.
            Err(ServiceError::Forbidden(why)) if !commands.updates.is_empty() => {
                audit::refused(sprint, caller.clone(), &format!("git push {name}"), &why).await;
                return Ok(refuse_push(&commands, &why, body).await);
            }
            Err(error) => return Err(error),
        }
    } else {
        code::may_fetch(sprint, &caller.identity, &name).await?;
    }
    let command = repos::http_backend(sprint, &name, &commands.updates).ok_or_else(nothing)?;
    let permit = Arc::clone(&state.programs).acquire_owned().await.map_err(|_| nothing())?;
    let answered = backend(command, &format!("/{name}.git/{}", endpoint.path()), &head, begin, body).await;
    let response = answered.map_err(|error| ServiceError::Io(std::io::Error::other(error)))?;
    // Its turn lasts until the answer is out.
    Ok(response.map(|body| Body::from_stream(body.into_data_stream().map(move |chunk| (&permit, chunk).1))))
}

/// Reads the beginning of a push, up to the end of its list of updates.
async fn read_updates(body: &mut BodyDataStream) -> Result<(Bytes, Commands), ServiceError> {
    let mut begin = Vec::new();
    loop {
        match commands::parse(&begin).map_err(ServiceError::invalid)? {
            commands::Parsed::Whole(commands) => return Ok((begin.into(), commands)),
            commands::Parsed::Partial if begin.len() > commands::MAX_BYTES => {
                return Err(ServiceError::invalid("the push updates too many refs"));
            }
            commands::Parsed::Partial => {}
        }
        match tokio::time::timeout(BODY_PAUSE, body.next()).await {
            Ok(Some(Ok(data))) => begin.extend_from_slice(&data),
            Ok(Some(Err(_)) | None) => return Err(ServiceError::invalid("the push ended in the middle")),
            Err(_) => return Err(ServiceError::invalid("the push stalled")),
        }
    }
}

/// Tells git why nothing of a push is done.
async fn refuse_push(commands: &Commands, why: &str, mut body: BodyDataStream) -> Response<Body> {
    // A client that still sends does not read; what it sends is nowhere kept.
    let mut left = DRAINED_BYTES;
    while let Ok(Some(Ok(data))) = tokio::time::timeout(BODY_PAUSE, body.next()).await {
        left = left.saturating_sub(data.len());
        if left == 0 {
            break;
        }
    }
    let mut response = Response::new(Body::from(commands::refusal(commands, why)));
    let kind = header::HeaderValue::from_static("application/x-git-receive-pack-result");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Whether refs are asked for in order to push.
fn query_is_push(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "service=git-receive-pack"))
}

/// The password of HTTP's basic authentication, which git sends where an address carries one: a token.
fn password(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(text).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

fn split(path: &str) -> Option<(RepoName, Endpoint)> {
    let (repo, endpoint) = path.split_once(".git/")?;
    let endpoint = Endpoint::ALL.into_iter().find(|known| known.path() == endpoint)?;
    Some((RepoName::new(repo).ok()?, endpoint))
}

fn answer(status: StatusCode, why: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{why}\n")));
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        let scheme = header::HeaderValue::from_static("Basic realm=\"sprint: a token as the password\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

async fn backend(
    mut command: Command,
    path: &str,
    head: &Parts,
    begin: Bytes,
    mut body: BodyDataStream,
) -> anyhow::Result<Response<Body>> {
    command
        .env("PATH_INFO", path)
        .env("REQUEST_METHOD", method(&head.method))
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    for (name, variable) in [
        (header::CONTENT_TYPE.as_str(), "CONTENT_TYPE"),
        (header::CONTENT_ENCODING.as_str(), "HTTP_CONTENT_ENCODING"),
        (header::CONTENT_LENGTH.as_str(), "CONTENT_LENGTH"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = text(&head.headers, name) {
            command.env(variable, value);
        }
    }
    let mut child = command.spawn()?;
    let stdin = child.stdin.take();
    let stdout = child.stdout.take().ok_or_else(|| anyhow::anyhow!("git http-backend has no output"))?;
    let feed = async move {
        let Some(mut stdin) = stdin else { return };
        let mut next = Some(begin);
        while let Some(data) = next {
            // git may answer, and end, before it has read everything.
            if stdin.write_all(&data).await.is_err() {
                return;
            }
            // A body that stalls ends here, and git fails on what it lacks.
            next = match tokio::time::timeout(BODY_PAUSE, body.next()).await {
                Ok(Some(Ok(data))) => Some(data),
                Ok(Some(Err(_)) | None) | Err(_) => None,
            };
        }
    };
    // The request is fed while the answer is read: git interleaves both.
    let feeding = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(feed));
    let mut output = BufReader::new(stdout);
    let mut response = Response::builder();
    for _ in 0..MAX_HEAD {
        let mut line = String::new();
        if output.read_line(&mut line).await? == 0 {
            anyhow::bail!("git http-backend ended without an answer");
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default().parse::<u16>()?;
            response = response.status(code);
        } else {
            response = response.header(name, value);
        }
    }
    let stream = ReaderStream::new(output);
    let stream = futures::stream::unfold((stream, child, feeding), |(mut stream, child, feeding)| async move {
        let chunk: Option<std::io::Result<Bytes>> = stream.next().await;
        if chunk.is_none() {
            reap(child).await;
            return None;
        }
        chunk.map(|chunk| (chunk, (stream, child, feeding)))
    });
    Ok(response.body(Body::from_stream(stream))?)
}

async fn reap(mut child: Child) {
    match child.wait().await {
        Ok(status) if status.success() => {}
        Ok(status) => tracing::debug!(%status, "git http-backend ended so"),
        Err(error) => tracing::warn!(%error, "git http-backend could not be waited for"),
    }
}

fn method(method: &Method) -> &str {
    method.as_str()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
