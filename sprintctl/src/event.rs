//! `sprintctl event`.

use std::collections::VecDeque;

use clap::{Args, Subcommand};
use serde_json::Value;
use sprint_core::event::Event;
use sprint_core::ids::ItemId;
use sprint_proto::convert::Malformed;
use sprint_proto::v1;

use crate::cli::App;
use crate::client::Patience;
use crate::failure::Failure;
use crate::render::{Layout, one_line};

#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// Print events in order, one on a line
    Tail(TailArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Go on with the events to come
    #[arg(short, long)]
    follow: bool,
    /// Print the events after this one; 0 for all
    #[arg(long, value_name = "SEQ")]
    since: Option<u64>,
    /// Only those of this item
    #[arg(long, value_name = "ID")]
    item: Option<ItemId>,
    /// How many of the last to print; with --since, of the first [default: 20, or all with --since]
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
}

const LAST: usize = 20;

impl EventCommand {
    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        match self {
            Self::Tail(args) => tail(args, app).await,
        }
    }
}

async fn tail(args: TailArgs, app: &App) -> Result<(), Failure> {
    let TailArgs { follow, since, item, lines } = args;
    let mut tail = Tail { app, item, after: since.unwrap_or_default() };
    match since {
        Some(_) if !follow => return tail.print_some(lines).await,
        Some(_) => {}
        None => tail.print_last(lines.unwrap_or(LAST)).await?,
    }
    if !follow {
        return Ok(());
    }
    let mut patience = Patience::new();
    loop {
        let failure = match tail.follow(&mut patience).await {
            // The coordinator ends the stream only when it goes itself.
            Ok(()) => Failure::Disconnected { why: "the stream ended".to_owned() },
            Err(failure) => failure,
        };
        if !failure.is_disconnect() {
            return Err(failure);
        }
        patience.pause(&failure).await;
    }
}

/// A place in the record, and what is wanted from there on.
#[derive(Debug)]
struct Tail<'a> {
    app: &'a App,
    item: Option<ItemId>,
    /// The sequence number of the last event that is not wanted any more.
    after: u64,
}

impl Tail<'_> {
    fn request(&self, follow: bool) -> v1::TailRequest {
        v1::TailRequest { since: Some(self.after), follow, item: self.item.map(ItemId::get), limit: 0 }
    }

    /// Prints the first events after the place, as many as are wanted.
    async fn print_some(mut self, most: Option<usize>) -> Result<(), Failure> {
        let limit = most.map_or(0, |most| u32::try_from(most).unwrap_or(u32::MAX));
        if most == Some(0) {
            return Ok(());
        }
        let request = v1::TailRequest { limit, ..self.request(false) };
        let mut batches = self.app.client.events().tail(request).await?.into_inner();
        while let Some(batch) = batches.message().await? {
            self.print(batch)?;
        }
        Ok(())
    }

    /// Prints the last events there are, and moves behind them.
    async fn print_last(&mut self, most: usize) -> Result<(), Failure> {
        let end = self.app.client.system().status(v1::StatusRequest {}).await?.into_inner().last_seq;
        // The record has no gap, but those of one item are anywhere in it.
        self.after = match self.item {
            None => end.saturating_sub(most as u64),
            Some(_) => 0,
        };
        let mut last = VecDeque::new();
        if most > 0 {
            let mut batches = self.app.client.events().tail(self.request(false)).await?.into_inner();
            while let Some(batch) = batches.message().await? {
                last.extend(batch.events);
                last.drain(..last.len().saturating_sub(most));
            }
        }
        self.print(v1::EventBatch { events: last.into() })?;
        self.after = self.after.max(end);
        Ok(())
    }

    /// Prints the events as they come, until the stream ends.
    async fn follow(&mut self, patience: &mut Patience) -> Result<(), Failure> {
        let mut batches = self.app.client.events().tail(self.request(true)).await?.into_inner();
        while let Some(batch) = batches.message().await? {
            patience.answered();
            self.print(batch)?;
        }
        Ok(())
    }

    fn print(&mut self, batch: v1::EventBatch) -> Result<(), Failure> {
        let events = batch.events.into_iter().map(Event::try_from).collect::<Result<Vec<_>, Malformed>>()?;
        for event in events {
            self.after = event.seq.get();
            self.app.output.line(&event, line)?;
        }
        Ok(())
    }
}

/// One event on one line.
fn line(event: &Event, layout: &Layout) -> String {
    let Event { seq, time, kind, repo, item, actor, data } = event;
    let clock = time.to_string().get(11..19).unwrap_or_default().to_owned();
    let outpost = data.get("outpost").and_then(Value::as_str);
    // Never empty, so that each line has the same words in the same places.
    let subject = match (item, repo, outpost) {
        (Some(item), _, _) => format!("#{item}"),
        (None, Some(repo), _) => repo.to_string(),
        (None, None, Some(outpost)) => outpost.to_owned(),
        (None, None, None) => "-".to_owned(),
    };
    let text = format!("{seq:>5}  {clock}Z  {kind:<22} {subject:<8} {actor:<16} {}", words(data));
    one_line(text.trim_end(), layout.width.map_or(usize::MAX, usize::from))
}

/// The details of an event as `name=value`, those inside others by their own names.
fn words(data: &Value) -> String {
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
            words.push(format!("{name}=\"{}\"", one_line(&crate::render::gist(text), MOST)));
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
    use sprint_core::event::EventKind;
    use sprint_core::ids::{RepoName, Seq};
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
            data,
        };
        let events = [
            event(1, EventKind::RepoAdded, None, json!({})),
            Event { repo: None, ..event(2, EventKind::OutpostJoined, None, json!({"outpost": "local-1"})) },
            event(20, EventKind::ItemLeased, Some(3), json!({"attempt": 1, "lease": {"worker": 4, "outpost": "a"}})),
            event(
                21,
                EventKind::ChangeGated,
                Some(3),
                json!({"candidate": {"commit": "ab".repeat(20), "gates": [{"name": "t"}], "tree": null}}),
            ),
            event(22, EventKind::ItemAttemptFailed, Some(3), json!({"reason": "exit code 1\n\u{1b}[2Jlog\nmore"})),
        ];
        let layout = |width| Layout { width, colour: false, now: Timestamp::from_millis(0) };
        let lines = events.iter().map(|event| line(event, &layout(None))).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(lines);
        assert_eq!(line(&events[2], &layout(Some(40))).chars().count(), 40);
    }
}
