//! Submodules of a workspace: each is a repository as `git submodule update` leaves it, whose objects are the mirror's.
//!
//! The coordinator has fetched them with the branch that names them; nobody else is asked.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sprint_core::address::RepoAddress;
use sprint_core::gitmodules::{self, FILE, SubmoduleEntry};
use sprint_core::ids::CommitId;

use super::furnish;
use super::git::{Git, GitError};
use super::lfs;
use super::mirror::Mirror;
use super::own_git::OwnGit;
use super::refs::{self, quoted};
use super::remote::Remote;
use super::tree::{self, Tree};
use crate::host::paths::WorkerDir;

/// More than a repository has that is meant well.
const MOST: usize = 500;

/// A submodule that a worker was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GivenSubmodule {
    /// From the workspace.
    pub(crate) path: PathBuf,
    /// Its git directory, from the workspace.
    pub(crate) git_dir: PathBuf,
    pub(crate) commit: CommitId,
}

/// The submodules of a workspace, and what a person is to be told about the others.
#[derive(Debug, Default)]
pub(crate) struct Populated {
    pub(crate) given: Vec<GivenSubmodule>,
    pub(crate) missing: Vec<String>,
}

/// A repository whose submodules are to be made.
struct Place {
    /// Its files and its git directory, from the workspace.
    path: PathBuf,
    git_dir: PathBuf,
    commit: CommitId,
    address: Option<RepoAddress>,
}

/// Makes the submodules of a workspace that no worker has used, at any depth.
///
/// # Errors
/// Those of the file system, and of the mirror.
pub(super) async fn populate(
    mirror: &Mirror,
    remote: Option<&Remote>,
    repo: &str,
    tree: &Tree,
    origin: Option<&str>,
) -> Result<Populated, GitError> {
    let mut populated = Populated::default();
    if !is_file(&tree.path.join(FILE)) {
        return Ok(populated);
    }
    let address = origin.map(|origin| RepoAddress::as_kept(origin.to_owned()));
    let (path, git_dir) = (PathBuf::new(), PathBuf::from(".git"));
    let mut open = vec![Place { path, git_dir, commit: tree.head.clone(), address }];
    while let Some(place) = open.pop() {
        for (entry, commit) in entries(mirror, &place.commit).await? {
            let path = place.path.join(&entry.path);
            let mut missing = |why: &str| populated.missing.push(format!("{}: {why}", path.display()));
            if !entry.is_plain() {
                missing("its name leads elsewhere");
                continue;
            }
            if populated.given.len() >= MOST {
                missing("there are too many");
                return Ok(populated);
            }
            if let Err(error) = mirror.ensure_module(&commit, remote, repo).await {
                if error.says_full() {
                    return Err(error);
                }
                missing(&format!("the coordinator does not have its commit {}", commit.short()));
                continue;
            }
            let git_dir = place.git_dir.join("modules").join(&entry.name);
            let address = place.address.as_ref().zip(entry.url.as_deref());
            let address = address.and_then(|(parent, url)| parent.submodule(url).ok());
            let module = Place { path, git_dir, commit, address };
            let around = tree.path.join(&place.git_dir);
            let made = match make(mirror, &tree.path, &module).await {
                Ok(()) => activate(&around, &entry, module.address.as_ref()).map_err(GitError::Start),
                Err(error) => Err(error),
            };
            // What a commit or an earlier worker has put in its place keeps nobody from working.
            if let Err(error) = made {
                if error.says_full() {
                    return Err(error);
                }
                let path = module.path.display();
                populated.missing.push(format!("{path}: {error}"));
                continue;
            }
            let Place { path, git_dir, commit, .. } = &module;
            let given = GivenSubmodule { path: path.clone(), git_dir: git_dir.clone(), commit: commit.clone() };
            populated.given.push(given);
            if is_file(&tree.path.join(path).join(FILE)) {
                open.push(module);
            }
        }
    }
    Ok(populated)
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.is_file())
}

/// What `.gitmodules` of a commit names, with the commit of each.
async fn entries(mirror: &Mirror, commit: &CommitId) -> Result<Vec<(SubmoduleEntry, CommitId)>, GitError> {
    let blob = format!("--blob={commit}:{FILE}");
    // A file that git cannot read names no submodule for anybody.
    let listed = Git::at(mirror.path())
        .args(["config", "--no-includes", &blob, "-z", "--get-regexp", gitmodules::KEYS])
        .run()
        .await
        .unwrap_or_default();
    let mut found = vec![];
    let entries = gitmodules::entries(&listed);
    if entries.is_empty() {
        return Ok(found);
    }
    let tree = Git::at(mirror.path()).args(["ls-tree", "-r", "-z", commit.as_str()]).run().await?;
    let gitlinks: HashMap<&str, &str> = tree
        .split('\0')
        .filter_map(|line| line.strip_prefix("160000 commit ")?.split_once('\t'))
        .map(|(id, path)| (path, id))
        .collect();
    for entry in entries {
        if let Some(Ok(id)) = gitlinks.get(entry.path.as_str()).map(|id| CommitId::new(*id)) {
            found.push((entry, id));
        }
    }
    Ok(found)
}

/// Makes one: its git directory, its `.git` file, its files.
async fn make(mirror: &Mirror, workspace: &Path, place: &Place) -> Result<(), GitError> {
    let (path, git_dir) = (workspace.join(&place.path), workspace.join(&place.git_dir));
    let up = |from: &Path, to: &Path| -> PathBuf { from.components().map(|_| "..").collect::<PathBuf>().join(to) };
    let made = || -> io::Result<()> {
        // The files may be those of an earlier worker, who has put a link there.
        furnish::parents(workspace, &place.path)?;
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_dir()) {
            return Err(io::Error::other("something else is in its place"));
        }
        let origin = place.address.as_ref().map(|address| {
            let url = quoted(&address.without_credentials());
            format!("[remote \"origin\"]\n\turl = {url}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n")
        });
        let files = quoted(&up(&place.git_dir, &place.path).to_string_lossy());
        let (core, rest, origin) = (tree::CORE, tree::REST, origin.unwrap_or_default());
        let config = format!("{core}\tworktree = {files}\n{rest}{}{origin}", lfs::FILTER);
        tree::repository(&git_dir, &[&mirror.path().join("objects")], &config, &place.commit)?;
        fs::write(git_dir.join("packed-refs"), refs::line(&place.commit, GIVEN_REF))?;
        fs::create_dir_all(&path)?;
        fs::write(path.join(".git"), format!("gitdir: {}\n", up(&place.path, &place.git_dir).display()))
    };
    made().map_err(GitError::Start)?;
    let check_out = ["checkout", "--quiet", "--force", "--detach", place.commit.as_str()];
    let git = || lfs::reading(Git::at(&git_dir).work_tree(&path), mirror.path());
    match git().args(check_out).run().await {
        Err(error) if matches!(lfs::Cause::of(&error), Some(lfs::Cause::Missing)) => {
            let (key, value) = lfs::LEAVE_POINTERS;
            git().env(key, value).args(check_out).run().await.map(drop)
        }
        checked_out => checked_out.map(drop),
    }
}

/// What a submodule is given: a commit that its upstream has.
const GIVEN_REF: &str = "refs/remotes/origin/HEAD";

/// Says in the repository around it that it is in use.
fn activate(git_dir: &Path, entry: &SubmoduleEntry, address: Option<&RepoAddress>) -> io::Result<()> {
    let mut config = fs::File::options().append(true).open(git_dir.join("config"))?;
    let url =
        address.map(|address| format!("\turl = {}\n", quoted(&address.without_credentials()))).unwrap_or_default();
    write!(config, "[submodule {}]\n\tactive = true\n{url}", quoted(&entry.name))
}

impl GivenSubmodule {
    /// Those of a worker; none when it was given none.
    pub(super) fn of(dir: &WorkerDir) -> Vec<Self> {
        let read = fs::read(dir.given_submodules()).ok();
        read.and_then(|content| serde_json::from_slice(&content).ok()).unwrap_or_default()
    }

    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.path != other.path && self.path.starts_with(&other.path)
    }

    /// Whether its repository is as it was made; says nothing of its files.
    pub(super) fn is_as_given(&self, workspace: &Path) -> bool {
        let head = format!("{}\n", self.commit);
        OwnGit::open_at(workspace, &self.git_dir)
            .and_then(|git| git.is_as_made(head.as_bytes(), &refs::line(&self.commit, GIVEN_REF)))
            .unwrap_or(false)
    }
}
