//! What a worker may ask of its outpost, and the answers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sprint_core::hand_off::HandOffText;
use sprint_core::ids::ItemId;
use sprint_core::note::{FoundWork, Note};

use super::handle::WorkerHandle;
use super::notes::Answer;
use crate::host::disk::{self, Durability};

/// The most bytes of a task that is answered with its item; a longer one is read from its file.
const LONGEST_TASK: usize = 64 << 10;
/// How long a note may take to reach the outpost's disk.
const KEPT_LIMIT: Duration = Duration::from_secs(20);
/// How long the coordinator's answer is waited for then.
const TAKEN_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Request {
    /// A request for the worker's item.
    Show,
    /// A request for what was said of its work.
    Feedback,
    /// The worker's word on what its item needs.
    Resolve {
        resolution: Resolution,
        reason: String,
    },
    Progress {
        text: String,
    },
    /// Work that it has found.
    File(Box<FoundWork>),
    HandOff(Box<HandOffText>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Resolution {
    NothingToDo,
}

#[derive(Debug, Serialize)]
struct Recorded {
    recorded: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<ItemId>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct FeedbackView<'a> {
    feedback: &'a [String],
}

#[derive(Debug, Serialize)]
struct Refusal {
    error: String,
}

const KEPT: &str = "kept on the outpost; the coordinator hears of it when it is there again";

/// What a worker is told, and where its word goes.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    handle: Arc<WorkerHandle>,
    /// None for a gate.
    resolution: Option<PathBuf>,
}

impl Tools {
    pub(super) fn of(handle: &Arc<WorkerHandle>) -> Self {
        let resolution = handle.assignment.job.attempt().map(|_| handle.dir.nothing_to_do());
        Self { handle: handle.clone(), resolution }
    }

    /// The answer to one line, on one line.
    pub(super) async fn answer(&self, line: &str) -> String {
        let answered = match serde_json::from_str(line) {
            Ok(Request::Show) => return self.show(),
            Ok(Request::Feedback) => return self.feedback(),
            Ok(Request::Resolve { resolution: Resolution::NothingToDo, reason }) => self.resolve(&reason),
            Ok(Request::Progress { text }) => self.say(Note::Progress { text }).await,
            Ok(Request::File(found)) => self.say(Note::Found(found)).await,
            Ok(Request::HandOff(text)) => self.say(Note::HandOff(text)).await,
            Err(error) => Err(format!("not a request: {error}")),
        };
        answered.map_or_else(refusal, |recorded| to_line(&recorded))
    }

    fn show(&self) -> String {
        let (assignment, dir) = (&self.handle.assignment, &self.handle.dir);
        to_line(&AssignmentView {
            worker: assignment.worker.get(),
            repo: assignment.repo.as_str(),
            item: assignment.job.attempt().map(|job| job.item.get()),
            attempt: assignment.job.attempt().map(|job| job.attempt.get()),
            role: assignment.job.role().as_str(),
            title: &assignment.title,
            prompt_file: dir.prompt().to_string_lossy().into_owned(),
            task: (1..=LONGEST_TASK).contains(&assignment.prompt.len()).then_some(&assignment.prompt),
        })
    }

    fn feedback(&self) -> String {
        to_line(&FeedbackView { feedback: &self.handle.assignment.feedback })
    }

    fn resolve(&self, reason: &str) -> Result<Recorded, String> {
        let path = self.resolution.as_ref().ok_or("a gate has no item that could be resolved")?;
        if reason.trim().is_empty() {
            return Err("say why there is nothing to do".to_owned());
        }
        let mut reason = reason.to_owned();
        self.handle.redactor.text(&mut reason);
        disk::write_atomic(path, reason.as_bytes(), Durability::Process)
            .map_err(|error| format!("the outpost cannot write it down: {error}"))?;
        let recorded = "nothing to do; it counts when the command ends with 0 and has left no commit and no change";
        Ok(Recorded { recorded, item: None })
    }

    /// Has a note recorded, and waits for what the coordinator says of it.
    async fn say(&self, mut note: Note) -> Result<Recorded, String> {
        if self.resolution.is_none() {
            return Err("a gate has no item; it can only show what it judges".to_owned());
        }
        // Before anything is cut: of half a secret nobody would know.
        note.each_text(&mut |text| self.handle.redactor.text(text));
        note.shorten();
        if let Some(why) = note.emptiness() {
            return Err(why.to_owned());
        }
        let mut answers = self.handle.notes.push(note)?;
        self.handle.wake.notify_one();
        let ended = || "the worker ended before this was recorded".to_owned();
        let busy = |_| "the outpost is busy; it may still be recorded, so look before you say it again".to_owned();
        let mut answer = tokio::time::timeout(KEPT_LIMIT, answers.recv()).await.map_err(busy)?.ok_or_else(ended)?;
        if answer == Answer::Kept {
            answer = tokio::time::timeout(TAKEN_LIMIT, answers.recv()).await.ok().flatten().unwrap_or(Answer::Kept);
        }
        match answer {
            Answer::Kept => Ok(Recorded { recorded: KEPT, item: None }),
            Answer::Taken(item) => Ok(Recorded { recorded: "the coordinator has it", item }),
            Answer::Refused(why) => Err(why),
        }
    }
}

/// The answer to what is refused, on one line.
pub(super) fn refusal(error: String) -> String {
    to_line(&Refusal { error })
}

fn to_line(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::texts;

    use super::super::handle::Origin;
    use super::*;
    use crate::host::paths::WorkerDir;

    fn tools() -> Tools {
        let assignment = sprint_core::fixtures::assignment(1, 2, "true");
        let (entries, _) = tokio::sync::mpsc::channel(1);
        let dir = WorkerDir::new(PathBuf::from("/nowhere"));
        let handle = Arc::new(WorkerHandle::new(assignment, dir, entries, Origin::Assigned));
        // Nobody takes notes on.
        handle.notes.close();
        Tools::of(&handle)
    }

    proptest! {
        /// Whatever a worker writes is answered on one line, with what it may see or with a reason.
        #[test]
        fn fuzz_any_line_of_a_worker_is_answered(
            line in texts(&[
                "{\"op\":\"show\"}",
                "{\"op\":\"show\",\"worker\":2}",
                "[[[[{\"op\":\"done\"}]]]]",
                "{\"op\":\"feedback\"}",
                "{\"op\":\"progress\",\"text\":\"half\"}",
                "{\"op\":\"file\",\"title\":\"Rename it\",\"needs\":[1],\"parent\":2}",
                "{\"op\":\"hand_off\",\"completed\":[\"a\"],\"test_status\":\"green\"}",
                "{\"op\":\"resolve\",\"resolution\":\"nothing_to_do\",\"reason\":\"it is there\"}",
            ])
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            let answered = runtime.block_on(tools().answer(&line));
            prop_assert!(!answered.contains(['\n', '\r']));
            let answered: serde_json::Value = serde_json::from_str(&answered).expect("is JSON");
            prop_assert!(
                answered["worker"] == 1 || answered["feedback"].is_array() || answered["error"].is_string(),
                "{}", answered
            );
        }
    }
}
