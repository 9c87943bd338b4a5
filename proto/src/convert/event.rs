use sprint_core::event::{Event, Seq};
use sprint_core::ids::{ItemId, RepoName};
use sprint_core::time::Timestamp;

use super::Malformed;
use crate::v1;

impl From<Event> for v1::Event {
    fn from(event: Event) -> Self {
        let Event { seq, time, kind, repo, item, actor, origin, data } = event;
        Self {
            seq: seq.get(),
            time_ms: time.as_millis(),
            kind: kind.to_string(),
            repo: repo.map(Into::into),
            item: item.map(ItemId::get),
            actor,
            origin,
            data_json: data.to_string(),
        }
    }
}

impl TryFrom<v1::Event> for Event {
    type Error = Malformed;

    fn try_from(event: v1::Event) -> Result<Self, Malformed> {
        let v1::Event { seq, time_ms, kind, repo, item, actor, origin, data_json } = event;
        Ok(Self {
            seq: Seq::new(seq),
            time: Timestamp::from_millis(time_ms),
            kind: kind.parse()?,
            repo: repo.map(RepoName::new).transpose()?,
            item: item.map(ItemId::new),
            actor,
            origin,
            data: serde_json::from_str(&data_json)
                .map_err(|error| Malformed::Json { what: "the event's data", why: error.to_string() })?,
        })
    }
}
