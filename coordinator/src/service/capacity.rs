//! The fleet's slots and limits, and what work asks of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sprint_core::ids::RepoName;
use sprint_core::item::{Item, Priority};
use sprint_core::job::{GateJob, Role};
use sprint_core::outpost::{Outpost, OutpostState};
use sprint_core::pipeline::needs;
use sprint_core::repo::Repo;
use sprint_core::schedule::{Capacity, Limits, Placement, Request, Work, assign};
use sprint_core::trial::{GateRun, Trial};

use crate::service::Coordinator;

/// The fleet and its limits, as one pass of the scheduler sees them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board {
    pub(crate) repos: BTreeMap<RepoName, Arc<Repo>>,
    pub(crate) outposts: Vec<Capacity>,
    pub(crate) limits: Limits,
}

impl Board {
    pub(crate) fn load(sprint: &Coordinator) -> Self {
        let repos = sprint.store.live().repos().into_iter().map(|repo| (repo.name.clone(), repo)).collect();
        let now = sprint.now();
        let (mut outposts, in_use) = sprint.store.live().capacities();
        outposts.retain(|Capacity { outpost, in_use: _ }| {
            let takes =
                outpost.paused.is_none() && outpost.suspicion.as_ref().is_none_or(|doubt| doubt.retry_at <= now);
            outpost.state == OutpostState::Online && takes && sprint.fleet.is_live(&outpost.name)
        });
        let mut board = Self { repos, outposts, limits: Limits { in_use, ..Limits::default() } };
        for repo in board.repos.values() {
            board.limits.max.extend(repo.limits.iter().map(|(role, max)| ((repo.name.clone(), *role), *max)));
        }
        board
    }

    pub(crate) fn is_full(&self) -> bool {
        self.outposts.iter().all(|outpost| outpost.free() == 0)
    }

    /// Decides for `requests`, and counts the decisions as taken.
    pub(crate) fn decide(&mut self, requests: &[Request]) -> Vec<Placement> {
        assign(requests, &mut self.outposts, &mut self.limits)
    }
}

/// What a ready item asks of the scheduler.
///
/// Without its repo, which may be gone, nothing is known of the agent that it needs.
pub(crate) fn request_of(repo: Option<&Repo>, item: &Item, role: Role) -> Request {
    Request {
        work: Work::Item(item.id),
        repo: item.repo.clone(),
        role,
        priority: item.priority,
        since: item.created_at,
        requires: item.requires.clone(),
        needs: repo.map(|repo| needs(repo, item, role)).unwrap_or_default(),
        avoid: item.avoid.clone(),
    }
}

/// What a gate of a trial asks of the scheduler.
pub(crate) fn gate_request(trial: &Trial, run: &GateRun) -> Request {
    Request {
        work: Work::Gate(GateJob { trial: trial.id, gate: run.gate.name.clone() }),
        repo: trial.repo.clone(),
        role: Role::Gate,
        priority: Priority::Urgent,
        since: trial.created_at,
        requires: BTreeMap::new(),
        needs: run.gate.needs.clone(),
        avoid: run.avoid.clone(),
    }
}

/// How long an outpost still keeps its leases; none while it is connected, or has nothing to keep.
pub(crate) fn lapses_in(sprint: &Coordinator, outpost: &Outpost) -> Option<Duration> {
    if sprint.fleet.is_live(&outpost.name) || !sprint.store.live().holds_slots(&outpost.name) {
        return None;
    }
    let grace = outpost.disconnect_grace.unwrap_or(sprint.settings.disconnect_grace);
    let silence = sprint.fleet.silence(&outpost.name, sprint.store.time().elapsed());
    Some(grace.saturating_sub(silence))
}
