//! The slots that workers hold.

use crate::ids::RepoName;
use crate::job::Role;

/// Slots in use, by repo and role: those of one outpost, or of all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotsInUse {
    total: u32,
    /// Sorted by repo and role; no count is zero. One piece of memory: each placement looks into those of all outposts.
    counts: Vec<(RepoName, Role, u32)>,
}

impl SlotsInUse {
    pub const fn total(&self) -> u32 {
        self.total
    }

    /// The slots that a repo's workers hold.
    pub fn of_repo(&self, repo: &RepoName) -> u32 {
        self.counts.iter().filter(|(of, _, _)| of == repo).map(|(_, _, count)| count).sum()
    }

    /// The slots that a repo's workers of one role hold.
    pub fn of_role(&self, repo: &RepoName, role: Role) -> u32 {
        self.find(repo, role).map_or(0, |index| self.counts[index].2)
    }

    /// Counts a worker's slot.
    pub fn occupy(&mut self, repo: &RepoName, role: Role) {
        self.total += 1;
        match self.find(repo, role) {
            Ok(index) => self.counts[index].2 += 1,
            Err(index) => self.counts.insert(index, (repo.clone(), role, 1)),
        }
    }

    /// Counts a worker's slot no more; one that was not counted changes nothing.
    pub fn free(&mut self, repo: &RepoName, role: Role) {
        let Ok(index) = self.find(repo, role) else { return };
        self.total -= 1;
        self.counts[index].2 -= 1;
        if self.counts[index].2 == 0 {
            self.counts.remove(index);
        }
    }

    /// The index of a count, or where it would be.
    fn find(&self, repo: &RepoName, role: Role) -> Result<usize, usize> {
        self.counts.binary_search_by(|(of, as_role, _)| (of, as_role).cmp(&(repo, &role)))
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
