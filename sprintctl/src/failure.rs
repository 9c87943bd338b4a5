//! Why a command did not do what it was asked for.

use std::io::ErrorKind;

use sprint_identity::connect::{self, ConnectError};
use sprint_identity::context::ContextError;
use sprint_proto::convert::Malformed;
use thiserror::Error;
use tonic::Code;

/// Why a command did not do what it was asked for, in words for a person.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error(
        "no coordinator answers at {address} ({why}); start one with: coordinator serve, or name another with --coordinator HOST:PORT"
    )]
    Unreachable { address: String, why: String },
    #[error(
        "the connection to the coordinator broke ({why}); check that it runs and that --coordinator names its gRPC address (port 50051 by default), then try again"
    )]
    Disconnected { why: String },
    /// There is no connection, and trying again does not help.
    #[error(transparent)]
    NoConnection(ConnectError),
    #[error(
        "the coordinator refused the certificate that was shown: {0} (sprintctl login --coordinator HOST:PORT --token TOKEN)"
    )]
    Certificate(String),
    /// The coordinator's own words on why it knows nobody with these credentials.
    #[error("{0}; log in again with: sprintctl login --coordinator HOST:PORT --token TOKEN")]
    Unauthenticated(String),
    /// The coordinator's own words.
    #[error("{0}")]
    Refused(String),
    #[error("the coordinator does not know this command; use a coordinator and a sprintctl of the same version")]
    Unknown,
    #[error("the coordinator's answer cannot be read: {0}; use a coordinator and a sprintctl of the same version")]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Context(#[from] ContextError),
    /// What was asked for is clear, and did not come about.
    #[error("{0}")]
    Failed(String),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Nobody reads the output any more; not worth a word.
    #[error("standard output is closed")]
    BrokenPipe,
    #[error("{what} failed: {why}")]
    Io { what: String, why: std::io::Error },
}

impl Failure {
    /// The process' exit code.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::BrokenPipe => 0,
            Self::Usage(_) => 2,
            Self::Unreachable { .. }
            | Self::Disconnected { .. }
            | Self::NoConnection(_)
            | Self::Certificate(_)
            | Self::Unauthenticated(_)
            | Self::Context(_)
            | Self::Refused(_)
            | Self::Unknown
            | Self::Malformed(_)
            | Self::Failed(_)
            | Self::Io { .. } => 1,
        }
    }

    /// Whether the same request may succeed once the coordinator is back.
    pub(crate) const fn is_disconnect(&self) -> bool {
        match self {
            Self::Disconnected { .. } | Self::Unreachable { .. } => true,
            Self::NoConnection(error) => error.is_passing(),
            Self::Certificate(_)
            | Self::Unauthenticated(_)
            | Self::Refused(_)
            | Self::Unknown
            | Self::Malformed(_)
            | Self::Context(_)
            | Self::Failed(_)
            | Self::Usage(_)
            | Self::BrokenPipe
            | Self::Io { .. } => false,
        }
    }

    /// What happened to the connection below a call.
    fn of_transport(error: &(dyn std::error::Error + 'static)) -> Self {
        if let Some(error) = connect::underlying(error) {
            return error.into();
        }
        // Under TLS 1.3 that is learnt at the first read, which is that of a call.
        match connect::refused_certificate(error) {
            Some(why) => Self::Certificate(why),
            None => Self::Disconnected { why: deepest(error) },
        }
    }

    /// Changes the coordinator's own words.
    pub(crate) fn reworded(self, reword: impl FnOnce(&str) -> String) -> Self {
        if let Self::Refused(words) = &self { Self::Refused(reword(words)) } else { self }
    }

    /// Names what was being done when the operating system refused.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        |why| Self::Io { what, why }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Unreachable { address, why } => Self::Unreachable { address, why },
            ConnectError::Refused { address: _, why } => Self::Certificate(why),
            error @ ConnectError::Address { .. } => Self::Usage(error.to_string()),
            error @ (ConnectError::OtherAuthority { .. }
            | ConnectError::Clock { .. }
            | ConnectError::OtherName { .. }
            | ConnectError::NoTls { .. }
            | ConnectError::Handshake { .. }
            | ConnectError::Key(_)) => Self::NoConnection(error),
        }
    }
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        // Only a status that was made on this side has a source; the other side's carries words alone.
        if let Some(source) = std::error::Error::source(&status) {
            return Self::of_transport(source);
        }
        let code = status.code();
        if code == Code::Unavailable {
            Self::Disconnected { why: status.message().to_owned() }
        } else if code == Code::Unimplemented {
            Self::Unknown
        } else if code == Code::Unauthenticated {
            let words = if status.message().is_empty() {
                "the coordinator does not know who you are"
            } else {
                status.message()
            };
            Self::Unauthenticated(words.to_owned())
        } else if status.message().is_empty() {
            let code = code.description().to_lowercase();
            Self::Failed(format!("the coordinator answered \"{code}\" without a reason; its log says more"))
        } else {
            Self::Refused(status.message().to_owned())
        }
    }
}

/// The words of the error that began a chain of errors.
pub(crate) fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    if let Some(io) = error.downcast_ref::<std::io::Error>() {
        let known = [
            (ErrorKind::ConnectionRefused, "connection refused"),
            (ErrorKind::ConnectionReset, "connection reset"),
            (ErrorKind::BrokenPipe, "connection closed"),
            (ErrorKind::TimedOut, "timed out"),
        ];
        if let Some((_, words)) = known.iter().find(|(kind, _)| *kind == io.kind()) {
            return (*words).to_owned();
        }
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_the_coordinator_is_said_in_its_own_words() {
        let failure = Failure::from(tonic::Status::not_found("no item 9; see: sprintctl item list"));
        assert_eq!(failure.to_string(), "no item 9; see: sprintctl item list");
        assert_eq!(failure.exit_code(), 1);
    }

    #[test]
    fn a_broken_connection_can_be_told_from_a_refusal() {
        assert!(Failure::from(tonic::Status::unavailable("shutting down")).is_disconnect());
        assert!(!Failure::from(tonic::Status::invalid_argument("no")).is_disconnect());
    }
}
