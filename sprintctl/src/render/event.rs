//! Events, as people read them.

use serde_json::Value;
use sprint_core::event::Event;

use crate::render::{Layout, gist, one_line};

/// One event on one line.
pub(crate) fn line(event: &Event, layout: &Layout) -> String {
    let Event { seq, time, kind, repo: _, item: _, actor, origin: _, data } = event;
    let clock = time.to_string().get(11..19).unwrap_or_default().to_owned();
    let subject = subject(event);
    let text = format!("{seq:>5}  {clock}Z  {kind:<22} {subject:<8} {actor:<16} {}", words(data));
    one_line(text.trim_end(), layout.width.map_or(usize::MAX, usize::from))
}

/// What an event is about; never empty, so that each line has the same words in the same places.
pub(crate) fn subject(event: &Event) -> String {
    let outpost = event.data.get("outpost").and_then(Value::as_str);
    match (&event.item, &event.repo, outpost) {
        (Some(item), _, _) => format!("#{item}"),
        (None, Some(repo), _) => repo.to_string(),
        (None, None, Some(outpost)) => outpost.to_owned(),
        (None, None, None) => "-".to_owned(),
    }
}

/// The details of an event as `name=value`, those inside others by their own names.
pub(crate) fn words(data: &Value) -> String {
    let mut words = vec![];
    collect(None, data, &mut words);
    words.join(" ")
}

fn collect(name: Option<&str>, value: &Value, words: &mut Vec<String>) {
    const MOST: usize = 120;
    let name = name.unwrap_or("value");
    match value {
        Value::Null => {}
        Value::Object(fields) => fields.iter().for_each(|(name, value)| collect(Some(name), value, words)),
        Value::Array(values) => {
            let texts = values.iter().filter(|value| !value.is_object()).map(plain).collect::<Vec<_>>();
            if !texts.is_empty() {
                words.push(format!("{name}={}", one_line(&texts.join(","), MOST)));
            }
        }
        Value::String(text) if text.contains([' ', '\n']) => {
            words.push(format!("{name}=\"{}\"", one_line(&gist(text), MOST)));
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => words.push(format!("{name}={}", plain(value))),
    }
}

/// A value without quotes; a commit by its first digits.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            text[..10].to_owned()
        }
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sprint_core::event::{EventKind, Seq};
    use sprint_core::ids::{ItemId, RepoName};
    use sprint_core::time::Timestamp;

    use super::*;

    #[test]
    fn an_event_is_one_line_with_its_details() {
        let event = |seq, kind, item: Option<u64>, data| Event {
            seq: Seq::new(seq),
            time: Timestamp::from_millis(1_763_700_000_123),
            kind,
            repo: RepoName::new("web").ok(),
            item: item.map(ItemId::new),
            actor: "scheduler".to_owned(),
            origin: None,
            data,
        };
        let events = [
            event(1, EventKind::REPO_ADDED, None, json!({})),
            Event { repo: None, ..event(2, EventKind::OUTPOST_JOINED, None, json!({"outpost": "local-1"})) },
            event(20, EventKind::ITEM_LEASED, Some(3), json!({"attempt": 1, "lease": {"worker": 4, "outpost": "a"}})),
            event(
                21,
                EventKind::new("change_gated"),
                Some(3),
                json!({"candidate": {"commit": "ab".repeat(20), "gates": [{"name": "t"}], "tree": null}}),
            ),
            event(22, EventKind::ITEM_ATTEMPT_FAILED, Some(3), json!({"reason": "exit code 1\n\u{1b}[2Jlog\nmore"})),
        ];
        let layout = |width| Layout { width, colour: false, now: Timestamp::from_millis(0) };
        let lines = events.iter().map(|event| line(event, &layout(None))).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(lines);
        assert_eq!(line(&events[2], &layout(Some(40))).chars().count(), 40);
    }
}
