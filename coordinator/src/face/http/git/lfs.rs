//! Git LFS: its batch endpoint, and the objects themselves ("basic" transfers).

use std::pin::pin;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use axum::response::IntoResponse as _;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sprint_core::access::Caller;
use sprint_core::ids::RepoName;
use sprint_core::lfs::{LfsObject, LfsOid};
use tokio_util::io::ReaderStream;

use super::backend::BODY_PAUSE;
use crate::service::repos::lfs_memory::MissingObjects;
use crate::service::repos::{git_access, lfs};
use crate::service::{Coordinator, ServiceError};

/// The longest question, and the most objects in it; git-lfs asks for a hundred.
const MAX_BATCH_BYTES: usize = 1 << 20;
const MAX_BATCH: usize = 1_000;
const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

/// The purpose of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    repo: RepoName,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Batch,
    Download(LfsOid),
    Upload(LfsOid),
}

impl Asked {
    /// Reads a request's method and path below `/git/`; none when it is not one of Git LFS.
    pub(super) fn read(method: &Method, path: &str) -> Option<Self> {
        let (repo, rest) = path.split_once(".git/info/lfs/objects/")?;
        let repo = RepoName::new(repo).ok()?;
        let what = match (method, rest) {
            (&Method::POST, "batch") => What::Batch,
            (&Method::GET, oid) => What::Download(LfsOid::new(oid).ok()?),
            (&Method::PUT, oid) => What::Upload(LfsOid::new(oid).ok()?),
            _ => return None,
        };
        Some(Self { repo, what })
    }
}

/// What a client wants to do with objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Operation {
    Download,
    Upload,
}

#[derive(Debug, Deserialize)]
struct Batch {
    operation: Operation,
    objects: Vec<LfsObject>,
}

/// One object's part of the answer.
#[derive(Debug, Serialize)]
struct Answered {
    #[serde(flatten)]
    object: LfsObject,
    #[serde(flatten)]
    how: Value,
}

/// Answers a request.
///
/// # Errors
/// The caller may not do this, the question is none, or what the store and our own repository say.
pub(super) async fn serve(
    sprint: &Coordinator,
    caller: &Caller,
    asked: Asked,
    request: Request<Body>,
) -> Result<Response<Body>, ServiceError> {
    let Asked { repo, what } = asked;
    let (head, body) = request.into_parts();
    let body = body.into_data_stream();
    let reads = async || git_access::may_fetch(sprint, &caller.identity, &repo).await;
    let writes = async || git_access::may_begin_push(sprint, &caller.identity, &repo).await;
    match what {
        What::Batch => {
            // Who they are is looked at before what they send.
            if reads().await.is_err() {
                writes().await?;
            }
            let batch = read_batch(body).await?;
            match batch.operation {
                Operation::Download => reads().await?,
                Operation::Upload => writes().await?,
            }
            let base = base(&head.uri, &head.headers, &repo);
            answer_batch(sprint, &repo, batch, &base).await
        }
        What::Download(oid) => {
            reads().await?;
            let path = lfs::store(sprint, &repo)?.path(&oid);
            let Ok(file) = tokio::fs::File::open(&path).await else {
                return Ok(refusal(StatusCode::NOT_FOUND, "this object is not here"));
            };
            let length = file.metadata().await?.len();
            let mut response = Response::new(Body::from_stream(ReaderStream::new(file)));
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            Ok(response)
        }
        What::Upload(oid) => {
            writes().await?;
            take(sprint, &repo, &oid, body).await
        }
    }
}

async fn read_batch(mut body: BodyDataStream) -> Result<Batch, ServiceError> {
    let mut content = vec![];
    while let Some(chunk) = tokio::time::timeout(BODY_PAUSE, body.next())
        .await
        .map_err(|_| ServiceError::invalid("the question stalled"))?
    {
        content.extend_from_slice(&chunk.map_err(|_| ServiceError::invalid("the question ended in the middle"))?);
        if content.len() > MAX_BATCH_BYTES {
            return Err(ServiceError::invalid(format!("a question has at most {MAX_BATCH_BYTES} bytes")));
        }
    }
    let batch: Batch = serde_json::from_slice(&content)
        .map_err(|error| ServiceError::invalid(format!("this is no question for objects of Git LFS: {error}")))?;
    if batch.objects.len() > MAX_BATCH {
        return Err(ServiceError::invalid(format!("a question names at most {MAX_BATCH} objects")));
    }
    Ok(batch)
}

/// The address of the repo's objects, as the client has it; its host stands in another place from HTTP/2 on.
fn base(uri: &Uri, headers: &HeaderMap, repo: &RepoName) -> String {
    let named = || headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = uri.authority().map_or_else(named, Authority::as_str);
    format!("https://{host}/git/{repo}.git/info/lfs/objects")
}

async fn answer_batch(
    sprint: &Coordinator,
    repo: &RepoName,
    batch: Batch,
    base: &str,
) -> Result<Response<Body>, ServiceError> {
    let store = lfs::store(sprint, repo)?;
    let action = |name: &str, oid: &LfsOid| json!({ "actions": { name: { "href": format!("{base}/{oid}") } } });
    let error = |code: u16, message: &str| json!({ "error": { "code": code, "message": message } });
    let missing = match batch.operation {
        Operation::Download => lfs::bring_for_checkout(sprint, repo, &batch.objects).await?,
        Operation::Upload => MissingObjects::default(),
    };
    let limit = sprint.settings.max_push_bytes();
    let how = |object: &LfsObject| match batch.operation {
        // With another number it is asked for again: that the upstream is away is no reason to work without it.
        Operation::Download if missing.objects.contains(object) => {
            error(if missing.is_refused { 404 } else { 503 }, &missing.why)
        }
        Operation::Download => action("download", &object.oid),
        // It has it already.
        Operation::Upload if store.has(object) => {
            store.touch(&object.oid);
            json!({})
        }
        Operation::Upload if object.size > limit => error(422, &format!("it is larger than {limit} bytes")),
        Operation::Upload => action("upload", &object.oid),
    };
    let objects: Vec<_> =
        batch.objects.iter().map(|object| Answered { object: object.clone(), how: how(object) }).collect();
    let answer = Json(json!({ "transfer": "basic", "objects": objects, "hash_algo": "sha256" }));
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], answer).into_response())
}

/// Takes an object; it is kept if it is what its name says.
async fn take(
    sprint: &Coordinator,
    repo: &RepoName,
    oid: &LfsOid,
    body: BodyDataStream,
) -> Result<Response<Body>, ServiceError> {
    let store = lfs::store(sprint, repo)?;
    let limit = sprint.settings.max_push_bytes();
    let draft = store.draft()?;
    let mut file = tokio::fs::File::from_std(draft.reopen()?);
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    let (mut body, mut length) = (pin!(body), 0);
    loop {
        match tokio::time::timeout(BODY_PAUSE, body.next()).await {
            Ok(Some(Ok(chunk))) => {
                length += chunk.len() as u64;
                if length > limit {
                    return Err(ServiceError::invalid(format!("an object has at most {limit} bytes")));
                }
                digest.update(&chunk);
                tokio::io::AsyncWriteExt::write_all(&mut file, &chunk).await?;
            }
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(ServiceError::invalid("the object ended in the middle")),
            Err(_) => return Err(ServiceError::invalid("the object stalled")),
        }
    }
    tokio::io::AsyncWriteExt::flush(&mut file).await?;
    if LfsOid::of_digest(digest.finish().as_ref()) != *oid {
        return Err(ServiceError::invalid("its content is not what its name says"));
    }
    let oid = oid.clone();
    // Waits for the disk.
    tokio::task::spawn_blocking(move || store.keep(draft, &oid)).await.map_err(std::io::Error::other)??;
    Ok(StatusCode::OK.into_response())
}

/// An answer whose message git-lfs shows to its user.
pub(super) fn refusal(status: StatusCode, why: &str) -> Response<Body> {
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], Json(json!({ "message": why }))).into_response()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::texts;

    use super::*;

    const OID: &str = "4350e6efbf3e48ade3f8225d50fcbfa8aaa6f28ec18c79ccfdd057b97946eb73";

    #[test]
    fn only_requests_of_git_lfs_are_read() {
        let read = |method: &Method, path: &str| Asked::read(method, path).map(|asked| asked.what);
        let object = format!("web.git/info/lfs/objects/{OID}");
        let oid = LfsOid::new(OID).expect("is one");
        assert_eq!(read(&Method::POST, "web.git/info/lfs/objects/batch"), Some(What::Batch));
        assert_eq!(read(&Method::GET, &object), Some(What::Download(oid.clone())));
        assert_eq!(read(&Method::PUT, &object), Some(What::Upload(oid)));
        for (method, path) in [
            (Method::GET, "web.git/info/lfs/objects/batch"),
            (Method::DELETE, object.as_str()),
            (Method::GET, "web.git/info/lfs/objects/../../config"),
            (Method::GET, "../web.git/info/lfs/objects/batch"),
            (Method::POST, "web.git/info/lfs/locks"),
            (Method::POST, "web/info/lfs/objects/batch"),
        ] {
            assert_eq!(read(&method, path), None, "{method} {path}");
        }
    }

    proptest! {
        /// Whatever path is asked for, what is read of it names one object, or none.
        #[test]
        fn fuzz_any_path_is_asked_for(path in texts(&[&format!("web.git/info/lfs/objects/{OID}")])) {
            if let Some(Asked { what: What::Download(oid), .. }) = Asked::read(&Method::GET, &path) {
                prop_assert!(path.ends_with(&oid.to_string()));
            }
        }
    }
}
