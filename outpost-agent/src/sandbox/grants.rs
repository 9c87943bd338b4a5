//! The list of grants: what is granted by its real path, with the links that lead to it, and what is hidden in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::host_paths::HostPaths;
use super::spec::{Access, Grant};

/// How a directory is granted in which something is to be hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HiddenIn {
    AsItIs,
    /// Also if another stands in its place.
    InAnyWay,
}

/// Grants in the making; the first that names a path stays.
#[derive(Debug)]
pub(super) struct List<'a> {
    host: &'a HostPaths,
    grants: Vec<Grant>,
    pub(super) links: BTreeSet<(PathBuf, PathBuf)>,
}

impl<'a> List<'a> {
    pub(super) fn new(host: &'a HostPaths) -> Self {
        Self { host, grants: vec![], links: BTreeSet::new() }
    }

    /// Adds what is there, by its real path, with the links that lead to it.
    pub(super) fn add(&mut self, path: &Path, access: Access) {
        let Some(found) = self.host.find(path) else { return };
        self.links.extend(found.links.iter().cloned());
        self.insert(found.real.clone(), access);
    }

    pub(super) fn insert(&mut self, path: PathBuf, access: Access) {
        if !self.grants.iter().any(|grant| grant.path == path) {
            self.grants.push(Grant { path, access });
        }
    }

    /// Hides what lies in something that is granted.
    pub(super) fn hide(&mut self, path: &Path, within: HiddenIn) {
        // What this user cannot read needs no hiding.
        let Some(found) = self.host.find(path).filter(|found| found.readable) else { return };
        let path = &found.real;
        let shown = |access: &Access| match access {
            Access::Read | Access::Write | Access::Layered { .. } => true,
            Access::Private { .. } => within == HiddenIn::InAnyWay,
            Access::Named | Access::Hidden => false,
        };
        let nearest = self
            .grants
            .iter()
            .filter(|grant| grant.path != *path && path.starts_with(&grant.path))
            .max_by_key(|grant| grant.path.components().count());
        if nearest.is_some_and(|grant| shown(&grant.access)) {
            self.insert(path.clone(), Access::Hidden);
        }
    }

    /// The list, parents first, without what a parent grants already.
    pub(super) fn finish(&mut self, view: bool) -> Vec<Grant> {
        let mut grants = std::mem::take(&mut self.grants);
        grants.sort_by(|a, b| a.path.cmp(&b.path));
        if !view {
            grants = without_hidden(&grants);
        }
        let mut kept: Vec<Grant> = vec![];
        for grant in grants {
            let parent = kept.iter().rev().find(|parent| grant.path.starts_with(&parent.path));
            if grant.access != Access::Read || parent.is_none_or(|parent| parent.access != Access::Read) {
                kept.push(grant);
            }
        }
        kept
    }
}

/// What is hidden on a host without views: instead of a directory that holds it, each other entry is granted.
fn without_hidden(grants: &[Grant]) -> Vec<Grant> {
    let hidden: Vec<&Path> =
        grants.iter().filter(|grant| grant.access == Access::Hidden).map(|grant| grant.path.as_path()).collect();
    let mut kept = vec![];
    let mut open: Vec<Grant> = grants.iter().filter(|grant| grant.access != Access::Hidden).cloned().collect();
    while let Some(grant) = open.pop() {
        let own_inside = grants.iter().any(|own| own.path == grant.path && own.access == Access::Named);
        if hidden.contains(&grant.path.as_path()) && !own_inside {
            continue;
        }
        if grant.access != Access::Named && hidden.iter().any(|path| path.starts_with(&grant.path)) {
            for entry in fs::read_dir(&grant.path).into_iter().flatten().flatten() {
                // A link is granted by what it leads to, or not at all.
                if !entry.path().is_symlink() {
                    open.push(Grant { path: entry.path(), access: grant.access.clone() });
                }
            }
        } else {
            kept.push(grant);
        }
    }
    kept.sort_by(|a, b| a.path.cmp(&b.path));
    kept
}
