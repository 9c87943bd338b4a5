//! A worker's own `.git`, read as untrusted files.
//!
//! No git runs here. Nothing leads out of the directory, and nothing is waited for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use sprint_core::ids::CommitId;

use super::stamp::Stamp;

/// More than any file of refs holds.
const REFS_MOST: u64 = 64 << 20;
/// More than any index holds.
const INDEX_MOST: u64 = 1 << 30;
/// How often a ref may lead to another.
const LINKS: usize = 5;

/// Equal when nothing in a git directory has changed that a snapshot depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct GitState {
    pub(crate) head: Option<CommitId>,
    index: Option<Stamp>,
    exclude: Option<Stamp>,
}

/// A worker's git directory.
#[derive(Debug)]
pub(crate) struct OwnGit {
    dir: File,
}

impl OwnGit {
    /// # Errors
    /// There is none: it is no directory, or was removed.
    pub(crate) fn open(workspace: &Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let dir = OpenOptions::new().read(true).custom_flags(flags.bits()).open(workspace.join(".git"))?;
        Ok(Self { dir })
    }

    /// The commit that HEAD names, if files say so.
    pub(crate) fn head(&self) -> Option<CommitId> {
        follow(|name| self.text(name).ok())
    }

    fn text(&self, name: &str) -> io::Result<String> {
        let mut text = String::new();
        self.file(name)?.take(REFS_MOST).read_to_string(&mut text)?;
        Ok(text)
    }

    /// What tells that HEAD, the index or the list of ignored files is another than before.
    pub(crate) fn state(&self) -> GitState {
        let stamp = |name| self.file(name).and_then(|file| file.metadata()).ok().map(|data| Stamp::of(&data));
        GitState { head: self.head(), index: stamp("index"), exclude: stamp("info/exclude") }
    }

    /// Copies a file of it, if there is such a file.
    ///
    /// # Errors
    /// Those of writing.
    pub(crate) fn copy(&self, name: &str, to: &Path) -> io::Result<()> {
        let Ok(from) = self.file(name) else { return Ok(()) };
        let changed = from.metadata()?.modified()?;
        let mut to = File::create(to)?;
        io::copy(&mut from.take(INDEX_MOST), &mut to)?;
        // Git does not trust an index about files that changed when it was written, or later.
        to.set_modified(changed)
    }

    fn file(&self, name: &str) -> io::Result<File> {
        let how = OpenHow::new()
            // Opening a pipe would wait for its other end.
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        let file = File::from(openat2(&self.dir, name, how)?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }
}

/// Goes from HEAD to a commit over files that are read by their names.
fn follow(read: impl Fn(&str) -> Option<String>) -> Option<CommitId> {
    let mut name = "HEAD".to_owned();
    for _ in 0..LINKS {
        let text = read(&name).or_else(|| packed(&read("packed-refs")?, &name))?;
        let text = text.trim_end();
        match text.strip_prefix("ref: ") {
            Some(next) if next.starts_with("refs/") => next.clone_into(&mut name),
            Some(_) => return None,
            None => return CommitId::new(text).ok(),
        }
    }
    None
}

fn packed(refs: &str, name: &str) -> Option<String> {
    refs.lines().find_map(|line| {
        let (commit, found) = line.split_once(' ')?;
        (found == name).then(|| commit.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;
    use sprint_core::fuzz::texts;

    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    fn head(prepare: impl FnOnce(&Path)) -> Option<CommitId> {
        let dir = tempfile::tempdir().expect("a directory");
        let git = dir.path().join(".git");
        fs::create_dir_all(git.join("refs/heads")).expect("is made");
        fs::write(git.join("packed-refs"), format!("# pack-refs\n{TWO} refs/heads/b\n")).expect("is written");
        prepare(&git);
        OwnGit::open(dir.path()).ok()?.head()
    }

    fn write(path: &Path, text: &str) {
        fs::write(path, text).expect("is written");
    }

    #[test]
    fn the_head_is_found_where_git_keeps_it() {
        let is = |found: Option<CommitId>, commit: &str| assert_eq!(found.as_ref().map(CommitId::as_str), Some(commit));
        is(head(|git| write(&git.join("HEAD"), &format!("{ONE}\n"))), ONE);
        is(head(|git| write(&git.join("HEAD"), "ref: refs/heads/b\n")), TWO);
        let loose = |git: &Path| {
            write(&git.join("HEAD"), "ref: refs/heads/b\n");
            write(&git.join("refs/heads/b"), ONE);
        };
        is(head(loose), ONE);
    }

    #[test]
    fn what_leads_out_or_waits_is_not_read() {
        let outside = tempfile::tempdir().expect("a directory");
        let file = outside.path().join("HEAD");
        write(&file, ONE);
        assert_eq!(head(|git| symlink(&file, git.join("HEAD")).expect("is made")), None);
        assert_eq!(head(|git| write(&git.join("HEAD"), "ref: refs/../../../etc/passwd")), None);
        assert_eq!(head(|git| write(&git.join("HEAD"), "ref: HEAD")), None);
        let pipe = |git: &Path| {
            let made = std::process::Command::new("mkfifo").arg(git.join("HEAD")).status();
            assert!(made.expect("mkfifo runs").success());
        };
        assert_eq!(head(pipe), None);
        let elsewhere = |git: &Path| {
            fs::remove_dir_all(git).expect("is removed");
            symlink(outside.path(), git).expect("is made");
        };
        assert_eq!(head(elsewhere), None);
    }
    proptest! {
        /// Whatever a worker writes into its `.git`, HEAD is a commit or nothing, after a bounded number of looks.
        #[test]
        fn fuzz_any_files_may_be_a_git_directory(
            first in texts(&["ref: refs/heads/a\n", ONE]),
            second in texts(&["ref: refs/heads/b\n", TWO]),
            list in texts(&["# pack-refs\n2222222222222222222222222222222222222222 refs/heads/b\n"]),
        ) {
            let looks = std::cell::Cell::new(0);
            let found = follow(|name| {
                looks.set(looks.get() + 1);
                match name {
                    "HEAD" => Some(first.clone()),
                    "packed-refs" => Some(list.clone()),
                    _ => name.ends_with('a').then(|| second.clone()),
                }
            });
            prop_assert!(looks.get() <= 2 * LINKS);
            let texts = [&first, &second, &list];
            prop_assert!(found.is_none_or(|commit| texts.iter().any(|text| text.contains(commit.as_str()))));
        }
    }
}
