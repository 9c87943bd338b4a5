use sprint_core::hand_off::{HandOff, HandOffId, HandOffText};
use sprint_core::ids::{Attempt, ItemId, WorkerId};
use sprint_core::note::{FoundWork, Note};
use sprint_core::time::Timestamp;

use super::{Malformed, required};
use crate::v1;

impl From<Note> for v1::Noted {
    fn from(note: Note) -> Self {
        let note = match note {
            Note::Progress { text } => v1::noted::Note::Progress(text),
            Note::Found(found) => v1::noted::Note::Found((*found).into()),
            Note::HandOff(text) => v1::noted::Note::HandOff((*text).into()),
        };
        Self { note: Some(note) }
    }
}

impl TryFrom<v1::Noted> for Note {
    type Error = Malformed;

    fn try_from(noted: v1::Noted) -> Result<Self, Malformed> {
        Ok(match required(noted.note, "the note")? {
            v1::noted::Note::Progress(text) => Self::Progress { text },
            v1::noted::Note::Found(found) => Self::Found(Box::new(found.try_into()?)),
            v1::noted::Note::HandOff(text) => Self::HandOff(Box::new(text.into())),
        })
    }
}

impl From<FoundWork> for v1::FoundWork {
    fn from(found: FoundWork) -> Self {
        let FoundWork { title, description, kind, priority, acceptance, needs, parent } = found;
        Self {
            title,
            description,
            kind: kind.to_string(),
            priority: priority.to_string(),
            acceptance,
            needs: needs.into_iter().map(ItemId::get).collect(),
            parent: parent.map(ItemId::get),
        }
    }
}

impl TryFrom<v1::FoundWork> for FoundWork {
    type Error = Malformed;

    fn try_from(found: v1::FoundWork) -> Result<Self, Malformed> {
        let v1::FoundWork { title, description, kind, priority, acceptance, needs, parent } = found;
        Ok(Self {
            title,
            description,
            kind: kind.parse()?,
            priority: priority.parse()?,
            acceptance,
            needs: needs.into_iter().map(ItemId::new).collect(),
            parent: parent.map(ItemId::new),
        })
    }
}

impl From<HandOffText> for v1::HandOffText {
    fn from(text: HandOffText) -> Self {
        let HandOffText { completed, files_changed, decisions, open_issues, test_status } = text;
        Self { completed, files_changed, decisions, open_issues, test_status }
    }
}

impl From<v1::HandOffText> for HandOffText {
    fn from(text: v1::HandOffText) -> Self {
        let v1::HandOffText { completed, files_changed, decisions, open_issues, test_status } = text;
        Self { completed, files_changed, decisions, open_issues, test_status }
    }
}

impl From<HandOff> for v1::HandOff {
    fn from(hand_off: HandOff) -> Self {
        let HandOff { id: _, item, attempt, worker, written_at, text } = hand_off;
        let written_at_ms = written_at.as_millis();
        Self { item: item.get(), attempt: attempt.get(), worker: worker.get(), written_at_ms, text: Some(text.into()) }
    }
}

impl TryFrom<v1::HandOff> for HandOff {
    type Error = Malformed;

    fn try_from(hand_off: v1::HandOff) -> Result<Self, Malformed> {
        let v1::HandOff { item, attempt, worker, written_at_ms, text } = hand_off;
        let (item, attempt) = (ItemId::new(item), Attempt::new(attempt));
        Ok(Self {
            id: HandOffId::of(item, attempt),
            item,
            attempt,
            worker: WorkerId::new(worker),
            written_at: Timestamp::from_millis(written_at_ms),
            text: required(text, "the hand-off's text")?.into(),
        })
    }
}
