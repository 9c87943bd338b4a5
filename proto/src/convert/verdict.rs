use sprint_core::gates::{Finding, GateVerdict, MAX_FINDINGS};

use super::{Malformed, each};
use crate::v1;

impl From<GateVerdict> for v1::GateVerdict {
    fn from(verdict: GateVerdict) -> Self {
        let GateVerdict { gate, outcome, reason, metrics, findings, duration_ms } = verdict;
        Self {
            gate,
            outcome: outcome.to_string(),
            reason,
            metrics: metrics.into_iter().map(|(metric, figure)| (metric.to_string(), figure)).collect(),
            findings: findings.into_iter().map(Into::into).collect(),
            duration_ms,
        }
    }
}

impl TryFrom<v1::GateVerdict> for GateVerdict {
    type Error = Malformed;

    fn try_from(verdict: v1::GateVerdict) -> Result<Self, Malformed> {
        let v1::GateVerdict { gate, outcome, reason, metrics, findings, duration_ms } = verdict;
        let metrics = metrics.into_iter().map(|(metric, figure)| {
            let metric = metric.parse()?;
            if figure.is_finite() { Ok((metric, figure)) } else { Err(Malformed::NotANumber(metric)) }
        });
        Ok(Self {
            outcome: outcome.parse()?,
            reason,
            metrics: metrics.collect::<Result<_, _>>()?,
            findings: each(findings.into_iter().take(MAX_FINDINGS))?,
            duration_ms,
            gate,
        })
    }
}

impl From<Finding> for v1::Finding {
    fn from(finding: Finding) -> Self {
        let Finding { file, line, level, message } = finding;
        Self { file, line, level: level.to_string(), message }
    }
}

impl TryFrom<v1::Finding> for Finding {
    type Error = Malformed;

    fn try_from(finding: v1::Finding) -> Result<Self, Malformed> {
        let v1::Finding { file, line, level, message } = finding;
        Ok(Self::new(&file, line, level.parse()?, &message))
    }
}
