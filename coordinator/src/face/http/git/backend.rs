//! One `git http-backend` (CGI, RFC 3875) for one request.

use std::process::Stdio;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, header, response};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use sprint_process::Group;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio_util::io::ReaderStream;

use super::asked::Asked;

/// The header lines of a CGI answer; git's are far shorter.
const MAX_HEAD: usize = 64;

/// How long a request's body may pause.
pub(super) const BODY_PAUSE: Duration = Duration::from_secs(30);

/// A request's body.
pub(super) type Upload = BoxStream<'static, Result<Bytes, axum::Error>>;

/// Runs the program for a request; its answer is streamed as it comes.
///
/// # Errors
/// The program cannot be run, or does not answer as it should.
pub(super) async fn run(
    mut command: Command,
    asked: &Asked,
    headers: &HeaderMap,
    body: Upload,
) -> anyhow::Result<Response<Body>> {
    let (method, path, query) = asked.for_backend();
    command
        .env("PATH_INFO", path)
        .env("REQUEST_METHOD", method)
        .env("QUERY_STRING", query)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    for (name, variable) in [
        (header::CONTENT_TYPE.as_str(), "CONTENT_TYPE"),
        (header::CONTENT_ENCODING.as_str(), "HTTP_CONTENT_ENCODING"),
        (header::CONTENT_LENGTH.as_str(), "CONTENT_LENGTH"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            command.env(variable, value);
        }
    }
    let mut group = Group::start(&mut command)?;
    let (stdin, stdout) =
        group.child.stdin.take().zip(group.child.stdout.take()).ok_or_else(|| anyhow::anyhow!("it has no pipes"))?;
    // The request is fed while the answer is read: git interleaves both.
    let feeding = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(feed(stdin, body)));
    let mut output = BufReader::new(stdout);
    let head = head(&mut output).await?;
    let chunks = ReaderStream::new(output);
    let chunks = futures::stream::unfold((chunks, group, feeding), |(mut chunks, group, feeding)| async move {
        let Some(chunk) = chunks.next().await else {
            reap(group).await;
            return None;
        };
        Some((chunk, (chunks, group, feeding)))
    });
    Ok(head.body(Body::from_stream(chunks))?)
}

async fn feed(mut stdin: ChildStdin, mut body: impl Stream<Item = Result<Bytes, axum::Error>> + Unpin) {
    // A body that stalls ends here, and git fails on what it lacks.
    while let Ok(Some(Ok(data))) = tokio::time::timeout(BODY_PAUSE, body.next()).await {
        // git may answer, and end, before it has read everything.
        if stdin.write_all(&data).await.is_err() {
            return;
        }
    }
}

/// Reads the lines before the first empty one.
///
/// # Errors
/// They are not what a CGI program answers.
async fn head(output: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> anyhow::Result<response::Builder> {
    let mut response = Response::builder();
    for _ in 0..MAX_HEAD {
        let mut line = String::new();
        if output.read_line(&mut line).await? == 0 {
            anyhow::bail!("git http-backend ended without an answer");
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(response);
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            response = response.status(value.split(' ').next().unwrap_or_default().parse::<u16>()?);
        } else {
            response = response.header(name, value);
        }
    }
    anyhow::bail!("git http-backend's answer has too many headers");
}

async fn reap(mut group: Group) {
    match group.wait().await {
        Ok(status) if status.success() => {}
        Ok(status) => tracing::debug!(%status, "git http-backend ended so"),
        Err(error) => tracing::warn!(%error, "git http-backend could not be waited for"),
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use proptest::prelude::*;
    use sprint_core::fuzz::bytes;

    use super::*;

    proptest! {
        /// Whatever the program answers is a response, or none; what follows the head is its body.
        #[test]
        fn fuzz_any_head_may_be_answered(
            output in bytes(vec![
                b"Expires: Fri, 01 Jan 1980 00:00:00 GMT\r\nContent-Type: application/x-git\r\n\r\nbody".to_vec(),
                b"Status: 404 Not Found\r\n\r\n".to_vec(),
            ])
        ) {
            let mut rest = output.as_slice();
            let read = head(&mut rest).now_or_never().expect("bytes do not wait");
            if let Ok(read) = read {
                prop_assert!(output.ends_with(rest));
                if let Ok(response) = read.body(()) {
                    prop_assert!(response.headers().len() <= MAX_HEAD);
                }
            }
        }
    }
}
