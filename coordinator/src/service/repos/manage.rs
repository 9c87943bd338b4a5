//! Repos: taking git repositories under management, and setting them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sprint_core::address::RepoAddress;
use sprint_core::config::CONFIG_FILE;
use sprint_core::event::EventKind;
use sprint_core::gates::{self, Gate};
use sprint_core::ids::{CommitId, RepoName};
use sprint_core::item::ItemEvent;
use sprint_core::job::Runtime;
use sprint_core::repo::{DEFAULT_HUNG_AFTER, DEFAULT_MAX_ATTEMPTS, DEFAULT_MAX_DURATION, Repo, Resume};
use sprint_core::worker::Role;
use tokio::process::Command;

use crate::git::RefUpdate;
use crate::service::repos::config::config_at;
use crate::service::repos::halt::event;
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::Notice;

/// How long a removal waits for workers that were told to end: a worker is ended within 10 s, and saves after that.
const SAVING: Duration = Duration::from_secs(30);

/// A repo to be added.
#[derive(Debug, Clone)]
pub struct NewRepo {
    pub name: RepoName,
    pub url: RepoAddress,
    pub branch: Option<String>,
    pub run: BTreeMap<Role, String>,
    pub max_attempts: Option<u32>,
    pub limits: BTreeMap<Role, u32>,
    pub gates: Vec<Gate>,
    pub running: Running,
}

/// How workers of a repo start and how long they may take; what is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Running {
    pub resume: Option<Resume>,
    pub max_duration: Option<Duration>,
    /// `Some(None)`: no limit.
    pub hung_after: Option<Option<Duration>>,
}

impl Running {
    fn check(&self) -> Result<(), ServiceError> {
        if self.max_duration.is_some_and(|limit| limit.is_zero()) {
            return Err(ServiceError::Invalid("workers need time; set a max duration above 0, such as 2h".to_owned()));
        }
        Ok(())
    }

    fn apply(self, repo: &mut Repo) {
        let Self { resume, max_duration, hung_after } = self;
        repo.resume = resume.unwrap_or(repo.resume);
        repo.max_duration = max_duration.unwrap_or(repo.max_duration);
        repo.hung_after = hung_after.unwrap_or(repo.hung_after);
    }
}

/// What is set on a repo; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct RepoPatch {
    /// An empty command line takes a role's away.
    pub run: BTreeMap<Role, String>,
    pub runtimes: BTreeMap<Role, Runtime>,
    pub max_attempts: Option<u32>,
    /// A limit of 0 takes a role's away.
    pub limits: BTreeMap<Role, u32>,
    pub gates: Option<Vec<Gate>>,
    pub running: Running,
    /// `Some(None)` lets the merge queue go on.
    pub halted: Option<Option<String>>,
    /// `Some(None)`: lands again.
    pub frozen: Option<Option<String>>,
}

/// A repo with what its target branch says now.
#[derive(Debug, Clone)]
pub struct Described {
    pub repo: Repo,
    pub tip: Option<CommitId>,
    pub gates: Vec<Gate>,
    pub warnings: Vec<String>,
}

/// Clones a repository and takes it under management.
///
/// # Errors
/// [`ServiceError::Exists`] for a name in use, [`ServiceError::Git`] when the address or branch is wrong.
pub async fn add(sprint: &Coordinator, new: NewRepo, by: Actor) -> Result<Described, ServiceError> {
    let NewRepo { name, url, branch, run, max_attempts, limits, gates, running } = new;
    check(&gates, max_attempts)?;
    running.check()?;
    let taken = || {
        ServiceError::Exists(format!(
            "there is a repo \"{name}\" already; choose another name, or see it with: sprintctl repo show {name}"
        ))
    };
    if sprint.store.get(&name).await?.is_some() {
        return Err(taken());
    }
    let (branch, _) = sprint.git.create(&name, &url, branch.as_deref().filter(|branch| !branch.is_empty())).await?;
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
        max_duration: DEFAULT_MAX_DURATION,
        hung_after: Some(DEFAULT_HUNG_AFTER),
        pushing: None,
        created_at: sprint.now(),
    };
    running.apply(&mut repo);
    let added = sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                if tx.get(&repo.name).await?.is_some() {
                    return Ok(None);
                }
                let data = json!({ "url": repo.url.as_ref().map(ToString::to_string), "branch": repo.branch });
                tx.save(repo.clone(), event(EventKind::RepoAdded, &repo.name, &by, data));
                Ok::<_, ServiceError>(Some(repo))
            })
        })
        .await?;
    describe(sprint, added.ok_or_else(taken)?)
}

fn check(gates: &[Gate], max_attempts: Option<u32>) -> Result<(), ServiceError> {
    gates::validate(gates).map_err(ServiceError::invalid)?;
    if max_attempts == Some(0) {
        return Err(ServiceError::Invalid("an item is tried at least once; set max attempts to 1 or more".to_owned()));
    }
    Ok(())
}

fn describe(sprint: &Coordinator, repo: Repo) -> Result<Described, ServiceError> {
    let git = sprint.git.get(&repo.name)?;
    let tip = git.resolve(&repo.branch_ref())?;
    let mut warnings = Vec::new();
    let mut gates = Vec::new();
    match &tip {
        None => warnings.push(format!("branch \"{}\" is not there", repo.branch)),
        Some(tip) => match config_at(&git, &repo, tip).map(|config| config.gates) {
            Ok(found) if found.is_empty() => warnings.push(format!(
                "no gate is configured: every change lands as it is; name gates in {CONFIG_FILE} on {}, or with: sprintctl repo set {} --gate NAME=CMD",
                repo.branch, repo.name
            )),
            Ok(found) => gates = found,
            Err(error) => warnings.push(format!("nothing can land: {error}")),
        },
    }
    if repo.run.is_empty() && repo.runtimes.is_empty() {
        warnings.push(format!(
            "no command is set: items must bring their own with --run, or set one with: sprintctl repo set {} --run CMD",
            repo.name
        ));
    }
    if let Some(reason) = &repo.halted {
        warnings.push(format!(
            "the merge queue stands still: {reason}; go on with: sprintctl repo set {} --resume",
            repo.name
        ));
    }
    if let Some(reason) = &repo.frozen {
        warnings.push(format!("nothing lands: {reason}; go on with: sprintctl repo set {} --resume", repo.name));
    }
    Ok(Described { repo, tip, gates, warnings })
}

/// # Errors
/// [`ServiceError::NotFound`].
pub async fn get(sprint: &Coordinator, name: &RepoName) -> Result<Described, ServiceError> {
    let repo = sprint.store.get(name).await?.ok_or_else(|| ServiceError::no_repo(name))?;
    describe(sprint, repo)
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
/// [`ServiceError::NotFound`], or [`ServiceError::Invalid`] for gates that cannot be.
pub async fn set(
    sprint: &Coordinator,
    name: RepoName,
    change: RepoPatch,
    by: Actor,
) -> Result<Described, ServiceError> {
    check(change.gates.as_deref().unwrap_or_default(), change.max_attempts)?;
    change.running.check()?;
    if change.runtimes.values().any(|runtime| runtime.command.is_empty()) {
        return Err(ServiceError::Invalid("a runtime has no command; give the program and its arguments".to_owned()));
    }
    let repo = sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let mut repo = tx.get(&name).await?.ok_or_else(|| ServiceError::no_repo(&name))?;
                let RepoPatch { run, runtimes, max_attempts, limits, gates, running, halted, frozen } = change;
                for (role, run) in run {
                    if run.trim().is_empty() {
                        repo.run.remove(&role);
                    } else {
                        repo.run.insert(role, run);
                    }
                }
                repo.runtimes.extend(runtimes);
                repo.max_attempts = max_attempts.unwrap_or(repo.max_attempts);
                repo.limits.extend(limits);
                repo.limits.retain(|_, limit| *limit > 0);
                repo.gates = gates.unwrap_or_else(|| std::mem::take(&mut repo.gates));
                running.apply(&mut repo);
                if let Some(halted) = halted {
                    let kind = if halted.is_some() { EventKind::RepoHalted } else { EventKind::RepoResumed };
                    tx.record(event(kind, &name, &by, json!({ "reason": halted })));
                    repo.halted = halted;
                }
                if let Some(frozen) = frozen {
                    if frozen.is_some() {
                        tx.record(event(EventKind::RepoFrozen, &name, &by, json!({ "reason": frozen })));
                    }
                    repo.frozen = frozen;
                }
                let data = json!({ "run": repo.run, "max_attempts": repo.max_attempts, "limits": repo.limits });
                tx.save(repo.clone(), event(EventKind::RepoChanged, &name, &by, data));
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
/// [`ServiceError::Precondition`] while it has open items, unless `force` cancels them; also while
/// workers still save what they did, since they need the repository for that.
pub async fn remove(sprint: &Coordinator, name: RepoName, force: bool, by: Actor) -> Result<Repo, ServiceError> {
    cancel_all(sprint, name.clone(), force, by.clone()).await?;
    let Ok(ended) = tokio::time::timeout(SAVING, workers_ended(sprint, &name)).await else {
        return Err(ServiceError::Precondition(format!(
            "workers of repo \"{name}\" still save their work; its items are cancelled; try again when: sprintctl worker list shows none of them"
        )));
    };
    ended?;
    let key = name.clone();
    let repo = sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let open = tx.open_items(&name).await?.len();
                let repo = tx.get(&name).await?.ok_or_else(|| ServiceError::no_repo(&name))?;
                if open > 0 {
                    return Err(ServiceError::Precondition(format!(
                        "repo \"{name}\" got {open} new items meanwhile; try again"
                    )));
                }
                tx.remove(&name, event(EventKind::RepoRemoved, &name, &by, json!({})));
                Ok::<_, ServiceError>(repo)
            })
        })
        .await?;
    sprint.queues.forget(&key);
    let aside = sprint.git.set_aside(&key, &sprint.now().as_millis().to_string())?;
    tracing::info!(repo = %key, path = %aside.display(), "the repository of a removed repo is kept here");
    Ok(repo)
}

/// Answers when no worker of a repo holds a slot any more.
async fn workers_ended(sprint: &Coordinator, name: &RepoName) -> Result<(), ServiceError> {
    let mut events = sprint.notices().events();
    loop {
        events.borrow_and_update();
        if sprint.store.live().slots_in_use().iter().all(|(_, repo, _, _)| repo != name) {
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
                    return Err(ServiceError::Precondition(format!(
                        "repo \"{name}\" has {} open items; cancel or finish them first, or add --force to cancel them",
                        open.len()
                    )));
                }
                for item in open {
                    let reason = format!("repo \"{name}\" was removed");
                    transition::item(tx, item.id, ItemEvent::Cancelled { reason }, &by).await?;
                }
                Ok(())
            })
        })
        .await
}
