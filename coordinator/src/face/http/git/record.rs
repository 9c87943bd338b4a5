//! Records the refusals of git's own program in the audit; they are read from its answer.

use std::sync::Arc;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::Response;
use futures::{Stream, StreamExt as _};
use sprint_core::access::Caller;
use sprint_failpoint::{Point, pass};

use super::asked::{Asked, Service};
use super::backend::Upload;
use crate::service::Coordinator;
use crate::service::admission::audit;

/// The beginning of an answer to a push in which git says whether it took it.
const VERDICT_BYTES: usize = 64 << 10;

/// What git says of a push whose objects it took, and of a ref that it did not update.
const TAKEN: &[u8] = b"unpack ok";
const NOT_UPDATED: &[u8] = b"ng refs/";

/// The caller and the request.
#[derive(Clone)]
pub(super) struct Record {
    sprint: Arc<Coordinator>,
    caller: Caller,
    what: String,
}

impl Record {
    pub(super) fn new(sprint: &Arc<Coordinator>, caller: &Caller, asked: &Asked) -> Self {
        let what = format!("{} {}", asked.service.name(), asked.repo);
        Self { sprint: Arc::clone(sprint), caller: caller.clone(), what }
    }

    pub(super) async fn refused(&self, why: &str) {
        audit::refused(&self.sprint, self.caller.clone(), &self.what, why).await;
    }

    /// A body; that it becomes larger than it may be is recorded, and git's program refuses it in its own words.
    pub(super) fn upload(&self, body: BodyDataStream, limit: u64) -> Upload {
        let (record, mut left) = (self.clone(), Some(limit));
        body.then(move |chunk| {
            let room = left;
            if let (Some(room), Ok(data)) = (room, &chunk) {
                left = room.checked_sub(data.len() as u64);
            }
            let over = (room.is_some() && left.is_none()).then(|| record.clone());
            async move {
                if let Some(record) = over {
                    record.refused(&format!("it is larger than {limit} bytes")).await;
                }
                chunk
            }
        })
        .boxed()
    }

    /// An answer; that git's program refused, or did not take what was pushed, is recorded at its end.
    pub(super) async fn answer(self, asked: &Asked, response: Response<Body>) -> Response<Body> {
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            self.refused(&format!("git answers {status}")).await;
            return response;
        }
        if asked.service != Service::ReceivePack || asked.begins {
            return response;
        }
        response.map(|body| Body::from_stream(self.verdict(body.into_data_stream())))
    }

    fn verdict(self, body: BodyDataStream) -> impl Stream<Item = Result<Bytes, axum::Error>> {
        futures::stream::unfold(Some((body, Vec::new(), self)), |state| async move {
            let (mut body, mut begin, record) = state?;
            if let Some(chunk) = body.next().await {
                pass(Point::WorkArrived);
                if let (Ok(data), room) = (&chunk, VERDICT_BYTES.saturating_sub(begin.len())) {
                    begin.extend_from_slice(&data[..data.len().min(room)]);
                }
                return Some((chunk, Some((body, begin, record))));
            }
            let says = |words: &[u8]| begin.windows(words.len()).any(|part| part == words);
            // Nothing is said of a push that updates nothing.
            if !begin.is_empty() && (!says(TAKEN) || says(NOT_UPDATED)) {
                record.refused("git did not take what was pushed").await;
            }
            None
        })
    }
}
