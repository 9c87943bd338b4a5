//! `sprintctl land`.

use std::fmt::Write as _;

use clap::Args;
use sprint_core::ids::{ChangeId, ItemId, RepoName};
use sprint_core::item::StageName;
use sprint_core::landing::{LandingOutcome, LandingReport};
use sprint_proto::v1;

use crate::cli::App;
use crate::failure::Failure;
use crate::output::{note, progress};
use crate::render::{Cell, Column, Layout, fields, table};
use crate::wait;

/// So many files are named; the JSON has them all.
const NAMED_PATHS: usize = 12;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub(crate) struct LandArgs {
    /// What to land: an item's number (its newest attempt), ITEM/ATTEMPT, or a branch of the upstream, a ref or a
    /// commit of a repo
    #[arg(value_name = "REF")]
    what: String,
    /// The repo, if there are several
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoName>,
    /// The item that it is for [default: a new one]
    #[arg(long, value_name = "ID")]
    item: Option<ItemId>,
    /// Land it at once, beside the merge queue, and wait until it has landed
    #[arg(long)]
    direct: bool,
    /// Land it though the queue stands still, a worker is on its item (which is ended), or work is uncommitted
    #[arg(long, requires_all = ["direct", "reason"])]
    force: bool,
    /// Land it without running its gates
    #[arg(long, requires_all = ["direct", "reason"])]
    skip_gates: bool,
    /// Say what would be landed and what the checks find, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: Option<String>,
    /// Do not wait for a direct landing
    #[arg(long, requires = "direct")]
    no_wait: bool,
}

pub(crate) async fn land(args: LandArgs, app: &App) -> Result<(), Failure> {
    let LandArgs { what, repo, item, direct, force, skip_gates, dry_run, reason, no_wait } = args;
    let request = v1::LandRequest {
        what,
        repo: repo.map(Into::into),
        item: item.map(ItemId::get),
        direct,
        force,
        skip_gates,
        dry_run,
        reason: reason.unwrap_or_default(),
    };
    let report = LandingReport::try_from(app.client.changes().land(request).await?.into_inner())?;
    app.output.one(&report, text)?;
    let (LandingOutcome::Direct, Some(item), false) = (report.outcome, report.item, no_wait) else { return Ok(()) };
    progress("waiting for it to land; it goes on without you, too …");
    let answer = wait::ask(&[item], StageName::Done, None, app).await?;
    if answer.result != "reached" {
        return Err(Failure::Failed(format!("it did not land: {}", answer.reason)));
    }
    note(&format!("{} is on {}", report.title, report.branch));
    Ok(())
}

fn text(report: &LandingReport, layout: &Layout) -> String {
    let files = report.paths.len();
    let mut paths = report.paths.iter().take(NAMED_PATHS).cloned().collect::<Vec<_>>().join(", ");
    if files > NAMED_PATHS {
        let _ = write!(paths, ", and {} more", files - NAMED_PATHS);
    }
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let what = fields(&[
        ("outcome", said(report.outcome, report.change.map(ChangeId::get))),
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

fn said(outcome: LandingOutcome, change: Option<u64>) -> String {
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
        insta::assert_snapshot!(text(&report, &layout));
    }
}
