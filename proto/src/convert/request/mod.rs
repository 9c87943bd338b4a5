//! What callers ask for: each request of the wire as the domain has it. A refusal names the field.

mod admission;
mod backlog;
mod fleet;
mod queue;
mod read;
mod repos;

use std::str::FromStr;
use std::time::Duration;

use sprint_core::refusal::{Code, Refusal};

use super::Malformed;

impl From<Malformed> for Refusal {
    fn from(error: Malformed) -> Self {
        Self::new(Code::RequestInvalid, error)
    }
}

/// The value of a field, or the refusal that names it.
fn field<T, E>(name: &str, value: Result<T, E>) -> Result<T, Refusal>
where
    Malformed: From<E>,
{
    value.map_err(|error| Refusal::from(Malformed::from(error)).field(name))
}

/// A field that holds a name or a word.
///
/// # Errors
/// The refusal that names the field.
pub fn parsed<T: FromStr>(name: &str, text: &str) -> Result<T, Refusal>
where
    Malformed: From<T::Err>,
{
    field(name, text.parse())
}

/// As [`parsed`], of a field that may be absent.
fn parsed_if_present<T: FromStr>(name: &str, text: Option<&str>) -> Result<Option<T>, Refusal>
where
    Malformed: From<T::Err>,
{
    text.map(|text| parsed(name, text)).transpose()
}

/// 0 stands for what is absent.
fn above_zero<N: PartialOrd + Default>(number: N) -> Option<N> {
    Some(number).filter(|number| *number > N::default())
}

/// Empty stands for what is absent.
fn not_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// Milliseconds of which 0 stands for none.
fn duration(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis)).filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use sprint_core::refusal::At;
    use sprint_core::request::{Enrolment, ItemEdit, NewItem, NewRepo, RepoPatch};

    use super::*;
    use crate::v1;

    fn new_item(priority: &str) -> v1::NewItem {
        let [repo, kind, stage] = ["web", "task", "ready"].map(ToOwned::to_owned);
        v1::NewItem { repo, kind, stage, priority: priority.to_owned(), ..v1::NewItem::default() }
    }

    fn refusal_of<T: std::fmt::Debug>(request: impl TryInto<T, Error = Refusal>) -> Refusal {
        request.try_into().expect_err("is refused")
    }

    #[test]
    fn a_request_that_makes_no_sense_is_refused_with_its_field() {
        let repo = |name: &str, url: &str| v1::AddRepoRequest {
            name: name.to_owned(),
            url: url.to_owned(),
            ..v1::AddRepoRequest::default()
        };
        let edit = v1::EditItemRequest { priority: Some("urgentest".to_owned()), ..v1::EditItemRequest::default() };
        let patch = v1::SetRepoRequest {
            name: "web".to_owned(),
            run: [("wizard".to_owned(), "true".to_owned())].into(),
            ..v1::SetRepoRequest::default()
        };
        for (refusal, code, place) in [
            (refusal_of::<NewItem>(new_item("urgentest")), Code::RequestInvalid, "priority"),
            (refusal_of::<ItemEdit>(edit), Code::RequestInvalid, "priority"),
            (refusal_of::<NewRepo>(repo("../web", "/srv/web")), Code::RequestInvalid, "name"),
            (refusal_of::<NewRepo>(repo("web", "")), Code::RequestInvalid, "url"),
            (refusal_of::<RepoPatch>(patch), Code::RequestInvalid, "run"),
            (refusal_of::<Enrolment>(v1::EnrolRequest::default()), Code::TokenMalformed, "token"),
        ] {
            assert_eq!((refusal.code, &refusal.at), (code, &Some(At::Field(place.to_owned()))), "{refusal}");
        }
    }

    #[test]
    fn of_several_items_the_refused_one_is_named_by_its_line() {
        let several = v1::AddItemsRequest { items: vec![new_item("high"), new_item("urgentest")] };
        assert_eq!(refusal_of::<Vec<NewItem>>(several).at, Some(At::Line(2)));
        let one = v1::AddItemsRequest { items: vec![new_item("urgentest")] };
        assert_eq!(refusal_of::<Vec<NewItem>>(one).at, Some(At::Field("priority".to_owned())));
    }
}
