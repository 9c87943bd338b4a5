//! What follows the record, and what waits for it: streams of domain values for every face.

mod events;
mod items;
mod log;
mod stream;
mod trial;

pub use events::events;
pub use items::items;
pub use log::log;
pub use stream::{EarlyEnd, Reader, Values, stream};
pub use trial::gates;
