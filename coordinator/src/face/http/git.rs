//! Smart HTTP by the `git` program: a request becomes one `git http-backend`.

mod asked;
mod backend;
mod lfs;
mod record;
mod turns;

use std::sync::Arc;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::State as Extract;
use axum::http::{Request, Response, StatusCode, Uri, header};
use futures::StreamExt as _;
use sprint_core::access::Caller;
use sprint_core::refusal::Noun as _;
use sprint_core::repo::Repo;

use self::asked::{Asked, Service};
use self::backend::BODY_PAUSE;
use self::record::Record;
use self::turns::Turns;
use crate::face::Face;
use crate::face::caller::Peer;
use crate::service::Kind;
use crate::service::ServiceError;
use crate::service::admission::audit;
use crate::service::repos;
use crate::service::repos::git_access;
use crate::service::repos::git_access::{Commands, commands};

/// The most bytes of a refused push that are read, so that its client reads the refusal.
const DRAINED_BYTES: usize = 64 << 20;

/// The longest list of what a client that fetches wants and has; git's program takes no more either.
const MAX_FETCH_BYTES: u64 = 10 << 20;

/// What a request is served with.
#[derive(Clone)]
pub(super) struct State {
    face: Face,
    turns: Arc<Turns>,
}

impl State {
    pub(super) fn new(face: &Face) -> Self {
        Self { face: face.clone(), turns: Arc::default() }
    }
}

pub(super) async fn serve(Extract(state): Extract<State>, request: Request<Body>) -> Response<Body> {
    let what = format!("git {} {}", request.method(), request.uri().path());
    let Some(peer) = request.extensions().get::<Peer>().cloned() else {
        return answer(StatusCode::INTERNAL_SERVER_ERROR, "the connection is not known");
    };
    let is_lfs = lfs::Asked::read(request.method(), below(request.uri())).is_some();
    let (caller, result) = match peer.identify(&state.face.sprint, asked::token(request.headers()).as_deref()) {
        Ok(caller) => (caller.clone(), answer_to(&state, &caller, request).await),
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
                Kind::Precondition
                | Kind::Exists
                | Kind::Exhausted
                | Kind::Unavailable
                | Kind::Aborted
                | Kind::TimedOut
                | Kind::Unimplemented
                | Kind::Internal => {
                    tracing::error!(%error, what, "git could not be served");
                    return answer(StatusCode::INTERNAL_SERVER_ERROR, "git could not be served");
                }
            };
            let why = error.to_string();
            audit::refused(&state.face.sprint, caller, &what, &why).await;
            // Each shows its user the message in its own form only.
            if is_lfs && status != StatusCode::UNAUTHORIZED { lfs::refusal(status, &why) } else { answer(status, &why) }
        }
    }
}

/// What is asked for of git.
fn below(uri: &Uri) -> &str {
    uri.path().strip_prefix("/git/").unwrap_or_default()
}

async fn answer_to(state: &State, caller: &Caller, request: Request<Body>) -> Result<Response<Body>, ServiceError> {
    let sprint = &state.face.sprint;
    let nothing = || ServiceError::new(Repo::NOT_FOUND, "there is no such repository");
    let uri = request.uri();
    let path = below(uri);
    if let Some(asked) = lfs::Asked::read(request.method(), path) {
        return lfs::serve(sprint, caller, asked, request).await;
    }
    let asked = Asked::read(request.method(), path, uri.query()).ok_or_else(nothing)?;
    let (head, body) = request.into_parts();
    let mut body = body.into_data_stream();
    let record = Record::new(sprint, caller, &asked);
    let mut commands = Commands::default();
    let upload = match (asked.service, asked.begins) {
        (Service::UploadPack, _) => {
            git_access::may_fetch(sprint, &caller.identity, &asked.repo).await?;
            record.upload(body, MAX_FETCH_BYTES)
        }
        (Service::ReceivePack, true) => {
            git_access::may_begin_push(sprint, &caller.identity, &asked.repo).await?;
            record.upload(body, 0)
        }
        (Service::ReceivePack, false) => {
            if head.headers.contains_key(header::CONTENT_ENCODING) {
                return Err(ServiceError::invalid("a push is not compressed as a whole"));
            }
            // Who they are is looked at before anything that they send.
            git_access::may_begin_push(sprint, &caller.identity, &asked.repo).await?;
            let begin;
            (begin, commands) = read_updates(&mut body).await?;
            match git_access::may_push(sprint, &caller.identity, &asked.repo, &commands.updates).await {
                Ok(()) => {}
                // Git shows its user what its own protocol says, and of an HTTP error the number only.
                Err(error) if error.kind() == Kind::Forbidden => {
                    let why = error.to_string();
                    record.refused(&why).await;
                    return Ok(refuse_push(&commands, &why, body).await);
                }
                Err(error) => return Err(error),
            }
            let begin = futures::stream::once(async { Ok(begin) });
            begin.chain(record.upload(body, sprint.settings.max_push_bytes())).boxed()
        }
    };
    let command = repos::http_backend(sprint, &asked.repo, &commands.updates).ok_or_else(nothing)?;
    let turn = state.turns.take(caller).await;
    let answered = backend::run(command, &asked, &head.headers, upload).await;
    let response = answered.map_err(|error| ServiceError::Io(std::io::Error::other(error)))?;
    let response = record.answer(&asked, response).await;
    // Its turn lasts until the answer is out.
    Ok(response.map(|body| Body::from_stream(body.into_data_stream().map(move |chunk| (&turn, chunk).1))))
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

fn answer(status: StatusCode, why: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{why}\n")));
    *response.status_mut() = status;
    // Git shows its user the message only when it is plain text.
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::UNAUTHORIZED {
        let scheme = header::HeaderValue::from_static("Basic realm=\"sprint: a token as the password\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}
