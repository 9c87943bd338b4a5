//! Reasons, as people and scripts see them.

use serde::Serialize;
use sprint_core::explain::{ReasonView, Severity};
use sprint_core::time::Timestamp;
use sprint_proto::convert::ExplanationView;

use crate::render::act::{ActView, advice};
use crate::render::{Layout, lines, many_lines};

/// One reason as scripts see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Reason {
    code: String,
    severity: Severity,
    since: Option<Timestamp>,
    message: String,
    act: Option<ActView>,
    data: serde_json::Value,
}

/// An explanation as scripts see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Explained {
    pub(crate) reasons: Vec<Reason>,
    /// The reasons as texts, with what to do.
    pub(crate) lines: Vec<String>,
    pub(crate) stuck: bool,
}

impl From<ReasonView> for Reason {
    fn from(reason: ReasonView) -> Self {
        let ReasonView { code, severity, since, message, act, data } = reason;
        Self { code, severity, since, message, act: act.as_ref().map(ActView::from), data }
    }
}

impl From<ExplanationView> for Explained {
    fn from(explanation: ExplanationView) -> Self {
        let ExplanationView { reasons, lines, stuck } = explanation;
        // An older coordinator sends texts alone, which say what to do.
        let lines = if reasons.is_empty() { lines } else { reasons.iter().map(sentence).collect() };
        Self { reasons: reasons.into_iter().map(Into::into).collect(), lines, stuck }
    }
}

/// A reason as a sentence: *what; what to do*.
pub(crate) fn sentence(reason: &ReasonView) -> String {
    match &reason.act {
        Some(act) => format!("{}; {}", reason.message.trim_end(), advice(act)),
        None => reason.message.clone(),
    }
}

pub(crate) fn explained(explanation: &Explained, _: &Layout) -> String {
    let stuck = explanation.stuck.then(|| "it does not continue by itself".to_owned());
    many_lines(&lines(explanation.lines.iter().chain(&stuck)))
}

#[cfg(test)]
mod tests {
    use sprint_core::explain::{Explanation, Reason as Core};
    use sprint_core::ids::{ItemId, RepoName};
    use sprint_proto::v1;

    use super::*;

    fn shown(explanation: v1::Explanation) -> Explained {
        ExplanationView::try_from(explanation).unwrap().into()
    }

    #[test]
    fn a_reason_says_what_to_do_with_a_command_and_scripts_get_its_parts() {
        let blocked = Core::ItemBlocked { item: ItemId::new(7), why: "3 of 3 attempts failed".to_owned() };
        let explained = shown(Explanation::from(blocked).into());
        assert_eq!(
            explained.lines,
            ["the item is blocked: 3 of 3 attempts failed; retry it with: sprintctl item retry 7"]
        );
        insta::assert_snapshot!(serde_json::to_string_pretty(&explained).unwrap());
    }

    #[test]
    fn an_older_coordinators_texts_are_shown_as_they_are() {
        let explained = shown(v1::Explanation { lines: vec!["it is done".to_owned()], stuck: false, reasons: vec![] });
        assert_eq!((explained.lines, explained.reasons), (vec!["it is done".to_owned()], vec![]));
    }

    #[test]
    fn a_reason_and_an_act_of_a_newer_coordinator_are_shown_by_their_message() {
        let act = v1::Act { kind: "dance".to_owned(), target: RepoName::new("web").unwrap().into() };
        let reason = v1::Reason {
            code: "item.dancing".to_owned(),
            severity: "info".to_owned(),
            since_ms: None,
            message: "the item dances".to_owned(),
            act: Some(act),
            data: "{}".to_owned(),
        };
        let explained = shown(v1::Explanation { lines: vec![], stuck: false, reasons: vec![reason] });
        assert_eq!(explained.lines, ["the item dances"]);
    }
}
