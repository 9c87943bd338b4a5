//! Whether the record is sound, and the repositories hold what it says.

use std::collections::{BTreeMap, BTreeSet};

use sprint_core::change::ChangeState;
use sprint_core::check::{Record, violations};
use sprint_core::ids::{CommitId, RepoName};
use sprint_core::time::Timestamp;

use crate::git::GitError;
use crate::service::{Coordinator, ServiceError};
use crate::store::{EventCounts, Everything};

/// What was looked at, and what does not hold.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    pub items: usize,
    pub workers: usize,
    pub changes: usize,
    pub events: u64,
    pub violations: Vec<String>,
}

/// Checks everything: the record at one moment, its rows against their columns, and that each landed
/// commit is in its branch.
///
/// # Errors
/// What the store or git says.
pub async fn check(sprint: &Coordinator) -> Result<Checked, ServiceError> {
    let (record, mut found) = sprint
        .store
        .write(|tx| {
            Box::pin(async move {
                let record = record(tx.everything().await?, tx.event_counts().await?);
                Ok::<_, ServiceError>((record, tx.stale_columns().await?))
            })
        })
        .await?;
    found.extend(violations(&record));
    found.extend(landed_but_not_there(sprint, &record)?);
    Ok(Checked {
        items: record.items.len(),
        workers: record.workers.len(),
        changes: record.changes.len(),
        events: record.events,
        violations: found,
    })
}

/// What of the record the rules of core are about; no rule is about the rest.
fn record(everything: Everything, counts: EventCounts) -> Record {
    let Everything { repos, items, workers, changes, trials, outposts, .. } = everything;
    let EventCounts { events, last: last_event, landings } = counts;
    Record { repos, items, workers, changes, trials, outposts, events, last_event, landings }
}

/// The landed changes whose commit their branch does not hold. The branch is read after the record, and
/// only ever gains commits.
fn landed_but_not_there(sprint: &Coordinator, record: &Record) -> Result<Vec<String>, ServiceError> {
    let mut found = Vec::new();
    let mut held: BTreeMap<&RepoName, (Timestamp, BTreeSet<CommitId>)> = BTreeMap::new();
    for repo in &record.repos {
        match sprint.git.get(&repo.name) {
            Ok(git) => {
                held.insert(&repo.name, (repo.created_at, git.history(&repo.branch)?));
            }
            Err(GitError::Missing(name)) => found.push(format!("the repository of repo \"{name}\" is not there")),
            Err(error) => return Err(error.into()),
        }
    }
    for change in &record.changes {
        let ChangeState::Landed { candidate } = &change.state else { continue };
        // Nothing is known of the branch of a repo that was removed.
        let Some((since, commits)) = held.get(&change.repo) else { continue };
        // Nor of that of another one that had the name before.
        if change.created_at >= *since && !commits.contains(&candidate.commit) {
            let commit = candidate.commit.short();
            found.push(format!("change {} has landed, and commit {commit} is not in its branch", change.id));
        }
    }
    Ok(found)
}
