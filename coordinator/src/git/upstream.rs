//! Traffic with a repo's upstream.

use std::path::Path;
use std::time::Duration;

use sprint_core::address::{Credentials, RepoAddress};
use sprint_core::ids::CommitId;

use super::program::{self, TRANSFER_LIMIT};
use super::settings::SETTINGS;
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

/// Answers git's question for a user and a password from the environment: all users of this host can read its
/// arguments.
const HELPER: &str = "!f() { test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' \"$SPRINT_GIT_USER\" \"$SPRINT_GIT_PASSWORD\"; }; f";

/// An upstream, as arguments and environment of git.
struct Reach<'a> {
    address: &'a RepoAddress,
    /// The address without its secret, for arguments and messages.
    url: String,
    credentials: Option<Credentials>,
}

impl<'a> Reach<'a> {
    fn new(address: &'a RepoAddress) -> Self {
        let (url, credentials) = address.reach();
        Self { address, url, credentials }
    }

    /// Runs git, which may reach the upstream; what it says of a failure holds no secret.
    async fn git(&self, directory: &Path, args: &[&str], limit: Duration) -> Result<String, GitError> {
        let mut command = program::command(directory);
        if let Some(Credentials { user, password }) = &self.credentials {
            command.env("SPRINT_GIT_USER", user).env("SPRINT_GIT_PASSWORD", password);
            let own = format!("credential.{}.helper", origin(&self.url));
            // Only this helper is asked, for this server only: no other helper gets the secret, or stores it.
            let settings = [("credential.helper", ""), (own.as_str(), HELPER)];
            command.env("GIT_CONFIG_COUNT", settings.len().to_string());
            for (number, (key, value)) in settings.into_iter().enumerate() {
                command.env(format!("GIT_CONFIG_KEY_{number}"), key);
                command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
            }
        }
        match program::run_command(command, args, limit).await {
            Err(GitError::Failed { command, stderr }) => {
                Err(GitError::Failed { command, stderr: self.address.scrub(&stderr) })
            }
            ran => ran,
        }
    }

    /// As [`Self::git`], where a failure says most likely that the upstream cannot be reached.
    async fn ask(&self, directory: &Path, args: &[&str], limit: Duration) -> Result<String, GitError> {
        let unreachable = |stderr| Err(GitError::Unreachable { url: self.address.to_string(), stderr });
        match self.git(directory, args, limit).await {
            Err(GitError::Failed { command: _, stderr }) => unreachable(stderr),
            Err(GitError::TimedOut { command: _, limit }) => {
                unreachable(format!("no answer within {}", humantime::format_duration(limit)))
            }
            answered => answered,
        }
    }
}

/// The scheme and host of a URL.
fn origin(url: &str) -> &str {
    let url = url.rsplit_once("::").filter(|(_, url)| url.contains("://")).map_or(url, |(_, url)| url);
    let host = url.find("://").map_or(0, |at| at + 3);
    let slashes = url[host..].len() - url[host..].trim_start_matches('/').len();
    let end = url[host + slashes..].find('/').map_or(url.len(), |end| host + slashes + end);
    &url[..end]
}

/// The ref that remembers where the upstream's branch was last seen.
fn seen_ref(branch: &str) -> String {
    format!("refs/sprint/upstream/{branch}")
}

/// Clones one branch and the tags of an upstream into a new bare repository at `path`.
pub(super) async fn clone(
    path: &Path,
    hooks: &Path,
    address: &RepoAddress,
    branch: Option<&str>,
) -> Result<(String, CommitId), GitError> {
    std::fs::create_dir_all(path)?;
    let upstream = Reach::new(address);
    let (branch, tip) = find(path, &upstream, branch).await?;
    init(path, hooks, &branch).await?;
    let heads = format!("+refs/heads/{branch}:refs/heads/{branch}");
    let args = ["fetch", "--quiet", "--no-write-fetch-head", "--tags", &upstream.url, &heads];
    upstream.ask(path, &args, TRANSFER_LIMIT).await?;
    program::run(path, &["update-ref", &seen_ref(&branch), &format!("refs/heads/{branch}")], ASK_LIMIT).await?;
    Ok((branch, tip))
}

/// Makes an empty bare repository as ours are.
pub(super) async fn init(path: &Path, hooks: &Path, branch: &str) -> Result<(), GitError> {
    program::run(path, &["init", "--quiet", "--bare", "--initial-branch", branch, "."], ASK_LIMIT).await?;
    let hooks = hooks.to_string_lossy();
    for (key, value) in [("core.hooksPath", hooks.as_ref())].into_iter().chain(SETTINGS.iter().copied()) {
        program::run(path, &["config", key, value], ASK_LIMIT).await?;
    }
    Ok(())
}

/// Asks the upstream for its branches; answers the one wanted, or the one its HEAD names.
async fn find(directory: &Path, upstream: &Reach<'_>, branch: Option<&str>) -> Result<(String, CommitId), GitError> {
    let args = ["ls-remote", "--symref", "--", &upstream.url, "HEAD", "refs/heads/*"];
    let printed = upstream.ask(directory, &args, ASK_LIMIT).await?;
    let (head, branches) = branches(&printed);
    let url = || upstream.address.to_string();
    if branches.is_empty() {
        return Err(GitError::Empty { url: url() });
    }
    let wanted = branch.or(head).unwrap_or("main");
    match branches.iter().find(|(name, _)| *name == wanted) {
        Some((name, tip)) => Ok(((*name).to_owned(), tip.clone())),
        None => Err(GitError::NoBranch {
            url: url(),
            branch: wanted.to_owned(),
            present: branches.iter().take(10).map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
        }),
    }
}

/// What `git ls-remote --symref` prints: the branch that HEAD names, and all branches with their tips.
fn branches(printed: &str) -> (Option<&str>, Vec<(&str, CommitId)>) {
    let mut head = None;
    let mut branches = Vec::new();
    for line in printed.lines() {
        let Some((left, right)) = line.split_once('\t') else { continue };
        if let Some(target) = left.strip_prefix("ref: refs/heads/") {
            head = Some(target);
        } else if let (Some(name), Ok(tip)) = (right.strip_prefix("refs/heads/"), CommitId::new(left)) {
            branches.push((name, tip));
        }
    }
    (head, branches)
}

impl GitRepo {
    /// Fetches the upstream's branch; our own branch does not move.
    ///
    /// # Errors
    /// [`GitError::Unreachable`] when the upstream does not answer.
    pub async fn fetch_upstream(&self, address: &RepoAddress, branch: &str) -> Result<Fetched, GitError> {
        let upstream = Reach::new(address);
        let refspec = format!("+refs/heads/{branch}:{}", seen_ref(branch));
        let args = ["fetch", "--quiet", "--no-write-fetch-head", "--no-tags", &upstream.url, &refspec];
        upstream.ask(self.path(), &args, TRANSFER_LIMIT).await?;
        let tip = self.upstream_seen(branch)?;
        tip.map(|tip| Fetched { tip }).ok_or_else(|| GitError::NoTip(branch.to_owned()))
    }

    /// Fetches a branch of the upstream, if it has one of that name.
    ///
    /// # Errors
    /// As [`GitRepo::fetch_upstream`].
    pub async fn fetch_branch(&self, address: &RepoAddress, branch: &str) -> Result<Option<CommitId>, GitError> {
        if !git2::Reference::is_valid_name(&format!("refs/heads/{branch}")) {
            return Ok(None);
        }
        match self.fetch_upstream(address, branch).await {
            Ok(fetched) => Ok(Some(fetched.tip)),
            Err(GitError::Unreachable { url: _, stderr }) if stderr.contains("couldn't find remote ref") => Ok(None),
            Err(error) => Err(error),
        }
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
    pub async fn push_upstream(&self, address: &RepoAddress, branch: &str, tip: &CommitId) -> Result<Pushed, GitError> {
        let upstream = Reach::new(address);
        let refspec = format!("{tip}:refs/heads/{branch}");
        let args = ["push", "--quiet", "--no-verify", &upstream.url, &refspec];
        match upstream.git(self.path(), &args, TRANSFER_LIMIT).await {
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

#[cfg(test)]
#[path = "upstream_tests.rs"]
mod tests;
