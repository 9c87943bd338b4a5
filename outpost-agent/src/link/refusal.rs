//! A refusal of the coordinator, for the agent's log.

use sprint_core::act::Act;
use sprint_proto::advice::advice;
use sprint_proto::convert::error_of;
use tonic::Status;

/// The message of a status and, where the coordinator names one, the next act with its command.
pub(super) fn sentence(status: &Status) -> String {
    // An outpost does not log in: it joins with a token.
    let next = error_of(status.details()).and_then(|error| error.next).filter(|act| *act != Act::LogIn);
    match next {
        Some(act) => format!("{}; {}", status.message(), advice(&act)),
        None => status.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use sprint_core::refusal::{Code, Refusal};
    use sprint_core::token::{TokenKind, TokenRefused};
    use sprint_proto::convert::details_of;

    use super::*;

    fn status(refusal: &Refusal) -> Status {
        let code = tonic::Code::PermissionDenied;
        Status::with_details(code, &refusal.message, details_of(refusal, code.into()).into())
    }

    #[test]
    fn a_refusal_is_printed_with_its_next_act() {
        let refused = TokenRefused::Unknown { kind: TokenKind::Outpost };
        let refusal = Refusal { next: refused.next(), ..Refusal::new(refused.code(), refused) };
        assert_eq!(
            sentence(&status(&refusal)),
            "the token is not known here; another coordinator may have made it; \
             create one on the coordinator's host with: coordinator token create --kind outpost"
        );
    }

    #[test]
    fn a_refusal_without_an_act_for_an_outpost_is_its_message() {
        let plain = Refusal::new(Code::OutpostConnected, "another agent is connected");
        assert_eq!(sentence(&status(&plain)), "another agent is connected");
        assert_eq!(sentence(&status(&plain.next(Act::LogIn))), "another agent is connected");
        assert_eq!(sentence(&Status::unavailable("shutting down")), "shutting down");
    }
}
