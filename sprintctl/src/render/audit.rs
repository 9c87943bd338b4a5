//! The audit, as people read it.

use serde_json::Value;
use sprint_core::event::{Event, EventKind};

use crate::render::event::{subject, words};
use crate::render::{Layout, one_line};

/// One act on one line: when, who, from where, what and why.
pub(crate) fn line(event: &Event, layout: &Layout) -> String {
    let Event { seq: _, time, kind, repo: _, item: _, actor, origin, data } = event;
    let time = time.to_string();
    let (day, clock) = (time.get(..10).unwrap_or_default(), time.get(11..19).unwrap_or_default());
    let from = origin.as_deref().unwrap_or("-");
    let (what, why) = if *kind == EventKind::ACCESS_REFUSED { refused(data) } else { done(event) };
    let text = format!("{day} {clock}Z  {actor:<16}  {from:<21}  {what:<22}  {why}");
    one_line(text.trim_end(), layout.width.map_or(usize::MAX, usize::from))
}

/// What was tried, and why it did not come about.
fn refused(data: &Value) -> (String, String) {
    let text = |name| data.get(name).and_then(Value::as_str).unwrap_or("-");
    let times = data.get("times").and_then(Value::as_u64).filter(|times| *times > 1);
    let times = times.map(|times| format!(" ({times} times)")).unwrap_or_default();
    (text("what").to_owned(), format!("refused{times}: {}", text("why")))
}

/// What was done, to what, and its details.
fn done(event: &Event) -> (String, String) {
    let subject = Some(subject(event)).filter(|subject| subject != "-");
    let details = Some(words(&event.data)).filter(|words| !words.is_empty());
    (event.kind.to_string(), subject.into_iter().chain(details).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sprint_core::event::Seq;
    use sprint_core::ids::ItemId;
    use sprint_core::time::Timestamp;

    use super::*;

    #[test]
    fn an_act_says_who_from_where_what_and_why() {
        let event = |kind, actor: &str, from: Option<&str>, item: Option<u64>, data| Event {
            seq: Seq::new(7),
            time: Timestamp::from_millis(1_763_700_000_123),
            kind,
            repo: None,
            item: item.map(ItemId::new),
            actor: actor.to_owned(),
            origin: from.map(ToOwned::to_owned),
            data,
        };
        let refused = |data| event(EventKind::ACCESS_REFUSED, "stranger", Some("10.0.0.7:40112"), None, data);
        let events = [
            event(
                EventKind::ITEM_CANCELLED,
                "operator/ann",
                Some("10.0.0.4:5120"),
                Some(3),
                json!({"reason": "not now"}),
            ),
            event(EventKind::OUTPOST_REMOVED, "admin/me", Some("127.0.0.1:40100"), None, json!({"outpost": "gpu-3"})),
            event(EventKind::REPO_HALTED, "admin/me", None, None, json!({})),
            refused(json!({"what": "Items.Add", "why": "a viewer may not", "times": 1})),
            refused(json!({"what": "enrol", "why": "the token is \u{1b}[2Jnot known here\nat all", "times": 50})),
            refused(json!({})),
        ];
        let layout = |width| Layout { width, colour: false, now: Timestamp::from_millis(0) };
        let lines = events.iter().map(|event| line(event, &layout(None))).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(lines);
        assert_eq!(line(&events[0], &layout(Some(60))).chars().count(), 60);
    }
}
