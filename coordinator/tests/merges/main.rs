//! Merges: against git itself on generated histories, and each method by hand.

mod differential;
mod history;
mod methods;
mod reference;
