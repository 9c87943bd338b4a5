//! What an item or a change waits for, as values; derived, never stored.
//!
//! A reason has a sentence that names no program and no flag, for any face that has no better one. What to do is an
//! [`Act`], which each face words its own way.

mod change;
mod item;
mod reason;
mod sentence;

use serde::Serialize;

use crate::act::Act;
use crate::time::Timestamp;

pub use change::{ChangeSurroundings, explain_change};
pub use item::{ItemSurroundings, explain_item, not_at_upstream};
pub use reason::{Reason, ReasonCode};

crate::words! {
    /// The severity of a reason.
    pub enum Severity as "severity" {
        /// What happens now, or what became of it.
        Info => "info",
        /// It waits, and continues by itself.
        Waiting => "waiting",
        /// It waits until a person acts.
        Blocked => "blocked",
    }
}

/// The answer to "why is nothing happening?".
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explanation {
    /// The most general one first; what happens now, if it waits for nothing.
    pub reasons: Vec<DatedReason>,
}

/// A reason, and when it began where that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct DatedReason {
    pub reason: Reason,
    pub since: Option<Timestamp>,
}

impl From<Reason> for DatedReason {
    fn from(reason: Reason) -> Self {
        Self { reason, since: None }
    }
}

impl Explanation {
    /// Whether it continues only when a person acts.
    pub fn is_stuck(&self) -> bool {
        self.reasons.iter().any(|dated| dated.reason.severity() == Severity::Blocked)
    }

    fn push(&mut self, reason: Reason) {
        self.reasons.push(reason.into());
    }

    fn push_since(&mut self, reason: Reason, since: impl Into<Option<Timestamp>>) {
        self.reasons.push(DatedReason { reason, since: since.into() });
    }
}

impl From<Reason> for Explanation {
    fn from(reason: Reason) -> Self {
        Self { reasons: vec![reason.into()] }
    }
}

/// A reason as a client receives it. Its code and data may be of a newer version than the client.
#[derive(Debug, Clone, PartialEq)]
pub struct ReasonView {
    pub code: String,
    pub severity: Severity,
    pub since: Option<Timestamp>,
    /// One sentence, without what to do.
    pub message: String,
    pub act: Option<Act>,
    /// What the sentence is made of: a JSON object.
    pub data: serde_json::Value,
}

impl From<DatedReason> for ReasonView {
    fn from(DatedReason { reason, since }: DatedReason) -> Self {
        Self {
            code: reason.code().to_string(),
            severity: reason.severity(),
            since,
            message: reason.to_string(),
            act: reason.act(),
            data: data(&reason),
        }
    }
}

/// The fields of a reason; a unit variant has none.
fn data(reason: &impl Serialize) -> serde_json::Value {
    let value = serde_json::to_value(reason).unwrap_or_default();
    if value.is_object() { value } else { serde_json::json!({}) }
}

#[cfg(test)]
mod tests;
