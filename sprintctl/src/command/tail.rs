//! Reading the record: some of it, the end of it, and what comes then.

use std::collections::VecDeque;

use clap::Args;
use sprint_core::event::{Event, EventKind};
use sprint_core::ids::ItemId;
use sprint_proto::convert::Malformed;
use sprint_proto::v1;

use crate::app::App;
use crate::client::Patience;
use crate::failure::Failure;
use crate::render::Layout;

const LAST: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// Continue with new events
    #[arg(short, long)]
    follow: bool,
    /// Print the events after this one; 0 for all
    #[arg(long, value_name = "SEQ")]
    since: Option<u64>,
    /// The number of events: the last N, or with --since the first N [default: 20, or all with --since]
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
}

/// Which events to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventFilter {
    All,
    Item(ItemId),
    /// The acts of people, and refused requests.
    Audit,
    /// Of these, what was refused.
    Refused,
}

impl EventFilter {
    /// The command that prints what matches.
    fn command(self) -> String {
        match self {
            Self::All => "sprintctl event tail".to_owned(),
            Self::Item(item) => format!("sprintctl event tail --item {item}"),
            Self::Audit => "sprintctl audit".to_owned(),
            Self::Refused => "sprintctl audit --refused".to_owned(),
        }
    }
}

/// Prints the events that match, each as `line` renders it.
pub(crate) async fn tail(
    args: PlaceArgs,
    filter: EventFilter,
    line: fn(&Event, &Layout) -> String,
    app: &App,
) -> Result<(), Failure> {
    let PlaceArgs { follow, since, lines } = args;
    let mut tail = Tail { app, filter, line, after: since.unwrap_or_default() };
    match since {
        Some(_) if !follow => return tail.print_some(lines).await,
        Some(_) => {}
        None => {
            let has_earlier = tail.print_last(lines.unwrap_or(LAST)).await?;
            app.output.hidden(has_earlier && !follow, &format!("earlier ones: {} --since 0", filter.command()));
        }
    }
    if !follow {
        return Ok(());
    }
    let mut patience = Patience::new();
    loop {
        let failure = match tail.follow(&mut patience).await {
            // The coordinator ends the stream only when it goes itself.
            Ok(()) => Failure::disconnected("the stream ended"),
            Err(failure) => failure,
        };
        if !failure.is_disconnect() {
            return Err(failure);
        }
        patience.pause(&failure).await;
    }
}

/// A place in the record, and which events after it to print.
#[derive(Debug)]
struct Tail<'a> {
    app: &'a App,
    filter: EventFilter,
    line: fn(&Event, &Layout) -> String,
    /// The sequence number of the last event that is not to be printed.
    after: u64,
}

impl Tail<'_> {
    fn request(&self, follow: bool) -> v1::TailRequest {
        let (item, audit) = match self.filter {
            EventFilter::All => (None, false),
            EventFilter::Item(item) => (Some(item.get()), false),
            EventFilter::Audit | EventFilter::Refused => (None, true),
        };
        v1::TailRequest { since: Some(self.after), follow, item, limit: 0, audit }
    }

    /// The events of a batch that match; the coordinator does not filter refusals.
    fn matching(&self, batch: v1::EventBatch) -> Result<Vec<Event>, Malformed> {
        let events = batch.events.into_iter().map(Event::try_from).collect::<Result<Vec<_>, Malformed>>()?;
        let only_refused = self.filter == EventFilter::Refused;
        Ok(events.into_iter().filter(|event| !only_refused || event.kind == EventKind::ACCESS_REFUSED).collect())
    }

    /// Prints the first events after the place, at most `most`, and says whether there are more.
    async fn print_some(mut self, most: Option<usize>) -> Result<(), Failure> {
        let mut left = most.unwrap_or(usize::MAX);
        let mut has_more = false;
        let limit = match (self.filter, most) {
            (EventFilter::Refused, _) | (_, None) => 0,
            (EventFilter::All | EventFilter::Item(_) | EventFilter::Audit, Some(most)) => {
                u32::try_from(most.saturating_add(1)).unwrap_or(u32::MAX)
            }
        };
        if left == 0 {
            return Ok(());
        }
        let request = v1::TailRequest { limit, ..self.request(false) };
        let mut batches = self.app.client.events().tail(request).await?.into_inner();
        while let Some(batch) = batches.message().await? {
            let mut events = self.matching(batch)?;
            has_more = events.len() > left;
            events.truncate(left);
            left -= events.len();
            self.print(events)?;
            if has_more {
                break;
            }
        }
        let next = format!("the next ones: {} --since {}", self.filter.command(), self.after);
        self.app.output.hidden(has_more, &next);
        Ok(())
    }

    /// Prints the last events there are, and moves behind them; answers whether there are earlier ones.
    async fn print_last(&mut self, most: usize) -> Result<bool, Failure> {
        let end = self.app.client.system().status(v1::StatusRequest {}).await?.into_inner().last_seq;
        self.after = match self.filter {
            EventFilter::All => end.saturating_sub(most as u64),
            // The record has no gap, but those of one kind are anywhere in it.
            EventFilter::Item(_) | EventFilter::Audit | EventFilter::Refused => 0,
        };
        let mut last = VecDeque::new();
        // The first event has the number 1.
        let mut has_earlier = self.after > 0 && most > 0;
        if most > 0 {
            let mut batches = self.app.client.events().tail(self.request(false)).await?.into_inner();
            while let Some(batch) = batches.message().await? {
                last.extend(self.matching(batch)?);
                let earlier = last.len().saturating_sub(most);
                has_earlier |= earlier > 0;
                last.drain(..earlier);
            }
        }
        self.print(last)?;
        self.after = self.after.max(end);
        Ok(has_earlier)
    }

    /// Prints the events as they come, until the stream ends.
    async fn follow(&mut self, patience: &mut Patience) -> Result<(), Failure> {
        let mut batches = self.app.client.events().tail(self.request(true)).await?.into_inner();
        while let Some(batch) = batches.message().await? {
            patience.answered();
            let events = self.matching(batch)?;
            self.print(events)?;
        }
        Ok(())
    }

    fn print(&mut self, events: impl IntoIterator<Item = Event>) -> Result<(), Failure> {
        for event in events {
            self.after = event.seq.get();
            self.app.output.line(&event, self.line)?;
        }
        Ok(())
    }
}
