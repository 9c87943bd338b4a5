//! Who may fetch which code, and push to which refs.

use std::fmt;

use sprint_core::access::Identity;
use sprint_core::ids::{Attempt, ItemId, OutpostName, RepoName, late_ref, wip_ref, work_ref};
use sprint_core::worker::Worker;

use super::{ServiceError, Sprint, WorkerFilter};
pub use crate::git::commands::{self, Commands, RefUpdate};

/// Whether somebody may fetch from a repo: people may, and outposts with a worker of it.
///
/// # Errors
/// [`ServiceError::Forbidden`], or what the store says.
pub async fn may_fetch(sprint: &Sprint, who: &Identity, repo: &RepoName) -> Result<(), ServiceError> {
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
            Err(ServiceError::Forbidden(format!("outpost \"{outpost}\" has no worker of repo \"{repo}\"")))
        }
        Identity::Stranger => Err(stranger()),
    }
}

fn stranger() -> ServiceError {
    ServiceError::Unauthenticated("code is served to those who show a certificate or a token".to_owned())
}

/// A ref of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AttemptRef {
    item: ItemId,
    attempt: Attempt,
    /// For the work of an attempt that was over when it came.
    late: bool,
}

impl AttemptRef {
    /// Reads a ref's name: exactly as we write it, or not at all.
    fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("refs/sprint/")?;
        let (late, rest) = rest.strip_prefix("late/").map_or((false, rest), |rest| (true, rest));
        let mut parts = rest.splitn(3, '/');
        let (kind, item, attempt) = (parts.next()?, parts.next()?, parts.next()?);
        let item = ItemId::new(item.parse().ok()?);
        let attempt = Attempt::new(attempt.parse().ok()?);
        let written = match kind {
            "work" => work_ref(item, attempt),
            "wip" => wip_ref(item, attempt),
            _ => return None,
        };
        let written = if late { late_ref(&written) } else { written };
        (written == name).then_some(Self { item, attempt, late })
    }
}

/// Whether somebody may ask what a push to a repo would start from: outposts that have, or had, a worker of it.
///
/// # Errors
/// [`ServiceError::Forbidden`], or what the store says.
pub async fn may_begin_push(sprint: &Sprint, who: &Identity, repo: &RepoName) -> Result<(), ServiceError> {
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
    Err(ServiceError::Forbidden(format!("outpost \"{outpost}\" never had a worker of repo \"{repo}\"")))
}

/// The outpost that wants to push; nobody else does.
fn pusher(who: &Identity) -> Result<&OutpostName, ServiceError> {
    match who {
        Identity::Outpost(outpost) => Ok(outpost),
        Identity::Person { .. } => Err(ServiceError::Forbidden(
            "people do not push here: a branch moves by the merge queue only; push to the upstream instead".to_owned(),
        )),
        Identity::Stranger => Err(stranger()),
    }
}

/// Whether an outpost may make these updates: each to a ref of an attempt that it has, none a deletion.
///
/// An attempt that is over has its own place: what comes late is kept there, and moves nothing.
///
/// # Errors
/// [`ServiceError::Forbidden`] for the first that it may not make, or what the store says.
pub async fn may_push(
    sprint: &Sprint,
    who: &Identity,
    repo: &RepoName,
    updates: &[RefUpdate],
) -> Result<(), ServiceError> {
    let outpost = pusher(who)?;
    for update in updates {
        let refused = |why: &dyn fmt::Display| ServiceError::Forbidden(format!("{}: {why}", update.name));
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
    let AttemptRef { item, attempt, late } = wanted;
    let own = workers.iter().find(|worker| {
        let is_wanted = worker.item == *item && worker.attempt == *attempt && worker.change.is_none();
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::texts;

    use super::*;

    #[test]
    fn a_ref_is_read_only_as_it_is_written() {
        let read = AttemptRef::parse("refs/sprint/work/7/2").expect("is read");
        assert_eq!(read, AttemptRef { item: ItemId::new(7), attempt: Attempt::new(2), late: false });
        assert!(AttemptRef::parse("refs/sprint/late/wip/7/2").expect("is read").late);
        for bad in [
            "refs/heads/main",
            "refs/sprint/work/7",
            "refs/sprint/work/7/2/3",
            "refs/sprint/work/07/2",
            "refs/sprint/work/+7/2",
            "refs/sprint/work/7/2 ",
            "refs/sprint/work/7/../8/1",
            "refs/sprint/../heads/main",
            "refs/sprint/work//2",
            "refs/sprint/candidate/1/1",
            "refs/sprint/late/late/work/7/2",
            "refs/sprint/work/７/2",
            "refs/sprint/work/18446744073709551616/1",
            "REFS/sprint/work/7/2",
        ] {
            assert_eq!(AttemptRef::parse(bad), None, "{bad:?} must be refused");
        }
    }
    proptest! {
        #[test]
        fn fuzz_a_ref_is_read_only_as_it_is_written(
            name in texts(&["refs/sprint/work/7/2", "refs/sprint/wip/7/2", "refs/sprint/late/work/12/3"])
        ) {
            let Some(AttemptRef { item, attempt, late }) = AttemptRef::parse(&name) else { return Ok(()) };
            let written = [work_ref(item, attempt), wip_ref(item, attempt)];
            let written = written.map(|name| if late { late_ref(&name) } else { name });
            prop_assert!(written.contains(&name));
        }
    }
}
