//! Why a report cannot be read.

use thiserror::Error;

/// Why a report is not one. The text goes on after "the report …": `it ends in the middle`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    #[error("it is empty")]
    Empty,
    #[error("it ends in the middle")]
    Truncated,
    #[error("it is not UTF-8")]
    NotText,
    #[error("it is not {form}: {why}")]
    Malformed { form: &'static str, why: String },
    #[error("it is not {form}: its root is <{root}>")]
    OtherRoot { form: &'static str, root: String },
    #[error("it is nested more than {0} deep")]
    TooDeep(usize),
    #[error("an element of it has more than {0} attributes")]
    TooWide(usize),
    #[error("it defines entities of its own")]
    Entities,
    #[error("{0}")]
    Incomplete(&'static str),
}

/// Why a JSON report is not one.
pub(crate) fn not_json(form: &'static str, error: &serde_json::Error) -> Unreadable {
    if error.is_eof() { Unreadable::Truncated } else { Unreadable::Malformed { form, why: error.to_string() } }
}
