//! The coordinator: owns the work queue, the merge queue and the record of everything that happened.
//!
//! `store` holds the only SQL, `git` the bare repositories, `identity` the
//! certificates, `service` the use cases; `face`
//! and `loops` call services and nothing below them.
//!
//! The files of `service` and `face::grpc` are all named here, so that a new use case and its calls are one place.

pub mod app;
pub mod clock;
pub mod command;
pub mod config;
pub mod git;
pub mod identity;
pub mod loops;
pub mod metrics;
pub mod store;

/// Use cases: load, decide (core), commit. No transport, no SQL.
///
/// Each room holds the use cases of one concern; what several rooms need stands beside them.
pub mod service {
    mod capacity;
    mod context;
    mod error;
    mod explain;
    mod transition;

    pub use context::{Coordinator, LocalAdmin};
    pub use error::{Kind, ServiceError};
    pub use explain::{change as explain_change, item as explain_item};
    pub use sprint_core::event::Actor;

    pub use crate::clock::now;
    pub use crate::store::{EventFilter, Notices, Page};

    /// Admission of callers, and the record of refusals.
    pub mod admission {
        pub mod access;
        pub mod audit;
        pub mod enrol;
        pub mod local_admin;
        pub mod refusals;
        pub mod secrets;
        pub mod throttle;
        pub mod tokens;
    }

    /// Items: added, scheduled.
    pub mod backlog {
        pub mod earlier_work;
        pub mod items;
        pub mod pipeline;
        pub mod schedule;
    }

    /// Outposts and their workers.
    pub mod fleet {
        pub mod activity;
        pub mod assignment;
        pub mod connections;
        mod doubt;
        pub mod leases;
        pub mod log_intake;
        pub mod logs;
        pub mod notes;
        pub mod outposts;
        pub mod presence;
        pub mod prompts;
        pub mod reports;
        pub mod session;
        pub mod workers;
    }

    /// The coordinator's own upkeep: the record read, checked, backed up.
    pub mod operate {
        pub mod backup;
        pub mod check;
        pub mod loops;
        pub mod metrics;
        pub mod status;
    }

    /// Changes on their way to the branch.
    pub mod queue {
        pub mod changes;
        pub mod entries;
        pub mod gates;
        pub mod landing;
        pub mod merge;
        mod trials;
    }

    /// Repos: managed, configured, halted; their upstreams; who may fetch and push.
    pub mod repos {
        pub mod config;
        pub mod git_access;
        pub mod halt;
        pub mod housekeeping;
        pub mod lfs;
        pub mod lfs_memory;
        mod manage;
        pub(crate) mod pace;
        mod rename;
        pub mod revision;
        mod rewrite;
        pub(crate) mod runtimes;
        pub(crate) mod setup_failures;
        pub(crate) mod submodule_memory;
        pub(crate) mod submodules;
        pub mod upstream;

        pub use manage::{Described, add, fetch, get, http_backend, list, remove, set};
    }

    /// What follows the record, and what waits for it: streams of domain values for every face.
    pub mod watch {
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
    }
}

/// How callers reach the services: one TLS port for gRPC and git, plain HTTP on loopback.
pub mod face {
    mod caller;
    mod calls;
    mod connections;
    mod context;
    pub mod http;
    pub mod listen;
    mod span;

    pub use context::Face;

    /// gRPC: `sprint.v1`, with standard health and reflection.
    pub mod grpc {
        mod access;
        mod changes;
        mod events;
        mod identity;
        mod items;
        mod known;
        mod link;
        mod outposts;
        mod page;
        mod repos;
        mod router;
        mod secrets;
        mod status;
        mod workers;

        pub use router::router;
        use router::{caller, caller_of};
    }
}
