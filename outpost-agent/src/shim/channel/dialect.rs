//! The languages of agents: what is heard in one is the same whichever it is.

use sprint_core::agent::{AgentFault, Usage, UsageOf};

/// What an agent has said, whichever its language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Session(String),
    Model(String),
    /// The model has answered.
    Turn,
    Text(String),
    Tool {
        name: String,
        what: String,
    },
    ToolEnded {
        failed: bool,
        said: String,
    },
    /// All of it so far.
    Usage(Vec<(String, Usage)>),
    /// It tries again by itself.
    Retries(AgentFault),
    /// It is to be answered this.
    Send(Vec<u8>),
    /// A message of ours is dealt with.
    Settled(String),
    /// Its turn is over.
    Ended(Option<AgentFault>),
}

/// The language of an agent.
pub(super) trait Dialect {
    /// Whether it takes messages while it works.
    fn takes_messages(&self) -> bool;

    /// What is to be written for a message to it, with an id by which it is known; nothing where it takes none.
    fn message(&mut self, id: &str, text: &str) -> Vec<u8>;

    /// What its figures are of.
    fn usage_of(&self) -> UsageOf;

    /// What one of its lines says.
    fn hear(&mut self, line: &serde_json::Value) -> Vec<Heard>;
}
