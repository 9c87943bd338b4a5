//! `sprintctl land`.

use clap::Args;
use sprint_core::ids::{ItemId, RepoName};
use sprint_core::item::StageName;
use sprint_core::landing::{LandingOutcome, LandingReport};
use sprint_proto::v1;

use crate::app::App;
use crate::command::wait;
use crate::failure::Failure;
use crate::output::{note, progress};
use crate::render::landing::report as report_text;

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
    /// Land it directly, without the merge queue, and wait until it has landed
    #[arg(long)]
    direct: bool,
    /// Land it although the queue is halted, a worker is on its item (the worker is ended), work is uncommitted, or a
    /// worker has changed protected paths
    #[arg(long, requires_all = ["direct", "reason"])]
    force: bool,
    /// Land it without running its gates
    #[arg(long, requires_all = ["direct", "reason"])]
    skip_gates: bool,
    /// Show what would land and what the checks find, and change nothing
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
    app.output.one(&report, report_text)?;
    let (LandingOutcome::Direct, Some(item), false) = (report.outcome, report.item, no_wait) else { return Ok(()) };
    progress("waiting for it to land; the landing continues if you leave …");
    let answer = wait::ask(&[item], StageName::Done, None, app).await?;
    if answer.result != "reached" {
        return Err(Failure::new("client.not_landed", format!("the change did not land: {}", answer.reason)));
    }
    note(&format!("{} is on {}", report.title, report.branch));
    Ok(())
}
