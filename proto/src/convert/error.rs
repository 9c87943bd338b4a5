//! Refusals, as the details of a gRPC status.

use prost::Message as _;
use sprint_core::act::Act;
use sprint_core::refusal::{At, Refusal};

use crate::v1;

const TYPE_URL: &str = "type.googleapis.com/sprint.v1.ErrorDetails";

/// How much of a message is repeated in the details.
const MESSAGE_BYTES: usize = 2048;

/// A refusal as a client receives it. Its code may be of a newer version than the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorView {
    pub code: String,
    pub at: Option<At>,
    pub next: Option<Act>,
}

/// What `grpc-status-details-bin` holds for a refusal that is answered with the gRPC status `code`.
pub fn details_of(refusal: &Refusal, code: i32) -> Vec<u8> {
    let Refusal { code: own, message, at, next } = refusal;
    let (line, field) = match at {
        Some(At::Line(line)) => (Some(*line), None),
        Some(At::Field(field)) => (None, Some(field.clone())),
        None => (None, None),
    };
    let details = v1::ErrorDetails { code: own.as_str().to_owned(), line, field, next: next.as_ref().map(Into::into) };
    let detail = v1::StatusDetail { type_url: TYPE_URL.to_owned(), value: details.encode_to_vec().into() };
    // It travels in a header, which has little room, beside the same message in another one.
    let end = (0..=MESSAGE_BYTES.min(message.len())).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
    v1::StatusDetails { code, message: message[..end].to_owned(), details: vec![detail] }.encode_to_vec()
}

/// The refusal in the details of a status; `None` for an older coordinator, which sends none.
pub fn error_of(details: &[u8]) -> Option<ErrorView> {
    let status = v1::StatusDetails::decode(details).ok()?;
    let detail = status.details.into_iter().find(|detail| detail.type_url == TYPE_URL)?;
    let v1::ErrorDetails { code, line, field, next } = v1::ErrorDetails::decode(detail.value).ok()?;
    let at = line.map(At::Line).or_else(|| field.map(At::Field));
    Some(ErrorView { code, at, next: next.and_then(super::explain::act) }).filter(|error| !error.code.is_empty())
}

#[cfg(test)]
mod tests {
    use sprint_core::ids::ItemId;
    use sprint_core::item::Item;
    use sprint_core::refusal::Noun as _;

    use super::*;

    #[test]
    fn a_refusal_survives_the_details_of_a_status() {
        for (at, next) in
            [(At::Line(3), Act::ListItems), (At::Field("title".to_owned()), Act::ShowItem(ItemId::new(9)))]
        {
            let refusal = Refusal::new(Item::NOT_FOUND, "no").at(at.clone()).next(next.clone());
            let (code, at, next) = ("item.not_found".to_owned(), Some(at), Some(next));
            assert_eq!(error_of(&details_of(&refusal, 5)), Some(ErrorView { code, at, next }));
        }
    }

    #[test]
    fn details_of_others_are_not_taken_for_a_refusal() {
        assert_eq!(error_of(b""), None);
        assert_eq!(error_of(b"\xff\xff"), None);
        let other =
            v1::StatusDetail { type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(), value: "".into() };
        let status = v1::StatusDetails { code: 5, message: String::new(), details: vec![other] };
        assert_eq!(error_of(&status.encode_to_vec()), None);
    }
}
