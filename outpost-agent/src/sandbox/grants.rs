//! The list of grants: what is granted by its real path, with the links that lead to it, and what is hidden in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::spec::{Access, Grant};

/// How a directory is granted in which something is to be hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HiddenIn {
    AsItIs,
    /// Also if another stands in its place.
    InAnyWay,
}

/// Grants in the making; the first that names a path stays.
#[derive(Debug, Default)]
pub(super) struct List {
    grants: Vec<Grant>,
    pub(super) links: BTreeSet<(PathBuf, PathBuf)>,
}

impl List {
    /// Adds what is there, by its real path, with the links that lead to it.
    pub(super) fn add(&mut self, path: &Path, access: Access) {
        let Ok(real) = path.canonicalize() else { return };
        if real != path {
            self.links.extend(links(path));
        }
        self.insert(real, access);
    }

    pub(super) fn insert(&mut self, path: PathBuf, access: Access) {
        if !self.grants.iter().any(|grant| grant.path == path) {
            self.grants.push(Grant { path, access });
        }
    }

    /// Hides what lies in something that is granted.
    pub(super) fn hide(&mut self, path: &Path, within: HiddenIn) {
        let Ok(path) = path.canonicalize() else { return };
        let shown = |access: &Access| match access {
            Access::Read | Access::Write | Access::Layered { .. } => true,
            Access::Private { .. } => within == HiddenIn::InAnyWay,
            Access::Named | Access::Hidden => false,
        };
        let nearest = self
            .grants
            .iter()
            .filter(|grant| grant.path != path && path.starts_with(&grant.path))
            .max_by_key(|grant| grant.path.components().count());
        if nearest.is_some_and(|grant| shown(&grant.access)) && readable(&path) {
            self.insert(path, Access::Hidden);
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

/// Whether there is anything to hide: what this user cannot read needs no hiding.
fn readable(path: &Path) -> bool {
    nix::unistd::access(path, nix::unistd::AccessFlags::R_OK).is_ok()
}

/// The symbolic links that a path leads through, and what they say.
pub(super) fn links(path: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut found = vec![];
    let mut open = path.to_owned();
    // As many as the kernel follows.
    for _ in 0..40 {
        let mut walked = PathBuf::new();
        let mut components = open.components();
        let link = loop {
            let Some(component) = components.next() else { return found };
            walked.push(component);
            if let Ok(target) = fs::read_link(&walked) {
                break target;
            }
        };
        let rest = components.as_path();
        let parent = walked.parent().unwrap_or(Path::new("/"));
        let parent = parent.canonicalize().unwrap_or_else(|_| parent.to_owned());
        // Joined as the kernel does: an absolute target starts at the root. `..` is left to the real path.
        let next = parent.join(&link).join(rest);
        found.push((walked, link));
        open = next;
    }
    found
}
