//! Landings, as people read them.

use std::fmt::Write as _;

use sprint_core::ids::{ChangeId, ItemId};
use sprint_core::landing::{LandingOutcome, LandingReport};

use crate::render::{Cell, Column, Layout, fields, table};

/// The most files that are named; the JSON has them all.
const NAMED_PATHS: usize = 12;

pub(crate) fn report(report: &LandingReport, layout: &Layout) -> String {
    let files = report.paths.len();
    let mut paths = report.paths.iter().take(NAMED_PATHS).cloned().collect::<Vec<_>>().join(", ");
    if files > NAMED_PATHS {
        let _ = write!(paths, ", and {} more", files - NAMED_PATHS);
    }
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let what = fields(&[
        ("outcome", outcome(report.outcome, report.change.map(ChangeId::get))),
        ("title", report.title.clone()),
        ("item", number(report.item.map(ItemId::get))),
        ("head", report.head.to_string()),
        ("onto", format!("{} of {} at {}", report.branch, report.repo, report.tip.short())),
        ("brings", format!("commits: {}, files: {files}", report.commits)),
        ("files", paths),
    ]);
    let columns = [Column::word("CHECK"), Column::word("RESULT"), Column::text("FOUND")];
    let rows = report
        .checks
        .iter()
        .map(|checked| vec![Cell::new(checked.check), Cell::state(checked.result), Cell::new(&checked.found)]);
    what + "\n" + &table(layout, &columns, rows.collect())
}

fn outcome(outcome: LandingOutcome, change: Option<u64>) -> String {
    let change = change.map(|change| format!("change {change}")).unwrap_or_default();
    match outcome {
        LandingOutcome::DryRun => "nothing was done".to_owned(),
        LandingOutcome::Queued => format!("{change} is in the merge queue"),
        LandingOutcome::Replaced => format!("{change} in the merge queue was replaced by this"),
        LandingOutcome::Known => format!("{change} in the merge queue is just this"),
        LandingOutcome::Direct => format!("{change} lands beside the merge queue"),
    }
}

#[cfg(test)]
mod tests {
    use sprint_core::fixtures;
    use sprint_core::ids::RepoName;
    use sprint_core::landing::{LandingFacts, LandingWish, check};
    use sprint_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_landing_shows_what_was_checked_and_what_was_skipped() {
        let facts = LandingFacts {
            held: Some("the merge queue is frozen: release day".to_owned()),
            gates: vec!["test".to_owned()],
            ..LandingFacts::default()
        };
        let report = LandingReport {
            outcome: LandingOutcome::Direct,
            repo: RepoName::new("web").expect("a name"),
            branch: "main".to_owned(),
            tip: fixtures::commit("a"),
            head: fixtures::commit("b"),
            title: "Mend the login".to_owned(),
            item: Some(ItemId::new(12)),
            change: Some(ChangeId::new(7)),
            commits: 2,
            paths: (1..=14).map(|number| format!("src/{number}.rs")).collect(),
            checks: check(&facts, LandingWish { direct: true, force: true, skip_gates: false }),
        };
        let layout = Layout { width: Some(80), colour: false, now: Timestamp::default() };
        insta::assert_snapshot!(super::report(&report, &layout));
    }
}
