use sprint_core::act::Act;
use sprint_core::explain::{Explanation, ReasonView};

use super::{Malformed, each, time, time_ms};
use crate::v1;

/// An explanation as a client receives it.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplanationView {
    /// Empty when the coordinator is older than reasons.
    pub reasons: Vec<ReasonView>,
    /// The same as texts alone.
    pub lines: Vec<String>,
    /// It continues only when a person acts.
    pub stuck: bool,
}

impl From<&Act> for v1::Act {
    fn from(act: &Act) -> Self {
        Self { kind: act.word().to_owned(), target: act.target().unwrap_or_default() }
    }
}

/// The act on the wire, if this version knows it.
pub(super) fn act(act: v1::Act) -> Option<Act> {
    let v1::Act { kind, target } = act;
    Act::of(&kind, &target)
}

impl From<ReasonView> for v1::Reason {
    fn from(reason: ReasonView) -> Self {
        let ReasonView { code, severity, since, message, act, data } = reason;
        Self {
            code,
            severity: severity.to_string(),
            since_ms: time_ms(since),
            message,
            act: act.as_ref().map(Into::into),
            data: data.to_string(),
        }
    }
}

impl TryFrom<v1::Reason> for ReasonView {
    type Error = Malformed;

    fn try_from(reason: v1::Reason) -> Result<Self, Malformed> {
        let v1::Reason { code, severity, since_ms, message, act: next, data } = reason;
        let data = serde_json::from_str(&data)
            .map_err(|error| Malformed::Json { what: "a reason's data", why: error.to_string() })?;
        Ok(Self { code, severity: severity.parse()?, since: time(since_ms), message, act: next.and_then(act), data })
    }
}

/// The reasons of an explanation with their sentences, and whether it is stuck.
fn parts(explanation: Explanation) -> (Vec<v1::Reason>, Vec<String>, bool) {
    let stuck = explanation.is_stuck();
    let Explanation { reasons } = explanation;
    let views = reasons.into_iter().map(ReasonView::from).collect::<Vec<_>>();
    let lines = views.iter().map(|view| view.message.clone()).collect();
    (views.into_iter().map(Into::into).collect(), lines, stuck)
}

impl From<Explanation> for v1::Explanation {
    fn from(explanation: Explanation) -> Self {
        let (reasons, lines, stuck) = parts(explanation);
        Self { lines, stuck, reasons }
    }
}

impl From<Explanation> for v1::ChangeExplanation {
    fn from(explanation: Explanation) -> Self {
        let (reasons, lines, stuck) = parts(explanation);
        Self { lines, stuck, reasons }
    }
}

impl TryFrom<v1::Explanation> for ExplanationView {
    type Error = Malformed;

    fn try_from(explanation: v1::Explanation) -> Result<Self, Malformed> {
        let v1::Explanation { lines, stuck, reasons } = explanation;
        Ok(Self { reasons: each(reasons)?, lines, stuck })
    }
}

impl TryFrom<v1::ChangeExplanation> for ExplanationView {
    type Error = Malformed;

    fn try_from(explanation: v1::ChangeExplanation) -> Result<Self, Malformed> {
        let v1::ChangeExplanation { lines, stuck, reasons } = explanation;
        Ok(Self { reasons: each(reasons)?, lines, stuck })
    }
}
