//! Changes that leave the queue without landing: their items get them back with the reason.

use sprint_core::bounds::{named_paths, paths_in_words};
use sprint_core::change::{Candidate, Change, ChangeEvent, ChangeState, follows};
use sprint_core::config::CONFIG_FILE;
use sprint_core::conflict::{Conflict, items};
use sprint_core::ids::{ChangeId, CommitId, ItemId};
use sprint_core::item::ItemEvent;
use sprint_core::job::Role;
use sprint_core::refusal::Code;
use sprint_core::repo::{DEFAULT_MAX_ATTEMPTS, Repo};
use sprint_core::tree_rules::{self, Problem};
use sprint_core::trial::{Trial, TrialState};

use crate::git::{GitError, GitRepo, Merged};
use crate::service::queue::merge::intent::intend;
use crate::service::queue::merge::memory::QueueState;
use crate::service::queue::merge::progress::Progress;
use crate::service::queue::merge::protected;
use crate::service::repos::config::config_in;
use crate::service::repos::{lfs, submodules};
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::InQueue;

/// Deals with changes that cannot be gated at all: those that are not here, have landed already, or do not merge
/// with the tip.
pub(crate) async fn unfit(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    changes: &[InQueue],
    state: &mut QueueState,
) -> Result<Option<Progress>, ServiceError> {
    let mut found = None;
    for InQueue { change, .. } in changes {
        // Once is enough: a later tip is checked when the change is built on it.
        if state.fits.contains_key(&change.id) {
            continue;
        }
        if state.not_known.contains_key(&change.id) {
            continue;
        }
        match look_at(sprint, git, repo, tip, change).await? {
            Fitness::Settled => found = Some(Progress::Made),
            Fitness::Fit => {
                state.fits.insert(change.id, tip.clone());
            }
            Fitness::NotKnown { why } => {
                state.not_known.insert(change.id, why);
            }
        }
    }
    Ok(found)
}

/// Whether a change can be gated on a tip.
enum Fitness {
    Fit,
    /// It was sent back, landed, or there is news of it on record.
    Settled,
    /// Somebody who has to be asked for that cannot be asked now.
    NotKnown {
        why: String,
    },
}

/// Deals with a change that cannot be gated on the tip; none when it can.
///
/// # Errors
/// [`Code::UpstreamUnreachable`]: nobody knows now.
pub(crate) async fn is_unfit(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    change: &Change,
) -> Result<Option<Progress>, ServiceError> {
    match look_at(sprint, git, repo, tip, change).await? {
        Fitness::Fit => Ok(None),
        Fitness::Settled => Ok(Some(Progress::Made)),
        Fitness::NotKnown { why } => Err(ServiceError::new(Code::UpstreamUnreachable, why)),
    }
}

async fn look_at(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    change: &Change,
) -> Result<Fitness, ServiceError> {
    if !git.holds(&change.head)? {
        let reason = format!("its commit {} is not in the coordinator's repository", change.head.short());
        send_back(sprint, change, ChangeEvent::Dropped { reason: reason.clone() }, reason, String::new()).await?;
        return Ok(Fitness::Settled);
    }
    match git.weigh(tip, &change.head) {
        Err(error @ GitError::Beyond { .. }) => {
            let reason = format!("{error}; bring it in smaller parts");
            send_back(sprint, change, ChangeEvent::Dropped { reason: reason.clone() }, reason, String::new()).await?;
            return Ok(Fitness::Settled);
        }
        weighed => weighed?,
    }
    if let Some(removed) = removed(git, repo, tip, change)? {
        let (branch, removed) = (&repo.branch, removed.short());
        let reason = format!(
            "its branch contains {removed}, which was removed from {branch} when the upstream was rewritten; start from the present {branch}"
        );
        send_back(sprint, change, ChangeEvent::Dropped { reason: reason.clone() }, reason, String::new()).await?;
        return Ok(Fitness::Settled);
    }
    match git.merge(tip, &change.head).await? {
        Merged::Conflict { paths, why } => conflicted(sprint, git, repo, tip, change, paths, why).await?,
        // Looked at only when nothing would change, since it walks the history.
        Merged::Clean { tree } if tree == git.tree_of(tip)? && git.reaches(tip, &change.head)? => {
            let candidate =
                Candidate { commit: tip.clone(), tree, base: tip.clone(), gates: vec![], new_gates: vec![] };
            intend(sprint, vec![change.id], candidate, None).await?;
        }
        Merged::Clean { tree } => match config_in(git, repo, &tree) {
            Ok(_) => {
                let before = git.tree_of(tip)?;
                // The rules that stand; a change does not switch them off for itself.
                let standing = config_in(git, repo, &before).unwrap_or_default();
                let rules = standing.tree;
                let mut problems = git.problems(&before, &tree, rules)?;
                if let Some(why) = lfs::settle(sprint, git, repo, &mut problems).await? {
                    return Ok(Fitness::NotKnown { why });
                }
                let by_worker = !change.own;
                if by_worker {
                    problems.extend(lfs::new_server(git, before.as_str(), tree.as_str(), rules)?);
                }
                if let Some(url) = &repo.url {
                    problems.extend(submodules::problems(git, url, before.as_str(), tree.as_str(), by_worker).await?);
                }
                if !problems.is_empty() {
                    breaks_rules(sprint, change, &problems).await?;
                    return Ok(Fitness::Settled);
                }
                if let Some(url) = &repo.url
                    && let Some(why) = lfs::refused(git, url, tip, &change.head).await?
                {
                    let reason = format!("the upstream does not take what it brings: {why}");
                    let event = ChangeEvent::Dropped { reason: reason.clone() };
                    send_back(sprint, change, event, reason, String::new()).await?;
                    return Ok(Fitness::Settled);
                }
                let is_news = protected::note(sprint, git, repo, &standing, (&before, &tree), change).await?;
                return Ok(if is_news { Fitness::Settled } else { Fitness::Fit });
            }
            // It was so before.
            Err(_) if git.read_file_in(&tree, CONFIG_FILE).ok() == git.read_file(tip, CONFIG_FILE).ok() => {
                return Ok(Fitness::Fit);
            }
            Err(error) if error.code() == Code::ConfigInvalid => breaks_config(sprint, change, &error).await?,
            Err(error) => return Err(error),
        },
    }
    Ok(Fitness::Settled)
}

/// Sends a change back with which the configuration could not be read any more.
pub(crate) async fn breaks_config(
    sprint: &Coordinator,
    change: &Change,
    error: &ServiceError,
) -> Result<(), ServiceError> {
    let reason = format!("with it the configuration cannot be read: {error}; repair that and bring the change again");
    send_back(sprint, change, ChangeEvent::Dropped { reason: reason.clone() }, reason, String::new()).await
}

/// Sends a change back that brings what the rules for trees do not allow.
pub(crate) async fn breaks_rules(
    sprint: &Coordinator,
    change: &Change,
    problems: &[Problem],
) -> Result<(), ServiceError> {
    let reason = tree_rules::in_words(problems, CONFIG_FILE);
    send_back(sprint, change, ChangeEvent::Dropped { reason: reason.clone() }, reason, String::new()).await
}

/// The newest commit that a worker's change would bring again, although a rewrite of the upstream has removed it. What a
/// person brings is meant.
fn removed(git: &GitRepo, repo: &Repo, tip: &CommitId, change: &Change) -> Result<Option<CommitId>, ServiceError> {
    if change.role.is_none() {
        return Ok(None);
    }
    for old in &repo.given_up {
        for base in git.merge_bases(old, &change.head)? {
            if !git.reaches(tip, &base)? {
                return Ok(Some(base));
            }
        }
    }
    Ok(None)
}

/// Sends a change back because it does not merge with the tip, naming whose landed work is in its way. No path
/// conflicts where the branch would have to hold the tip, and does not.
pub(crate) async fn conflicted(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    change: &Change,
    paths: Vec<String>,
    why: Option<String>,
) -> Result<(), ServiceError> {
    let others = others(sprint, git, repo, tip, change, &paths).await?;
    let theirs = if others.is_empty() { String::new() } else { format!(" (changed there by {})", items(&others)) };
    let branch = &repo.branch;
    let next = if repo.staffs(Role::Resolver) {
        "a resolver is to merge both".to_owned()
    } else {
        format!("start from the present {branch} and bring the change again")
    };
    let what = if let Some(why) = why {
        format!("its branch cannot be merged with {branch}: {why}")
    } else if !paths.is_empty() {
        format!("its branch conflicts with {branch} in {}", paths_in_words(&paths))
    } else if git.merge_base(tip, &change.head)?.is_none() {
        format!("its branch has nothing in common with {branch}")
    } else {
        format!("its branch does not hold the tip of {branch}, or git cannot say where both conflict")
    };
    let reason = format!("{what}{theirs}; {next}");
    send_back(sprint, change, ChangeEvent::Conflicted { paths: named_paths(&paths), others }, reason, String::new())
        .await
}

/// The items whose landed changes touched these paths since the change's branch began.
async fn others(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    change: &Change,
    paths: &[String],
) -> Result<Vec<ItemId>, ServiceError> {
    let base = git.merge_base(tip, &change.head)?;
    let mut others = Vec::new();
    for landed in sprint.store.settled_changes(&repo.name, 100).await?.into_iter().rev() {
        let ChangeState::Landed { candidate } = &landed.state else { continue };
        if base.as_ref() == Some(&candidate.commit) || others.len() >= 5 {
            break;
        }
        let touched = git.changed_paths(git.merge_base(&candidate.base, &landed.head)?.as_ref(), &landed.head)?;
        if paths.iter().any(|path| touched.contains(path)) {
            others.push(landed.item);
        }
    }
    Ok(others)
}

/// Sends a change back that failed in a trial.
pub(crate) async fn failed(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    change: &Change,
    trial: &Trial,
) -> Result<(), ServiceError> {
    let with = trial.members.iter().filter(|member| member.change != change.id);
    let with = with.map(|member| format!("change {} (item {})", member.change, member.item)).collect::<Vec<_>>();
    let (reason, detail) = match &trial.state {
        TrialState::Failed { reason, detail } => (reason.clone(), detail.clone()),
        // The others of the trial have landed meanwhile: they are on the tip.
        TrialState::Unmergeable { paths } => {
            // It may be something else than a conflict that keeps them apart.
            if is_unfit(sprint, git, repo, tip, change).await?.is_some() {
                return Ok(());
            }
            return conflicted(sprint, git, repo, tip, change, paths.clone(), None).await;
        }
        TrialState::Gating | TrialState::Passed | TrialState::Suspect { .. } | TrialState::Cancelled { .. } => {
            (format!("trial {} failed", trial.id), String::new())
        }
    };
    let reason =
        if with.is_empty() { reason } else { format!("{reason}; without this change, {} passes", with.join(", ")) };
    let event = ChangeEvent::GatesFailed { reason: reason.clone(), trial: trial.id };
    send_back(sprint, change, event, reason, detail).await
}

/// Sends a change back whose branch contains one that was sent back.
pub(crate) async fn follows_out(sprint: &Coordinator, change: &Change, parent: ChangeId) -> Result<(), ServiceError> {
    send_back(sprint, change, ChangeEvent::ParentFailed { parent }, follows(parent), String::new()).await
}

/// Takes a change out of the queue and gives its item back with the reason.
async fn send_back(
    sprint: &Coordinator,
    change: &Change,
    event: ChangeEvent,
    reason: String,
    detail: String,
) -> Result<(), ServiceError> {
    let (id, item, repo) = (change.id, change.item, change.repo.clone());
    // What a person brought is theirs to mend, and no worker is to take it up.
    let by_hand = change.is_by_hand();
    let conflict = Conflict::of(change, &event);
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let max_attempts = tx.get(&repo).await?.map_or(DEFAULT_MAX_ATTEMPTS, |repo| repo.max_attempts);
                transition::apply(tx, id, event, &Actor::MergeQueue).await?;
                let event = if by_hand {
                    ItemEvent::Blocked { reason: format!("change {id} was sent back: {reason}") }
                } else {
                    ItemEvent::Rejected { change: id, reason, detail, conflict, max_attempts }
                };
                transition::apply(tx, item, event, &Actor::MergeQueue).await?;
                Ok(())
            })
        })
        .await
}
