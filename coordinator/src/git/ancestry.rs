//! Where a change parted from a branch, and the commits that it adds. Every change needs this on every tip, so the
//! commits of the branch are kept in memory, and the set grows with it. Otherwise each answer walks all that has
//! landed since the change began.

use std::collections::HashSet;

use git2::{Oid, Repository, Sort};

use super::GitError;

/// How much is remembered, and looked at.
struct Limits {
    /// Commits of the branch, by first parents, that are remembered at first.
    reach: usize,
    /// The number of commits in memory at which the memory is cleared and starts again from the tip.
    most: usize,
    /// Commits that a change may bring before git itself is asked.
    change: usize,
}

const LIMITS: Limits = Limits { reach: 2_000, most: 50_000, change: 1_000 };

/// What a tip is known to hold: one commit, and all commits that descend from it and that the tip reaches.
/// No commit before that one is in it.
pub(super) struct Ancestry {
    tip: Option<Oid>,
    held: HashSet<Oid>,
    limits: Limits,
}

impl Default for Ancestry {
    fn default() -> Self {
        Self { tip: None, held: HashSet::new(), limits: LIMITS }
    }
}

/// The commits that were found before those that are held.
pub(super) struct Found {
    pub(super) new: HashSet<Oid>,
    /// The commits that are held, and that those lead to.
    pub(super) met: Vec<Oid>,
}

impl Ancestry {
    /// Makes it that of a tip.
    pub(super) fn advance(&mut self, objects: &Repository, tip: Oid) -> Result<(), GitError> {
        if self.tip == Some(tip) {
            return Ok(());
        }
        if let Some(before) = self.tip
            && self.held.len() < self.limits.most
        {
            let new = match self.beyond(objects, tip)? {
                Some(found) if found.met.contains(&before) => Some(found.new),
                Some(_) => None,
                None if objects.graph_descendant_of(tip, before)? => Some(walk(objects, tip, before)?),
                None => None,
            };
            if let Some(new) = new {
                self.held.extend(new);
                self.tip = Some(tip);
                return Ok(());
            }
        }
        let mut first = tip;
        for _ in 0..self.limits.reach {
            let Some(parent) = objects.find_commit(first)?.parent_ids().next() else { break };
            first = parent;
        }
        self.held = walk(objects, tip, first)?;
        self.held.extend([first, tip]);
        self.tip = Some(tip);
        Ok(())
    }

    /// What leads from a commit to those that are held; none when that cannot be told from them: a way goes past
    /// them, or is long.
    pub(super) fn beyond(&self, objects: &Repository, from: Oid) -> Result<Option<Found>, GitError> {
        let mut found = Found { new: HashSet::new(), met: Vec::new() };
        let mut open = vec![from];
        while let Some(commit) = open.pop() {
            if self.held.contains(&commit) {
                if !found.met.contains(&commit) {
                    found.met.push(commit);
                }
                continue;
            }
            if !found.new.insert(commit) {
                continue;
            }
            let before = open.len();
            open.extend(objects.find_commit(commit)?.parent_ids());
            if open.len() == before || found.new.len() > self.limits.change {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }
}

/// The commits that `tip` has and `hidden` has not.
fn walk(objects: &Repository, tip: Oid, hidden: Oid) -> Result<HashSet<Oid>, GitError> {
    let mut walk = objects.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL)?;
    walk.push(tip)?;
    walk.hide(hidden)?;
    Ok(walk.collect::<Result<_, _>>()?)
}

#[cfg(test)]
#[path = "ancestry_tests.rs"]
mod tests;
