//! A hand-off: what an attempt leaves for the next, in its own words.

use serde::{Deserialize, Serialize};

use crate::bounds::{HAND_OFF_LINE, HAND_OFF_LINES, cut};
use crate::event::EventKind;
use crate::ids::{Attempt, ItemId, WorkerId};
use crate::time::Timestamp;

const RULE: &str = "it is an item's number, '-' and the number of an attempt, such as 12-2";

fn valid(text: &str) -> bool {
    text.split_once('-').is_some_and(|(item, attempt)| item.parse::<u64>().is_ok() && attempt.parse::<u32>().is_ok())
}

crate::ids::name!(
    /// The attempt that a hand-off is of: an attempt has one.
    HandOffId, "a hand-off", valid, RULE
);

impl HandOffId {
    pub fn of(item: ItemId, attempt: Attempt) -> Self {
        Self(format!("{item}-{attempt}"))
    }
}

/// What a hand-off says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandOffText {
    /// What is done.
    #[serde(default)]
    pub completed: Vec<String>,
    /// The files that were changed, and what for.
    #[serde(default)]
    pub files_changed: Vec<String>,
    /// What was decided, and why.
    #[serde(default)]
    pub decisions: Vec<String>,
    /// What is left to do, or in doubt.
    #[serde(default)]
    pub open_issues: Vec<String>,
    /// Which tests pass, and which do not.
    #[serde(default)]
    pub test_status: String,
}

impl HandOffText {
    pub fn is_empty(&self) -> bool {
        self.sections().iter().all(|(_, lines)| lines.is_empty())
    }

    /// Its sections, each with its title.
    pub fn sections(&self) -> [(&'static str, Vec<&str>); 5] {
        fn lines(lines: &[String]) -> Vec<&str> {
            lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect()
        }
        [
            ("completed", lines(&self.completed)),
            ("files changed", lines(&self.files_changed)),
            ("decisions", lines(&self.decisions)),
            ("open issues", lines(&self.open_issues)),
            ("test status", lines(std::slice::from_ref(&self.test_status))),
        ]
    }

    /// Cuts it to its bounds.
    pub fn shorten(&mut self) {
        let Self { completed, files_changed, decisions, open_issues, test_status } = self;
        for lines in [completed, files_changed, decisions, open_issues] {
            lines.truncate(HAND_OFF_LINES);
            for line in lines.iter_mut().filter(|line| line.len() > HAND_OFF_LINE) {
                *line = cut(line, HAND_OFF_LINE);
            }
        }
        *test_status = cut(test_status, HAND_OFF_LINE);
    }
}

/// The hand-off of an attempt, as its worker wrote it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOff {
    pub id: HandOffId,
    pub item: ItemId,
    pub attempt: Attempt,
    pub worker: WorkerId,
    pub written_at: Timestamp,
    pub text: HandOffText,
}

crate::noun!(HandOff, "handoff", "attempt", "Show the item: it says which attempts have left one.");

impl EventKind {
    pub const HANDOFF_WRITTEN: Self = Self::new("handoff_written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_off_is_named_after_its_attempt() {
        let id = HandOffId::of(ItemId::new(12), Attempt::new(2));
        assert_eq!(HandOffId::new("12-2"), Ok(id));
        for text in ["", "12", "12-", "-2", "a-b", "1-2-3"] {
            assert!(HandOffId::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn empty_lines_are_nothing_and_long_ones_are_cut() {
        let mut text = HandOffText { completed: vec!["  ".to_owned()], ..HandOffText::default() };
        assert!(text.is_empty());
        text.open_issues = vec!["x".repeat(HAND_OFF_LINE * 2); HAND_OFF_LINES * 2];
        text.shorten();
        assert_eq!((text.open_issues.len(), text.open_issues[0].len()), (HAND_OFF_LINES, HAND_OFF_LINE));
        assert!(!text.is_empty());
    }
}
