//! The commits in memory, compared with true reachability.

use std::collections::BTreeSet;

use git2::{Repository, Signature, Time};
use proptest::prelude::*;

use super::*;

/// A history: each commit's parents by number, and its time, which need not be later than theirs.
fn made(objects: &Repository, parents: &[(Vec<usize>, i64)]) -> Vec<Oid> {
    let tree = objects.find_tree(objects.treebuilder(None).unwrap().write().unwrap()).unwrap();
    let mut commits: Vec<Oid> = Vec::new();
    for (number, (parents, seconds)) in parents.iter().enumerate() {
        let signature = Signature::new("a", "a@b", &Time::new(*seconds, 0)).unwrap();
        let chosen: BTreeSet<Oid> =
            parents.iter().filter(|_| number > 0).map(|parent| commits[parent % number]).collect();
        let found = chosen.iter().map(|parent| objects.find_commit(*parent).unwrap()).collect::<Vec<_>>();
        let message = number.to_string();
        let made = objects.commit(None, &signature, &signature, &message, &tree, &found.iter().collect::<Vec<_>>());
        commits.push(made.unwrap());
    }
    commits
}

/// A commit and all its ancestors, whatever their times are: libgit2's walk lists an ancestor that is younger
/// than its descendants.
fn reachable(objects: &Repository, from: Oid) -> HashSet<Oid> {
    let (mut seen, mut open) = (HashSet::new(), vec![from]);
    while let Some(commit) = open.pop() {
        if seen.insert(commit) {
            open.extend(objects.find_commit(commit).unwrap().parent_ids());
        }
    }
    seen
}

fn merge_bases(objects: &Repository, tip: Oid, head: Oid) -> Option<BTreeSet<Oid>> {
    objects.merge_bases(tip, head).ok().map(|bases| bases.iter().copied().collect())
}

/// The commits that `head` has and `tip` has not.
fn difference(objects: &Repository, tip: Oid, head: Oid) -> HashSet<Oid> {
    let (tip, head) = (reachable(objects, tip), reachable(objects, head));
    head.difference(&tip).copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn commits_are_told_apart_by_reachability_whatever_their_times(
        history in prop::collection::vec((prop::collection::vec(0_usize..1_000, 0..3), 0_i64..1_000), 2..40),
        asked in prop::collection::vec((0_usize..1_000, 0_usize..1_000), 1..30),
        reach in 0_usize..10,
        most in 1_usize..40,
        change in 1_usize..10,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let objects = Repository::init_bare(directory.path()).unwrap();
        let commits = made(&objects, &history);
        let mut ancestry = Ancestry { limits: Limits { reach, most, change }, ..Ancestry::default() };
        // The tip goes forward, back and sideways.
        for (tip, head) in asked {
            let (tip, head) = (commits[tip % commits.len()], commits[head % commits.len()]);
            let commits = difference(&objects, tip, head);
            let listed = added(&objects, head, &[tip]).unwrap();
            prop_assert_eq!(listed.len(), commits.len());
            prop_assert_eq!(listed.into_iter().collect::<HashSet<_>>(), commits.clone());
            ancestry.advance(&objects, tip).unwrap();
            if let Some(Found { new, met }) = ancestry.beyond(&objects, head).unwrap() {
                prop_assert_eq!(new, commits);
                if let [base] = met.as_slice() {
                    prop_assert_eq!(merge_bases(&objects, tip, head), Some(BTreeSet::from([*base])));
                }
            }
        }
    }
}

#[test]
fn a_change_beside_what_landed_meanwhile_is_told_from_memory() {
    let directory = tempfile::tempdir().unwrap();
    let objects = Repository::init_bare(directory.path()).unwrap();
    // 0 is the first; 1 and 2 begin there; 3 lands 1, and 4 lands 2.
    let commits = made(&objects, &[(vec![], 0), (vec![0], 1), (vec![0], 1), (vec![0, 1], 2), (vec![3, 2], 3)]);
    let mut ancestry = Ancestry::default();
    for tip in [0, 3, 4] {
        ancestry.advance(&objects, commits[tip]).unwrap();
    }
    let found = ancestry.beyond(&objects, commits[4]).unwrap().expect("told from memory");
    assert_eq!((found.new.len(), found.met), (0, vec![commits[4]]));
    assert_eq!(ancestry.held, commits.iter().copied().collect());
}
