use sprint_core::ids::{ChangeId, CommitId, ItemId, RepoName};
use sprint_core::landing::{Checked, LandingReport};

use super::{Malformed, each};
use crate::v1;

impl From<LandingReport> for v1::LandingReport {
    fn from(report: LandingReport) -> Self {
        let LandingReport { outcome, repo, branch, tip, head, title, item, change, commits, paths, checks } = report;
        Self {
            outcome: outcome.to_string(),
            repo: repo.into(),
            branch,
            tip: tip.into(),
            head: head.into(),
            title,
            item: item.map(ItemId::get),
            change: change.map(ChangeId::get),
            commits,
            paths,
            checks: checks.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::LandingReport> for LandingReport {
    type Error = Malformed;

    fn try_from(report: v1::LandingReport) -> Result<Self, Malformed> {
        let v1::LandingReport { outcome, repo, branch, tip, head, title, item, change, commits, paths, checks } =
            report;
        Ok(Self {
            outcome: outcome.parse()?,
            repo: RepoName::new(repo)?,
            branch,
            tip: CommitId::new(tip)?,
            head: CommitId::new(head)?,
            title,
            item: item.map(ItemId::new),
            change: change.map(ChangeId::new),
            commits,
            paths,
            checks: each(checks)?,
        })
    }
}

impl From<Checked> for v1::LandingCheck {
    fn from(checked: Checked) -> Self {
        let Checked { check, result, found } = checked;
        Self { check: check.to_string(), result: result.to_string(), found }
    }
}

impl TryFrom<v1::LandingCheck> for Checked {
    type Error = Malformed;

    fn try_from(checked: v1::LandingCheck) -> Result<Self, Malformed> {
        let v1::LandingCheck { check, result, found } = checked;
        Ok(Self { check: check.parse()?, result: result.parse()?, found })
    }
}
