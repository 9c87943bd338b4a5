//! The pipeline's decisions: which role the next attempt at an item is for, and what it runs.

use crate::item::Item;
use crate::job::Role;
use crate::repo::Repo;

/// The role of the worker that the next attempt at `item` is for.
pub fn role(repo: &Repo, item: &Item) -> Role {
    if item.conflict.is_some() && repo.staffs(Role::Resolver) { Role::Resolver } else { Role::Developer }
}

/// The command line that a role runs for an item; none when neither the item nor the repo has one.
pub fn command_line(repo: &Repo, item: &Item, role: Role) -> Option<String> {
    // The item's own command does its work again, and resolves nothing.
    let own = item.run.clone().filter(|_| role != Role::Resolver);
    own.or_else(|| repo.run.get(&role).cloned()).or_else(|| {
        // A runtime that is not a shell brings its own command and reads the prompt.
        repo.runtimes.contains_key(&role).then(String::new)
    })
}
