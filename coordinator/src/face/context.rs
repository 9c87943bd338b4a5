//! What every face works on.

use std::sync::Arc;

use crate::service::Coordinator;

/// What every face holds.
#[derive(Clone)]
pub struct Face {
    pub sprint: Arc<Coordinator>,
    /// Where plain HTTP is served, for people.
    pub http_url: Arc<str>,
}
