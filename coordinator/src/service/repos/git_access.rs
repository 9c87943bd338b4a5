//! Who may fetch which code, and push to which refs.

use std::fmt;

use sprint_core::access::Identity;
use sprint_core::attempt_ref::{AttemptRef, Kept};
use sprint_core::ids::{ItemId, OutpostName, RepoName};
use sprint_core::refusal::Code;
use sprint_core::request::WorkerFilter;
use sprint_core::retention::{KeptWork, Term};
use sprint_core::worker::Worker;

use crate::git::GitError;
pub use crate::git::commands::{self, Commands, RefUpdate};
use crate::service::{Coordinator, ServiceError, transition};

/// Whether a caller may fetch from a repo: people may, and outposts with a worker of it.
///
/// # Errors
/// [`Code::GitForbidden`], or what the store says.
pub async fn may_fetch(sprint: &Coordinator, who: &Identity, repo: &RepoName) -> Result<(), ServiceError> {
    match who {
        Identity::Person { .. } => Ok(()),
        Identity::Outpost(outpost) => {
            let filter = WorkerFilter {
                outpost: Some(outpost.clone()),
                repo: Some(repo.clone()),
                live: true,
                limit: Some(1),
                ..WorkerFilter::default()
            };
            if !sprint.store.workers(&filter).await?.is_empty() {
                return Ok(());
            }
            Err(ServiceError::new(
                Code::GitForbidden,
                format!("outpost \"{outpost}\" has no worker of repo \"{repo}\""),
            ))
        }
        Identity::Stranger => Err(stranger()),
    }
}

fn stranger() -> ServiceError {
    ServiceError::new(Code::CallerUnauthenticated, "code is served to callers with a certificate or a token")
}

/// What the coordinator's repository keeps of an item's attempts, the newest attempt last, and for how long.
///
/// # Errors
/// There is no such item, or what git says.
pub async fn kept(sprint: &Coordinator, item: ItemId) -> Result<KeptWork, ServiceError> {
    let found = sprint.store.get(&item).await?.ok_or_else(|| transition::missing(&item))?;
    let term = Term::of(&found, sprint.settings.keep_work, sprint.now());
    let git = match sprint.git.get(&found.repo) {
        Ok(git) => git,
        // A repo that was removed keeps its repository aside.
        Err(GitError::Missing(_)) => return Ok(KeptWork { kept: vec![], term }),
        Err(error) => return Err(error.into()),
    };
    let mut kept = Vec::new();
    for pattern in ["work", "wip", "left", "late/work", "late/wip", "late/left"] {
        for (name, commit) in git.refs_like(&format!("refs/sprint/{pattern}/{item}/*"))? {
            if let Some(AttemptRef { item: _, attempt, kind, label, late }) = AttemptRef::parse(&name) {
                kept.push(Kept { attempt, kind, label: label.map(|label| label.to_string()), late, name, commit });
            }
        }
    }
    kept.sort_by(|a, b| (a.attempt, a.late, a.kind, &a.label).cmp(&(b.attempt, b.late, b.kind, &b.label)));
    Ok(KeptWork { kept, term })
}

/// Whether a caller may list the refs of a repo before a push: outposts that have, or had, a worker of it.
///
/// # Errors
/// [`Code::GitForbidden`], or what the store says.
pub async fn may_begin_push(sprint: &Coordinator, who: &Identity, repo: &RepoName) -> Result<(), ServiceError> {
    let outpost = pusher(who)?;
    let filter = WorkerFilter {
        outpost: Some(outpost.clone()),
        repo: Some(repo.clone()),
        limit: Some(1),
        ..WorkerFilter::default()
    };
    // The live ones are found at once; what comes late is pushed, too.
    for live in [true, false] {
        if !sprint.store.workers(&WorkerFilter { live, ..filter.clone() }).await?.is_empty() {
            return Ok(());
        }
    }
    Err(ServiceError::new(Code::GitForbidden, format!("outpost \"{outpost}\" never had a worker of repo \"{repo}\"")))
}

/// The outpost that wants to push; no other caller may.
fn pusher(who: &Identity) -> Result<&OutpostName, ServiceError> {
    match who {
        Identity::Outpost(outpost) => Ok(outpost),
        Identity::Person { .. } => Err(ServiceError::new(
            Code::GitForbidden,
            "people do not push here: a branch moves by the merge queue only; push to the upstream instead",
        )),
        Identity::Stranger => Err(stranger()),
    }
}

/// Whether an outpost may make these updates: each to a ref of an attempt that it has, none a deletion.
///
/// An attempt that is over has its own place: what comes late is kept there, and moves nothing.
///
/// # Errors
/// [`Code::GitForbidden`] for the first that it may not make, or what the store says.
pub async fn may_push(
    sprint: &Coordinator,
    who: &Identity,
    repo: &RepoName,
    updates: &[RefUpdate],
) -> Result<(), ServiceError> {
    let outpost = pusher(who)?;
    for update in updates {
        let refused = |why: &dyn fmt::Display| ServiceError::new(Code::GitForbidden, format!("{}: {why}", update.name));
        let Some(wanted) = AttemptRef::parse(&update.name) else {
            return Err(refused(&"it is not an attempt's ref; the merge queue alone moves branches"));
        };
        if update.deletes {
            return Err(refused(&"it keeps an attempt's work and is not deleted by a push"));
        }
        let filter = WorkerFilter { item: Some(wanted.item), ..WorkerFilter::default() };
        let workers = sprint.store.workers(&filter).await?;
        check(&workers, outpost, repo, &wanted).map_err(|why| refused(&why))?;
    }
    Ok(())
}

fn check(workers: &[Worker], outpost: &OutpostName, repo: &RepoName, wanted: &AttemptRef) -> Result<(), String> {
    let AttemptRef { item, attempt, kind: _, label: _, late } = wanted;
    let own = workers.iter().find(|worker| {
        let is_wanted = worker.job.attempt().is_some_and(|job| job.item == *item && job.attempt == *attempt);
        is_wanted && worker.repo == *repo && worker.outpost == *outpost
    });
    let Some(worker) = own else {
        return Err(format!("attempt {attempt} of item {item} is not one of outpost \"{outpost}\""));
    };
    match (worker.state.is_live(), late) {
        (true, false) | (false, true) => Ok(()),
        (false, false) => {
            Err(format!("attempt {attempt} of item {item} is over; its work belongs below refs/sprint/late/"))
        }
        (true, true) => Err(format!("attempt {attempt} of item {item} is not over")),
    }
}
