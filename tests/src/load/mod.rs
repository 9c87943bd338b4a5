//! A coordinator under load: real ones, and outposts that keep to the protocol and do no work.
#![expect(clippy::missing_errors_doc, reason = "an error says what could not be done, and ends the run")]

pub mod figures;
pub mod fleet;
pub mod site;
pub mod stub;
pub mod usage;
