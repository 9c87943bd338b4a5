//! What an item or a change waits for, derived from the record at the moment it is asked.

use std::collections::BTreeSet;

use sprint_core::explain::{
    ChangeSurroundings, Explanation, ItemSurroundings, explain_change, explain_item, not_at_upstream,
};
use sprint_core::ids::{ChangeId, ItemId};
use sprint_core::item::{Item, Stage};
use sprint_core::job::Role;
use sprint_core::outpost::OutpostState;
use sprint_core::pipeline::{self, command_line};
use sprint_core::request::ItemFilter;
use sprint_core::schedule::{Hold, Unplaced, hold, place, rank};
use sprint_core::trial::{Purpose, Trial, TrialState};

use crate::service::backlog::items;
use crate::service::capacity::{Board, gate_request, lapses_in, request_of};
use crate::service::queue::changes;
use crate::service::queue::merge::standing;
use crate::service::{Coordinator, ServiceError};

/// Ready items that an explanation counts at most.
const EXPLAINED: usize = 1_000;

/// Says what an item waits for.
///
/// # Errors
/// An unknown id, or what the store says.
pub async fn item(sprint: &Coordinator, id: ItemId) -> Result<Explanation, ServiceError> {
    let item = items::get(sprint, id).await?;
    let mut around = ItemSurroundings::default();
    match &item.stage {
        Stage::Merging { landed: Some(_), .. } => {
            around.upstream_trouble = upstream_trouble(sprint, &item);
        }
        Stage::Merging { change: id, landed: None } => around.change = Some(change(sprint, *id).await?),
        Stage::Ready => look_around(sprint, &item, &mut around).await?,
        Stage::InProgress { lease } => {
            let outpost = sprint.store.live().outpost_named(&lease.outpost);
            around.lapses_in = outpost.and_then(|outpost| lapses_in(sprint, &outpost));
            if let Some(worker) = sprint.store.get(&lease.worker).await? {
                around.role = Some(worker.job.role());
                around.assigned_at = Some(worker.assigned_at);
            }
        }
        Stage::Inbox
        | Stage::Planning
        | Stage::InReview
        | Stage::InTests
        | Stage::InDocs
        | Stage::Done { .. }
        | Stage::Blocked { .. }
        | Stage::Cancelled { .. } => {}
    }
    Ok(explain_item(&item, &around))
}

async fn look_around(sprint: &Coordinator, item: &Item, around: &mut ItemSurroundings) -> Result<(), ServiceError> {
    let parent = match item.parent {
        Some(parent) => sprint.store.get(&parent).await?.map(|parent| parent.kind),
        None => None,
    };
    let mut open = BTreeSet::new();
    for need in &item.needs {
        let Some(need) = sprint.store.get(need).await? else { continue };
        if !need.has_landed() {
            open.insert(need.id);
            let stuck = items::dead_end(sprint, &need).await?.is_some();
            around.needs.push((need, stuck));
        }
    }
    around.hold = hold(item, parent, &open, sprint.now());
    if around.hold == Some(Hold::Container) {
        let filter = ItemFilter { parent: Some(item.id), ..ItemFilter::default() };
        around.children = sprint.store.items(&filter).await?;
    }
    let board = Board::load(sprint);
    let role_of = |item: &Item| board.repos.get(&item.repo).map_or(Role::Developer, |repo| pipeline::role(repo, item));
    let role = role_of(item);
    around.role = Some(role);
    if let Some(repo) = board.repos.get(&item.repo) {
        around.nothing_to_run = command_line(repo, item, role).is_none();
    }
    let request_of = |item: &Item, role| request_of(board.repos.get(&item.repo).map(|repo| &**repo), item, role);
    let request = request_of(item, role);
    around.wants = request.needs.iter().map(ToString::to_string).collect();
    around.unplaced = place(&request, &board.outposts, &board.limits).err();
    if around.unplaced.is_some() {
        let there = sprint.store.live().outposts().into_iter();
        let there: Vec<_> = there.collect();
        let paused = there.iter().filter_map(|outpost| Some((outpost.name.clone(), outpost.paused.clone()?)));
        around.paused = paused.collect();
        let online = there.iter().filter(|outpost| outpost.state == OutpostState::Online);
        let suspect = online.filter_map(|outpost| Some((outpost.name.clone(), outpost.suspicion.clone()?.reason)));
        around.suspect = suspect.collect();
        // One that pauses is there all the same.
        if around.unplaced == Some(Unplaced::NoOutpost) && !around.suspect.is_empty() {
            around.unplaced = Some(Unplaced::NoFreeSlot);
        }
    }
    let ready = sprint.store.live().assignable((i64::MIN, ItemId::default()), EXPLAINED);
    around.ahead = ready.iter().filter(|other| rank(&request_of(other, role_of(other))) < rank(&request)).count();
    Ok(())
}

/// Why the upstream of an item's repo lacks what has landed here.
fn upstream_trouble(sprint: &Coordinator, item: &Item) -> Option<String> {
    let repo = sprint.store.live().repo(&item.repo)?;
    // Nothing is pushed before a person has decided about a rewrite; other halts keep nothing from the upstream.
    let rewrite = repo.upstream_rewrite.as_ref().and(repo.halted.clone());
    rewrite.or_else(|| repo.upstream_trouble.as_ref().map(|trouble| trouble.why.clone()))
}

/// Says what a change waits for.
///
/// # Errors
/// An unknown id, or what the store says.
pub async fn change(sprint: &Coordinator, id: ChangeId) -> Result<Explanation, ServiceError> {
    let change = changes::get(sprint, id).await?;
    let mut around = ChangeSurroundings::default();
    if let Some(item) = sprint.store.live().open_item(change.item) {
        around.not_at_upstream = not_at_upstream(&item, upstream_trouble(sprint, &item));
    }
    if change.state.is_pending() {
        let repo = sprint.store.get(&change.repo).await?;
        around.frozen = repo.as_ref().and_then(|repo| repo.frozen.clone());
        around.rewrite = repo.as_ref().and_then(|repo| repo.upstream_rewrite.clone());
        around.halted = repo.and_then(|repo| repo.halted);
        around.trouble = sprint.trouble(&change.repo);
        around.not_known = sprint.queues.shown(&change.repo).not_known.get(&id).cloned();
        around.standing = standing::of(sprint, std::slice::from_ref(&change)).remove(&id);
        let trials = sprint.store.live().trials(&change.repo);
        if change.direct.is_some() {
            around.trial = trials.iter().rfind(|trial| trial.holds(id)).map(|trial| Trial::clone(trial));
        } else {
            around.trial = match around.standing.as_ref().and_then(|standing| standing.trial) {
                Some(trial) => sprint.store.get(&trial).await?,
                None => None,
            };
            let queue = sprint.store.live().queue(&change.repo).changes.into_iter();
            around.direct = queue.map(|entry| entry.change).find(|other| other.direct.is_some()).map(|other| other.id);
        }
        let tips = trials.into_iter();
        let mut tips = tips.filter(|trial| trial.purpose == Purpose::Tip);
        around.red_tip = tips.find_map(|trial| match &trial.state {
            TrialState::Failed { reason, .. } => Some((trial.candidate.commit.clone(), reason.clone())),
            TrialState::Gating
            | TrialState::Passed
            | TrialState::Suspect { .. }
            | TrialState::Unmergeable { .. }
            | TrialState::Cancelled { .. } => None,
        });
        if let Some(trial) = &around.trial
            && let Some(run) = trial.startable().next()
        {
            let board = Board::load(sprint);
            around.unplaced = place(&gate_request(trial, run), &board.outposts, &board.limits).err();
        }
    }
    Ok(explain_change(&change, &around))
}
