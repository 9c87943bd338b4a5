//! Submodules: what a tree names of other repositories is brought into ours, where it is one more commit with a ref.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;

use git2::ObjectType;
use sprint_core::address::RepoAddress;
use sprint_core::gitmodules::{self, FILE, SubmoduleEntry};
use sprint_core::ids::CommitId;

use super::program::{self, TRANSFER_LIMIT};
use super::repository::oid;
use super::upstream::Reach;
use super::{GitError, GitRepo};

/// More than a repository has that is meant well.
const MOST: usize = 500;

/// A submodule, as a tree has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submodule {
    /// From the root of the outermost repository.
    pub path: String,
    pub commit: CommitId,
    /// Where its repository is, or why that is no address for one.
    pub address: Result<RepoAddress, String>,
}

/// A submodule that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingSubmodule {
    pub path: String,
    pub why: String,
}

/// The ref that keeps a submodule's commit.
fn module_ref(commit: &CommitId) -> String {
    format!("refs/sprint/module/{commit}")
}

/// Where all of a submodule's repository is kept if its server gives no single commits away.
fn modules_ref(address: &RepoAddress) -> String {
    // Any name that tells addresses apart: git's own of the text.
    let name = git2::Oid::hash_object(ObjectType::Blob, address.to_string().as_bytes());
    format!("refs/sprint/modules/{}", name.map_or_else(|_| "other".to_owned(), |name| name.to_string()))
}

impl GitRepo {
    /// The submodules in the tree of a commit, or in a tree, whose repository has an address; `within` is the path of that
    /// repository.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub async fn submodules(
        &self,
        treeish: &str,
        address: &RepoAddress,
        within: &str,
    ) -> Result<Vec<Submodule>, GitError> {
        if !self.has_submodules(treeish)? {
            return Ok(vec![]);
        }
        let blob = format!("--blob={treeish}:{FILE}");
        let list = ["config", "--no-includes", &blob, "-z", "--get-regexp", gitmodules::KEYS];
        // A file that git cannot read names no submodule for anybody.
        let listed = program::run(self.path(), &list, TRANSFER_LIMIT).await.unwrap_or_default();
        let mut found = vec![];
        for SubmoduleEntry { name: _, path, url } in gitmodules::entries(&listed) {
            let Some(commit) = self.gitlink(treeish, &path)? else { continue };
            let url = url.ok_or_else(|| format!("{FILE} gives no address for it"));
            let address = url.and_then(|url| address.submodule(&url).map_err(|error| error.to_string()));
            found.push(Submodule { path: format!("{within}{path}"), commit, address });
        }
        Ok(found)
    }

    fn has_submodules(&self, treeish: &str) -> Result<bool, GitError> {
        let objects = self.objects();
        let tree = objects.find_object(oid(treeish)?, None)?.peel_to_tree()?;
        Ok(tree.get_name(FILE).is_some())
    }

    /// The commit that stands at a path as a repository of its own.
    fn gitlink(&self, treeish: &str, path: &str) -> Result<Option<CommitId>, GitError> {
        let objects = self.objects();
        let tree = objects.find_object(oid(treeish)?, None)?.peel_to_tree()?;
        let entry = tree.get_path(Path::new(path)).ok().filter(|entry| entry.kind() == Some(ObjectType::Commit));
        Ok(entry.and_then(|entry| CommitId::new(entry.id().to_string()).ok()))
    }

    /// Brings the submodules of a tree, and theirs, into this repository; answers those that cannot be had.
    ///
    /// # Errors
    /// Those of our own repository.
    pub async fn bring_submodules(
        &self,
        treeish: &str,
        address: &RepoAddress,
    ) -> Result<Vec<MissingSubmodule>, GitError> {
        let mut open = VecDeque::from([(treeish.to_owned(), address.clone(), String::new())]);
        let (mut missing, mut seen) = (vec![], BTreeSet::new());
        while let Some((treeish, address, within)) = open.pop_front() {
            for Submodule { path, commit, address } in self.submodules(&treeish, &address, &within).await? {
                // One that is within itself would never end.
                if !seen.insert((commit.clone(), address.as_ref().map(ToString::to_string).ok())) {
                    continue;
                }
                if seen.len() > MOST {
                    let why = format!("there are more than {MOST} submodules");
                    missing.push(MissingSubmodule { path, why });
                    return Ok(missing);
                }
                match self.bring_submodule(&commit, &address).await? {
                    Ok(address) => open.push_back((commit.to_string(), address, format!("{path}/"))),
                    Err(why) => missing.push(MissingSubmodule { path, why }),
                }
            }
        }
        Ok(missing)
    }

    /// The submodules of a tree at any depth, as far as they are here.
    ///
    /// # Errors
    /// Those of our own repository.
    pub async fn submodules_within(&self, treeish: &str, address: &RepoAddress) -> Result<Vec<Submodule>, GitError> {
        let mut open = VecDeque::from([(treeish.to_owned(), address.clone(), String::new())]);
        let mut found = vec![];
        while let Some((treeish, address, within)) = open.pop_front() {
            for module in self.submodules(&treeish, &address, &within).await? {
                if found.len() >= MOST {
                    return Ok(found);
                }
                if let Ok(address) = &module.address
                    && self.has_commit(&module.commit)?
                {
                    open.push_back((module.commit.to_string(), address.clone(), format!("{}/", module.path)));
                }
                found.push(module);
            }
        }
        Ok(found)
    }

    /// Brings one; answers where it came from, or why it cannot be had.
    ///
    /// # Errors
    /// Those of our own repository.
    pub async fn bring_submodule(
        &self,
        commit: &CommitId,
        address: &Result<RepoAddress, String>,
    ) -> Result<Result<RepoAddress, String>, GitError> {
        let address = match address {
            Ok(address) => address,
            Err(why) => return Ok(Err(why.clone())),
        };
        // The commit alone says nothing: a worker may have left it.
        if self.resolve(&module_ref(commit))?.is_some() {
            return Ok(Ok(address.clone()));
        }
        match self.fetch_module(commit, address).await {
            Ok(()) => Ok(Ok(address.clone())),
            Err(error @ GitError::Unreachable { .. }) => Ok(Err(error.to_string())),
            Err(GitError::NoTip(_)) => Ok(Err(format!("{address} does not have its commit {}", commit.short()))),
            Err(error) => Err(error),
        }
    }

    async fn fetch_module(&self, commit: &CommitId, address: &RepoAddress) -> Result<(), GitError> {
        if self.has_commit(commit)? {
            // Git asks nobody for a commit that it has: whether the address has it shows in an empty repository only.
            let proof = tempfile::tempdir()?;
            program::run(proof.path(), &["init", "--quiet", "--bare", "."], TRANSFER_LIMIT).await?;
            fetch_into(proof.path(), commit, address, &["--depth=1"]).await?;
        }
        fetch_into(self.path(), commit, address, &[]).await?;
        self.set_ref(&module_ref(commit), commit)
    }

    fn has_commit(&self, commit: &CommitId) -> Result<bool, GitError> {
        let objects = self.objects();
        Ok(objects.find_commit(oid(commit.as_str())?).is_ok())
    }
}

/// Fetches a commit, or all of the repository where the server gives no single commits away.
async fn fetch_into(
    directory: &Path,
    commit: &CommitId,
    address: &RepoAddress,
    of_one: &[&str],
) -> Result<(), GitError> {
    let upstream = Reach::new(address);
    let options = ["fetch", "--quiet", "--no-write-fetch-head", "--no-tags"];
    let refspec = format!("+{commit}:{}", module_ref(commit));
    let args = [&options[..], of_one, &[&upstream.url, &refspec]].concat();
    let refused = match upstream.ask(directory, &args, TRANSFER_LIMIT).await {
        Ok(_) => return Ok(()),
        Err(GitError::Unreachable { said, .. }) if gives_no_commits(&said) => said,
        Err(error) => return Err(error),
    };
    tracing::debug!(%address, refused, "all of a submodule's repository is fetched, since the server gives no single commits away");
    let below = modules_ref(address);
    let (heads, tags) = (format!("+refs/heads/*:{below}/heads/*"), format!("+refs/tags/*:{below}/tags/*"));
    let args = [&options[..], &["--prune", &upstream.url, &heads, &tags]].concat();
    upstream.ask(directory, &args, TRANSFER_LIMIT).await?;
    let contains = format!("--contains={commit}");
    let list = ["for-each-ref", "--count=1", &contains, &below];
    // It fails where the commit is not there at all.
    let reached = program::run(directory, &list, TRANSFER_LIMIT).await.unwrap_or_default();
    if reached.is_empty() { Err(GitError::NoTip(commit.to_string())) } else { Ok(()) }
}

/// Whether a server refused a commit rather than everything.
fn gives_no_commits(said: &str) -> bool {
    ["not our ref", "unadvertised object", "couldn't find remote ref", "no such remote ref", "bad object"]
        .iter()
        .any(|words| said.contains(words))
}
