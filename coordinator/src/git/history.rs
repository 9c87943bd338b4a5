//! What commits bring: their paths, their ancestors, their authors; and commits that are made of them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use git2::build::TreeUpdateBuilder;
use git2::{Commit, FileMode, ObjectType, Oid, Repository, TreeEntry};
use sprint_core::bounds::COMMITS;
use sprint_core::committing::{Committing, GitIdentity};
use sprint_core::ids::{CommitId, TreeId};
use sprint_core::time::Timestamp;

use super::ancestry::{Found, added};
use super::attributes::{self, Attributes};
use super::contention::written;
use super::differences::{Budget, differences};
use super::repository::{COMMITTER, commit_id, oid};
use super::signing::sign;
use super::{GitError, GitRepo, program};

/// A comparison of very large trees takes seconds.
const RENAMES_LIMIT: Duration = Duration::from_mins(2);

/// A commit that is to be made.
#[derive(Debug, Clone)]
pub struct NewCommit<'a> {
    pub tree: &'a TreeId,
    pub parents: &'a [&'a CommitId],
    pub message: &'a [u8],
    /// How the message and the author's name are written, where that is not UTF-8.
    pub encoding: Option<&'a str>,
    /// Whose work it is; the repo's author, when none.
    pub author_of: Option<&'a CommitId>,
    /// Who commits it, and how.
    pub by: &'a Committing,
    pub at: Timestamp,
}

impl<'a> NewCommit<'a> {
    /// A commit of the merge queue's own.
    pub const fn new(
        tree: &'a TreeId,
        parents: &'a [&'a CommitId],
        message: &'a str,
        by: &'a Committing,
        at: Timestamp,
    ) -> Self {
        Self { tree, parents, message: message.as_bytes(), encoding: None, author_of: None, by, at }
    }
}

/// Where a change parted from a branch, and the commits that it adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parting {
    /// The merge bases: none when the histories have no commit in common, more than one where they merged each other
    /// before.
    pub bases: Vec<CommitId>,
    /// The commits of the change that the tip does not reach.
    pub commits: BTreeSet<CommitId>,
}

impl GitRepo {
    /// Where a change parted from the tip of its branch, and the commits that it adds. The answer comes from memory
    /// when the change began within the last 2,000 landings; otherwise libgit2 walks the histories.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn parting(&self, tip: &CommitId, head: &CommitId) -> Result<Parting, GitError> {
        let known = {
            let mut ancestry = self.ancestry();
            let objects = self.objects();
            ancestry.advance(&objects, oid(tip.as_str())?)?;
            ancestry.beyond(&objects, oid(head.as_str())?)?
        };
        match known {
            Some(Found { new, met }) => {
                let bases = match met.as_slice() {
                    [base] => vec![commit_id(*base)],
                    _ => self.merge_bases(tip, head)?,
                };
                Ok(Parting { bases, commits: new.into_iter().map(commit_id).collect() })
            }
            None => Ok(Parting {
                bases: self.merge_bases(tip, head)?,
                commits: self.commits_since(tip, head)?.into_iter().collect(),
            }),
        }
    }

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

    /// All the places where two histories part: more than one where they merged each other before.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn merge_bases(&self, one: &CommitId, other: &CommitId) -> Result<Vec<CommitId>, GitError> {
        match self.objects().merge_bases(oid(one.as_str())?, oid(other.as_str())?) {
            Ok(found) => Ok(found.iter().map(|base| commit_id(*base)).collect()),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(vec![]),
            Err(error) => Err(error.into()),
        }
    }

    /// The paths whose content or mode differs between two commits; all of the second, when there is no first.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn changed_paths(&self, from: Option<&CommitId>, to: &CommitId) -> Result<BTreeSet<String>, GitError> {
        let objects = self.objects();
        let tree = |commit: &CommitId| Ok::<_, GitError>(objects.find_commit(oid(commit.as_str())?)?.tree_id());
        changed(&objects, from.map(tree).transpose()?, tree(to)?)
    }

    /// The paths whose content or mode differs between two trees, in order.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn changed_in_trees(&self, from: &TreeId, to: &TreeId) -> Result<BTreeSet<String>, GitError> {
        changed(&self.objects(), Some(oid(from.as_str())?), oid(to.as_str())?)
    }

    /// Whether what a change brings can be dealt with, before anything else looks at it.
    ///
    /// # Errors
    /// [`GitError::Beyond`], and as [`GitRepo::resolve`].
    pub fn weigh(&self, tip: &CommitId, head: &CommitId) -> Result<(), GitError> {
        let Parting { bases, commits } = self.parting(tip, head)?;
        if commits.len() > COMMITS {
            return Err(GitError::Beyond { what: "it has".to_owned(), most: COMMITS, unit: "commits" });
        }
        let objects = self.objects();
        let tree = |commit: &CommitId| Ok::<_, GitError>(objects.find_commit(oid(commit.as_str())?)?.tree_id());
        let (before, after) = (bases.first().map(tree).transpose()?, tree(head)?);
        let mut has_attributes = false;
        differences(&objects, before, Some(after), &mut Budget::of_change(), |path, _| {
            has_attributes |= attributes::is_at(path);
            Ok(())
        })?;
        if has_attributes {
            Attributes::of(&objects, &objects.find_tree(after)?)?;
        }
        Ok(())
    }

    /// The files that were renamed between two commits, as a comparison of the whole trees finds them: from which path,
    /// to which.
    ///
    /// # Errors
    /// [`GitError::Failed`] when git cannot compare them.
    pub async fn renames(&self, from: &CommitId, to: &CommitId) -> Result<Vec<(String, String)>, GitError> {
        self.renamed(&[from.to_string(), to.to_string()]).await
    }

    async fn renamed(&self, trees: &[String; 2]) -> Result<Vec<(String, String)>, GitError> {
        let args = ["diff-tree", "-r", "-z", "-M", "-l7000", "--diff-filter=R", "--name-status"];
        let args = [&args[..], &[&trees[0], &trees[1]]].concat();
        let printed = program::run(self.path(), &args, RENAMES_LIMIT).await?;
        let mut fields = printed.split('\0').map(ToOwned::to_owned);
        let next = || Some((fields.next().filter(|status| !status.is_empty())?, fields.next()?, fields.next()?));
        Ok(std::iter::from_fn(next).map(|(_, old, new)| (old, new)).collect())
    }

    /// Where a merge takes some files of `from` to be in `to`, when they are gone from their places: a merge compares
    /// those that the other side changed with what is new, whatever else might fit better.
    ///
    /// # Errors
    /// [`GitError::Failed`] when git cannot compare them.
    pub async fn renames_of(
        &self,
        files: &BTreeSet<String>,
        from: &CommitId,
        to: &CommitId,
    ) -> Result<Vec<(String, String)>, GitError> {
        let trees = {
            let objects = self.objects();
            let tree = |commit: &CommitId| Ok::<_, GitError>(objects.find_commit(oid(commit.as_str())?)?.tree()?);
            let (from, to) = (tree(from)?, tree(to)?);
            let (mut gone, mut new) = (TreeUpdateBuilder::new(), TreeUpdateBuilder::new());
            for file in files {
                let path = Path::new(file);
                if let (Ok(entry), Err(_)) = (from.get_path(path), to.get_path(path))
                    && entry.kind() == Some(ObjectType::Blob)
                {
                    gone.upsert(file, entry.id(), mode_of(&entry));
                }
            }
            differences(&objects, Some(from.id()), Some(to.id()), &mut Budget::of_tree(), |path, entry| {
                let is_new = from.get_path(Path::new(OsStr::from_bytes(path))).is_err();
                if let Some(entry) = entry.filter(|entry| is_new && entry.kind() == Some(ObjectType::Blob)) {
                    new.upsert(path, entry.id(), mode_of(entry));
                }
                Ok(())
            })?;
            let empty = objects.find_tree(written(|| objects.treebuilder(None)?.write())?)?;
            let trees = [&mut gone, &mut new].map(|tree| written(|| tree.create_updated(&objects, &empty)));
            let [gone, new] = trees;
            [gone?, new?]
        };
        self.renamed(&trees.map(|tree| tree.to_string())).await
    }

    /// The commits that `head` has and `base` has not, the oldest first.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn commits_since(&self, base: &CommitId, head: &CommitId) -> Result<Vec<CommitId>, GitError> {
        let objects = self.objects();
        let commits = added(&objects, oid(head.as_str())?, &[oid(base.as_str())?])?;
        Ok(commits.into_iter().map(commit_id).collect())
    }

    /// The commits that `head` has.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn commits_of(&self, head: &CommitId) -> Result<Vec<CommitId>, GitError> {
        let commits = added(&self.objects(), oid(head.as_str())?, &[])?;
        Ok(commits.into_iter().map(commit_id).collect())
    }

    /// The commits that `head` has and none of `others` has, each with its only parent, the oldest first; merges are
    /// left out. An `other` that is not here holds nothing.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn single_commits(&self, others: &[CommitId], head: &CommitId) -> Result<Vec<(CommitId, CommitId)>, GitError> {
        let objects = self.objects();
        let mut here = Vec::with_capacity(others.len());
        for other in others {
            let other = oid(other.as_str())?;
            if objects.find_commit(other).is_ok() {
                here.push(other);
            }
        }
        let mut found = Vec::new();
        for commit in added(&objects, oid(head.as_str())?, &here)? {
            let commit = objects.find_commit(commit)?;
            if commit.parent_count() == 1 {
                found.push((commit_id(commit.id()), commit_id(commit.parent_id(0)?)));
            }
        }
        Ok(found)
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

    /// Writes a commit; no ref points to it yet. The same always has the same name, unless its signature is made by
    /// chance.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`], and [`GitError::Signing`].
    pub fn commit(&self, new: &NewCommit<'_>) -> Result<CommitId, GitError> {
        let objects = self.objects();
        let tree = objects.find_tree(oid(new.tree.as_str())?)?;
        let mut header = format!("tree {}\n", tree.id()).into_bytes();
        for parent in found(&objects, new.parents)? {
            header.extend(format!("parent {}\n", parent.id()).bytes());
        }
        let at = new.at.as_millis() / 1_000;
        let sprint = format!("{} <{}>", COMMITTER.0, COMMITTER.1);
        let line = |identity: Option<&GitIdentity>| {
            let identity = identity.map_or_else(|| sprint.clone(), ToString::to_string);
            format!("{identity} {at} +0000").into_bytes()
        };
        let own = line(new.by.author.as_ref());
        let author = match new.author_of {
            // A worker that is nobody in particular did it for the repo's author.
            Some(commit) => author_line(&objects, commit)?.filter(|line| !line.starts_with(OF_WORKERS)).unwrap_or(own),
            None => own,
        };
        for (key, value) in [("author", &author), ("committer", &line(new.by.committer.as_ref()))] {
            header.extend([key.as_bytes(), b" ", value, b"\n"].concat());
        }
        if let Some(encoding) = new.encoding {
            header.extend(format!("encoding {encoding}\n").bytes());
        }
        let message = [b"\n", new.message].concat();
        if let Some(key) = &new.by.sign {
            let signature = sign(Path::new(key), &[&header[..], &message].concat())?;
            // Each further line of a header begins with a blank.
            header.extend(format!("gpgsig {}\n", signature.trim_end().replace('\n', "\n ")).bytes());
        }
        header.extend(message);
        let odb = objects.odb()?;
        Ok(commit_id(written(|| odb.write(ObjectType::Commit, &header))?))
    }

    /// The committer of a commit is somebody else's now: the same commit, on other parents, committed and signed by us.
    ///
    /// # Errors
    /// As [`GitRepo::commit`].
    pub fn commit_again(
        &self,
        commit: &CommitId,
        parents: &[&CommitId],
        by: &Committing,
        at: Timestamp,
    ) -> Result<CommitId, GitError> {
        let (message, encoding) = self.message_bytes(commit)?;
        let tree = self.tree_of(commit)?;
        let author_of = Some(commit);
        self.commit(&NewCommit {
            tree: &tree,
            parents,
            message: &message,
            encoding: encoding.as_deref(),
            author_of,
            by,
            at,
        })
    }

    /// The parents of a commit.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn parents(&self, commit: &CommitId) -> Result<Vec<CommitId>, GitError> {
        Ok(self.objects().find_commit(oid(commit.as_str())?)?.parent_ids().map(commit_id).collect())
    }
}

/// The paths that differ between two trees.
fn changed(objects: &Repository, from: Option<Oid>, to: Oid) -> Result<BTreeSet<String>, GitError> {
    let mut paths = BTreeSet::new();
    // Several changes that land together may be more than one may be.
    differences(objects, from, Some(to), &mut Budget::of_tree(), |path, _| {
        paths.insert(String::from_utf8_lossy(path).into_owned());
        Ok(())
    })?;
    Ok(paths)
}

fn mode_of(entry: &TreeEntry<'_>) -> FileMode {
    match entry.filemode() {
        0o100_755 => FileMode::BlobExecutable,
        0o120_000 => FileMode::Link,
        _ => FileMode::Blob,
    }
}

/// How the author of a worker's commit begins whose agent has no name of its own.
const OF_WORKERS: &[u8] = b"sprint <sprint@localhost>";

/// The author of a commit as it stands there, which need not be text.
fn author_line(objects: &Repository, commit: &CommitId) -> Result<Option<Vec<u8>>, GitError> {
    let header = objects.find_commit(oid(commit.as_str())?)?.raw_header_bytes().to_vec();
    let mut lines = header.split(|byte| *byte == b'\n');
    Ok(lines.find_map(|line| line.strip_prefix(b"author ")).map(<[u8]>::to_vec))
}

fn found<'r>(objects: &'r Repository, commits: &[&CommitId]) -> Result<Vec<Commit<'r>>, GitError> {
    commits.iter().map(|commit| Ok(objects.find_commit(oid(commit.as_str())?)?)).collect()
}
