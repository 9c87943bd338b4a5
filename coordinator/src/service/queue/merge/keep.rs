//! Refs that keep the commits of changes.

use sprint_core::change::Change;
use sprint_core::ids::work_ref;

use crate::git::GitRepo;
use crate::service::ServiceError;

/// Keeps what a person brought under its attempt's ref, as the work of any other attempt.
///
/// # Errors
/// What git says.
pub fn keep(git: &GitRepo, change: &Change) -> Result<(), ServiceError> {
    let name = work_ref(change.item, change.attempt);
    if change.source.is_some() && git.resolve(&name)?.is_none() && git.holds(&change.head)? {
        git.set_ref(&name, &change.head)?;
    }
    Ok(())
}
