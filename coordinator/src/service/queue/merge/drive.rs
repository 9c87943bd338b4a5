//! One repo's queue, driven: look, plan, act, until nothing can be done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sprint_core::change::{Change, ChangeState};
use sprint_core::ids::{RepoName, candidate_ref};
use sprint_core::merge_queue::{self, Action};
use sprint_core::refusal::Code;
use sprint_core::repo::Repo;
use sprint_core::trial::{Purpose, Trial, TrialEvent, TrialState};

use crate::git::GitRepo;
use crate::service::queue::merge::build::{self, Built};
use crate::service::queue::merge::keep::keep;
use crate::service::queue::merge::look::{Look, Waiting};
use crate::service::queue::merge::memory::{Follow, QueueState, QueueView};
use crate::service::queue::merge::progress::{Progress, apply};
use crate::service::queue::merge::{direct, land, reject};
use crate::service::repos::halt::{Halt, set_halted};
use crate::service::repos::upstream;
use crate::service::repos::upstream::{Followed, Push};
use crate::service::{Actor, Coordinator, ServiceError};
use crate::store::RepoQueue;

/// How often the upstream is read while workers run and nothing is to be landed.
const FETCH_INTERVAL: Duration = Duration::from_mins(1);

/// Works a repo's queue until nothing can be done, then brings the upstream up to date.
/// The failure is kept for explanations until the queue works again.
///
/// # Errors
/// The failure; the next call tries again.
pub async fn drive(sprint: &Coordinator, name: &RepoName) -> Result<(), ServiceError> {
    let worked: Result<(), ServiceError> = async {
        let queue = sprint.queues.of(name);
        let mut state = queue.lock().await;
        state.begin();
        let mut has_diverged = false;
        loop {
            while step(sprint, name, &mut state).await? == Progress::Made {}
            match upstream::push(sprint, name, &mut state.push_pace).await? {
                Push::Settled => return Ok(()),
                // Its present tip is read and joined, once in a pass: others may push all the time.
                Push::Diverged if has_diverged || is_joining(sprint, name) => return Ok(()),
                Push::Diverged => has_diverged = true,
            }
            state.follow = Follow::InAnyCase;
        }
    }
    .await;
    sprint.set_trouble(name, worked.as_ref().err().map(ToString::to_string));
    worked
}

/// Whether the union of our branch and the upstream's is being gated.
fn is_joining(sprint: &Coordinator, name: &RepoName) -> bool {
    sprint.store.live().trials(name).iter().any(|trial| trial.purpose == Purpose::Join)
}

/// The repos whose queue holds something.
pub fn busy(sprint: &Coordinator) -> Vec<RepoName> {
    sprint.store.live().busy_repos()
}

/// Carries out the next step of a repo's queue.
async fn step(sprint: &Coordinator, name: &RepoName, state: &mut QueueState) -> Result<Progress, ServiceError> {
    let Some(repo) = sprint.store.live().repo(name) else { return Ok(Progress::Idle) };
    let git = sprint.git.get(name)?;
    let RepoQueue { changes, trials } = sprint.store.live().queue(name);
    // An intent on record is settled whatever else holds the queue.
    let landing = changes.iter().filter(|entry| matches!(entry.change.state, ChangeState::Landing { .. }));
    let landing: Vec<Arc<Change>> = landing.map(|entry| Arc::clone(&entry.change)).collect();
    if !landing.is_empty() {
        return land::settle(sprint, &git, &repo, &landing, state).await;
    }
    let is_broken = repo.broken_config.is_some();
    let is_idle = changes.is_empty()
        && trials.is_empty()
        && state.follow != Follow::InAnyCase
        && !is_broken
        && !state.tip_in_doubt;
    if is_idle && !is_fetch_due(sprint, &repo, state) {
        clean_up(&git, &[])?;
        return Ok(Progress::Idle);
    }
    for entry in &changes {
        keep(&git, &entry.change)?;
    }
    state.notice(&changes);
    let mut waiting = Waiting::new(changes);
    if repo.halted.is_some() && waiting.direct.is_empty() && !is_broken {
        return Ok(Progress::Idle);
    }
    let tip = git.tip(&repo.branch)?;
    if let Some(url) = repo.url.as_ref().filter(|_| state.follow != Follow::Done) {
        // Also if it fails: the next try has its time.
        state.fetched_at = Some(sprint.now());
        if is_idle {
            upstream::fetch_others(&git, &repo, url).await;
        }
        match upstream::follow(sprint, &git, &repo, url, &tip).await? {
            Followed::Same => state.follow = Follow::Done,
            Followed::Moved => return Ok(Progress::Made),
            Followed::Halted => return Ok(Progress::Idle),
            Followed::Diverged { upstream } => {
                state.follow = Follow::Done;
                if build::join(sprint, &git, &repo, &trials, &tip, &upstream).await? == Progress::Made {
                    return Ok(Progress::Made);
                }
            }
        }
    }
    if direct::step(sprint, &git, &repo, &tip, &waiting.direct, &trials).await? == Progress::Made {
        return Ok(Progress::Made);
    }
    if repo.halted.is_some() && !is_broken {
        return Ok(Progress::Idle);
    }
    let config = match state.configured(&git, &repo, &tip) {
        Ok(_) if is_broken => {
            tracing::info!(repo = %name, "the configuration can be read again; the merge queue goes on");
            set_halted(sprint, name.clone(), None, Actor::MergeQueue).await?;
            return Ok(Progress::Made);
        }
        Ok(config) => config,
        Err(error) if error.code() == Code::ConfigInvalid => {
            let halt = Halt { reason: error.to_string(), broken_config: Some(tip) };
            set_halted(sprint, name.clone(), Some(halt), Actor::MergeQueue).await?;
            return Ok(Progress::Idle);
        }
        Err(error) => return Err(error),
    };
    if let Some(done) = reject::unfit(sprint, &git, &repo, &tip, &waiting.queue, state).await? {
        return Ok(done);
    }
    waiting.hold_back(state);
    let look = Look::new(sprint, &git, &repo, tip, config, waiting, trials, state).await?;
    if tidy(sprint, &git, &look).await? == Progress::Made {
        return Ok(Progress::Made);
    }
    if let Some(step) = land::joined(sprint, &git, &repo, &look, state).await? {
        return Ok(step);
    }
    let snapshot = merge_queue::snapshot::snapshot(&look.queue(state));
    let plan = merge_queue::plan(&snapshot);
    sprint.queues.show(name, QueueView::new(plan.outlook, state));
    carry_out(sprint, &git, &repo, &look, plan.steps, state).await
}

/// Whether the upstream is to be read although nothing is to be landed: work that starts next is to start from what
/// others brought there.
fn is_fetch_due(sprint: &Coordinator, repo: &Repo, state: &QueueState) -> bool {
    let is_recent = state.fetched_at.is_some_and(|at| sprint.now().since(at) < FETCH_INTERVAL);
    let is_open = repo.url.is_some() && state.follow != Follow::Done;
    is_open && !is_recent && sprint.store.live().slots_of(&repo.name) > 0
}

/// Carries the plan's steps out, up to the first that changes what the plan was made of.
async fn carry_out(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    look: &Look,
    steps: Vec<Action>,
    state: &mut QueueState,
) -> Result<Progress, ServiceError> {
    let mut done = Progress::Idle;
    for decision in steps {
        tracing::debug!(repo = %repo.name, ?decision, "the merge queue decides");
        match decision {
            Action::Land { trial } => {
                if let Some(trial) = look.trial(trial) {
                    land::begin(sprint, git, repo, look, trial, state).await?;
                    return Ok(Progress::Made);
                }
            }
            Action::Eject { change, trial } => {
                if let (Some(change), Some(trial)) = (look.change(change), look.trial(trial)) {
                    reject::failed(sprint, git, repo, &look.tip, change, trial).await?;
                    done = Progress::Made;
                }
            }
            Action::Follow { change, parent } => {
                if let Some(change) = look.change(change) {
                    reject::follows_out(sprint, change, parent).await?;
                    done = Progress::Made;
                }
            }
            Action::Cancel { trial } => {
                let reason = "its result cannot matter any more".to_owned();
                apply(sprint, trial, TrialEvent::Cancelled { reason }).await?;
                done = Progress::Made;
            }
            Action::Confirm { trial } => {
                apply(sprint, trial, TrialEvent::Confirming).await?;
                done = Progress::Made;
            }
            Action::Gate { members } => {
                let members = members.iter().filter_map(|id| look.member(*id)).collect::<Vec<_>>();
                match build::trial(sprint, git, repo, look, &members).await? {
                    Built::Begun => done = Progress::Made,
                    // What the plan was made of has changed.
                    Built::Rejected => return Ok(Progress::Made),
                }
            }
        }
    }
    Ok(done)
}

/// Ends and forgets the trials that concern nothing that is pending.
async fn tidy(sprint: &Coordinator, git: &GitRepo, look: &Look) -> Result<Progress, ServiceError> {
    let mut done = Progress::Idle;
    for trial in &look.trials {
        if look.concerns(trial) {
            continue;
        }
        let event = match trial.state {
            TrialState::Gating => {
                TrialEvent::Cancelled { reason: "what it gates is not in the queue any more".to_owned() }
            }
            TrialState::Passed
            | TrialState::Suspect { .. }
            | TrialState::Failed { .. }
            | TrialState::Unmergeable { .. }
            | TrialState::Cancelled { .. } => TrialEvent::Retired,
        };
        apply(sprint, trial.id, event).await?;
        done = Progress::Made;
    }
    if done == Progress::Made {
        clean_up(git, &sprint.store.live().trials(&look.repo))?;
    }
    Ok(done)
}

/// Removes the refs of trials that are over; a crash may have left some.
fn clean_up(git: &GitRepo, trials: &[Arc<Trial>]) -> Result<(), ServiceError> {
    let wanted: BTreeSet<String> = trials.iter().map(|trial| candidate_ref(&trial.candidate.commit)).collect();
    for (candidate, _) in git.refs_like("refs/sprint/candidate/*")? {
        if !wanted.contains(&candidate) {
            git.delete_ref(&candidate)?;
        }
    }
    Ok(())
}
