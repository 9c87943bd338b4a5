//! Which agent a role of a repo runs.

use std::collections::BTreeMap;

use sprint_core::job::Role;
use sprint_core::refusal::{Code, Refusal};
use sprint_core::repo::Repo;
use sprint_core::runtime::{Catalog, HostLogin, Runtime};

use crate::service::{Coordinator, ServiceError};

const SHELL: &str = "shell";

/// # Errors
/// [`Code::RepoInvalid`]: one cannot be, or is known neither here nor on an outpost.
pub(super) fn check(sprint: &Coordinator, runtimes: &BTreeMap<Role, Runtime>) -> Result<(), ServiceError> {
    let refused = |why: String| ServiceError::from(Refusal::new(Code::RepoInvalid, why).field("runtimes"));
    for runtime in runtimes.values() {
        runtime.validate().map_err(|error| refused(error.to_string()))?;
        let name = &runtime.name;
        if runtime.host != HostLogin::default() {
            return Err(refused(format!(
                "runtime \"{name}\" names files or variables of a host; only the file of runtimes of an outpost may do so"
            )));
        }
        if !runtime.is_reference() || name == SHELL || Catalog::shipped().get(name).is_some() {
            continue;
        }
        let label = format!("{}{name}", Runtime::LABEL);
        if !sprint.store.live().outposts().iter().any(|outpost| outpost.labels.contains_key(&label)) {
            return Err(refused(format!(
                "there is no runtime \"{name}\", and no outpost has one of that name; choose shell or one of {}, or define it in a file of runtimes of an outpost",
                Catalog::shipped().names()
            )));
        }
    }
    Ok(())
}

/// Has roles run these from now on. What is set last counts: a named agent takes the place of a command line, and the name
/// `shell` takes a runtime away.
pub(super) fn apply(repo: &mut Repo, runtimes: BTreeMap<Role, Runtime>) {
    for (role, runtime) in runtimes {
        if runtime.is_reference() && runtime.name == SHELL {
            repo.runtimes.remove(&role);
            continue;
        }
        if runtime.is_reference() {
            repo.run.remove(&role);
        }
        repo.runtimes.insert(role, runtime);
    }
}

#[cfg(test)]
mod tests {
    use sprint_core::fixtures;

    use super::*;

    #[test]
    fn what_is_set_last_counts() {
        let mut repo = fixtures::repo();
        repo.run.insert(Role::Developer, "make it".to_owned());
        let set = |repo: &mut Repo, name| apply(repo, BTreeMap::from([(Role::Developer, Runtime::named(name))]));
        set(&mut repo, "claude");
        assert!(repo.run.is_empty() && repo.staffs(Role::Developer));
        set(&mut repo, SHELL);
        assert!(!repo.staffs(Role::Developer));
    }
}
