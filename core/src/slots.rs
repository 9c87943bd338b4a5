//! The slots that workers hold.

use std::collections::BTreeMap;

use crate::ids::RepoName;
use crate::job::Role;

/// Slots in use, by repo and role: those of one outpost, or of all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotsInUse {
    total: u32,
    /// No count is zero.
    by_repo: BTreeMap<RepoName, BTreeMap<Role, u32>>,
}

impl SlotsInUse {
    pub const fn total(&self) -> u32 {
        self.total
    }

    /// The slots that a repo's workers hold.
    pub fn of_repo(&self, repo: &RepoName) -> u32 {
        self.by_repo.get(repo).map_or(0, |roles| roles.values().sum())
    }

    /// The slots that a repo's workers of one role hold.
    pub fn of_role(&self, repo: &RepoName, role: Role) -> u32 {
        self.by_repo.get(repo).and_then(|roles| roles.get(&role)).copied().unwrap_or(0)
    }

    /// Counts a worker's slot.
    pub fn occupy(&mut self, repo: &RepoName, role: Role) {
        *self.by_repo.entry(repo.clone()).or_default().entry(role).or_default() += 1;
        self.total += 1;
    }

    /// Counts a worker's slot no more; one that was not counted changes nothing.
    pub fn free(&mut self, repo: &RepoName, role: Role) {
        let Some(roles) = self.by_repo.get_mut(repo) else { return };
        let Some(count) = roles.get_mut(&role) else { return };
        self.total -= 1;
        *count -= 1;
        if *count == 0 {
            roles.remove(&role);
        }
        if roles.is_empty() {
            self.by_repo.remove(repo);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo(name: &str) -> RepoName {
        RepoName::new(name).expect("a name")
    }

    #[test]
    fn slots_are_counted_by_repo_and_role_until_they_are_free() {
        let (demo, other) = (repo("demo"), repo("other"));
        let mut slots = SlotsInUse::default();
        for (repo, role) in
            [(&demo, Role::Developer), (&demo, Role::Developer), (&demo, Role::Gate), (&other, Role::Gate)]
        {
            slots.occupy(repo, role);
        }
        assert_eq!((slots.total(), slots.of_repo(&demo), slots.of_repo(&other)), (4, 3, 1));
        assert_eq!((slots.of_role(&demo, Role::Developer), slots.of_role(&other, Role::Developer)), (2, 0));
        slots.free(&demo, Role::Developer);
        slots.free(&other, Role::Developer);
        assert_eq!((slots.total(), slots.of_role(&demo, Role::Developer), slots.of_repo(&other)), (3, 1, 1));
        for (repo, role) in [(&demo, Role::Developer), (&demo, Role::Gate), (&other, Role::Gate)] {
            slots.free(repo, role);
        }
        assert_eq!(slots, SlotsInUse::default());
    }
}
