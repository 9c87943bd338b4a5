//! A worker's own socket: what a worker may ask of its outpost, one JSON object a line.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sprint_core::assignment::Assignment;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::peer;
use crate::host::disk::{self, Durability};
use crate::host::paths::WorkerDir;
use crate::host::socket;

/// A request is a short line; what is longer is none.
const LONGEST: u64 = 64 << 10;
/// The pause after each connection: one that asks without end costs next to nothing.
const PACE: Duration = Duration::from_millis(5);
/// More connections at once than a worker has use for.
const CONNECTIONS: usize = 16;

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Request {
    /// A request for the worker's item.
    Show,
    /// The worker's word on what its item needs.
    Resolve { resolution: Resolution, reason: String },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Resolution {
    NothingToDo,
}

#[derive(Debug, Serialize)]
struct Recorded {
    recorded: &'static str,
}

#[derive(Debug, Serialize)]
struct AssignmentView<'a> {
    worker: u64,
    repo: &'a str,
    item: Option<u64>,
    attempt: Option<u32>,
    role: &'a str,
    title: &'a str,
    prompt_file: String,
}

#[derive(Debug, Serialize)]
struct Refusal {
    error: String,
}

/// Listens at `worker.sock`.
///
/// # Errors
/// Those of the file system.
pub(crate) fn listen(dir: &WorkerDir) -> io::Result<UnixListener> {
    socket::listen(dir.path(), "worker.sock")
}

/// Answers until it is dropped.
pub(crate) async fn serve(listener: UnixListener, assignment: &Assignment, dir: &WorkerDir) {
    let shown = AssignmentView {
        worker: assignment.worker.get(),
        repo: assignment.repo.as_str(),
        item: assignment.job.attempt().map(|job| job.item.get()),
        attempt: assignment.job.attempt().map(|job| job.attempt.get()),
        role: assignment.job.role().as_str(),
        title: &assignment.title,
        prompt_file: dir.prompt().to_string_lossy().into_owned(),
    };
    let Ok(shown) = serde_json::to_string(&shown) else { return };
    let conversation = Conversation { shown, resolution: assignment.job.attempt().map(|_| dir.nothing_to_do()) };
    let mut connections = JoinSet::new();
    let mut refused = 0_u64;
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    let belongs = peer::belongs(&stream, dir);
                    if let Ok((true, _)) = belongs {
                        connections.spawn(conversation.clone().hold(stream));
                    } else {
                        refused += 1;
                        // The 1st, the 2nd, the 4th, …: the log is not to grow with what knocks.
                        if refused.is_power_of_two() {
                            let worker = assignment.worker;
                            tracing::warn!(%worker, ?belongs, refused, "refused a process that is not the worker's at its socket");
                        }
                    }
                    tokio::time::sleep(PACE).await;
                }
                Err(error) => {
                    tracing::warn!(worker = %assignment.worker, %error, "the worker's socket fails");
                    return;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What a worker is told, and where its word is kept.
#[derive(Debug, Clone)]
struct Conversation {
    shown: String,
    /// None for a gate.
    resolution: Option<PathBuf>,
}

impl Conversation {
    async fn hold(self, stream: UnixStream) {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read.take(LONGEST)).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if write.write_all(format!("{}\n", self.answer(&line)).as_bytes()).await.is_err() {
                return;
            }
        }
    }

    /// The answer to one line, on one line.
    fn answer(&self, line: &str) -> String {
        let answered = match serde_json::from_str(line) {
            Ok(Request::Show) => return self.shown.clone(),
            Ok(Request::Resolve { resolution: Resolution::NothingToDo, reason }) => self.resolve(&reason),
            Err(error) => Err(format!("not a request: {error}")),
        };
        let line = match answered {
            Ok(recorded) => serde_json::to_string(&Recorded { recorded }),
            Err(error) => serde_json::to_string(&Refusal { error }),
        };
        line.unwrap_or_default()
    }

    fn resolve(&self, reason: &str) -> Result<&'static str, String> {
        let path = self.resolution.as_ref().ok_or("a gate has no item that could be resolved")?;
        if reason.trim().is_empty() {
            return Err("say why there is nothing to do".to_owned());
        }
        disk::write_atomic(path, reason.as_bytes(), Durability::Process)
            .map_err(|error| format!("the outpost cannot write it down: {error}"))?;
        Ok("nothing to do; it counts when the command ends with 0 and has left no commit and no change")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::texts;

    use super::*;

    proptest! {
        /// Whatever a worker writes is answered on one line, with what it may see or with a reason.
        #[test]
        fn fuzz_any_line_of_a_worker_is_answered(
            line in texts(&[
                "{\"op\":\"show\"}",
                "{\"op\":\"show\",\"worker\":2}",
                "[[[[{\"op\":\"done\"}]]]]",
                "{\"op\":\"resolve\",\"resolution\":\"nothing_to_do\",\"reason\":\"it is there\"}",
            ])
        ) {
            let answered = Conversation { shown: "{\"worker\":1}".to_owned(), resolution: None }.answer(&line);
            prop_assert!(!answered.contains(['\n', '\r']));
            let answered: serde_json::Value = serde_json::from_str(&answered).expect("is JSON");
            prop_assert!(answered["worker"] == 1 || answered["error"].is_string(), "{}", answered);
        }
    }
}
