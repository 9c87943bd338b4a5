//! Changes on their way to the branch.

pub mod changes;
pub mod entries;
pub mod gates;
pub mod landing;
pub mod merge;
mod trials;
