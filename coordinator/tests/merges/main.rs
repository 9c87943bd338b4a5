//! Merges: against git itself on generated histories, and each method on small examples.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod differential;
mod history;
mod methods;
mod reference;
