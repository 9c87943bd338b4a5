//! What a worker says of its own accord while it works: how far it is, what else it has found to do, what it hands over.

use serde::{Deserialize, Serialize};

use crate::bounds::{FOUND, NOTE_BYTES, NOTES, PROGRESS, cut};
use crate::event::EventKind;
use crate::hand_off::HandOffText;
use crate::ids::ItemId;
use crate::item::{ItemKind, MAX_TITLE_BYTES, Priority};
use crate::time::Timestamp;

/// One thing that a worker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// How far it is.
    Progress { text: String },
    /// Work that it has found, and that is not its own.
    Found(Box<FoundWork>),
    /// What it leaves for the next attempt; the newest counts.
    HandOff(Box<HandOffText>),
}

const fn task() -> ItemKind {
    ItemKind::Task
}

const fn medium() -> Priority {
    Priority::Medium
}

/// Work that a worker has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundWork {
    pub title: String,
    #[serde(default)]
    pub description: String,
    #[serde(default = "task")]
    pub kind: ItemKind,
    #[serde(default = "medium")]
    pub priority: Priority,
    #[serde(default)]
    pub acceptance: Vec<String>,
    /// What must be done before it.
    #[serde(default)]
    pub needs: Vec<ItemId>,
    #[serde(default)]
    pub parent: Option<ItemId>,
}

/// How much a worker has said so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteCount {
    pub notes: u32,
    pub bytes: u64,
    /// The items among them.
    pub found: u32,
}

/// How far a worker is, by its own word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressSaid {
    pub text: String,
    pub at: Timestamp,
}

impl EventKind {
    pub const WORKER_PROGRESSED: Self = Self::new("worker_progressed");
}

impl Note {
    /// The note with everything in it cut to its bounds, but for an item's texts, which are refused as a whole.
    pub fn shorten(&mut self) {
        match self {
            Self::Progress { text } => *text = cut(text.trim(), PROGRESS),
            Self::Found(found) => found.title = cut(found.title.trim(), MAX_TITLE_BYTES),
            Self::HandOff(text) => text.shorten(),
        }
    }

    /// Why it says nothing, if so.
    pub fn emptiness(&self) -> Option<&'static str> {
        match self {
            Self::Progress { text } if text.trim().is_empty() => Some("the progress is empty; say how far you are"),
            Self::Found(found) if found.title.trim().is_empty() => Some("the item has no title; give it one"),
            Self::HandOff(text) if text.is_empty() => Some(
                "the hand-off is empty; say what is completed, which files changed, what was decided, what is open, or how the tests stand",
            ),
            Self::Progress { .. } | Self::Found(_) | Self::HandOff(_) => None,
        }
    }

    /// Hands out every text in it.
    pub fn each_text(&mut self, hear: &mut impl FnMut(&mut String)) {
        match self {
            Self::Progress { text } => hear(text),
            Self::Found(found) => {
                let FoundWork { title, description, kind: _, priority: _, acceptance, needs: _, parent: _ } =
                    &mut **found;
                [title, description].into_iter().chain(acceptance).for_each(hear);
            }
            Self::HandOff(text) => {
                let HandOffText { completed, files_changed, decisions, open_issues, test_status } = &mut **text;
                let lists = [completed, files_changed, decisions, open_issues];
                lists.into_iter().flatten().chain([test_status]).for_each(hear);
            }
        }
    }

    fn bytes(&self) -> usize {
        let all = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
        match self {
            Self::Progress { text } => text.len(),
            Self::Found(found) => {
                let FoundWork { title, description, kind: _, priority: _, acceptance, needs, parent: _ } = &**found;
                title.len() + description.len() + all(acceptance) + size_of_val(needs.as_slice())
            }
            Self::HandOff(text) => {
                let HandOffText { completed, files_changed, decisions, open_issues, test_status } = &**text;
                all(completed) + all(files_changed) + all(decisions) + all(open_issues) + test_status.len()
            }
        }
    }
}

impl NoteCount {
    /// Counts one more.
    pub fn add(&mut self, note: &Note) {
        self.notes = self.notes.saturating_add(1);
        self.bytes = self.bytes.saturating_add(note.bytes() as u64);
        self.found = self.found.saturating_add(u32::from(matches!(note, Note::Found(_))));
    }

    /// Why one more would be too much, where those that were refused are counted as well.
    ///
    /// # Errors
    /// The sentence for the worker.
    pub fn admit_any(self, note: &Note) -> Result<(), String> {
        Self { found: 0, ..self }.admit(note)
    }

    /// Why one more would be too much.
    ///
    /// # Errors
    /// The sentence for the worker.
    pub fn admit(self, note: &Note) -> Result<(), String> {
        let mut with = self;
        with.add(note);
        if with.found > FOUND {
            return Err(format!(
                "this worker has filed {FOUND} items, the most that one may; name the rest in its hand-off"
            ));
        }
        if with.notes > NOTES {
            return Err(format!("this worker has said {NOTES} things, the most that one may; go on without"));
        }
        if with.bytes > NOTE_BYTES {
            return Err(format!(
                "this worker has said {} bytes, and the most is {NOTE_BYTES}; say it shorter",
                with.bytes
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(text: &str) -> Note {
        Note::Progress { text: text.to_owned() }
    }

    fn found() -> Note {
        serde_json::from_str(r#"{"note": "found", "title": "Rename it"}"#).expect("is read")
    }

    #[test]
    fn what_is_too_much_is_refused_with_the_bound() {
        let counted = |note: &Note, times: u32| {
            (0..times).fold(NoteCount::default(), |mut count, _| {
                count.add(note);
                count
            })
        };
        assert_eq!(counted(&found(), FOUND - 1).admit(&found()), Ok(()));
        let refused = counted(&found(), FOUND).admit(&found()).expect_err("is too much");
        assert!(refused.contains("hand-off"), "{refused}");
        assert_eq!(counted(&found(), FOUND).admit(&progress("x")), Ok(()), "other things may be said");
        assert!(counted(&progress("x"), NOTES).admit(&progress("x")).is_err());
        let long = progress(&"x".repeat(1 << 20));
        assert!(counted(&long, 1).admit(&progress("x")).is_err());
    }

    #[test]
    fn a_note_that_says_nothing_is_named() {
        assert!(progress(" \n").emptiness().is_some());
        assert!(Note::HandOff(Box::default()).emptiness().is_some());
        assert_eq!(found().emptiness(), None);
    }
}
