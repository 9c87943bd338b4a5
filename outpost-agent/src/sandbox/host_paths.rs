//! The host's paths: where they lead. Looked up once for the workers that start together, not once for each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::programs;

/// How long what was found counts.
const FRESH: Duration = Duration::from_secs(1);

/// Where a path of the host leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HostPath {
    pub(super) real: PathBuf,
    /// The symbolic links on the way to it, and what they say.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
    /// Whether this user can read it.
    pub(super) readable: bool,
}

impl HostPath {
    fn look(path: &Path) -> Option<Self> {
        let real = path.canonicalize().ok()?;
        let links = if real == path { vec![] } else { links(path) };
        let readable = nix::unistd::access(&real, nix::unistd::AccessFlags::R_OK).is_ok();
        Some(Self { real, links, readable })
    }
}

/// What was found in the last moments. A clone shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct HostPaths(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    since: Option<Instant>,
    paths: BTreeMap<PathBuf, Option<Arc<HostPath>>>,
    ssh_keys: Option<Arc<[PathBuf]>>,
    beyond: Option<Arc<[PathBuf]>>,
}

impl HostPaths {
    /// Where a path leads; none if nothing is there.
    pub(super) fn find(&self, path: &Path) -> Option<Arc<HostPath>> {
        self.fresh(|found| match found.paths.get(path) {
            Some(known) => known.clone(),
            None => found.paths.entry(path.to_owned()).or_insert(HostPath::look(path).map(Arc::new)).clone(),
        })
    }

    /// The host's own SSH keys.
    pub(super) fn ssh_keys(&self) -> Arc<[PathBuf]> {
        self.fresh(|found| found.ssh_keys.get_or_insert_with(|| ssh_keys().into()).clone())
    }

    /// What the programs in these directories need elsewhere.
    pub(super) fn beyond<'a>(&self, directories: impl Iterator<Item = &'a PathBuf>) -> Arc<[PathBuf]> {
        let look = || directories.flat_map(|path| programs::beyond(path)).collect::<Vec<_>>().into();
        self.fresh(|found| found.beyond.get_or_insert_with(look).clone())
    }

    fn fresh<T>(&self, look: impl FnOnce(&mut Found) -> T) -> T {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.since.is_none_or(|since| since.elapsed() > FRESH) {
            *found = Found { since: Some(Instant::now()), ..Found::default() };
        }
        look(&mut found)
    }
}

fn ssh_keys() -> Vec<PathBuf> {
    let entries = fs::read_dir("/etc/ssh").into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_none() && path.to_string_lossy().contains("ssh_host_")).collect()
}

/// The symbolic links that a path leads through, and what they say.
fn links(path: &Path) -> Vec<(PathBuf, PathBuf)> {
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_links_that_lead_to_a_path_are_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().canonicalize().expect("is there").join(name);
        fs::create_dir_all(at("real/sub")).expect("is made");
        symlink("real", at("one")).expect("is made");
        symlink(at("one/sub"), at("two")).expect("is made");
        let expected = vec![(at("two"), at("one/sub")), (at("one"), PathBuf::from("real"))];
        assert_eq!(links(&at("two")), expected);
        assert_eq!(links(&at("real/sub")), vec![]);
        symlink("loop", at("loop")).expect("is made");
        assert_eq!(links(&at("loop")).len(), 40, "it ends");
        assert_eq!(HostPath::look(&at("loop")), None);
    }

    #[test]
    fn what_was_found_is_looked_up_again_later() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().canonicalize().expect("is there").join("tool");
        let paths = HostPaths::default();
        assert_eq!(paths.find(&path), None);
        fs::write(&path, b"").expect("is written");
        assert_eq!(paths.find(&path), None, "as it was a moment ago");
        let past = Instant::now().checked_sub(2 * FRESH).expect("the clock has run for that long");
        paths.0.lock().expect("is free").since = Some(past);
        assert_eq!(paths.find(&path).map(|found| found.real.clone()), Some(path));
    }
}
