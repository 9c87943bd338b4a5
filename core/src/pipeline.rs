//! The pipeline's decisions: which role the next attempt at an item is for, and what it runs.

use crate::gates::Need;
use crate::item::Item;
use crate::job::Role;
use crate::repo::Repo;
use crate::runtime::Runtime;

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

/// What starts the role's agent for an item. An item's own command line is one of a shell, unless the repo has a runtime
/// that takes command lines.
pub fn runtime(repo: &Repo, item: &Item, role: Role) -> Runtime {
    let own = item.run.is_some() && role != Role::Resolver;
    let configured = repo.runtimes.get(&role).filter(|runtime| !(own && runtime.is_reference()));
    configured.cloned().unwrap_or_else(Runtime::shell)
}

/// The labels that an outpost must carry to run the role's agent.
pub fn needs(repo: &Repo, item: &Item, role: Role) -> Vec<Need> {
    runtime(repo, item, role).need().ok().flatten().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn an_items_own_command_line_runs_in_a_shell_beside_a_named_agent() {
        let mut repo = fixtures::repo();
        let mut item = fixtures::item(1, 1);
        assert_eq!(runtime(&repo, &item, Role::Developer), Runtime::shell());
        repo.runtimes.insert(Role::Developer, Runtime::named("claude"));
        item.run = None;
        assert_eq!(runtime(&repo, &item, Role::Developer).name, "claude");
        assert_eq!(needs(&repo, &item, Role::Developer).len(), 1);
        item.run = Some("true".to_owned());
        assert_eq!(runtime(&repo, &item, Role::Developer), Runtime::shell());
        assert!(needs(&repo, &item, Role::Developer).is_empty());
        let mine = Runtime { command: vec!["mine".to_owned(), "{{ run }}".to_owned()], ..Runtime::named("mine") };
        repo.runtimes.insert(Role::Developer, mine.clone());
        assert_eq!(runtime(&repo, &item, Role::Developer), mine);
    }
}
