//! One open terminal, between an outpost and a person.

use std::sync::Arc;

use bytes::Bytes;
use sprint_core::refusal::Code;
use sprint_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::super::status::plain;
use super::call::Link;
use crate::face::Face;
use crate::service::admission::access;
use crate::service::fleet::connections::{TerminalEnd, Typed};

/// Keystrokes on their way; a person types slower than this fills.
const KEYS: usize = 64;

pub(super) async fn open(
    face: &Face,
    link: &Link,
    mut input: Streaming<v1::TerminalOutput>,
) -> Result<ReceiverStream<Result<v1::AttachInput, Status>>, Status> {
    let first =
        input.message().await?.ok_or_else(|| plain(Code::RequestInvalid, "the first message names no terminal"))?;
    let TerminalEnd { sender: shown, receiver: mut typed } = face
        .sprint
        .fleet
        .take_terminal(first.session, &link.outpost)
        .ok_or_else(|| plain(Code::TerminalNotFound, "no viewer waits for this terminal"))?;
    let (keys, receiver) = mpsc::channel(KEYS);
    let (stop, sprint, link) = (face.sprint.stop.clone(), Arc::clone(&face.sprint), link.clone());
    let mut changes = access::changes(&sprint);
    face.sprint.tasks.spawn(async move {
        let mut next = Some(first);
        let end = link.expired();
        tokio::pin!(end);
        while link.is_member(&sprint) {
            changes.borrow_and_update();
            if let Some(v1::TerminalOutput { session: _, data, ended }) = next.take() {
                let over = ended.is_some();
                let output = ended.map_or_else(|| Ok(data.to_vec()), Err);
                if matches!(&output, Ok(data) if data.is_empty()) {
                    // The opening message shows nothing yet.
                } else if shown.send(output).await.is_err() || over {
                    return;
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // Before anything that would still be passed on.
                _ = changes.changed() => {}
                () = &mut end => return,
                key = typed.recv() => match key {
                    Some(Typed { data, columns, rows }) => {
                        let input = v1::AttachInput { worker: 0, data: Bytes::from(data), columns, rows };
                        if keys.send(Ok(input)).await.is_err() {
                            return;
                        }
                    }
                    None => return,
                },
                message = input.message() => match message {
                    Ok(Some(output)) => next = Some(output),
                    Ok(None) | Err(_) => return,
                },
            }
        }
    });
    Ok(ReceiverStream::new(receiver))
}
