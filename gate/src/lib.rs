//! Gates judged: what their commands and reports say, held against what is required of them.
//!
//! Pure: the caller passes how the gate's command ended and the bytes of its reports.
//! Those bytes come from code under test and are not trusted; whatever cannot be read whole
//! is not a pass.

mod cobertura;
mod findings;
mod judge;
mod junit;
mod lcov;
mod lines;
mod measured;
mod paths;
mod read;
mod sarif;
mod stryker;
mod unreadable;
mod xml;

pub use judge::{Reading, judge};
pub use measured::{Measured, Tally};
pub use read::{MAX_REPORT, read};
pub use unreadable::Unreadable;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
