//! The caller's identity at a coordinator, as people and scripts see it.

use serde::Serialize;
use sprint_core::ids::ContextName;
use sprint_proto::v1;

use crate::render::fields;

/// The identity and role of a caller, as scripts see it.
#[derive(Debug, Serialize)]
pub(crate) struct Caller {
    pub(crate) identity: String,
    role: String,
    pub(crate) coordinator: String,
    from: String,
    pub(crate) context: Option<ContextName>,
    version: String,
}

impl Caller {
    pub(crate) fn new(answer: v1::WhoAmIResponse, coordinator: String, context: Option<ContextName>) -> Self {
        let v1::WhoAmIResponse { identity, role, from, version } = answer;
        Self { identity, role, coordinator, from, context, version }
    }

    pub(crate) fn text(&self) -> String {
        fields(&[
            ("identity", self.identity.clone()),
            ("role", self.role.clone()),
            ("coordinator", format!("{} at {}", self.version, self.coordinator)),
            ("from", self.from.clone()),
            ("context", self.context.as_ref().map(ToString::to_string).unwrap_or_default()),
        ])
    }
}
