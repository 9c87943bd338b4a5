//! All bare repositories, below one directory.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sprint_core::address::RepoAddress;
use sprint_core::git_settings;
use sprint_core::ids::{CommitId, RepoName};

use crate::git::commands::RefUpdate;
use crate::git::directory::remove_dir;
use crate::git::error::GitError;
use crate::git::repository::GitRepo;
use crate::git::{leftovers, personal, program, upstream};

/// All bare repositories, below one directory.
pub struct GitRepos {
    pub(super) root: PathBuf,
    open: Mutex<HashMap<RepoName, Arc<GitRepo>>>,
}

impl GitRepos {
    /// Takes `root` as the directory of all repositories, and checks the git program.
    ///
    /// # Errors
    /// [`GitError::NoProgram`] or [`GitError::TooOld`]; [`GitError::Io`] when the directory cannot be made.
    pub async fn open(root: PathBuf) -> Result<Self, GitError> {
        personal::ignore_in_libgit2();
        leftovers::begin();
        program::check_version().await?;
        std::fs::create_dir_all(&root)?;
        // Git's own programs run elsewhere, so the path must not depend on where we are.
        let root = root.canonicalize()?;
        program::begin(&root);
        let repos = Self { root, open: Mutex::default() };
        repos.write_hooks()?;
        Ok(repos)
    }

    /// `git http-backend` for these repositories; the request is the caller's to add. A push may update
    /// `refs` only, and has `max_bytes` at most.
    pub fn http_backend(&self, refs: &[RefUpdate], max_bytes: u64) -> tokio::process::Command {
        let mut command = program::command(&self.root);
        command.arg("http-backend").env("GIT_PROJECT_ROOT", &self.root).env("GIT_HTTP_EXPORT_ALL", "1");
        let names = refs.iter().map(|update| update.name.as_str()).collect::<Vec<_>>();
        command.env("SPRINT_REFS", names.join(" "));
        let settings = [
            ("receive.maxInputSize".to_owned(), max_bytes.to_string()),
            // An earlier version wrote where they were then into the repository.
            ("core.hooksPath".to_owned(), upstream::HOOKS.to_owned()),
        ];
        command.envs(git_settings::variables(&settings));
        command
    }

    pub(super) fn path(&self, name: &RepoName) -> PathBuf {
        self.root.join(format!("{name}.git"))
    }

    /// The repository of a managed repo.
    ///
    /// # Errors
    /// [`GitError::Missing`] when it is not on the disk.
    pub fn get(&self, name: &RepoName) -> Result<Arc<GitRepo>, GitError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(repo) = open.get(name) {
            return Ok(Arc::clone(repo));
        }
        let path = self.path(name);
        if !path.is_dir() {
            return Err(GitError::Missing(name.clone()));
        }
        let repo = Arc::new(GitRepo::open(path)?);
        open.insert(name.clone(), Arc::clone(&repo));
        Ok(repo)
    }

    /// Clones `url` for a new managed repo; answers the branch and its tip.
    ///
    /// Whatever an interrupted earlier try left is replaced: a repo counts only once it is on record.
    ///
    /// # Errors
    /// What is wrong with the address or the branch.
    pub async fn create(
        &self,
        name: &RepoName,
        url: &RepoAddress,
        branch: Option<&str>,
    ) -> Result<(String, CommitId), GitError> {
        let path = self.path(name);
        let fresh = self.root.join(format!(".new-{name}.git"));
        remove_dir(&fresh)?;
        let cloned = upstream::clone(&fresh, url, branch).await;
        let cloned = match cloned {
            Ok(cloned) => cloned,
            Err(error) => {
                remove_dir(&fresh)?;
                return Err(error);
            }
        };
        self.forget(name);
        remove_dir(&path)?;
        std::fs::rename(&fresh, &path)?;
        Ok(cloned)
    }

    /// Sets a removed repo's repository aside, and says where it is now: its commits may be nowhere else.
    ///
    /// # Errors
    /// [`GitError::Io`] when it cannot be renamed.
    pub fn set_aside(&self, name: &RepoName, mark: &str) -> Result<PathBuf, GitError> {
        self.forget(name);
        let aside = self.root.join(format!(".removed-{name}-{mark}.git"));
        let path = self.path(name);
        if path.is_dir() {
            std::fs::rename(path, &aside)?;
        }
        Ok(aside)
    }

    pub(super) fn forget(&self, name: &RepoName) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// The one hook of every repository: only an attempt's own refs can be pushed to.
    fn write_hooks(&self) -> Result<(), GitError> {
        use std::os::unix::fs::PermissionsExt as _;
        let hooks = self.root.join(".hooks");
        std::fs::create_dir_all(&hooks)?;
        let update = hooks.join("update");
        std::fs::write(&update, include_str!("update-hook.sh"))?;
        std::fs::set_permissions(&update, std::fs::Permissions::from_mode(0o755))?;
        Ok(())
    }
}
