//! Repositories as they are written into a backup, and made from one.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::Stdio;

use sprint_core::ids::{CommitId, RepoName};
use sprint_process::Group;
use tokio::io::AsyncWriteExt as _;

use super::program::{self, TRANSFER_LIMIT};
use super::{GitError, GitRepo, GitRepos, upstream};

/// Every ref and the object that it names.
pub type Refs = BTreeMap<String, String>;

impl GitRepo {
    /// Every ref, as it is now.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn refs(&self) -> Result<Refs, GitError> {
        let printed =
            program::run(self.path(), &["for-each-ref", "--format=%(objectname) %(refname)"], TRANSFER_LIMIT).await?;
        let pairs = printed.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs.map(|(object, name)| (name.to_owned(), object.to_owned())).collect())
    }

    /// Writes everything that these refs reach into a file, as one pack.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn pack(&self, refs: &Refs, file: File) -> Result<(), GitError> {
        let mut command = program::command(self.path());
        command.args(["pack-objects", "--revs", "--stdout", "--quiet", "--delta-base-offset"]);
        command.stdin(Stdio::piped()).stdout(file).stderr(Stdio::piped());
        let mut group = Group::start(&mut command).map_err(GitError::NoProgram)?;
        let objects = refs.values().fold(String::new(), |list, object| list + object + "\n");
        if let Some(mut stdin) = group.child.stdin.take() {
            stdin.write_all(objects.as_bytes()).await?;
        }
        ended("pack-objects", group).await
    }
}

impl GitRepos {
    /// Makes a repository from a pack and its refs.
    ///
    /// # Errors
    /// [`GitError`]; what was made of it stays, and is replaced by the next try.
    pub async fn restore(&self, name: &RepoName, branch: &str, refs: &Refs, pack: File) -> Result<(), GitError> {
        let path = self.path(name);
        super::directory::remove_dir(&path)?;
        std::fs::create_dir_all(&path)?;
        upstream::init(&path, branch).await?;
        let mut command = program::command(&path);
        command.args(["index-pack", "--stdin", "--strict"]).stdin(pack).stdout(Stdio::null()).stderr(Stdio::piped());
        ended("index-pack", Group::start(&mut command).map_err(GitError::NoProgram)?).await?;
        let repo = self.get(name)?;
        for (name, object) in refs {
            let object = CommitId::new(object.as_str()).map_err(|error| GitError::Failed {
                command: "restore".to_owned(),
                stdout: String::new(),
                stderr: error.to_string(),
            })?;
            repo.set_ref(name, &object)?;
        }
        Ok(())
    }
}

async fn ended(command: &str, group: Group) -> Result<(), GitError> {
    let output = tokio::time::timeout(TRANSFER_LIMIT, sprint_process::capture(group))
        .await
        .map_err(|_| GitError::TimedOut { command: command.to_owned(), limit: TRANSFER_LIMIT })??;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(GitError::Failed { command: command.to_owned(), stdout: String::new(), stderr })
}
