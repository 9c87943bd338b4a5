//! `sprintctl wait`.

use std::time::{Duration, Instant};

use clap::Args;
use sprint_core::act::Act;
use sprint_core::ids::{ChangeId, ItemId};
use sprint_core::item::StageName;
use sprint_core::request::WaitResult;
use sprint_core::view::ItemView;
use sprint_proto::v1;

use crate::app::App;
use crate::args::word;
use crate::client::Patience;
use crate::command::item;
use crate::failure::Failure;
use crate::output::{note, progress};
use crate::render::act::advice;
use crate::render::commas;
use crate::render::item::list;

/// The margin after which this side gives up when the coordinator does not answer in time.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// The items' numbers
    #[arg(required = true, value_name = "ITEM")]
    ids: Vec<ItemId>,
    /// The stage that all of them must reach
    #[arg(long = "for", value_name = "STAGE", default_value = "done", value_parser = word(StageName::ALL, StageName::as_str))]
    stage: StageName,
    /// Give up after this time, such as 90s or 2h [default: wait without limit]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<humantime::Duration>,
}

/// Waits until every item is in the stage, or one cannot get there any more.
pub(crate) async fn wait(args: WaitArgs, app: &App) -> Result<(), Failure> {
    let WaitArgs { ids, stage, timeout } = args;
    progress(&format!("waiting for item {} to be {stage} …", commas(&ids)));
    let answer = ask(&ids, stage, timeout.as_deref().copied(), app).await?;
    let items = item::views(answer.items)?;
    app.output.list(&items, "items", list)?;
    match answer.result.as_str() {
        "reached" => Ok(()),
        "timeout" => Err(timed_out(&items, stage, timeout)),
        _ => Err(Failure::new("client.wait_impossible", answer.reason)),
    }
}

/// Asks until there is an answer; a coordinator that goes away is waited for as well, and what waits for a person is
/// told once.
pub(crate) async fn ask(
    ids: &[ItemId],
    stage: StageName,
    timeout: Option<Duration>,
    app: &App,
) -> Result<v1::WaitResponse, Failure> {
    let started = Instant::now();
    let mut patience = Patience::new();
    let mut known_approvals = vec![];
    loop {
        let left = timeout.map(|timeout| timeout.saturating_sub(started.elapsed()));
        let request = v1::WaitRequest {
            ids: ids.iter().map(|id| id.get()).collect(),
            stage: stage.to_string(),
            // 0 means no limit, which a time that is over is not.
            timeout_ms: left.map_or(0, |left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1)),
            tell_approvals: true,
            known_approvals: known_approvals.clone(),
        };
        let mut items = app.client.items();
        let answer = items.wait(request);
        let answer = match left {
            Some(left) => tokio::time::timeout(left.saturating_add(GRACE), answer).await.unwrap_or_else(|_| {
                Err(tonic::Status::deadline_exceeded("the coordinator did not answer in time; see: sprintctl status"))
            }),
            None => answer.await,
        };
        match answer.map_err(Failure::from) {
            Ok(answer) => {
                let answer = answer.into_inner();
                if answer.result != WaitResult::Approval.as_str() {
                    return Ok(answer);
                }
                note(&needs_approval(&answer));
                known_approvals = answer.approvals;
            }
            Err(failure) if failure.is_disconnect() && left.is_none_or(|left| !left.is_zero()) => {
                patience.pause(&failure).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// What a person has to do before the wait can end.
fn needs_approval(answer: &v1::WaitResponse) -> String {
    let acts = answer.approvals.iter().map(|change| advice(&Act::ApproveChange(ChangeId::new(*change))));
    format!("{}; {}", answer.reason, acts.collect::<Vec<_>>().join("; "))
}

fn timed_out(items: &[ItemView], stage: StageName, timeout: Option<humantime::Duration>) -> Failure {
    let open = items.iter().filter(|item| item.stage != stage).collect::<Vec<_>>();
    let what = commas(open.iter().map(|item| format!("item {} is {}", item.id, item.stage)));
    let after = timeout.map(|timeout| format!(" after {timeout}")).unwrap_or_default();
    let id = open.first().map_or_else(|| "ID".to_owned(), |item| item.id.to_string());
    Failure::new("client.wait_timeout", format!("timed out{after}: {what}"))
        .with_next(format!("see: sprintctl item explain {id}"))
}
