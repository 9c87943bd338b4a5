//! A worker's work: inspected, and pushed to the coordinator before anything is removed.
//!
//! Whatever a worker has left may be a trap for who runs git on it: configuration, filters,
//! hooks, repositories in the tree. So git looks at it within the worker's own confinement,
//! with a git directory made for the purpose, and the agent's git gets a stream of objects,
//! which it checks like one from the network.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sprint_core::attempt_ref::SNAPSHOT_MESSAGE;
use sprint_core::ids::{CommitId, TreeId};
use tokio::process::Command;

use super::git::{Git, GitError};
use super::own_git::{GitState, OwnGit};
use super::remote::Remote;
use super::scratch::{Index, Scratch};
use super::tree::repository;
use super::untouched;
use super::{large, lfs};
use crate::host::disk;
use crate::host::paths::WorkerDir;

/// How long git may take within a confinement, where a worker could make it wait without end.
const LIMIT: Duration = Duration::from_mins(15);
/// How many paths a message names.
const NAMED: usize = 5;

/// Nothing in these directories has to survive a crash.
const CONFIG: &str = "\
[core]
\trepositoryformatversion = 0
\tbare = false
[gc]
\tauto = 0
";

/// What a worker has left in its workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Remains {
    /// The newest commit, when there is any that the start commit does not have.
    pub(crate) head: Option<CommitId>,
    /// Paths with changes that are not committed; the first few of `uncommitted_count`.
    pub(crate) uncommitted: Vec<String>,
    pub(crate) uncommitted_count: usize,
    /// Those that are too large to be saved.
    pub(crate) large: Vec<PathBuf>,
    /// The directories of which git knows nothing.
    pub(crate) new_dirs: Vec<PathBuf>,
    /// The directories that the commits hold as a repository of its own.
    pub(crate) gitlinks: Vec<PathBuf>,
    /// Those of them that are no submodules: nobody could tell where to get them.
    pub(crate) orphans: Vec<String>,
}

/// A worker's workspace, and what is needed to look at it.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    pub(crate) dir: WorkerDir,
    pub(crate) mirror: PathBuf,
    pub(crate) base: CommitId,
    /// This program, which runs git as the worker would.
    pub(crate) program: String,
}

/// The paths in what `git status --porcelain -z` prints.
pub(super) fn changed(status: &[u8]) -> impl Iterator<Item = &[u8]> {
    status.split(|byte| *byte == 0).filter_map(|entry| entry.get(3..)).filter(|path| !path.is_empty())
}

/// The paths in what `git diff-tree --raw -z` prints at which a repository stands afterwards.
fn gitlinks(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut fields = raw.split(|byte| *byte == 0);
    std::iter::from_fn(move || Some((fields.next()?, fields.next()?)))
        .filter(|(modes, path)| modes.get(8..).is_some_and(|after| after.starts_with(b"160000 ")) && !path.is_empty())
        .map(|(_, path)| path)
}

pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

impl Workspace {
    pub(super) fn path(&self) -> PathBuf {
        self.dir.workspace()
    }

    /// Looks for commits and for changes that are not committed.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) async fn look(&self, scratch: &Scratch) -> Result<Remains, GitError> {
        let head = self.prepare(scratch).map_err(GitError::Start)?;
        if scratch.index == Index::Fresh {
            limited(self.within(scratch).args(["read-tree", "HEAD"]).run()).await?;
        }
        let newest = self.newest(scratch, &head);
        let status = self
            .within(scratch)
            .args(["status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal"])
            // The inside of a repository in the tree is not inspected.
            .args(["--ignore-submodules=dirty"])
            .output();
        let gitlinks = self.gitlinks(scratch, &head);
        let (newest, status, gitlinks) = tokio::try_join!(newest, limited(status), gitlinks)?;
        let (path, git) = (self.path(), self.within(scratch));
        let untouched = async { Ok(untouched::find(git, &path, &scratch.look, &status).await) };
        let untouched = limited(untouched).await.unwrap_or_default();
        let changed = || changed(&status).filter(|path| !untouched.contains(*path));
        let large = large::below(&self.path(), changed().map(path_of)).map_err(GitError::Start)?;
        let orphans = if gitlinks.is_empty() { vec![] } else { self.orphans(scratch, &head, &gitlinks).await };
        Ok(Remains {
            head: CommitId::new(newest).ok(),
            uncommitted: changed().take(NAMED).map(|path| String::from_utf8_lossy(path).into_owned()).collect(),
            uncommitted_count: changed().count(),
            large,
            new_dirs: changed().filter_map(|path| path.strip_suffix(b"/")).map(path_of).collect(),
            gitlinks,
            orphans,
        })
    }

    /// Where the commits put a repository of its own, or another state of one.
    async fn gitlinks(&self, scratch: &Scratch, head: &CommitId) -> Result<Vec<PathBuf>, GitError> {
        if *head == self.base {
            return Ok(vec![]);
        }
        let compare = ["diff-tree", "-r", "-z", "--raw", "--no-renames", self.base.as_str(), head.as_str()];
        let raw = limited(self.within(scratch).args(compare).output()).await?;
        Ok(gitlinks(&raw).map(path_of).collect())
    }

    /// Those of the repositories that `.gitmodules` does not know.
    async fn orphans(&self, scratch: &Scratch, head: &CommitId, gitlinks: &[PathBuf]) -> Vec<String> {
        let blob = format!("--blob={head}:.gitmodules");
        let list = ["config", "--no-includes", &blob, "-z", "--get-regexp", r"^submodule\..*\.path$"];
        let listed = limited(self.within(scratch).args(list).output()).await.unwrap_or_default();
        let paths = listed.split(|byte| *byte == 0).filter_map(|entry| entry.splitn(2, |byte| *byte == b'\n').nth(1));
        let known: BTreeSet<_> = paths.map(path_of).collect();
        gitlinks.iter().filter(|path| !known.contains(*path)).map(|path| path.display().to_string()).collect()
    }

    /// Lists the directories in which every file is ignored.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) async fn ignored(&self, scratch: &Scratch) -> Result<BTreeSet<PathBuf>, GitError> {
        let list = ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"];
        let list = limited(self.within(scratch).args(list).run()).await?;
        Ok(list.split('\0').filter_map(|path| path.strip_suffix('/')).map(PathBuf::from).collect())
    }

    /// The tree of a commit of the worker's.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) async fn tree_of(&self, commit: &CommitId, scratch: &Scratch) -> Result<TreeId, GitError> {
        let tree = self.within(scratch).args(["rev-parse", "--verify", &format!("{commit}^{{tree}}")]).run();
        read_tree_id(limited(tree).await?)
    }

    /// What tells that its repository is another than before.
    pub(crate) fn state(&self) -> Option<GitState> {
        OwnGit::open(&self.path()).ok().map(|own| own.state())
    }

    /// Makes the two git directories again; returns the worker's HEAD.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn prepare(&self, scratch: &Scratch) -> io::Result<CommitId> {
        let own = OwnGit::open(&self.path()).ok();
        let head = own.as_ref().and_then(OwnGit::head).unwrap_or_else(|| self.base.clone());
        self.make(scratch, &[&self.path().join(".git/objects")], &head)?;
        if let Some(own) = own {
            if scratch.index == Index::Copied {
                own.copy("index", &scratch.look.join("index"))?;
            }
            own.copy("info/exclude", &scratch.look.join("info/exclude"))?;
        }
        Ok(head)
    }

    /// Makes the two git directories, the worker's with further objects.
    fn make(&self, scratch: &Scratch, further: &[&Path], head: &CommitId) -> io::Result<()> {
        scratch.clear()?;
        let mirror = self.mirror.join("objects");
        repository(&scratch.look, &[further, &[&mirror]].concat(), &[CONFIG, lfs::FILTER].concat(), head)?;
        self.empty(scratch)
    }

    /// Makes the git directory again that takes commits over.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn empty(&self, scratch: &Scratch) -> io::Result<()> {
        disk::remove_dir(&scratch.saved)?;
        repository(&scratch.saved, &[&self.mirror.join("objects")], CONFIG, &self.base)
    }

    /// Git on a worker's files, within the worker's confinement.
    pub(super) fn within(&self, scratch: &Scratch) -> Git {
        self.within_repository(&scratch.look, scratch).work_tree(&self.path())
    }

    /// Git on any repository, within the worker's confinement.
    pub(super) fn within_repository(&self, git_dir: &Path, scratch: &Scratch) -> Git {
        let mut command = Command::new(&self.program);
        command.arg("within").arg(self.dir.path()).arg(&scratch.look).arg("git");
        Git::from(command, git_dir).env("GIT_NO_REPLACE_OBJECTS", "1").env("GIT_NO_LAZY_FETCH", "1")
    }

    /// The head, if it has commits that the start commit does not have; empty otherwise.
    async fn newest(&self, scratch: &Scratch, head: &CommitId) -> Result<String, GitError> {
        // Usual for a worker that failed.
        if *head == self.base {
            return Ok(String::new());
        }
        // The first that is listed is where the walk began: the head.
        let range = format!("{}..{head}", self.base);
        limited(self.within(scratch).args(["rev-list", "--max-count=1", &range]).run()).await
    }

    /// Makes a commit of everything that is not committed, without touching the
    /// worker's own index or HEAD; answers also why some files are not in it.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) async fn snapshot(
        &self,
        parent: &CommitId,
        without: &[PathBuf],
        scratch: &Scratch,
    ) -> Result<(CommitId, Option<GitError>), GitError> {
        let (tree, left_out) = self.write_tree(without, scratch).await?;
        Ok((self.commit_tree(&tree, parent, scratch).await?, left_out))
    }

    /// Takes the files alone over, as a commit on the start commit, whatever has become of the worker's repository;
    /// answers also why some are not in it.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) async fn rescue(&self, scratch: &Scratch) -> Result<(CommitId, Option<GitError>), GitError> {
        self.make(scratch, &[], &self.base).map_err(GitError::Start)?;
        limited(self.within(scratch).args(["read-tree", "HEAD"]).run()).await?;
        let large = large::below(&self.path(), std::iter::once(PathBuf::new())).map_err(GitError::Start)?;
        let (commit, left_out) = self.snapshot(&self.base, &large, scratch).await?;
        self.take_over(&[&commit], scratch).await?;
        Ok((commit, left_out))
    }

    /// Makes a tree of everything as it is now but for repositories within, and files that are too large; answers also
    /// why some files are not in it.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) async fn write_tree(
        &self,
        without: &[PathBuf],
        scratch: &Scratch,
    ) -> Result<(TreeId, Option<GitError>), GitError> {
        let mut add = self.within(scratch).args(["add", "--all", "--ignore-errors"]);
        let exclude = |path: &PathBuf| {
            let mut pathspec = OsString::from(":(exclude,top,literal)");
            pathspec.push(path);
            pathspec
        };
        if !without.is_empty() {
            add = add.args(["--", "."]).args(without.iter().map(exclude));
        }
        // What cannot be read is left out rather than losing the rest.
        let left_out = match limited(add.run()).await {
            Err(error) if error.says_full() => return Err(error),
            // What a filter of the person's does here is the worker's to say: then the files are taken as they are.
            Err(error) if error.says_beyond() => {
                fs::remove_file(scratch.look.join("index.lock")).ok();
                let again = self.within(scratch).unfiltered().args(["add", "--all", "--ignore-errors"]);
                let again = again.args(["--", "."]).args(without.iter().map(exclude));
                limited(again.run()).await?;
                Some(error)
            }
            added => added.err(),
        };
        let tree = limited(self.within(scratch).args(["write-tree"]).run()).await?;
        Ok((read_tree_id(tree)?, left_out))
    }

    /// Makes a commit of such a tree.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) async fn commit_tree(
        &self,
        tree: &TreeId,
        parent: &CommitId,
        scratch: &Scratch,
    ) -> Result<CommitId, GitError> {
        let message = SNAPSHOT_MESSAGE;
        let commit = self
            .within(scratch)
            .committing_as_sprint()
            .args(["commit-tree", tree.as_str(), "-p", parent.as_str(), "-m", message])
            .run();
        CommitId::new(limited(commit).await?)
            .map_err(|error| GitError::Failed { command: "commit-tree".to_owned(), said: error.to_string() })
    }

    /// Takes commits over into a git directory that the worker cannot reach.
    ///
    /// # Errors
    /// [`GitError`]: what the worker has made is not whole, or not sound.
    pub(crate) async fn take_over(&self, commits: &[&CommitId], scratch: &Scratch) -> Result<(), GitError> {
        let pack = ["--thin", "--delta-base-offset"];
        self.take_over_from(&scratch.look, &pack, commits, &[&self.base], None, scratch).await
    }

    /// Takes objects over from a repository, with all that they reach and `known` does not.
    ///
    /// # Errors
    /// [`GitError`]: what the worker has made is not whole, or not sound, or larger than `limit` bytes.
    pub(super) async fn take_over_from(
        &self,
        git_dir: &Path,
        options: &[&str],
        objects: &[&CommitId],
        known: &[&CommitId],
        limit: Option<u64>,
        scratch: &Scratch,
    ) -> Result<(), GitError> {
        let wanted = scratch.look.join("wanted");
        let list = objects.iter().map(|object| format!("{object}\n"));
        let list: String = list.chain(known.iter().map(|object| format!("^{object}\n"))).collect();
        fs::write(&wanted, list).map_err(GitError::Start)?;
        let wanted = fs::File::open(wanted).map_err(GitError::Start)?;
        let pack = self.within_repository(git_dir, scratch).stdin(wanted);
        let mut packing = pack.args(["pack-objects", "--revs", "--stdout", "--quiet"]).args(options).spawn()?;
        let pack: Stdio = match packing.child.stdout.take().map(TryInto::try_into) {
            Some(Ok(pack)) => pack,
            Some(Err(error)) => return Err(GitError::Start(error)),
            None => return Err(GitError::Start(io::ErrorKind::BrokenPipe.into())),
        };
        let mut unpack = Git::at(&scratch.saved).stdin(pack).args(["index-pack", "--stdin", "--fix-thin", "--strict"]);
        if let Some(limit) = limit {
            unpack = unpack.args([format!("--max-input-size={limit}")]);
        }
        let packed = async {
            let output = sprint_process::capture(packing).await.map_err(GitError::Start)?;
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let command = "pack-objects".to_owned();
            if output.status.success() { Ok(()) } else { Err(GitError::Failed { command, said }) }
        };
        let (packed, unpacked) = tokio::join!(limited(packed), limited(unpack.run()));
        match (packed, unpacked) {
            (Err(_), Err(error)) if error.says_too_large() => return Err(error),
            (packed, unpacked) => packed.and(unpacked)?,
        };
        let mut whole = Git::at(&scratch.saved).args(["rev-list", "--objects", "--quiet"]);
        whole = whole.args(objects.iter().map(|object| object.as_str()));
        whole = whole.args(["--not"]).args(known.iter().map(|object| object.as_str()));
        whole.run().await.map(drop)
    }

    /// Pushes commits that were taken over to refs of the coordinator's repository.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) async fn push(
        &self,
        remote: &Remote,
        repo: &str,
        refspecs: &[String],
        further: &[PathBuf],
        scratch: &Scratch,
    ) -> Result<(), GitError> {
        match self.hand_over_objects(remote, repo, &sources(refspecs), further, scratch).await {
            Err(error) if error.says_object_refused() => {
                tracing::warn!(%error, "objects of Git LFS are not taken; the commits that name them are");
            }
            handed => handed?,
        }
        remote
            .apply(Git::at(&scratch.saved))
            .args(["push", "--quiet", "--no-verify", &remote.address(repo)])
            .args(refspecs)
            .run()
            .await
            .map(drop)
    }
}

/// The commits of refspecs, as git lists them.
fn sources(refspecs: &[String]) -> Vec<&str> {
    refspecs.iter().map(|spec| spec.trim_start_matches('+')).filter_map(|spec| spec.split(':').next()).collect()
}

fn read_tree_id(text: String) -> Result<TreeId, GitError> {
    TreeId::new(text).map_err(|error| GitError::Failed { command: "write-tree".to_owned(), said: error.to_string() })
}

/// The tree of the commit that a worker started from.
///
/// # Errors
/// [`GitError`].
pub(crate) async fn tree_of(mirror: &Path, commit: &CommitId) -> Result<String, GitError> {
    Git::at(mirror).args(["rev-parse", "--verify", &format!("{commit}^{{tree}}")]).run().await
}

pub(super) async fn limited<T>(work: impl Future<Output = Result<T, GitError>>) -> Result<T, GitError> {
    let said = || GitError::Failed { command: "within".to_owned(), said: format!("it took longer than {LIMIT:?}") };
    tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| Err(said()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::bytes;

    use super::*;

    proptest! {
        /// Whatever a worker calls its files, each changed one is counted once.
        #[test]
        fn fuzz_any_status_is_read(status in bytes(vec![b"?? a.txt\0 M b c\n.txt\0".to_vec(), b"R  new\0A  \"q\"\0".to_vec()])) {
            let entries = status.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).count();
            prop_assert!(changed(&status).count() <= entries);
            prop_assert!(changed(&status).all(|path| !path.is_empty()));
        }

        /// Whatever a comparison prints is read; each path comes from a line about a repository.
        #[test]
        fn fuzz_any_comparison_is_read(raw in bytes(vec![
            b":000000 160000 0000000 1111111 A\0lib\0:100644 100644 1111111 2222222 M\0a b\0".to_vec(),
        ])) {
            let repositories = raw.split(|byte| *byte == 0).filter(|field| field.get(8..15) == Some(b"160000 ")).count();
            prop_assert!(gitlinks(&raw).count() <= repositories);
        }
    }
}
