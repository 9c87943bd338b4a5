//! The wire: generated code of `sprint.v1`, and the one mapping between wire and domain.

use sprint_core::access::Permission;

/// The generated messages, clients and servers.
#[expect(clippy::pedantic, clippy::large_enum_variant, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("sprint.v1");
}

pub mod advice;
pub mod convert;
#[cfg(test)]
mod fuzz;

// `each_service!` gives the list of all services to a macro.
include!(concat!(env!("OUT_DIR"), "/services.rs"));

/// The descriptors of every service, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The permission that each method needs, by its path.
pub const PERMISSIONS: &[(&str, Permission)] = include!(concat!(env!("OUT_DIR"), "/permissions.rs"));

/// The largest message that either side takes: a file of 10,000 items fits.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;
