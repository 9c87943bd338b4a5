//! Smart HTTP by the `git` program: a request becomes one `git http-backend` (CGI, RFC 3875).

use std::process::Stdio;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use futures::StreamExt as _;
use sprint_core::ids::RepoName;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio_util::io::ReaderStream;

use crate::service::{Sprint, repos};

/// What a client may ask of a repository; everything else is not served.
const ENDPOINTS: [&str; 3] = ["info/refs", "git-upload-pack", "git-receive-pack"];

/// The header lines of a CGI answer; git's are far shorter.
const MAX_HEAD: usize = 64;

pub(super) async fn serve(
    State(sprint): State<Arc<Sprint>>,
    Path(path): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let Some((name, endpoint)) = split(&path) else {
        return refuse(StatusCode::NOT_FOUND, "no such repository");
    };
    let Some(command) = repos::http_backend(&sprint, &name) else {
        return refuse(StatusCode::NOT_FOUND, "no such repository");
    };
    match backend(command, &format!("/{name}.git/{endpoint}"), request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, repo = %name, "git could not be served");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "git could not be served")
        }
    }
}

fn split(path: &str) -> Option<(RepoName, &str)> {
    let (repo, endpoint) = path.split_once(".git/")?;
    ENDPOINTS.contains(&endpoint).then_some(())?;
    Some((RepoName::new(repo).ok()?, endpoint))
}

fn refuse(status: StatusCode, why: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(why));
    *response.status_mut() = status;
    response
}

async fn backend(mut command: Command, path: &str, request: Request<Body>) -> anyhow::Result<Response<Body>> {
    let (head, body) = request.into_parts();
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
        let mut body = body.into_data_stream();
        while let Some(Ok(data)) = body.next().await {
            // git may answer, and end, before it has read everything.
            if stdin.write_all(&data).await.is_err() {
                return;
            }
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
