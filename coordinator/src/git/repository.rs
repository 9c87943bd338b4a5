//! One bare repository: objects, refs, merges.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use git2::{Config, ErrorCode, Oid, Repository};
use sprint_core::bounds::CONFIG_FILE;
use sprint_core::ids::{CommitId, TreeId};

use super::GitError;
use super::ancestry::Ancestry;
use super::attributes::Attributes;
use super::contention::{RefPacking, until_unlocked, written};
use super::leftovers::{remove_half_written, remove_locks};
use super::merge_tree::{MergeTree, Merged};
use super::settings::SETTINGS;

/// Who the merge queue's commits are by.
pub(super) const COMMITTER: (&str, &str) = ("Sprint", "sprint@localhost");

/// Uses of a handle, after which it is opened once more: libgit2 keeps the objects that it has read, up to 256 MB.
const USES: u32 = 20_000;

/// libgit2's handle of a repository.
pub(super) struct Objects {
    repository: Repository,
    uses: u32,
}

impl Objects {
    fn open(path: &Path) -> Result<Self, git2::Error> {
        Ok(Self { repository: Repository::open_bare(path)?, uses: 0 })
    }
}

impl Deref for Objects {
    type Target = Repository;

    fn deref(&self) -> &Repository {
        &self.repository
    }
}

/// What came of moving a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareAndSwap {
    Moved,
    /// The ref was not where it was expected.
    Stale,
}

/// A bare repository of the coordinator.
pub struct GitRepo {
    path: PathBuf,
    /// libgit2's handle is not to be shared between threads; every use is short.
    objects: Mutex<Objects>,
    /// Locked before `objects` where both are locked.
    ancestry: Mutex<Ancestry>,
    /// Started at the first merge; none after it failed.
    merges: tokio::sync::Mutex<Option<MergeTree>>,
    pub(super) ref_packing: RefPacking,
    /// One conversation about objects of Git LFS at a time.
    pub(crate) lfs_turn: tokio::sync::Mutex<()>,
}

impl GitRepo {
    /// Opens a repository.
    ///
    /// # Errors
    /// [`GitError::Library`] when there is none.
    pub fn open(path: PathBuf) -> Result<Self, GitError> {
        remove_locks(&path)?;
        remove_half_written(&path);
        set_up(&path)?;
        let objects = Mutex::new(Objects::open(&path)?);
        Ok(Self {
            path,
            objects,
            ancestry: Mutex::default(),
            merges: tokio::sync::Mutex::new(None),
            ref_packing: RefPacking::default(),
            lfs_turn: tokio::sync::Mutex::default(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn objects(&self) -> MutexGuard<'_, Objects> {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.uses += 1;
        if objects.uses > USES
            && let Ok(opened) = Objects::open(&self.path)
        {
            *objects = opened;
        }
        objects
    }

    /// Opens libgit2's handle once more at its next use.
    pub(super) fn reopen(&self) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).uses = USES;
    }

    pub(super) fn ancestry(&self) -> MutexGuard<'_, Ancestry> {
        self.ancestry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The commit that a ref points to.
    ///
    /// # Errors
    /// [`GitError::Library`], and so for all that follow.
    pub fn resolve(&self, reference: &str) -> Result<Option<CommitId>, GitError> {
        match self.objects().refname_to_id(reference) {
            Ok(oid) => Ok(Some(commit_id(oid))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The commit that a name means: a branch, a ref, or a commit's id, which may be cut short.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn find(&self, name: &str) -> Result<Option<CommitId>, GitError> {
        for reference in [format!("refs/heads/{name}"), name.to_owned()] {
            if git2::Reference::is_valid_name(&reference)
                && let Some(commit) = self.resolve(&reference)?
            {
                return Ok(Some(commit));
            }
        }
        let is_id = (7..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            return Ok(None);
        }
        match self.objects().find_commit_by_prefix(name) {
            Ok(commit) => Ok(Some(commit_id(commit.id()))),
            Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::Ambiguous) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The refs whose names match a pattern, with what they point to, by name.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn refs_like(&self, pattern: &str) -> Result<Vec<(String, CommitId)>, GitError> {
        let objects = self.objects();
        let mut found = Vec::new();
        for reference in objects.references_glob(pattern)? {
            let reference = reference?;
            if let (Ok(name), Some(target)) = (reference.name(), reference.target()) {
                found.push((name.to_owned(), commit_id(target)));
            }
        }
        found.sort();
        Ok(found)
    }

    /// The message of a commit; what is not UTF-8 in it is replaced.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn message(&self, commit: &CommitId) -> Result<String, GitError> {
        let objects = self.objects();
        let commit = objects.find_commit(oid(commit.as_str())?)?;
        Ok(String::from_utf8_lossy(commit.message_raw_bytes()).trim_start_matches('\n').to_owned())
    }

    /// The message of a commit byte by byte, and how it is written where that is not UTF-8.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn message_bytes(&self, commit: &CommitId) -> Result<(Vec<u8>, Option<String>), GitError> {
        let objects = self.objects();
        let commit = objects.find_commit(oid(commit.as_str())?)?;
        let encoding = commit.message_encoding().ok().flatten().map(ToOwned::to_owned);
        Ok((commit.message_raw_bytes().to_vec(), encoding))
    }

    /// The first parent of a commit, if it has one.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn parent(&self, commit: &CommitId) -> Result<Option<CommitId>, GitError> {
        Ok(self.objects().find_commit(oid(commit.as_str())?)?.parent_ids().next().map(commit_id))
    }

    /// The tip of a branch.
    ///
    /// # Errors
    /// [`GitError::NoTip`] when there is no such branch.
    pub fn tip(&self, branch: &str) -> Result<CommitId, GitError> {
        self.resolve(&format!("refs/heads/{branch}"))?.ok_or_else(|| GitError::NoTip(branch.to_owned()))
    }

    /// The text of a file as it is in a commit; none when the commit has no such file.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`], and [`GitError::NoFile`] when it is a directory, a link or a submodule.
    pub fn read_file(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        self.read_file_in(&self.tree_of(commit)?, path)
    }

    /// As [`GitRepo::read_file`], in a tree.
    ///
    /// # Errors
    /// Those of [`GitRepo::read_file`].
    pub fn read_file_in(&self, tree: &TreeId, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        const KIND: i32 = 0o170_000;
        const FILE: i32 = 0o100_000;
        let objects = self.objects();
        let tree = objects.find_tree(oid(tree.as_str())?)?;
        match tree.get_path(Path::new(path)) {
            Ok(entry) if entry.filemode() & KIND != FILE => Err(GitError::NoFile(path.to_owned())),
            Ok(entry) if objects.odb()?.read_header(entry.id())?.0 > CONFIG_FILE => {
                Err(GitError::LongFile(path.to_owned()))
            }
            Ok(entry) => Ok(Some(objects.find_blob(entry.id())?.content().to_vec())),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a tree has a file or a directory at a path.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn has(&self, tree: &TreeId, path: &str) -> Result<bool, GitError> {
        match self.objects().find_tree(oid(tree.as_str())?)?.get_path(Path::new(path)) {
            Ok(_) => Ok(true),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether `ancestor` can be reached from `descendant`; a commit reaches itself.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn reaches(&self, descendant: &CommitId, ancestor: &CommitId) -> Result<bool, GitError> {
        if descendant == ancestor {
            return Ok(true);
        }
        Ok(self.objects().graph_descendant_of(oid(descendant.as_str())?, oid(ancestor.as_str())?)?)
    }

    /// Every commit that a branch holds.
    ///
    /// # Errors
    /// [`GitError::NoTip`] when there is no such branch.
    pub fn history(&self, branch: &str) -> Result<BTreeSet<CommitId>, GitError> {
        let tip = oid(self.tip(branch)?.as_str())?;
        let objects = self.objects();
        let mut walk = objects.revwalk()?;
        walk.push(tip)?;
        walk.map(|found| Ok(commit_id(found?))).collect()
    }

    /// Whether a commit is here.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn holds(&self, commit: &CommitId) -> Result<bool, GitError> {
        match self.objects().find_commit(oid(commit.as_str())?) {
            Ok(_) => Ok(true),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a commit is here with all that it needs: a fetch that was ended in its midst leaves commits without their
    /// trees. What refs name is whole, since git sets a ref when all of it is here.
    ///
    /// # Errors
    /// Git cannot be run.
    pub async fn is_whole(&self, commit: &CommitId) -> Result<bool, GitError> {
        let whole = ["rev-list", "--objects", "--quiet", commit.as_str(), "--not", "--all"];
        match super::program::run(&self.path, &whole, super::program::TRANSFER_LIMIT).await {
            Ok(_) => Ok(true),
            Err(GitError::Failed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn tree_of(&self, commit: &CommitId) -> Result<TreeId, GitError> {
        let tree = self.objects().find_commit(oid(commit.as_str())?)?.tree_id();
        TreeId::new(tree.to_string()).map_err(|error| GitError::MergeTree(error.to_string()))
    }

    /// Merges `theirs` into `ours` in memory, as `git merge` would.
    ///
    /// # Errors
    /// [`GitError::MergeTree`] when git cannot, for example because a commit is not there.
    pub async fn merge(&self, ours: &CommitId, theirs: &CommitId) -> Result<Merged, GitError> {
        self.merge_from(None, ours, theirs).await
    }

    /// As [`GitRepo::merge`], as if the two histories had parted at `base`: what `theirs` changed since then comes
    /// on top of `ours`, as `git cherry-pick` would bring it.
    ///
    /// # Errors
    /// As [`GitRepo::merge`].
    pub async fn merge_from(
        &self,
        base: Option<&CommitId>,
        ours: &CommitId,
        theirs: &CommitId,
    ) -> Result<Merged, GitError> {
        let mut slot = self.merges.lock().await;
        let kept = match slot.take() {
            Some(kept) => self.still_good(kept, ours)?,
            None => None,
        };
        let is_new = kept.is_none();
        let mut running = match kept {
            Some(kept) => kept,
            None => self.merge_tree(ours)?,
        };
        let mut merged = running.merge(base, ours, theirs).await;
        // One that has merged a lot already may be at its end by that, and not by these two.
        if !is_new && matches!(merged, Err(GitError::TooHard(_))) {
            running = self.merge_tree(ours)?;
            merged = running.merge(base, ours, theirs).await;
        }
        match merged {
            // Put back only after success: after an error the process may be out of step.
            Ok(merged) => {
                *slot = Some(running);
                Ok(merged)
            }
            // Git fails on these commits each time: the change needs other commits, as after a conflict.
            Err(GitError::TooHard(why)) => Ok(Merged::Conflict { paths: vec![], why: Some(why) }),
            Err(GitError::MergeTree(_)) if base.is_none() && self.are_unrelated(ours, theirs)? => {
                Ok(Merged::Conflict { paths: vec![], why: None })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether two commits have nothing in common, which git refuses to merge.
    fn are_unrelated(&self, one: &CommitId, other: &CommitId) -> Result<bool, GitError> {
        Ok(self.holds(one)? && self.holds(other)? && self.merge_base(one, other)?.is_none())
    }

    /// What runs already, if it read the attributes that count for merges into `ours`.
    fn still_good(&self, mut kept: MergeTree, ours: &CommitId) -> Result<Option<MergeTree>, GitError> {
        let objects = self.objects();
        let tree = objects.find_commit(oid(ours.as_str())?)?.tree()?;
        Ok(kept.attributes.are_of(&objects, &tree)?.then_some(kept))
    }

    /// What merges into `ours`.
    fn merge_tree(&self, ours: &CommitId) -> Result<MergeTree, GitError> {
        let objects = self.objects();
        let tree = objects.find_commit(oid(ours.as_str())?)?.tree()?;
        MergeTree::start(&self.path, &self.path.join("sprint-checkout"), Attributes::of(&objects, &tree)?)
    }

    /// Points a ref of ours to a commit, wherever it was.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn set_ref(&self, reference: &str, commit: &CommitId) -> Result<(), GitError> {
        let commit = oid(commit.as_str())?;
        let set = || self.objects().reference(reference, commit, true, "sprint").map(drop);
        Ok(until_unlocked(|| written(set))?)
    }

    /// Removes a ref of ours; it may be gone already.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn delete_ref(&self, reference: &str) -> Result<(), GitError> {
        let delete = || self.objects().find_reference(reference).and_then(|mut found| found.delete());
        match self.ref_packing.apart(|| until_unlocked(delete)) {
            Err(error) if error.code() != ErrorCode::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Moves a branch from `expected` to `new`, or not at all.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn compare_and_swap(
        &self,
        branch: &str,
        expected: &CommitId,
        new: &CommitId,
        why: &str,
    ) -> Result<CompareAndSwap, GitError> {
        let reference = format!("refs/heads/{branch}");
        let (expected, new) = (oid(expected.as_str())?, oid(new.as_str())?);
        match until_unlocked(|| self.objects().reference_matching(&reference, new, true, expected, why).map(drop)) {
            Ok(()) => Ok(CompareAndSwap::Moved),
            Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::NotFound) => {
                Ok(CompareAndSwap::Stale)
            }
            Err(error) => Err(error.into()),
        }
    }
}

pub(super) fn oid(text: &str) -> Result<Oid, GitError> {
    Ok(Oid::from_str(text)?)
}

pub(super) fn commit_id(oid: Oid) -> CommitId {
    CommitId::new(oid.to_string()).expect("git prints full object names")
}

/// Brings a repository that an older coordinator made to how ours are set up now.
pub(super) fn set_up(repository: &Path) -> Result<(), GitError> {
    let mut config = Config::open(&repository.join("config"))?;
    for (key, value) in SETTINGS {
        if config.get_string(key).ok().as_deref() != Some(*value) {
            config.set_str(key, value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use git2::Signature;

    use super::*;

    #[test]
    fn a_lock_that_a_killed_process_left_blocks_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let bare = Repository::init_bare(directory.path()).unwrap();
        let tree = bare.find_tree(bare.treebuilder(None).unwrap().write().unwrap()).unwrap();
        let signature = Signature::now(COMMITTER.0, COMMITTER.1).unwrap();
        let commit = commit_id(bare.commit(None, &signature, &signature, "begin", &tree, &[]).unwrap());
        for lock in ["refs/sprint/upstream/main.lock", "config.lock"].map(|lock| directory.path().join(lock)) {
            std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
            std::fs::write(&lock, "").unwrap();
        }
        let repo = GitRepo::open(directory.path().to_owned()).unwrap();
        repo.set_ref("refs/sprint/upstream/main", &commit).unwrap();
        assert_eq!(repo.resolve("refs/sprint/upstream/main").unwrap(), Some(commit));
    }

    #[test]
    fn a_repository_that_was_made_before_is_set_up_as_new_ones_are() {
        let directory = tempfile::tempdir().unwrap();
        Repository::init_bare(directory.path()).unwrap();
        GitRepo::open(directory.path().to_owned()).unwrap();
        let config = Config::open(&directory.path().join("config")).unwrap();
        assert!(SETTINGS.iter().all(|(key, value)| config.get_string(key).is_ok_and(|held| held == *value)));
    }
}
