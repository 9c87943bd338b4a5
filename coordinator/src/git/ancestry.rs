//! Where a change parted from a branch, and the commits that it adds. Every change needs this on every tip, so the
//! commits of the branch are kept in memory, and the set grows with it. Otherwise each answer walks all that has
//! landed since the change began.

use std::collections::HashSet;

use git2::{Oid, Repository, Sort};

use super::GitError;

/// How many commits are kept in memory, and visited.
struct Limits {
    /// First parents between the tip and the oldest commit that is kept, at the start.
    reach: usize,
    /// The number of commits in memory at which the memory is cleared and starts again from the tip.
    most: usize,
    /// Commits of a change that are visited at most; libgit2 walks the histories of a larger one.
    change: usize,
}

const LIMITS: Limits = Limits { reach: 2_000, most: 50_000, change: 1_000 };

/// The newest part of a branch's history: one commit, and every commit of the branch that it does not reach.
/// None of its ancestors is in it.
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

/// The result of a walk from a commit back to those that are held.
pub(super) struct Found {
    /// The commits on the way.
    pub(super) new: HashSet<Oid>,
    /// The held commits at which the walk ended.
    pub(super) met: Vec<Oid>,
}

impl Ancestry {
    /// Follows the branch to a tip.
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
                None if objects.graph_descendant_of(tip, before)? => {
                    Some(added(objects, tip, &[before])?.into_iter().collect())
                }
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
        self.held = added(objects, tip, &[first])?.into_iter().chain([first]).collect();
        self.tip = Some(tip);
        Ok(())
    }

    /// Walks from a commit back to those that are held; none when a way leads past all of them, or is too long.
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

/// The commits that `head` has and none of `others` has, the oldest first.
///
/// libgit2 goes by the times of commits: it also lists an ancestor of `others` that is younger than its descendants.
/// So a commit without a listed parent is confirmed; the descendants of a new commit are new.
pub(super) fn added(objects: &Repository, head: Oid, others: &[Oid]) -> Result<Vec<Oid>, GitError> {
    let mut walk = objects.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    walk.push(head)?;
    for other in others {
        walk.hide(*other)?;
    }
    let (mut new, mut known) = (Vec::new(), HashSet::new());
    for commit in walk {
        let commit = commit?;
        let follows = objects.find_commit(commit)?.parent_ids().any(|parent| known.contains(&parent));
        if follows || !is_held(objects, commit, others)? {
            known.insert(commit);
            new.push(commit);
        }
    }
    Ok(new)
}

fn is_held(objects: &Repository, commit: Oid, others: &[Oid]) -> Result<bool, GitError> {
    for other in others {
        if *other == commit || objects.graph_descendant_of(*other, commit)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
#[path = "ancestry_tests.rs"]
mod tests;
