//! `sprintctl status`.

use sprint_core::ids::Seq;
use sprint_core::repo::Repo;
use sprint_core::time::Timestamp;
use sprint_proto::v1;

use crate::app::App;
use crate::command::change;
use crate::failure::Failure;
use crate::render::status::{QueueSummary, StatusSummary, text};

/// Sums up what there is, and what the merge queues do.
pub(crate) async fn status(app: &App) -> Result<(), Failure> {
    let status = app.client.system().status(v1::StatusRequest {}).await?.into_inner();
    let repos = app.client.repos().list(v1::ListReposRequest {}).await?.into_inner().repos;
    let pending = v1::ListChangesRequest { pending: true, ..Default::default() };
    let pending = change::views(app.client.changes().list(pending).await?.into_inner().changes)?;
    let repos = repos.into_iter().map(Repo::try_from).collect::<Result<Vec<_>, _>>()?;
    let queue = |repo: Repo| {
        let changes = pending.iter().filter(|change| change.repo == repo.name).map(|change| change.id).collect();
        QueueSummary { repo: repo.name, branch: repo.branch, halted: repo.halted, changes }
    };
    let v1::StatusResponse { version, started_at_ms, last_seq, items, workers, changes, outposts, http, database } =
        status;
    let view = StatusSummary {
        version,
        started_at: Timestamp::from_millis(started_at_ms),
        last_seq: Seq::new(last_seq),
        http,
        database,
        items: items.into_iter().collect(),
        workers: workers.into_iter().collect(),
        changes: changes.into_iter().collect(),
        outposts: outposts.into_iter().collect(),
        merge_queues: repos.into_iter().map(queue).collect(),
    };
    app.output.one(&view, |view, layout| text(view, &app.address, layout))
}
