//! Repos: taking git repositories under management, and setting them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sprint_core::act::Act;
use sprint_core::committing::{Committing, CommittingPatch};
use sprint_core::event::EventKind;
use sprint_core::explain::Reason;
use sprint_core::gates::{self, Gate};
use sprint_core::ids::{CommitId, RepoName};
use sprint_core::item::ItemEvent;
use sprint_core::refusal::{Code, Refusal};
use sprint_core::repo::{
    DEFAULT_HUNG_AFTER, DEFAULT_MAX_ATTEMPTS, DEFAULT_MAX_DURATION, Filing, NothingToDo, Pushes, Repo, Resume,
    UpstreamRewrite, UpstreamTrouble,
};
use sprint_core::request::{NewRepo, RepoPatch, WorkerSettings};
use sprint_core::trial::{TrialEvent, TrialState};
use tokio::process::Command;

use crate::git::{MissingSubmodule, RefUpdate, check_key};
use crate::service::admission::secrets;
use crate::service::repos::config::config_at;
use crate::service::repos::halt::event;
use crate::service::repos::lfs_memory::MissingObjects;
use crate::service::repos::setup_failures::SetupFailure;
use crate::service::repos::{rename, rewrite, runtimes, submodules, upstream};
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::Notice;

/// How long a removal waits for workers that were requested to end: a worker is ended within 10 s, and saves after that.
const SAVING: Duration = Duration::from_secs(30);

/// Refuses settings under which no worker could run.
fn check_workers(settings: &WorkerSettings) -> Result<(), ServiceError> {
    if settings.max_duration.is_some_and(|limit| limit.is_zero()) {
        let why = "workers need time; set a max duration above 0, such as 2h";
        return Err(Refusal::new(Code::RepoInvalid, why).field("max_duration").into());
    }
    Ok(())
}

fn apply_workers(settings: &WorkerSettings, repo: &mut Repo) {
    let &WorkerSettings { resume, nothing_to_do, filing, max_duration, hung_after } = settings;
    repo.resume = resume.unwrap_or(repo.resume);
    repo.nothing_to_do = nothing_to_do.unwrap_or(repo.nothing_to_do);
    repo.filing = filing.unwrap_or(repo.filing);
    repo.max_duration = max_duration.unwrap_or(repo.max_duration);
    repo.hung_after = hung_after.unwrap_or(repo.hung_after);
}

/// Refuses a key that cannot sign: nothing could land.
fn check_committing(patch: &CommittingPatch) -> Result<(), ServiceError> {
    let Some(Some(key)) = &patch.sign else { return Ok(()) };
    let refused = |why: String| ServiceError::from(Refusal::new(Code::RepoInvalid, why).field("sign"));
    if !Path::new(key).is_absolute() {
        return Err(refused(format!("\"{key}\" is no absolute path on the coordinator's host")));
    }
    check_key(Path::new(key)).map_err(|error| refused(error.to_string()))
}

/// A repo with what its target branch says now.
#[derive(Debug, Clone)]
pub struct Described {
    pub repo: Repo,
    pub tip: Option<CommitId>,
    pub gates: Vec<Gate>,
    pub notices: Vec<Reason>,
}

/// Clones a repository and takes it under management.
///
/// # Errors
/// [`Code::RepoExists`] for a name in use, [`ServiceError::Git`] when the address or branch is wrong.
pub async fn add(sprint: &Coordinator, new: NewRepo, by: Actor) -> Result<Described, ServiceError> {
    let NewRepo { name, url, branch, run, runtimes: agents, max_attempts, limits, gates, workers, committing, probe } =
        new;
    check(&gates, max_attempts)?;
    check_committing(&committing)?;
    check_workers(&workers)?;
    runtimes::check(sprint, &agents)?;
    let taken = || {
        let why = format!("a repo \"{name}\" exists already; choose another name");
        ServiceError::from(Refusal::new(Code::RepoExists, why).next(Act::ShowRepo(name.clone())))
    };
    if sprint.store.get(&name).await?.is_some() {
        return Err(taken());
    }
    let (branch, tip) = sprint.git.create(&name, &url, branch.as_deref().filter(|branch| !branch.is_empty())).await?;
    let git = sprint.git.get(&name)?;
    sprint.submodules.forget(&name);
    sprint.lfs_missing.forget(&name);
    submodules::bring(sprint, &git, &name, &url, &tip).await?;
    let refused = match git.try_push(&url, &branch).await? {
        None if probe => git.probe_push(&url, &tip, sprint.now()).await?,
        tried => tried,
    };
    let since = sprint.now();
    let mut repo = Repo {
        name: name.clone(),
        url: Some(url),
        branch,
        run,
        runtimes: BTreeMap::new(),
        gates,
        max_attempts: max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS),
        limits: limits.into_iter().filter(|(_, limit)| *limit > 0).collect(),
        halted: None,
        frozen: None,
        resume: Resume::Clean,
        nothing_to_do: NothingToDo::Block,
        filing: Filing::Inbox,
        pushes: if probe && refused.is_none() { Pushes::Probed } else { Pushes::Untried },
        committing: Committing::default(),
        max_duration: DEFAULT_MAX_DURATION,
        hung_after: Some(DEFAULT_HUNG_AFTER),
        pushing: None,
        upstream_trouble: refused.map(|why| UpstreamTrouble { why, since }),
        upstream_rewrite: None,
        broken_config: None,
        given_up: vec![],
        created_at: sprint.now(),
    };
    runtimes::apply(&mut repo, agents);
    apply_workers(&workers, &mut repo);
    repo.committing.change(committing);
    let added = sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                if tx.get(&repo.name).await?.is_some() {
                    return Ok(None);
                }
                let data = json!({ "url": repo.url.as_ref().map(ToString::to_string), "branch": repo.branch });
                tx.save(repo.clone(), event(EventKind::REPO_ADDED, &repo.name, &by, data));
                Ok::<_, ServiceError>(Some(repo))
            })
        })
        .await?;
    describe(sprint, added.ok_or_else(taken)?)
}

fn check(gates: &[Gate], max_attempts: Option<u32>) -> Result<(), ServiceError> {
    gates::validate(gates).map_err(|error| Refusal::new(Code::RepoInvalid, error).field("gates"))?;
    if max_attempts == Some(0) {
        let why = "an item gets at least one attempt; set max attempts to 1 or more";
        return Err(Refusal::new(Code::RepoInvalid, why).field("max_attempts").into());
    }
    Ok(())
}

fn describe(sprint: &Coordinator, repo: Repo) -> Result<Described, ServiceError> {
    let git = sprint.git.get(&repo.name)?;
    let tip = git.resolve(&repo.branch_ref())?;
    let mut notices = Vec::new();
    let mut gates = Vec::new();
    let name = || repo.name.clone();
    let branch = || repo.branch.clone();
    match &tip {
        None => notices.push(Reason::BranchMissing { repo: name(), branch: branch() }),
        Some(tip) => match config_at(&git, &repo, tip).map(|config| config.gates) {
            Ok(found) if found.is_empty() => notices.push(Reason::NoGate { repo: name(), branch: branch() }),
            Ok(found) => gates = found,
            Err(error) => notices.push(Reason::CannotLand { repo: name(), why: error.to_string() }),
        },
    }
    if let Some(SetupFailure { outposts, reason }) = sprint.setup_failures.of(&repo.name) {
        notices.push(Reason::SetupFails { repo: name(), outposts: outposts.into_iter().collect(), why: reason });
    }
    for MissingSubmodule { path, why } in sprint.submodules.missing(&repo.name) {
        notices.push(Reason::SubmoduleMissing { repo: name(), path, why });
    }
    if let Some(MissingObjects { objects, why, is_refused: _ }) = sprint.lfs_missing.of(&repo.name, &git) {
        notices.push(Reason::LfsMissing { repo: name(), count: objects.len(), why });
    }
    if repo.run.is_empty() && repo.runtimes.is_empty() {
        notices.push(Reason::NoRepoCommand { repo: name() });
    }
    if let Some(UpstreamRewrite { was, now }) = &repo.upstream_rewrite {
        notices.push(Reason::UpstreamRewritten { repo: name(), was: was.clone(), now: now.clone() });
    } else if let Some(why) = &repo.halted {
        notices.push(Reason::QueueHalted { repo: name(), why: why.clone() });
    }
    if let Some(why) = &repo.frozen {
        notices.push(Reason::QueueFrozen { repo: name(), why: why.clone() });
    }
    if repo.url.is_some() && repo.pushes != Pushes::Taken && repo.upstream_trouble.is_none() {
        let probed = repo.pushes == Pushes::Probed;
        notices.push(Reason::PushUnknown { repo: name(), branch: repo.branch.clone(), probed });
    }
    if let Some(UpstreamTrouble { why, since }) = &repo.upstream_trouble {
        notices.push(Reason::UpstreamBehind { repo: name(), since: *since, why: why.clone() });
    }
    Ok(Described { repo, tip, gates, notices })
}

/// # Errors
/// There is no such repo.
pub async fn get(sprint: &Coordinator, name: &RepoName) -> Result<Described, ServiceError> {
    let repo = sprint.store.get(name).await?.ok_or_else(|| ServiceError::no_repo(name))?;
    describe(sprint, repo)
}

/// Reads a repo's upstream now, and takes over what others brought there.
///
/// # Errors
/// There is no such repo, it has no upstream, or the upstream does not answer.
pub async fn fetch(sprint: &Coordinator, name: &RepoName) -> Result<Described, ServiceError> {
    let queue = sprint.queues.of(name);
    let held = queue.lock().await;
    let repo = sprint.store.get(name).await?.ok_or_else(|| ServiceError::no_repo(name))?;
    let Some(url) = &repo.url else {
        let why = format!("repo \"{name}\" has no upstream to fetch from");
        return Err(Refusal::new(Code::RepoInvalid, why).field("name").into());
    };
    let git = sprint.git.get(name)?;
    upstream::follow(sprint, &git, &repo, url, &git.tip(&repo.branch)?).await?;
    upstream::fetch_others(&git, &repo, url).await;
    drop(held);
    get(sprint, name).await
}

/// All repos, by name.
pub fn list(sprint: &Coordinator) -> Vec<Arc<Repo>> {
    sprint.store.live().repos()
}

/// `git http-backend` for a repo's repository, which lacks only the request and may update `refs`; none when
/// there is no such repo.
pub fn http_backend(sprint: &Coordinator, name: &RepoName, refs: &[RefUpdate]) -> Option<Command> {
    sprint.git.get(name).ok()?;
    Some(sprint.git.http_backend(refs, sprint.settings.max_push_bytes()))
}

/// Changes a repo's settings.
///
/// # Errors
/// There is no such repo, or [`Code::RepoInvalid`] for gates that cannot be.
pub async fn set(sprint: &Coordinator, change: RepoPatch, by: Actor) -> Result<Described, ServiceError> {
    check(change.gates.as_deref().unwrap_or_default(), change.max_attempts)?;
    check_workers(&change.workers)?;
    check_committing(&change.committing)?;
    runtimes::check(sprint, &change.runtimes)?;
    if let Some(choice) = change.upstream {
        rewrite::settle(sprint, &change.name, choice, &by).await?;
    }
    if let Some(branch) = change.branch.clone() {
        rename::set_branch(sprint, &change.name, branch, &by).await?;
    }
    let repo = sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let RepoPatch {
                    name,
                    run,
                    runtimes: agents,
                    max_attempts,
                    limits,
                    gates,
                    workers,
                    committing,
                    halted,
                    frozen,
                    upstream: _,
                    branch: _,
                } = change;
                let mut repo = tx.get(&name).await?.ok_or_else(|| ServiceError::no_repo(&name))?;
                for (role, run) in run {
                    if run.trim().is_empty() {
                        repo.run.remove(&role);
                    } else {
                        repo.runtimes.retain(|of, runtime| *of != role || !runtime.is_reference());
                        repo.run.insert(role, run);
                    }
                }
                runtimes::apply(&mut repo, agents);
                repo.max_attempts = max_attempts.unwrap_or(repo.max_attempts);
                repo.limits.extend(limits);
                repo.limits.retain(|_, limit| *limit > 0);
                repo.gates = gates.unwrap_or_else(|| std::mem::take(&mut repo.gates));
                apply_workers(&workers, &mut repo);
                repo.committing.change(committing);
                if let Some(halted) = halted {
                    let kind = if halted.is_some() { EventKind::REPO_HALTED } else { EventKind::REPO_RESUMED };
                    tx.record(event(kind, &name, &by, json!({ "reason": halted })));
                    repo.halted = halted;
                    repo.upstream_rewrite = None;
                    repo.broken_config = None;
                }
                if let Some(frozen) = frozen {
                    if frozen.is_some() {
                        tx.record(event(EventKind::REPO_FROZEN, &name, &by, json!({ "reason": frozen })));
                    }
                    repo.frozen = frozen;
                }
                let data = json!({ "run": repo.run, "max_attempts": repo.max_attempts, "limits": repo.limits });
                tx.save(repo.clone(), event(EventKind::REPO_CHANGED, &name, &by, data));
                tx.notify(Notice::Scheduler);
                tx.notify(Notice::Merger);
                Ok::<_, ServiceError>(repo)
            })
        })
        .await?;
    describe(sprint, repo)
}

/// Takes a repo out of management. Its git repository is set aside, not deleted.
///
/// # Errors
/// [`Code::RepoBusy`] while it has open items, unless `force` cancels them; also while
/// workers still save what they did, since they need the repository for that.
pub async fn remove(sprint: &Coordinator, name: RepoName, force: bool, by: Actor) -> Result<Repo, ServiceError> {
    cancel_all(sprint, name.clone(), force, by.clone()).await?;
    let Ok(ended) = tokio::time::timeout(SAVING, workers_ended(sprint, &name)).await else {
        let why = format!(
            "workers of repo \"{name}\" still save their work; its items are cancelled; try again when it has no workers"
        );
        return Err(Refusal::new(Code::RepoBusy, why).next(Act::ListWorkers).into());
    };
    ended?;
    let key = name.clone();
    let trials = sprint.store.live().trials(&name);
    let repo = sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let open = tx.open_items(&name).await?.len();
                let repo = tx.get(&name).await?.ok_or_else(|| ServiceError::no_repo(&name))?;
                if open > 0 {
                    let why = format!("repo \"{name}\" got {open} new items meanwhile; try again");
                    return Err(Refusal::new(Code::RepoBusy, why).next(Act::ForceRemoveRepo(name)).into());
                }
                // Another repo may get the name: nothing of this one's queue may be in its way.
                for trial in trials {
                    let event = match trial.state {
                        TrialState::Gating | TrialState::Suspect { .. } => {
                            TrialEvent::Cancelled { reason: format!("repo \"{name}\" was removed") }
                        }
                        TrialState::Passed
                        | TrialState::Failed { .. }
                        | TrialState::Unmergeable { .. }
                        | TrialState::Cancelled { .. } => TrialEvent::Retired,
                    };
                    match transition::apply(tx, trial.id, event, &by).await {
                        // It has gone on meanwhile, and is over.
                        Ok(_) | Err(ServiceError::Refused(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
                // Another repo may get the name.
                secrets::forget(tx, |scope| scope.repo.as_ref() == Some(&name), &by).await?;
                tx.remove(&name, event(EventKind::REPO_REMOVED, &name, &by, json!({})));
                Ok::<_, ServiceError>(repo)
            })
        })
        .await?;
    sprint.queues.forget(&key);
    sprint.submodules.forget(&key);
    sprint.lfs_missing.forget(&key);
    sprint.setup_failures.forget(&key);
    let aside = sprint.git.set_aside(&key, &sprint.now().as_millis().to_string())?;
    tracing::info!(repo = %key, path = %aside.display(), "the repository of a removed repo is kept here");
    Ok(repo)
}

/// Answers when no worker of a repo holds a slot any more.
async fn workers_ended(sprint: &Coordinator, name: &RepoName) -> Result<(), ServiceError> {
    let mut events = sprint.notices().events();
    loop {
        events.borrow_and_update();
        if sprint.store.live().slots_of(name) == 0 {
            return Ok(());
        }
        if events.changed().await.is_err() {
            return Err(crate::store::StoreError::Closed.into());
        }
    }
}

async fn cancel_all(sprint: &Coordinator, name: RepoName, force: bool, by: Actor) -> Result<(), ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let open = tx.open_items(&name).await?;
                tx.get(&name).await?.ok_or_else(|| ServiceError::no_repo(&name))?;
                if !open.is_empty() && !force {
                    let why = format!(
                        "repo \"{name}\" has {} open items; cancel or finish them first, or remove the repo by force, which cancels them",
                        open.len()
                    );
                    return Err(ServiceError::new(Code::RepoBusy, why));
                }
                for item in open {
                    let reason = format!("repo \"{name}\" was removed");
                    transition::apply(tx, item.id, ItemEvent::Cancelled { reason }, &by).await?;
                }
                Ok(())
            })
        })
        .await
}
