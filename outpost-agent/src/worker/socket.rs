//! A worker's own socket: what a worker may ask of its outpost, one JSON object a line.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::handle::WorkerHandle;
use super::peer;
use super::tools::{Tools, refusal};
use crate::host::paths::WorkerDir;
use crate::host::socket;

/// A request is a short line; what is longer is none.
const LONGEST: u64 = 64 << 10;
/// The pause after each connection and each answer: one that asks without end costs next to nothing.
const PACE: Duration = Duration::from_millis(5);
/// More connections at once than a worker has use for.
const CONNECTIONS: usize = 16;

/// Listens at `worker.sock`.
///
/// # Errors
/// Those of the file system.
pub(crate) fn listen(dir: &WorkerDir) -> io::Result<UnixListener> {
    socket::listen(dir.path(), "worker.sock")
}

/// Answers until it is dropped.
pub(super) async fn serve(listener: UnixListener, handle: &Arc<WorkerHandle>) {
    let (tools, dir) = (Tools::of(handle), &handle.dir);
    let mut connections = JoinSet::new();
    let mut refused = 0_u64;
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    let belongs = peer::belongs(&stream, dir);
                    if let Ok((true, _)) = belongs {
                        connections.spawn(hold(tools.clone(), stream));
                    } else {
                        refused += 1;
                        // The 1st, the 2nd, the 4th, …: the log is not to grow with what knocks.
                        if refused.is_power_of_two() {
                            let worker = handle.id();
                            tracing::warn!(%worker, ?belongs, refused, "refused a process that is not the worker's at its socket");
                        }
                    }
                    tokio::time::sleep(PACE).await;
                }
                Err(error) => {
                    tracing::warn!(worker = %handle.id(), %error, "the worker's socket fails");
                    return;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers one connection's lines, one after another.
async fn hold(tools: Tools, stream: UnixStream) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read.take(LONGEST)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // It is cut off there, and nothing follows.
        let answer = if line.len() as u64 >= LONGEST { too_long() } else { tools.answer(&line).await };
        if write.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
            return;
        }
        tokio::time::sleep(PACE).await;
    }
}

fn too_long() -> String {
    refusal(format!("a request has at most {LONGEST} bytes; say it shorter, or put it into a file and name that"))
}
