//! The bulk stream: terminal logs up, durable offsets down.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sprint_core::ids::WorkerId;
use sprint_proto::v1;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::backoff::Backoff;
use super::connection::{causes, connect};
use crate::context::Agent;

/// The most that one message carries.
const CHUNK: u64 = 256 << 10;
/// The most that one worker has under way: beyond it, others have their turn and
/// the coordinator its time.
const WINDOW: u64 = 4 << 20;
/// Chunks between here and the connection, 1 MiB: enough to keep it busy.
const UP: usize = 4;
/// The least time between two chunks of one worker that are not full: tmux writes
/// in small pieces, and a message for each would cost more than the bytes.
const PACE: Duration = Duration::from_millis(5);
/// The period of a full check, in case an event was lost.
const TICK: Duration = Duration::from_secs(10);

/// One worker's log on its way.
#[derive(Debug)]
struct Shipment {
    /// Where the coordinator goes on; unknown until it has said so.
    sent: Option<u64>,
    durable: u64,
    /// When its next chunk may go, full or not.
    due: Instant,
    /// Opened once: each opening would be an event of its own.
    file: Option<Arc<File>>,
}

/// Ships logs until it is dropped.
pub(crate) async fn run(agent: Arc<Agent>) {
    let mut backoff = Backoff::new();
    loop {
        let why = stream(&agent, &mut backoff).await;
        tracing::debug!(why, "the log stream ended; opening it again");
        tokio::time::sleep(backoff.pause(fastrand::f64())).await;
    }
}

/// Ships logs over one connection; returns why it ended.
async fn stream(agent: &Arc<Agent>, backoff: &mut Backoff) -> String {
    // Before the first session the coordinator does not know this outpost.
    if agent.repositories.remote.subscribe().wait_for(Option::is_some).await.is_err() {
        return "the agent is ending".to_owned();
    }
    let mut client = match connect(agent).await {
        Ok(client) => client,
        Err(error) => return causes(&error),
    };
    let (up, chunks) = mpsc::channel(UP);
    let mut down = match client.logs(ReceiverStream::new(chunks)).await {
        Ok(response) => response.into_inner(),
        Err(status) => return status.to_string(),
    };
    let mut shipments: BTreeMap<WorkerId, Shipment> = BTreeMap::new();
    let mut turns = Turns::default();
    for handle in agent.fleet.all() {
        turns.add(handle.id());
    }
    let mut tick = tokio::time::interval(TICK);
    let mut paced: BTreeSet<WorkerId> = BTreeSet::new();
    let pace = tokio::time::sleep(Duration::ZERO);
    tokio::pin!(pace);
    loop {
        tokio::select! {
            ack = down.message() => match ack {
                Ok(Some(v1::LogAck { worker, durable })) => {
                    backoff.reset();
                    let worker = WorkerId::new(worker);
                    if let Some(shipment) = shipments.get_mut(&worker) {
                        shipment.durable = shipment.durable.max(durable);
                        // The answer to the question; or the coordinator has more than was sent.
                        let sent = shipment.sent.get_or_insert(durable);
                        *sent = (*sent).max(durable);
                        turns.add(worker);
                    }
                    if let Some(handle) = agent.fleet.get(worker) {
                        handle.set_durable_log(durable);
                    }
                }
                Ok(None) => return "the coordinator ended it".to_owned(),
                Err(status) => return status.to_string(),
            },
            () = agent.log_growth.wait() => {
                for worker in agent.log_growth.take() {
                    turns.add(worker);
                }
            }
            _ = tick.tick() => {
                for handle in agent.fleet.all() {
                    turns.add(handle.id());
                }
                shipments.retain(|worker, _| agent.fleet.get(*worker).is_some());
            }
            () = &mut pace, if !paced.is_empty() => {
                for worker in std::mem::take(&mut paced) {
                    turns.add(worker);
                }
            }
            permit = up.reserve(), if !turns.is_empty() => {
                let Ok(permit) = permit else { return "the stream is closed".to_owned() };
                let Some(worker) = turns.next() else { continue };
                match next_chunk(agent, worker, &mut shipments).await {
                    NextChunk::Send(chunk) => {
                        if !chunk.data.is_empty() {
                            turns.add(worker);
                        }
                        permit.send(chunk);
                    }
                    NextChunk::Later => {
                        if paced.is_empty() {
                            pace.as_mut().reset(Instant::now() + PACE);
                        }
                        paced.insert(worker);
                    }
                    NextChunk::Nothing => {}
                }
            }
        }
    }
}

/// What is to be done for a worker whose turn it is.
#[derive(Debug)]
enum NextChunk {
    Send(v1::LogChunk),
    /// There may be something, and it is too soon.
    Later,
    Nothing,
}

/// The next piece of a worker's log, if there is one and it may go.
async fn next_chunk(agent: &Agent, worker: WorkerId, shipments: &mut BTreeMap<WorkerId, Shipment>) -> NextChunk {
    let Some(handle) = agent.fleet.get(worker) else { return NextChunk::Nothing };
    let Some(shipment) = shipments.get_mut(&worker) else {
        // The coordinator says how much it has; of a worker that is new here it has nothing.
        let sent = handle.claim_first_shipment().then_some(0);
        shipments.insert(worker, Shipment { sent, durable: 0, due: Instant::now(), file: None });
        if sent.is_some() {
            agent.log_growth.add(worker);
            return NextChunk::Nothing;
        }
        return NextChunk::Send(v1::LogChunk { worker: worker.get(), offset: 0, data: Bytes::new() });
    };
    let Some(offset) = shipment.sent else { return NextChunk::Nothing };
    if offset.saturating_sub(shipment.durable) >= WINDOW {
        return NextChunk::Nothing;
    }
    let file = match &shipment.file {
        Some(file) => file.clone(),
        // It does not exist before the worker's first byte.
        None => match File::open(handle.dir.log()) {
            Ok(file) => shipment.file.insert(Arc::new(file)).clone(),
            Err(_) => return NextChunk::Nothing,
        },
    };
    let too_soon = Instant::now() < shipment.due;
    if too_soon && file.metadata().is_ok_and(|file| file.len() < offset + CHUNK) {
        return NextChunk::Later;
    }
    let data = match tokio::task::spawn_blocking(move || read(&file, offset)).await {
        Ok(Ok(data)) => data,
        Ok(Err(error)) => {
            tracing::warn!(%worker, %error, "a log cannot be read");
            return NextChunk::Nothing;
        }
        Err(error) => {
            tracing::error!(%worker, %error, "reading a log panicked");
            return NextChunk::Nothing;
        }
    };
    if data.is_empty() {
        return NextChunk::Nothing;
    }
    shipment.sent = Some(offset + data.len() as u64);
    shipment.due = Instant::now() + PACE;
    NextChunk::Send(v1::LogChunk { worker: worker.get(), offset, data: data.into() })
}

fn read(file: &File, offset: u64) -> std::io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    let mut data = vec![0; usize::try_from(size.saturating_sub(offset).min(CHUNK)).unwrap_or_default()];
    let read = file.read_at(&mut data, offset)?;
    data.truncate(read);
    Ok(data)
}

/// The order of turns: each worker that may have output once, round robin.
#[derive(Debug, Default)]
struct Turns {
    order: VecDeque<WorkerId>,
    waiting: BTreeSet<WorkerId>,
}

impl Turns {
    fn add(&mut self, worker: WorkerId) {
        if self.waiting.insert(worker) {
            self.order.push_back(worker);
        }
    }

    fn next(&mut self) -> Option<WorkerId> {
        let worker = self.order.pop_front()?;
        self.waiting.remove(&worker);
        Some(worker)
    }

    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_log_has_one_turn_before_any_has_two() {
        let (one, two) = (WorkerId::new(1), WorkerId::new(2));
        let mut turns = Turns::default();
        turns.add(one);
        turns.add(one);
        turns.add(two);
        assert_eq!(turns.next(), Some(one));
        turns.add(one);
        assert_eq!((turns.next(), turns.next(), turns.next()), (Some(two), Some(one), None));
        assert!(turns.is_empty());
    }
}
