//! Wire to domain (`TryFrom`) and domain to wire (`From`), one file for each entity.
//!
//! Every conversion destructures every field, so that a new one breaks the build.

mod agent;
mod assignment;
mod change;
mod committing;
mod error;
mod event;
mod explain;
mod item;
mod job;
mod kept;
mod landing;
mod note;
mod outpost;
mod repo;
mod request;
mod secret;
mod status;
mod token;
mod trial;
mod verdict;
pub use error::{ErrorView, details_of, error_of};
pub use explain::ExplanationView;
pub use request::parsed;
mod worker;

use std::time::Duration;

use sprint_core::time::Timestamp;
use thiserror::Error;

/// Why a message is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Malformed {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error(transparent)]
    Id(#[from] sprint_core::ids::InvalidId),
    #[error(transparent)]
    Word(#[from] sprint_core::text::UnknownWord),
    #[error(transparent)]
    Identity(#[from] sprint_core::committing::InvalidIdentity),
    #[error("gate {gate:?}: {text:?}: {why}")]
    Gate { gate: String, text: String, why: String },
    #[error("the figure of {0} is not a number")]
    NotANumber(sprint_core::gates::Metric),
    #[error("{what} is not JSON: {why}")]
    Json { what: &'static str, why: String },
}
/// What a message must hold.
///
/// # Errors
/// [`Malformed::Missing`], by the name `what`.
pub fn required<T>(value: Option<T>, what: &'static str) -> Result<T, Malformed> {
    value.ok_or(Malformed::Missing(what))
}

fn each<T, U, C, D>(values: C) -> Result<D, Malformed>
where
    C: IntoIterator<Item = T>,
    U: TryFrom<T>,
    Malformed: From<U::Error>,
    D: FromIterator<U>,
{
    Ok(values.into_iter().map(U::try_from).collect::<Result<D, _>>()?)
}

/// As the wire has durations; one that is too long is the longest.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn time(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(Timestamp::from_millis)
}

fn time_ms(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_millis)
}
