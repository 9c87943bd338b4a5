//! A worker's own `.git`, read as untrusted files.
//!
//! No git runs here. Nothing leads out of the directory, and nothing is waited for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use sprint_core::bounds::REFS;
use sprint_core::ids::CommitId;
use sprint_core::lfs::LfsOid;

use super::refs::Given;
use super::stamp::Stamp;
use crate::host::disk;

/// More than a file of one ref holds.
const REF_MOST: u64 = 4 << 10;
/// More than any index holds.
const INDEX_MOST: u64 = 256 << 20;
/// More files of refs than a worker makes.
const REFS_LOOKED_AT: usize = 100_000;
/// The file of many refs.
const PACKED: &str = "packed-refs";
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
        Self::open_dir(&workspace.join(".git"))
    }

    /// One that was made for a worker's git.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn open_dir(dir: &Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        Ok(Self { dir: OpenOptions::new().read(true).custom_flags(flags.bits()).open(dir)? })
    }

    /// That of a submodule, at a path from the workspace.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn open_at(workspace: &Path, git_dir: &Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let root = OpenOptions::new().read(true).custom_flags(flags.bits()).open(workspace)?;
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | flags)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        Ok(Self { dir: File::from(openat2(&root, git_dir, how)?) })
    }

    /// Whether its HEAD and its packed refs are these, and it has no other ref and no other worktree.
    ///
    /// # Errors
    /// As [`Self::has_only`].
    pub(super) fn is_as_made(&self, head: &[u8], packed: &[u8]) -> io::Result<bool> {
        let same = self.bytes("HEAD")? == head && self.bytes(PACKED)? == packed;
        Ok(same && self.loose_alone("")? && !self.has("worktrees") && !self.has("reftable"))
    }

    /// The commit that HEAD names, if files say so.
    pub(crate) fn head(&self) -> Option<CommitId> {
        follow(|name| self.text(name).ok())
    }

    /// Whether HEAD is on this branch and there is no other ref than that and those `given`, and no other worktree: as a
    /// worker gets it.
    ///
    /// # Errors
    /// Something is there that is no file or directory: git would wait for it, or be led out.
    pub(super) fn has_only(&self, branch: &str, given: &Given<'_>) -> io::Result<bool> {
        let name = format!("refs/heads/{branch}");
        let is_on_it = self.text("HEAD")?.trim_end() == format!("ref: {name}");
        let packed = match self.bytes(PACKED) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            packed => packed.unwrap_or_default(),
        };
        let own = |line: &[u8]| line.strip_suffix(name.as_bytes()).is_some_and(|before| before.ends_with(b" "));
        let mut packed = packed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#"));
        let packed_alone = packed.all(|line| line.starts_with(b"^") || own(line) || given.has(line));
        Ok(self.loose_alone(&name)? && is_on_it && packed_alone && !self.has("worktrees") && !self.has("reftable"))
    }

    /// Whether there may be objects of Git LFS.
    pub(super) fn has_lfs_objects(&self) -> bool {
        self.has("lfs/objects")
    }

    /// An object of Git LFS, if it is a file.
    ///
    /// # Errors
    /// It is not there, or something else is.
    pub(super) fn lfs_object(&self, oid: &LfsOid) -> io::Result<File> {
        self.file(&format!("lfs/objects/{}", oid.path()))
    }

    fn has(&self, dir: &str) -> bool {
        disk::list_below(&self.dir, Path::new(dir)).is_ok_and(|mut list| list.next().is_some())
    }

    fn loose_alone(&self, name: &str) -> io::Result<bool> {
        let mut open = vec![PathBuf::from("refs")];
        let (mut left, mut alone) = (REFS_LOOKED_AT, true);
        while let Some(dir) = open.pop() {
            for entry in disk::list_below(&self.dir, &dir)? {
                let entry = entry?;
                left = left.checked_sub(1).ok_or_else(|| io::Error::other("it has too many refs"))?;
                let path = dir.join(entry.file_name());
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    open.push(path);
                } else if kind.is_file() {
                    alone &= path == Path::new(name);
                } else {
                    return Err(io::Error::other(format!("{} is no file", path.display())));
                }
            }
        }
        Ok(alone)
    }

    fn text(&self, name: &str) -> io::Result<String> {
        String::from_utf8(self.bytes(name)?).map_err(io::Error::other)
    }

    fn bytes(&self, name: &str) -> io::Result<Vec<u8>> {
        let most = if name == PACKED { REFS } else { REF_MOST };
        let mut bytes = vec![];
        self.file(name)?.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{name} has more than {most} bytes")));
        }
        Ok(bytes)
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
        let text = read(&name).or_else(|| packed(&read(PACKED)?, &name))?;
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

    type Change = Box<dyn Fn(&Path)>;

    const GIVEN: &[u8] =
        b"2222222222222222222222222222222222222222 refs/tags/v0\n^1111111111111111111111111111111111111111\n";

    #[test]
    fn a_repository_as_a_worker_gets_it_is_told_from_one_with_more() {
        let only = |prepare: &dyn Fn(&Path)| {
            let dir = tempfile::tempdir().expect("a directory");
            let git = dir.path().join(".git");
            fs::create_dir_all(git.join("refs/heads/sprint/7")).expect("is made");
            write(&git.join("packed-refs"), &format!("# pack-refs\n{ONE} refs/heads/sprint/7/1\n"));
            write(&git.join("HEAD"), "ref: refs/heads/sprint/7/1\n");
            prepare(&git);
            OwnGit::open(dir.path()).expect("is there").has_only("sprint/7/1", &Given::read(GIVEN)).ok()
        };
        assert_eq!(only(&|_| {}), Some(true));
        assert_eq!(only(&|git| write(&git.join("refs/heads/sprint/7/1"), TWO)), Some(true));
        assert_eq!(only(&|git| fs::remove_file(git.join("packed-refs")).expect("is removed")), Some(true));
        let with_given =
            |git: &Path| write(&git.join("packed-refs"), &format!("{}{ONE} refs/heads/sprint/7/1\n", text(GIVEN)));
        assert_eq!(only(&with_given), Some(true));
        let more: Vec<(&str, Change)> = vec![
            ("a tag that was moved", Box::new(|git| write(&git.join("packed-refs"), &format!("{ONE} refs/tags/v0\n")))),
            ("another branch", Box::new(|git| write(&git.join("refs/heads/topic"), TWO))),
            ("a stash", Box::new(|git| write(&git.join("refs/stash"), TWO))),
            ("a packed tag", Box::new(|git| write(&git.join("packed-refs"), &format!("{TWO} refs/tags/v1\n^{ONE}\n")))),
            ("a detached head", Box::new(|git| write(&git.join("HEAD"), ONE))),
            ("another branch as head", Box::new(|git| write(&git.join("HEAD"), "ref: refs/heads/topic"))),
            ("a worktree", Box::new(|git| fs::create_dir_all(git.join("worktrees/a")).expect("is made"))),
            ("another format", Box::new(|git| fs::create_dir_all(git.join("reftable/a")).expect("is made"))),
        ];
        for (what, change) in more {
            assert_eq!(only(&*change), Some(false), "{what}");
        }
        let strange: Vec<(&str, Change)> = vec![
            ("no refs", Box::new(|git| fs::remove_dir_all(git.join("refs")).expect("is removed"))),
            ("a link", Box::new(|git| symlink("/etc/passwd", git.join("refs/heads/x")).expect("is made"))),
            ("a pipe", Box::new(|git| make_pipe(&git.join("refs/heads/x")))),
            (
                "a pipe in the place of the packed refs",
                Box::new(|git| {
                    fs::remove_file(git.join("packed-refs")).expect("is removed");
                    make_pipe(&git.join("packed-refs"));
                }),
            ),
        ];
        for (what, change) in strange {
            assert_eq!(only(&*change), None, "{what}");
        }
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn make_pipe(path: &Path) {
        assert!(std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo runs").success());
    }

    #[test]
    fn what_leads_out_or_waits_is_not_read() {
        let outside = tempfile::tempdir().expect("a directory");
        let file = outside.path().join("HEAD");
        write(&file, ONE);
        assert_eq!(head(|git| symlink(&file, git.join("HEAD")).expect("is made")), None);
        assert_eq!(head(|git| write(&git.join("HEAD"), "ref: refs/../../../etc/passwd")), None);
        assert_eq!(head(|git| write(&git.join("HEAD"), "ref: HEAD")), None);
        assert_eq!(head(|git| make_pipe(&git.join("HEAD"))), None);
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
