//! What an agent says of itself while it works, over its channel: session, model, turns, tokens, cost, and why it could not
//! go on.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::bounds::{OUTPOST_WORD, REASON, cut};
use crate::time::Timestamp;

/// Models of one agent that are counted one by one.
const MODELS: usize = 20;

/// Tokens by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Read by the model, without those of its cache.
    pub input: u64,
    /// Read from its cache.
    pub cached: u64,
    /// Written to its cache.
    pub cache_written: u64,
    pub output: u64,
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.cached = self.cached.saturating_add(other.cached);
        self.cache_written = self.cache_written.saturating_add(other.cache_written);
        self.output = self.output.saturating_add(other.output);
    }
}

/// What the turns of an agent took of one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub tokens: Tokens,
    /// Millionths of a US dollar, by the agent's own word; none where it says nothing.
    pub cost_micros: Option<u64>,
    /// It does not know the model's price, and has guessed.
    #[serde(default)]
    pub is_guess: bool,
    /// The agent has named no cost: it is by the coordinator's table of prices.
    #[serde(default)]
    pub by_table: bool,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.cost_micros = match (self.cost_micros, other.cost_micros) {
            (Some(one), Some(more)) => Some(one.saturating_add(more)),
            (one, more) => one.or(more),
        };
        self.is_guess |= other.is_guess;
        self.by_table |= other.by_table;
    }
}

/// Millionths of a US dollar, for people: to a hundredth of a cent.
pub fn dollars(micros: u64) -> String {
    format!("${}.{:04}", micros / 1_000_000, micros % 1_000_000 / 100)
}

crate::words! {
    /// Why an agent could not go on.
    pub enum FaultKind as "agent's fault" {
        /// It has no login, or one that is refused.
        NotLoggedIn => "not_logged_in",
        /// Its account is limited for a while.
        Limited => "limited",
        /// The model's server fails, or cannot be reached.
        Unavailable => "unavailable",
        /// Anything else.
        Other => "other",
    }
}

/// What an agent said when it could not go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFault {
    pub kind: FaultKind,
    pub why: String,
    /// When its limit ends, by its own word.
    pub until: Option<Timestamp>,
}

crate::words! {
    /// What an agent does, by its own word.
    pub enum Doing as "state of an agent" {
        /// It has said nothing yet.
        Starting => "starting",
        /// The model thinks, or a tool runs.
        Busy => "busy",
        /// A request was refused, and it tries again.
        Retrying => "retrying",
        /// Its turn is over.
        Idle => "idle",
        /// Its process has ended.
        Ended => "ended",
    }
}

/// What an agent does, and since when: the time of its last word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentState {
    pub doing: Doing,
    /// The tool that runs, with what it is about.
    pub tool: Option<String>,
    /// By the clock of the outpost.
    pub at: Timestamp,
}

/// What an agent's figures are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageOf {
    /// This run of its program.
    Round,
    /// Its whole conversation, with the rounds before.
    Session,
}

/// What an agent has said of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSaid {
    /// The runtime's name.
    pub runtime: String,
    /// Its conversation, by which it can be resumed.
    pub session: Option<String>,
    /// The model that it works with.
    pub model: Option<String>,
    /// Answers of the model.
    pub turns: u32,
    /// By model.
    pub usage: BTreeMap<String, Usage>,
    /// Why its last turn did not come to its end.
    pub fault: Option<AgentFault>,
    #[serde(default)]
    pub state: Option<AgentState>,
}

impl AgentSaid {
    /// The usage of all models.
    pub fn total(&self) -> Usage {
        let mut total = Usage::default();
        self.usage.values().for_each(|usage| total += *usage);
        total
    }

    /// Adds what a further round of the same worker has said.
    pub fn add(&mut self, more: Self, usage_of: UsageOf) {
        // What it has told before is in it.
        let is_in_it = usage_of == UsageOf::Session && more.session.is_some() && more.session == self.session;
        if is_in_it && !more.usage.is_empty() {
            self.usage.clear();
        }
        let Self { runtime, session, model, turns, usage, fault, state } = more;
        self.runtime = runtime;
        self.session = session.or(self.session.take());
        self.model = model.or(self.model.take());
        self.turns = self.turns.saturating_add(turns);
        for (model, usage) in usage {
            *self.usage.entry(model).or_default() += usage;
        }
        self.fault = fault;
        self.state = state;
    }

    /// The same with everything that a worker could make long cut to its bound.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.shorten();
        self
    }

    /// Hands out every text in it that is for people.
    pub fn each_text(&mut self, hear: &mut impl FnMut(&mut String)) {
        let Self { runtime: _, session: _, model, turns: _, usage: _, fault, state } = self;
        let why = fault.as_mut().map(|fault| &mut fault.why);
        let tool = state.as_mut().and_then(|state| state.tool.as_mut());
        model.iter_mut().chain(why).chain(tool).for_each(hear);
    }

    /// Cuts everything that a worker could make long to its bound.
    pub fn shorten(&mut self) {
        let words = [Some(&mut self.runtime), self.session.as_mut(), self.model.as_mut()];
        for word in words.into_iter().flatten().filter(|word| word.len() > OUTPOST_WORD) {
            *word = cut(word, OUTPOST_WORD);
        }
        while self.usage.len() > MODELS {
            self.usage.pop_last();
        }
        self.usage = std::mem::take(&mut self.usage)
            .into_iter()
            .map(|(model, usage)| (cut(&model, OUTPOST_WORD), usage))
            .collect();
        if let Some(fault) = &mut self.fault {
            fault.why = cut(&fault.why, REASON);
        }
        if let Some(tool) = self.state.as_mut().and_then(|state| state.tool.as_mut()) {
            *tool = cut(tool, OUTPOST_WORD);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(input: u64, cost_micros: Option<u64>) -> AgentSaid {
        let tokens = Tokens { input, ..Tokens::default() };
        let usage = BTreeMap::from([("m".to_owned(), Usage { tokens, cost_micros, ..Usage::default() })]);
        AgentSaid { runtime: "claude".to_owned(), turns: 2, usage, ..AgentSaid::default() }
    }

    #[test]
    fn rounds_add_up() {
        let mut all = said(1, None);
        let session = Some("s".to_owned());
        all.add(AgentSaid { session: session.clone(), ..said(10, Some(5)) }, UsageOf::Session);
        assert_eq!((all.turns, all.total().tokens.input), (4, 11), "the first round had no session");
        all.add(AgentSaid { session: session.clone(), ..said(30, Some(9)) }, UsageOf::Session);
        assert_eq!((all.total().tokens.input, all.total().cost_micros), (30, Some(9)), "the figures are of all rounds");
        all.add(AgentSaid { session: session.clone(), usage: BTreeMap::new(), ..said(0, None) }, UsageOf::Session);
        assert_eq!(all.total().tokens.input, 30, "it has not told any yet");
        all.add(said(u64::MAX, Some(7)), UsageOf::Round);
        assert_eq!((all.turns, all.session.clone()), (10, session));
        assert_eq!((all.total().tokens.input, all.total().cost_micros), (u64::MAX, Some(16)));
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let mut said = said(1, None);
        said.session = Some("x".repeat(100_000));
        said.usage = (0..100).map(|number| (format!("{number}{}", "m".repeat(9_000)), Usage::default())).collect();
        said.fault = Some(AgentFault { kind: FaultKind::Other, why: "y".repeat(100_000), until: None });
        said.shorten();
        let tool = Some("z".repeat(100_000));
        said.state = Some(AgentState { doing: Doing::Busy, tool, at: Timestamp::default() });
        said.shorten();
        assert!(serde_json::to_vec(&said).expect("is written").len() < 50_000);
    }
}
