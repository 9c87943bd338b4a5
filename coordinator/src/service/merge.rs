//! The merge queue: gates trials and lands changes, for each repo by itself.
//!
//! Each step reads the record and git, and has core decide; then it does the next thing and records it. A landing is
//! intent, compare-and-swap, record, upstream push, and can be resumed after each.

mod build;
#[cfg(test)]
mod build_tests;
#[cfg(test)]
mod differential;
mod direct;
mod history;
mod land;
mod queue;
mod reject;
pub mod standing;

use std::collections::BTreeSet;

use sprint_core::change::{Change, ChangeState};
use sprint_core::config::{self, CONFIG_FILE, RepoConfig};
use sprint_core::ids::{CommitId, RepoName, TrialId, candidate_ref};
use sprint_core::merge_queue::{self, Step as Decision};
use sprint_core::repo::Repo;
use sprint_core::trial::{Trial, TrialEvent, TrialState};

pub(super) use build::by_hand;
pub use direct::{Preview, preview};
pub use queue::Queues;

use self::build::Built;
use self::queue::{Look, QueueState, Shown, Waiting};
use super::landing;
use super::upstream::{self, Followed, Push};
use super::{Actor, ServiceError, Sprint, transition};
use crate::git::GitRepo;

/// What a step of a repo's merge queue came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something was done; there may be more.
    Progress,
    /// Nothing can be done before something else happens.
    Idle,
}

/// What the `sprint.toml` at a commit says; its gates are the repo's own where it names none.
///
/// # Errors
/// A file that cannot be understood is an error, not "no gates".
pub fn config_at(git: &GitRepo, repo: &Repo, commit: &CommitId) -> Result<RepoConfig, ServiceError> {
    let own = || RepoConfig { gates: repo.gates.clone(), ..RepoConfig::default() };
    let Some(file) = git.read_file(commit, CONFIG_FILE)? else { return Ok(own()) };
    let text = String::from_utf8(file)
        .map_err(|_| ServiceError::Precondition(format!("{CONFIG_FILE} on {} is not UTF-8", repo.branch)))?;
    let mut found = config::parse(&text)
        .map_err(|error| ServiceError::Precondition(format!("on branch {}: {error}", repo.branch)))?;
    queue::rules(&found)?;
    if found.gates.is_empty() {
        found.gates.clone_from(&repo.gates);
    }
    Ok(found)
}

/// Works a repo's queue until nothing can be done, then brings the upstream up to date.
/// What stood in the way is kept for explanations until it works again.
pub async fn drive(sprint: &Sprint, name: &RepoName) {
    let worked = async {
        let queue = sprint.queues.of(name);
        let mut state = queue.lock().await;
        state.begin();
        loop {
            while step(sprint, name, &mut state).await? == Step::Progress {}
            // One that the upstream refused is followed by a look at what it has instead.
            match upstream::push(sprint, name).await? {
                Push::Settled => return Ok(()),
                Push::Refused => {}
            }
            state.begin();
        }
    };
    let trouble = worked.await.err().map(|error: ServiceError| error.to_string());
    if let Some(error) = &trouble {
        tracing::error!(repo = %name, %error, "the merge queue failed; it is tried again");
    }
    sprint.set_trouble(name, trouble);
}

/// The repos whose queue holds something.
///
/// # Errors
/// What the store says.
pub async fn busy(sprint: &Sprint) -> Result<BTreeSet<RepoName>, ServiceError> {
    let mut busy: BTreeSet<RepoName> = sprint.store.repos_with_pending_changes().await?.into_iter().collect();
    busy.extend(sprint.store.directory().repos_with_trials());
    Ok(busy)
}

/// Does the next thing for a repo's queue.
async fn step(sprint: &Sprint, name: &RepoName, state: &mut QueueState) -> Result<Step, ServiceError> {
    let Some(repo) = sprint.store.repo(name).await? else { return Ok(Step::Idle) };
    let git = sprint.git.get(name)?;
    let changes = sprint.store.merge_queue(name).await?;
    // An intent on record is settled whatever else holds the queue.
    let landing = changes.iter().filter(|entry| matches!(entry.change.state, ChangeState::Landing { .. }));
    let landing: Vec<Change> = landing.map(|entry| entry.change.clone()).collect();
    if !landing.is_empty() {
        return land::settle(sprint, &git, &repo, &landing, state).await;
    }
    let trials = sprint.store.directory().trials(name);
    if changes.is_empty() && trials.is_empty() {
        clean_up(&git, &[])?;
        return Ok(Step::Idle);
    }
    for entry in &changes {
        landing::keep(&git, &entry.change)?;
    }
    state.notice(&changes);
    let waiting = Waiting::new(changes);
    if repo.halted.is_some() && waiting.direct.is_empty() {
        return Ok(Step::Idle);
    }
    let tip = git.tip(&repo.branch)?;
    if let Some(url) = repo.url.as_ref().filter(|_| state.is_to_follow()) {
        match upstream::follow(sprint, &git, &repo, url, &tip).await? {
            Followed::Same => state.has_followed(),
            Followed::Moved => return Ok(Step::Progress),
            Followed::Diverged { upstream } => {
                state.has_followed();
                if build::join(sprint, &git, &repo, &trials, &tip, &upstream).await? == Step::Progress {
                    return Ok(Step::Progress);
                }
            }
        }
    }
    if direct::step(sprint, &git, &repo, &tip, &waiting.direct, &trials).await? == Step::Progress {
        return Ok(Step::Progress);
    }
    if repo.halted.is_some() {
        return Ok(Step::Idle);
    }
    let config = match state.configured(&git, &repo, &tip) {
        Ok(config) => config,
        Err(ServiceError::Precondition(reason)) => {
            upstream::halt(sprint, name, reason).await?;
            return Ok(Step::Idle);
        }
        Err(error) => return Err(error),
    };
    if let Some(done) = reject::unfit(sprint, &git, &repo, &tip, &waiting.queue, state).await? {
        return Ok(done);
    }
    let look = Look::new(sprint, &git, &repo, tip, config, waiting, trials, state).await?;
    if tidy(sprint, &git, &look).await? == Step::Progress {
        return Ok(Step::Progress);
    }
    if let Some(step) = land::joined(sprint, &git, &repo, &look, state).await? {
        return Ok(step);
    }
    let snapshot = merge_queue::snapshot::snapshot(&look.queue(state));
    let plan = merge_queue::plan(&snapshot);
    sprint.queues.show(name, Shown::new(plan.outlook, state));
    state.tip_in_doubt |= !snapshot.tip_is_gated;
    carry_out(sprint, &git, &repo, &look, plan.steps, state).await
}

/// Carries the plan's steps out, up to the first that changes what the plan was made of.
async fn carry_out(
    sprint: &Sprint,
    git: &GitRepo,
    repo: &Repo,
    look: &Look,
    steps: Vec<Decision>,
    state: &mut QueueState,
) -> Result<Step, ServiceError> {
    let mut done = Step::Idle;
    for decision in steps {
        tracing::debug!(repo = %repo.name, ?decision, "the merge queue decides");
        match decision {
            Decision::Land { trial } => {
                if let Some(trial) = look.trial(trial) {
                    land::begin(sprint, git, repo, look, trial, state).await?;
                    return Ok(Step::Progress);
                }
            }
            Decision::Eject { change, trial } => {
                if let (Some(change), Some(trial)) = (look.change(change), look.trial(trial)) {
                    reject::failed(sprint, git, repo, &look.tip, change, trial).await?;
                    done = Step::Progress;
                }
            }
            Decision::Follow { change, parent } => {
                if let Some(change) = look.change(change) {
                    reject::follows_out(sprint, change, parent).await?;
                    done = Step::Progress;
                }
            }
            Decision::Cancel { trial } => {
                let reason = "its result cannot matter any more".to_owned();
                apply(sprint, trial, TrialEvent::Cancelled { reason }).await?;
                done = Step::Progress;
            }
            Decision::Confirm { trial } => {
                apply(sprint, trial, TrialEvent::Confirming).await?;
                done = Step::Progress;
            }
            Decision::Gate { members } => {
                let members = members.iter().filter_map(|id| look.member(*id)).collect::<Vec<_>>();
                match build::trial(sprint, git, repo, look, &members).await? {
                    Built::Begun => done = Step::Progress,
                    // What the plan was made of has changed.
                    Built::Rejected => return Ok(Step::Progress),
                }
            }
        }
    }
    Ok(done)
}

/// Ends and forgets the trials that concern nothing that is pending.
async fn tidy(sprint: &Sprint, git: &GitRepo, look: &Look) -> Result<Step, ServiceError> {
    let mut done = Step::Idle;
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
        done = Step::Progress;
    }
    if done == Step::Progress {
        clean_up(git, &sprint.store.directory().trials(&look.repo))?;
    }
    Ok(done)
}

/// Removes the refs of trials that are over; a crash may have left some.
fn clean_up(git: &GitRepo, trials: &[Trial]) -> Result<(), ServiceError> {
    let wanted: BTreeSet<String> = trials.iter().map(|trial| candidate_ref(&trial.candidate.commit)).collect();
    for (candidate, _) in git.refs_like("refs/sprint/candidate/*")? {
        if !wanted.contains(&candidate) {
            git.delete_ref(&candidate)?;
        }
    }
    Ok(())
}

async fn apply(sprint: &Sprint, id: TrialId, event: TrialEvent) -> Result<(), ServiceError> {
    let applied = sprint
        .store
        .write(move |tx| {
            Box::pin(async move { transition::trial(tx, id, event, &Actor::MergeQueue).await.map(|_| ()) })
        })
        .await;
    match applied {
        // A report came in since the look: the next one decides anew.
        Err(ServiceError::Refused(_)) => Ok(()),
        applied => applied,
    }
}
