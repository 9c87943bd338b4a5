//! Events: the record of everything that happened, in order and without a gap.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::Caller;
use crate::ids::{InvalidId, ItemId, OutpostName, RepoName};
use crate::time::Timestamp;

/// What happened, as the record has it: what it happened to and a past participle, such as `item_added`.
///
/// Each entity names its own beside its struct; those of its machine follow from the names of the machine's events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventKind(Cow<'static, str>);

const KIND_RULE: &str = "it is 1 to 63 of a-z and '_'";

impl EventKind {
    pub const fn new(word: &'static str) -> Self {
        Self(Cow::Borrowed(word))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is about no entity, or about none that is on record.
impl EventKind {
    pub const LANDING_CHECK_SKIPPED: Self = Self::new("landing_check_skipped");
    pub const REPORT_REFUSED: Self = Self::new("report_refused");
    pub const CERTIFICATE_ISSUED: Self = Self::new("certificate_issued");
    pub const RECORD_RESTORED: Self = Self::new("record_restored");
    pub const ACCESS_REFUSED: Self = Self::new("access_refused");
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for EventKind {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if (1..=63).contains(&text.len()) && is_word(&text) {
            Ok(Self(Cow::Owned(text)))
        } else {
            Err(InvalidId { what: "an event kind", given: text.chars().take(80).collect(), rule: KIND_RULE })
        }
    }
}

impl FromStr for EventKind {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.to_owned().try_into()
    }
}

impl From<EventKind> for String {
    fn from(kind: EventKind) -> Self {
        kind.0.into_owned()
    }
}

crate::ids::number!(
    /// An event's place in the record: 1, 2, 3, … without a gap.
    Seq, "an event sequence number"
);

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub seq: Seq,
    pub time: Timestamp,
    pub kind: EventKind,
    pub repo: Option<RepoName>,
    pub item: Option<ItemId>,
    /// Who caused it: `admin/NAME`, `operator/NAME`, `outpost/NAME`, `stranger`, or one of the
    /// coordinator's own loops, such as `scheduler`.
    pub actor: String,
    /// The address that the act came from; present where the event is part of the audit: what
    /// people did, and what was refused.
    pub origin: Option<String>,
    pub data: Value,
}

/// Who causes an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A caller; its acts are part of the audit.
    Caller(Caller),
    /// An outpost's ordinary reports.
    Outpost(OutpostName),
    Scheduler,
    Pipeline,
    MergeQueue,
    Supervisor,
    /// The coordinator itself, at its start or end.
    Coordinator,
}

impl Actor {
    /// The address that it acts from, if that is of interest.
    pub fn origin(&self) -> Option<&str> {
        match self {
            Self::Caller(caller) => Some(&caller.from),
            Self::Outpost(_)
            | Self::Scheduler
            | Self::Pipeline
            | Self::MergeQueue
            | Self::Supervisor
            | Self::Coordinator => None,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller(caller) => caller.fmt(f),
            Self::Outpost(name) => write!(f, "outpost/{name}"),
            Self::Scheduler => f.write_str("scheduler"),
            Self::Pipeline => f.write_str("pipeline"),
            Self::MergeQueue => f.write_str("merge-queue"),
            Self::Supervisor => f.write_str("supervisor"),
            Self::Coordinator => f.write_str("coordinator"),
        }
    }
}

/// An event before it has its place in the record.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    pub kind: EventKind,
    pub repo: Option<RepoName>,
    pub item: Option<ItemId>,
    pub actor: Actor,
    pub data: Value,
}

/// A machine's event as the record keeps it.
pub trait Recorded: Serialize {
    /// What it happens to, in a word.
    const ENTITY: &'static str;

    /// What happens, as a past participle.
    fn name(&self) -> &'static str;

    fn kind(&self) -> EventKind {
        EventKind(Cow::Owned(format!("{}_{}", Self::ENTITY, self.name())))
    }

    /// The details, as a JSON object: the fields of the variant, without its name, which the kind says already.
    fn data(&self) -> Value {
        details(self)
    }
}

/// The fields of a variant.
pub(crate) fn details(event: &(impl Serialize + ?Sized)) -> Value {
    match serde_json::to_value(event) {
        Ok(Value::Object(fields)) if fields.len() == 1 => {
            fields.into_iter().next().map_or_else(|| json!({}), |(_, inner)| inner)
        }
        Ok(_) | Err(_) => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::ChangeEvent;
    use crate::item::ItemEvent;

    #[test]
    fn the_kind_of_a_machines_event_is_its_entity_and_its_name() {
        assert_eq!(ChangeEvent::Landed.kind(), EventKind::CHANGE_LANDED);
        assert_eq!(ItemEvent::Readied.kind(), EventKind::ITEM_READIED);
        assert_eq!(ItemEvent::Retried.kind(), EventKind::ITEM_RETRIED);
    }

    #[test]
    fn a_kind_of_another_version_is_read_and_a_text_is_not() {
        assert_eq!("change_gated".parse(), Ok(EventKind::new("change_gated")));
        for text in ["", "Change", "change gated", "change\n", &"x".repeat(64)] {
            assert!(text.parse::<EventKind>().is_err(), "{text:?}");
        }
    }
}
