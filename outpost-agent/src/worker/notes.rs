//! What a worker says of its own accord, on its way from its socket to its reports, and the coordinator's answers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sprint_core::ids::ItemId;
use sprint_core::note::Note;
use tokio::sync::mpsc;

/// The most notes that wait to be written down.
const WAITING: usize = 64;

/// How often a worker may try to say too much.
const PATIENCE: u32 = 100;

/// What becomes of a note, step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is on the outpost's disk, and the coordinator will have it.
    Kept,
    /// The coordinator has it, with the item that it has added.
    Taken(Option<ItemId>),
    Refused(String),
}

/// A note, and who waits for its answer.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) note: Note,
    pub(crate) answer: mpsc::UnboundedSender<Answer>,
}

/// The notes of one worker.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Pending>,
    /// Who waits for the coordinator, by the report's number.
    reported: BTreeMap<u64, mpsc::UnboundedSender<Answer>>,
    closed: bool,
    /// How often one was too much, and why the last was.
    refusals: u32,
    refusal: String,
}

impl Notes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a note in; its answers arrive at the receiver, which ends with the worker.
    ///
    /// # Errors
    /// The sentence for the worker.
    pub(crate) fn push(&self, note: Note) -> Result<mpsc::UnboundedReceiver<Answer>, String> {
        let (answer, answers) = mpsc::unbounded_channel();
        let mut state = self.lock();
        if state.closed {
            return Err("this worker has ended, and its work is handed over".to_owned());
        }
        if state.refusals >= PATIENCE {
            return Err(state.refusal.clone());
        }
        if state.waiting.len() >= WAITING {
            return Err(format!("{WAITING} of this worker's notes wait already; wait for their answers"));
        }
        state.waiting.push_back(Pending { note, answer });
        Ok(answers)
    }

    /// The next note for which somebody still waits: what was given up is not said.
    pub(crate) fn next(&self) -> Option<Pending> {
        let mut state = self.lock();
        while let Some(pending) = state.waiting.pop_front() {
            if !pending.answer.is_closed() {
                return Some(pending);
            }
        }
        None
    }

    /// Remembers who is to be told of the answer to a report.
    pub(crate) fn await_answer(&self, seq: u64, answer: mpsc::UnboundedSender<Answer>) {
        let mut state = self.lock();
        state.reported.retain(|_, answer| !answer.is_closed());
        state.reported.insert(seq, answer);
    }

    /// The coordinator has answered a report.
    pub(crate) fn answered(&self, seq: u64, answer: Answer) {
        if let Some(waiting) = self.lock().reported.remove(&seq) {
            waiting.send(answer).ok();
        }
    }

    /// One was more than a worker may say; one that goes on all the same is refused without a look.
    pub(crate) fn refused(&self, why: &str) {
        let mut state = self.lock();
        state.refusals += 1;
        why.clone_into(&mut state.refusal);
    }

    /// Takes nothing any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        Note::Progress { text: "half".to_owned() }
    }

    #[test]
    fn a_note_finds_its_answer_by_the_number_of_its_report() {
        let notes = Notes::default();
        let mut answers = notes.push(note()).expect("is taken");
        let pending = notes.next().expect("waits");
        notes.await_answer(4, pending.answer);
        notes.answered(3, Answer::Taken(None));
        notes.answered(4, Answer::Refused("no".to_owned()));
        assert_eq!(answers.try_recv(), Ok(Answer::Refused("no".to_owned())));
    }

    #[test]
    fn what_was_given_up_is_not_said_and_too_much_is_refused() {
        let notes = Notes::default();
        drop(notes.push(note()).expect("is taken"));
        assert!(notes.next().is_none());
        let held: Vec<_> = (0..WAITING).map(|_| notes.push(note()).expect("is taken")).collect();
        assert!(notes.push(note()).expect_err("is too much").contains("wait for"));
        notes.close();
        assert!(notes.next().is_none() && notes.push(note()).is_err());
        drop(held);
    }
}
