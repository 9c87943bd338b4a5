//! What commits bring: their paths, their ancestors, their authors; and commits that are made of them.

use std::collections::BTreeSet;

use git2::{Commit, Delta, DiffFindOptions, DiffOptions, Repository, Signature, Sort, Time};
use sprint_core::ids::{CommitId, TreeId};
use sprint_core::time::Timestamp;

use super::repository::{COMMITTER, commit_id, oid};
use super::{GitError, GitRepo};

/// A commit that is to be made.
#[derive(Debug, Clone)]
pub struct NewCommit<'a> {
    pub tree: &'a TreeId,
    pub parents: &'a [&'a CommitId],
    pub message: &'a str,
    /// Whose work it is; the merge queue's own, when none.
    pub author_of: Option<&'a CommitId>,
    pub at: Timestamp,
}

impl GitRepo {
    /// Where two histories part; none when they have nothing in common.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn merge_base(&self, one: &CommitId, other: &CommitId) -> Result<Option<CommitId>, GitError> {
        match self.objects().merge_base(oid(one.as_str())?, oid(other.as_str())?) {
            Ok(found) => Ok(Some(commit_id(found))),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The paths whose content or mode differs between two commits; all of the second, when there is no first.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn changed_paths(&self, from: Option<&CommitId>, to: &CommitId) -> Result<BTreeSet<String>, GitError> {
        let objects = self.objects();
        let tree = |commit: &CommitId| objects.find_commit(oid(commit.as_str())?)?.tree().map_err(GitError::from);
        let (from, to) = (from.map(tree).transpose()?, tree(to)?);
        let mut options = DiffOptions::new();
        options.include_typechange(true);
        let diff = objects.diff_tree_to_tree(from.as_ref(), Some(&to), Some(&mut options))?;
        let mut paths = BTreeSet::new();
        for delta in diff.deltas() {
            for file in [delta.old_file(), delta.new_file()] {
                paths.extend(file.path_bytes().map(|path| String::from_utf8_lossy(path).into_owned()));
            }
        }
        Ok(paths)
    }

    /// The files that were renamed between two commits: from which path, to which.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn renames(&self, from: &CommitId, to: &CommitId) -> Result<Vec<(String, String)>, GitError> {
        let objects = self.objects();
        let tree = |commit: &CommitId| objects.find_commit(oid(commit.as_str())?)?.tree().map_err(GitError::from);
        let mut diff = objects.diff_tree_to_tree(Some(&tree(from)?), Some(&tree(to)?), None)?;
        diff.find_similar(Some(DiffFindOptions::new().renames(true)))?;
        let text = |file: git2::DiffFile<'_>| file.path_bytes().map(|path| String::from_utf8_lossy(path).into_owned());
        let renamed = diff.deltas().filter(|delta| delta.status() == Delta::Renamed);
        Ok(renamed.filter_map(|delta| text(delta.old_file()).zip(text(delta.new_file()))).collect())
    }

    /// The commits that `head` has and `base` has not, the oldest first.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn commits_since(&self, base: &CommitId, head: &CommitId) -> Result<Vec<CommitId>, GitError> {
        let objects = self.objects();
        let mut walk = objects.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
        walk.push(oid(head.as_str())?)?;
        walk.hide(oid(base.as_str())?)?;
        walk.map(|found| Ok(commit_id(found?))).collect()
    }

    /// How many parents a commit has.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn parent_count(&self, commit: &CommitId) -> Result<usize, GitError> {
        Ok(self.objects().find_commit(oid(commit.as_str())?)?.parent_count())
    }

    /// Who made a commit, as `Name <address>`.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn author(&self, commit: &CommitId) -> Result<String, GitError> {
        let objects = self.objects();
        let found = objects.find_commit(oid(commit.as_str())?)?;
        Ok(found.author().to_string())
    }

    /// Writes a commit; no ref points to it yet. The same always has the same name.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn commit(&self, new: &NewCommit<'_>) -> Result<CommitId, GitError> {
        let objects = self.objects();
        let tree = objects.find_tree(oid(new.tree.as_str())?)?;
        let parents = found(&objects, new.parents)?;
        let time = Time::new(new.at.as_millis() / 1_000, 0);
        let committer = Signature::new(COMMITTER.0, COMMITTER.1, &time)?;
        let author = match new.author_of {
            Some(commit) => objects.find_commit(oid(commit.as_str())?)?.author().to_owned(),
            None => committer.clone(),
        };
        let parents = parents.iter().collect::<Vec<_>>();
        Ok(commit_id(objects.commit(None, &author, &committer, new.message, &tree, &parents)?))
    }
}

fn found<'r>(objects: &'r Repository, commits: &[&CommitId]) -> Result<Vec<Commit<'r>>, GitError> {
    commits.iter().map(|commit| Ok(objects.find_commit(oid(commit.as_str())?)?)).collect()
}
