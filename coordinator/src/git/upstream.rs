//! Traffic with a repo's upstream.

use std::path::Path;
use std::time::Duration;

use sprint_core::ids::CommitId;

use super::program::{self, TRANSFER_LIMIT};
use super::{GitError, GitRepo};

/// Asking a server what it has; it answers or it does not.
const ASK_LIMIT: Duration = Duration::from_secs(30);

/// What came of a fetch: the upstream's branch is where `tip` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub tip: CommitId,
}

/// What came of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    Done,
    /// The upstream's branch holds commits that ours does not.
    Diverged {
        stderr: String,
    },
}

/// The ref that remembers where the upstream's branch was last seen.
fn seen_ref(branch: &str) -> String {
    format!("refs/sprint/upstream/{branch}")
}

/// Clones one branch and the tags of `url` into a new bare repository at `path`.
pub(super) async fn clone(
    path: &Path,
    hooks: &Path,
    url: &str,
    branch: Option<&str>,
) -> Result<(String, CommitId), GitError> {
    std::fs::create_dir_all(path)?;
    let (branch, tip) = ask(path, url, branch).await?;
    program::run(path, &["init", "--quiet", "--bare", "--initial-branch", &branch, "."], ASK_LIMIT).await?;
    let hooks = hooks.to_string_lossy();
    for (key, value) in [
        ("core.hooksPath", hooks.as_ref()),
        ("http.receivepack", "true"),
        ("uploadpack.allowAnySHA1InWant", "true"),
        ("receive.fsckObjects", "true"),
        // A landing must not wait for housekeeping; it is done apart.
        ("receive.autogc", "false"),
        ("gc.auto", "0"),
    ] {
        program::run(path, &["config", key, value], ASK_LIMIT).await?;
    }
    let heads = format!("+refs/heads/{branch}:refs/heads/{branch}");
    let args = ["fetch", "--quiet", "--no-write-fetch-head", "--tags", url, &heads];
    program::run(path, &args, TRANSFER_LIMIT).await.map_err(|error| unreachable(url, error))?;
    program::run(path, &["update-ref", &seen_ref(&branch), &format!("refs/heads/{branch}")], ASK_LIMIT).await?;
    Ok((branch, tip))
}

/// Asks the upstream for its branches; answers the one wanted, or the one its HEAD names.
async fn ask(directory: &Path, url: &str, branch: Option<&str>) -> Result<(String, CommitId), GitError> {
    let asked = program::run(directory, &["ls-remote", "--symref", "--", url, "HEAD", "refs/heads/*"], ASK_LIMIT).await;
    let printed = asked.map_err(|error| unreachable(url, error))?;
    let mut head = None;
    let mut branches = Vec::new();
    for line in printed.lines() {
        let Some((left, right)) = line.split_once('\t') else { continue };
        if let Some(target) = left.strip_prefix("ref: refs/heads/") {
            head = Some(target.to_owned());
        } else if let Some(name) = right.strip_prefix("refs/heads/") {
            branches.push((name.to_owned(), left.to_owned()));
        }
    }
    if branches.is_empty() {
        return Err(GitError::Empty { url: url.to_owned() });
    }
    let wanted = branch.map(ToOwned::to_owned).or(head).unwrap_or_else(|| "main".to_owned());
    let found = branches.iter().find(|(name, _)| *name == wanted);
    match found.map(|(name, tip)| (name.clone(), CommitId::new(tip.as_str()))) {
        Some((name, Ok(tip))) => Ok((name, tip)),
        Some((_, Err(_))) | None => Err(GitError::NoBranch {
            url: url.to_owned(),
            branch: wanted,
            present: branches.iter().take(10).map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "),
        }),
    }
}

fn unreachable(url: &str, error: GitError) -> GitError {
    match error {
        GitError::Failed { command: _, stderr } => GitError::Unreachable { url: url.to_owned(), stderr },
        GitError::TimedOut { command: _, limit } => GitError::Unreachable {
            url: url.to_owned(),
            stderr: format!("no answer within {}", humantime::format_duration(limit)),
        },
        other @ (GitError::NoProgram(_)
        | GitError::TooOld { .. }
        | GitError::Library(_)
        | GitError::Unreachable { .. }
        | GitError::Empty { .. }
        | GitError::NoBranch { .. }
        | GitError::NoTip(_)
        | GitError::Missing(_)
        | GitError::MergeTree(_)
        | GitError::Io(_)) => other,
    }
}

impl GitRepo {
    /// Fetches the upstream's branch; our own branch does not move.
    ///
    /// # Errors
    /// [`GitError::Unreachable`] when the upstream does not answer.
    pub async fn fetch_upstream(&self, url: &str, branch: &str) -> Result<Fetched, GitError> {
        let refspec = format!("+refs/heads/{branch}:{}", seen_ref(branch));
        let args = ["fetch", "--quiet", "--no-write-fetch-head", "--no-tags", url, &refspec];
        program::run(self.path(), &args, TRANSFER_LIMIT).await.map_err(|error| unreachable(url, error))?;
        let tip = self.upstream_seen(branch)?;
        tip.map(|tip| Fetched { tip }).ok_or_else(|| GitError::NoTip(branch.to_owned()))
    }

    /// Where the upstream's branch was when we last fetched from it or pushed to it.
    ///
    /// # Errors
    /// [`GitError::Library`].
    pub fn upstream_seen(&self, branch: &str) -> Result<Option<CommitId>, GitError> {
        self.resolve(&seen_ref(branch))
    }

    /// Pushes `tip` to the upstream's branch, never over commits that ours does not have.
    ///
    /// # Errors
    /// [`GitError::Unreachable`] when the upstream does not answer, [`GitError::Failed`] when it refuses
    /// for another reason than having moved.
    pub async fn push_upstream(&self, url: &str, branch: &str, tip: &CommitId) -> Result<Pushed, GitError> {
        let refspec = format!("{tip}:refs/heads/{branch}");
        match program::run(self.path(), &["push", "--quiet", "--no-verify", url, &refspec], TRANSFER_LIMIT).await {
            Ok(_) => {
                self.set_ref(&seen_ref(branch), tip)?;
                Ok(Pushed::Done)
            }
            Err(GitError::Failed { command: _, stderr })
                if stderr.contains("fetch first") || stderr.contains("non-fast-forward") =>
            {
                Ok(Pushed::Diverged { stderr })
            }
            Err(error) => Err(error),
        }
    }
}
