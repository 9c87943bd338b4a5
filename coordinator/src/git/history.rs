//! What commits bring: their paths, their ancestors, their authors; and commits that are made of them.

use std::collections::BTreeSet;
use std::time::Duration;

use git2::{Commit, ObjectType, Repository, Signature, Time};
use sprint_core::ids::{CommitId, TreeId};
use sprint_core::time::Timestamp;

use super::ancestry::{Found, added};
use super::differences::differences;
use super::repository::{COMMITTER, commit_id, oid};
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
    /// Whose work it is; the merge queue's own, when none.
    pub author_of: Option<&'a CommitId>,
    pub at: Timestamp,
}

impl<'a> NewCommit<'a> {
    /// A commit of the merge queue's own.
    pub const fn new(tree: &'a TreeId, parents: &'a [&'a CommitId], message: &'a str, at: Timestamp) -> Self {
        Self { tree, parents, message: message.as_bytes(), encoding: None, author_of: None, at }
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
        let mut paths = BTreeSet::new();
        differences(&objects, from.map(tree).transpose()?, Some(tree(to)?), |path, _| {
            paths.insert(String::from_utf8_lossy(path).into_owned());
            Ok(())
        })?;
        Ok(paths)
    }

    /// The files that were renamed between two commits, as a merge finds them: from which path, to which.
    ///
    /// # Errors
    /// [`GitError::Failed`] when git cannot compare them.
    pub async fn renames(&self, from: &CommitId, to: &CommitId) -> Result<Vec<(String, String)>, GitError> {
        let args = ["diff-tree", "-r", "-z", "-M", "-l7000", "--diff-filter=R", "--name-status"];
        let args = [&args[..], &[from.as_str(), to.as_str()]].concat();
        let printed = program::run(self.path(), &args, RENAMES_LIMIT).await?;
        let mut fields = printed.split('\0').map(ToOwned::to_owned);
        let next = || Some((fields.next().filter(|status| !status.is_empty())?, fields.next()?, fields.next()?));
        Ok(std::iter::from_fn(next).map(|(_, old, new)| (old, new)).collect())
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

    /// Writes a commit; no ref points to it yet. The same always has the same name.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn commit(&self, new: &NewCommit<'_>) -> Result<CommitId, GitError> {
        let objects = self.objects();
        let (Ok(message), None) = (std::str::from_utf8(new.message), new.encoding) else {
            return commit_bytes(&objects, new);
        };
        let tree = objects.find_tree(oid(new.tree.as_str())?)?;
        let parents = found(&objects, new.parents)?;
        let time = Time::new(new.at.as_millis() / 1_000, 0);
        let committer = Signature::new(COMMITTER.0, COMMITTER.1, &time)?;
        let author = match new.author_of {
            Some(commit) => objects.find_commit(oid(commit.as_str())?)?.author().to_owned(),
            None => committer.clone(),
        };
        let parents = parents.iter().collect::<Vec<_>>();
        Ok(commit_id(objects.commit(None, &author, &committer, message, &tree, &parents)?))
    }
}

/// Writes a commit whose message libgit2 takes for no text: byte by byte, as git has it.
fn commit_bytes(objects: &Repository, new: &NewCommit<'_>) -> Result<CommitId, GitError> {
    let mut text = format!("tree {}\n", new.tree).into_bytes();
    for parent in new.parents {
        text.extend(format!("parent {parent}\n").bytes());
    }
    let by = format!("{} <{}> {} +0000", COMMITTER.0, COMMITTER.1, new.at.as_millis() / 1_000).into_bytes();
    let author = match new.author_of {
        Some(commit) => {
            let header = objects.find_commit(oid(commit.as_str())?)?.raw_header_bytes().to_vec();
            let line = header.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"author "));
            line.map_or_else(|| by.clone(), <[u8]>::to_vec)
        }
        None => by.clone(),
    };
    for (key, value) in [("author", &author), ("committer", &by)] {
        text.extend([key.as_bytes(), b" ", value, b"\n"].concat());
    }
    if let Some(encoding) = new.encoding {
        text.extend(format!("encoding {encoding}\n").bytes());
    }
    text.push(b'\n');
    text.extend(new.message);
    Ok(commit_id(objects.odb()?.write(ObjectType::Commit, &text)?))
}

fn found<'r>(objects: &'r Repository, commits: &[&CommitId]) -> Result<Vec<Commit<'r>>, GitError> {
    commits.iter().map(|commit| Ok(objects.find_commit(oid(commit.as_str())?)?)).collect()
}
