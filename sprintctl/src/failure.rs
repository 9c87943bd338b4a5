//! Why a command failed, as values: a stable code, a message, a place and a next act.

use std::borrow::Cow;
use std::fmt;
use std::io::ErrorKind;

use serde::Serialize;
use sprint_core::act::Act;
use sprint_core::refusal::At;
use sprint_identity::connect::{self, ConnectError};
use sprint_identity::context::ContextError;
use sprint_proto::convert::{ErrorView, Malformed, error_of};
use tonic::Code;

use crate::render::act::advice;

const LOG_IN: &str = "log in again with: sprintctl login --coordinator HOST:PORT --token TOKEN";
const SAME_VERSION: &str = "use a coordinator and a sprintctl of the same version";

/// Why a command failed. Printed as *where: what; what to do*, or as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    /// Stable, for scripts: `client.…` for what `sprintctl` finds itself, else the coordinator's.
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) at: Option<Place>,
    /// What to do about it.
    pub(crate) next: Option<String>,
    #[serde(skip)]
    kind: Kind,
}

/// The place in the input that a failure is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Counted from 1.
    Line(u64),
    Field(String),
    File(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Field(name) | Self::File(name) => f.write_str(name),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<At> for Place {
    fn from(at: At) -> Self {
        match at {
            At::Line(number) => Self::Line(number),
            At::Field(name) => Self::Field(name),
        }
    }
}

/// What the failure means for this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The command line makes no sense.
    Usage,
    /// The same request may succeed once the coordinator is back.
    Disconnected,
    /// The coordinator does not accept the credentials.
    Unauthenticated,
    /// The coordinator does not have the method.
    Unimplemented,
    /// The reader of standard output has gone; there is nothing to report.
    Silent,
    Other,
}

impl Failure {
    /// A failure that has no kind of its own.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), at: None, next: None, kind: Kind::Other }
    }

    /// The command line makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, ..Self::new("client.usage", message) }
    }

    /// The connection broke, or a stream ended too early.
    pub(crate) fn disconnected(why: &str) -> Self {
        let message = format!("the connection to the coordinator broke ({why})");
        Self { kind: Kind::Disconnected, ..Self::new("client.disconnected", message) }.with_next(
            "check that it runs and that --coordinator names its gRPC address (port 50051 by default), then try again",
        )
    }

    /// The reader of standard output has gone.
    pub(crate) fn broken_pipe() -> Self {
        Self { kind: Kind::Silent, ..Self::new("client.broken_pipe", "standard output is closed") }
    }

    /// Names the action that the operating system refused.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |why| Self::new("client.io", format!("{action} failed: {why}"))
    }

    /// Says what to do about it.
    #[must_use]
    pub(crate) fn with_next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }

    /// Leaves the next act out, where it is what was tried.
    #[must_use]
    pub(crate) fn without_next(self) -> Self {
        Self { next: None, ..self }
    }

    /// Says where in the input it is.
    #[must_use]
    pub(crate) fn at(self, place: Option<Place>) -> Self {
        Self { at: place, ..self }
    }

    /// Leaves the line out, where the person wrote none.
    #[must_use]
    pub(crate) fn without_line(self) -> Self {
        let at = self.at.filter(|place| !matches!(place, Place::Line(_)));
        Self { at, ..self }
    }

    /// The process' exit code.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Silent => 0,
            Kind::Usage => 2,
            Kind::Disconnected | Kind::Unauthenticated | Kind::Unimplemented | Kind::Other => 1,
        }
    }

    /// Whether the same request may succeed once the coordinator is back.
    pub(crate) fn is_disconnect(&self) -> bool {
        self.kind == Kind::Disconnected
    }

    /// Whether the coordinator does not accept the credentials.
    pub(crate) fn is_unauthenticated(&self) -> bool {
        self.kind == Kind::Unauthenticated
    }

    /// Whether there is nothing to report.
    pub(crate) fn is_silent(&self) -> bool {
        self.kind == Kind::Silent
    }

    /// `{"error":{"code":…,"message":…,"at":…,"next":…}}`.
    pub(crate) fn to_json(&self) -> String {
        serde_json::json!({ "error": self }).to_string()
    }

    /// What happened to the connection below a call.
    fn of_transport(error: &(dyn std::error::Error + 'static)) -> Self {
        if let Some(error) = connect::underlying(error) {
            return error.into();
        }
        // Under TLS 1.3 the refusal arrives with the first read, which is that of a call.
        match connect::refused_certificate(error) {
            Some(why) => Self::refused_certificate(&why),
            None => Self::disconnected(&deepest(error)),
        }
    }

    /// What the coordinator refused.
    fn of_refusal(error: ErrorView, status: &tonic::Status) -> Self {
        let ErrorView { code, at, next } = error;
        let (_, kind) = of_code(status.code());
        let next = match kind {
            Kind::Unauthenticated => Some(match next.filter(|act| *act != Act::LogIn) {
                Some(act) => format!("{}; then {LOG_IN}", advice(&act)),
                None => LOG_IN.to_owned(),
            }),
            Kind::Usage | Kind::Disconnected | Kind::Unimplemented | Kind::Silent | Kind::Other => {
                next.as_ref().map(advice)
            }
        };
        Self { code: code.into(), message: status.message().to_owned(), at: at.map(Into::into), next, kind }
    }

    fn refused_certificate(why: &str) -> Self {
        // What the coordinator's alert stands for comes with an advice of its own.
        let why = why.split_once("; ").map_or(why, |(why, _)| why);
        let message = format!("the coordinator refused this client's certificate: {why}");
        Self { kind: Kind::Other, ..Self::new("client.certificate_refused", message) }.with_next(LOG_IN)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at @ (Place::Line(_) | Place::File(_))) => write!(f, "{at}: ")?,
            // The message names it.
            Some(Place::Field(_)) | None => {}
        }
        f.write_str(&self.message)?;
        match &self.next {
            Some(next) => write!(f, "; {next}"),
            None => Ok(()),
        }
    }
}

impl From<Malformed> for Failure {
    fn from(error: Malformed) -> Self {
        Self::new("client.malformed_answer", format!("the coordinator's answer cannot be read: {error}"))
            .with_next(SAME_VERSION)
    }
}

impl From<ContextError> for Failure {
    fn from(error: ContextError) -> Self {
        Self::new("client.context", error.to_string())
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let kind = if error.is_passing() { Kind::Disconnected } else { Kind::Other };
        let of = |code| Self { kind, ..Self::new(code, error.to_string()) };
        match &error {
            ConnectError::Unreachable { address, why } => {
                let message = format!("no coordinator answers at {address} ({why})");
                Self { kind: Kind::Disconnected, ..Self::new("client.unreachable", message) }
                    .with_next("start one with: coordinator serve, or name another with --coordinator HOST:PORT")
            }
            ConnectError::Refused { address: _, why } => Self::refused_certificate(why),
            ConnectError::Address { .. } => Self::usage(error.to_string()),
            ConnectError::OtherAuthority { .. } => of("client.other_authority"),
            ConnectError::Clock { .. } => of("client.clock"),
            ConnectError::OtherName { .. } => of("client.other_name"),
            ConnectError::NoTls { .. } => of("client.no_tls"),
            ConnectError::Handshake { .. } => of("client.handshake"),
            ConnectError::Key(_) => of("client.key"),
        }
    }
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        // Only a status that was made on this side has a source; the other side's carries words alone.
        if let Some(source) = std::error::Error::source(&status) {
            return Self::of_transport(source);
        }
        let (code, kind) = of_code(status.code());
        if let Some(error) = error_of(status.details()).filter(|_| kind != Kind::Unimplemented) {
            return Self::of_refusal(error, &status);
        }
        let (at, message) = place_of(status.message());
        match kind {
            Kind::Disconnected => Self::disconnected(message),
            Kind::Unimplemented => {
                let message = "the coordinator does not have this command";
                Self { kind, ..Self::new(code, message) }.with_next(SAME_VERSION)
            }
            Kind::Unauthenticated => {
                let message = if message.is_empty() { "the coordinator does not know who you are" } else { message };
                Self { kind, ..Self::new(code, message) }.with_next(LOG_IN)
            }
            Kind::Usage | Kind::Silent | Kind::Other if message.is_empty() => {
                let words = status.code().description().to_lowercase();
                Self::new(code, format!("the coordinator answered \"{words}\" without a reason"))
                    .with_next("see the coordinator's log")
            }
            Kind::Usage | Kind::Silent | Kind::Other => Self::new(code, message).at(at),
        }
    }
}

/// The code of an answer without details, and the kind of the failure: the one table of the codes of gRPC.
const fn of_code(code: Code) -> (&'static str, Kind) {
    match code {
        Code::Ok => ("ok", Kind::Other),
        Code::Cancelled => ("cancelled", Kind::Other),
        Code::Unknown => ("unknown", Kind::Other),
        Code::InvalidArgument => ("invalid_argument", Kind::Other),
        Code::DeadlineExceeded => ("deadline_exceeded", Kind::Other),
        Code::NotFound => ("not_found", Kind::Other),
        Code::AlreadyExists => ("already_exists", Kind::Other),
        Code::PermissionDenied => ("permission_denied", Kind::Other),
        Code::ResourceExhausted => ("resource_exhausted", Kind::Other),
        Code::FailedPrecondition => ("failed_precondition", Kind::Other),
        Code::Aborted => ("aborted", Kind::Other),
        Code::OutOfRange => ("out_of_range", Kind::Other),
        Code::Unimplemented => ("unimplemented", Kind::Unimplemented),
        Code::Internal => ("internal", Kind::Other),
        Code::Unavailable => ("unavailable", Kind::Disconnected),
        Code::DataLoss => ("data_loss", Kind::Other),
        Code::Unauthenticated => ("unauthenticated", Kind::Unauthenticated),
    }
}

/// The place in an answer of an older coordinator, which has it in its message alone, and the rest.
fn place_of(message: &str) -> (Option<Place>, &str) {
    let line = |place: &str| place.strip_prefix("line ")?.parse().ok().map(Place::Line);
    match message.split_once(": ") {
        Some((place, rest)) => line(place).map_or((None, message), |line| (Some(line), rest)),
        None => (None, message),
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
    use sprint_core::item::Item;
    use sprint_core::refusal::{Noun as _, Refusal};
    use sprint_proto::convert::details_of;

    use super::*;

    #[test]
    fn a_status_of_the_coordinator_is_reported_in_its_own_words() {
        let failure = Failure::from(tonic::Status::not_found("no item 9; see: sprintctl item list"));
        assert_eq!(failure.to_string(), "no item 9; see: sprintctl item list");
        assert_eq!((failure.exit_code(), failure.code.as_ref()), (1, "not_found"));
    }

    #[test]
    fn what_the_coordinator_refused_keeps_its_code_its_place_and_its_next_act() {
        let refusal = Refusal::new(Item::NOT_FOUND, "its need 9 does not exist");
        let refusal = refusal.at(At::Line(3)).next(Act::ListItems);
        let details = details_of(&refusal, Code::NotFound.into());
        let failure = Failure::from(tonic::Status::with_details(Code::NotFound, &refusal.message, details.into()));
        assert_eq!(failure.to_string(), "line 3: its need 9 does not exist; see: sprintctl item list");
        assert_eq!(
            failure.to_json(),
            r#"{"error":{"at":"line 3","code":"item.not_found","message":"its need 9 does not exist","next":"see: sprintctl item list"}}"#
        );
        assert_eq!(failure.without_line().to_string(), "its need 9 does not exist; see: sprintctl item list");
    }

    #[test]
    fn an_unauthenticated_caller_is_shown_how_to_get_a_token_and_to_log_in() {
        let kind = sprint_core::token::TokenKind::Viewer;
        let refused = sprint_core::token::TokenRefused::Unknown { kind };
        let refusal = Refusal { next: refused.next(), ..Refusal::new(refused.code(), refused) };
        let details = details_of(&refusal, Code::Unauthenticated.into());
        let status = tonic::Status::with_details(Code::Unauthenticated, &refusal.message, details.into());
        let failure = Failure::from(status);
        assert!(failure.is_unauthenticated());
        insta::assert_snapshot!(failure.to_string());
    }

    #[test]
    fn a_broken_connection_differs_from_a_refusal() {
        assert!(Failure::from(tonic::Status::unavailable("shutting down")).is_disconnect());
        assert!(!Failure::from(tonic::Status::invalid_argument("no")).is_disconnect());
        assert!(Failure::from(tonic::Status::unauthenticated("")).is_unauthenticated());
    }

    #[test]
    fn scripts_get_code_message_place_and_next_act() {
        let failure = Failure::from(tonic::Status::invalid_argument("line 3: there is no item 7"));
        assert_eq!(
            failure.to_json(),
            r#"{"error":{"at":"line 3","code":"invalid_argument","message":"there is no item 7","next":null}}"#
        );
        let usage = Failure::usage("nothing to set").with_next("see: sprintctl repo set --help");
        assert_eq!(
            usage.to_json(),
            r#"{"error":{"at":null,"code":"client.usage","message":"nothing to set","next":"see: sprintctl repo set --help"}}"#
        );
        assert_eq!(
            (usage.to_string().as_str(), usage.exit_code()),
            ("nothing to set; see: sprintctl repo set --help", 2)
        );
    }
}
