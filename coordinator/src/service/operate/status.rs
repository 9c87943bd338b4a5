//! The state of the whole.

use std::collections::BTreeMap;

use sprint_core::status::{CoordinatorStatus, QueueStatus};

use crate::service::{Coordinator, ServiceError};

/// Sums up what there is, and what the merge queues and the loops do. `http` is the address of plain HTTP.
///
/// # Errors
/// What the store says.
pub async fn status(sprint: &Coordinator, http: &str) -> Result<CoordinatorStatus, ServiceError> {
    let [workers, changes] = sprint.store.counts().await?;
    let live = sprint.store.live();
    let items = live.item_counts().into_iter().map(|(stage, count)| (stage.to_string(), count)).collect();
    let mut outposts = BTreeMap::new();
    for outpost in live.outposts() {
        *outposts.entry(outpost.state.to_string()).or_default() += 1;
    }
    let queue = |repo: &sprint_core::repo::Repo| {
        let changes = live.queue(&repo.name).changes;
        let awaiting = changes.iter().filter(|entry| entry.change.awaits_approval());
        QueueStatus {
            repo: repo.name.clone(),
            branch: repo.branch.clone(),
            halted: repo.halted.clone(),
            upstream_trouble: repo.upstream_trouble.as_ref().map(|trouble| trouble.why.clone()),
            awaiting_approval: awaiting.map(|entry| entry.change.id).collect(),
            changes: changes.iter().map(|entry| entry.change.id).collect(),
        }
    };
    Ok(CoordinatorStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: sprint.started_at,
        last_seq: *sprint.notices().events().borrow(),
        http: http.to_owned(),
        database: sprint.store.kind().to_owned(),
        items,
        workers,
        changes,
        outposts,
        merge_queues: live.repos().iter().map(|repo| queue(repo)).collect(),
        loops: sprint.loops.list(),
    })
}
