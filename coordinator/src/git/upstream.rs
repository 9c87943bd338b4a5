//! Traffic with a repo's upstream.

use std::path::Path;
use std::time::Duration;

use sprint_core::address::{Credentials, RepoAddress};
use sprint_core::git_settings;
use sprint_core::ids::CommitId;
use sprint_core::repo::UpstreamRewrite;
use sprint_core::time::Timestamp;
use tokio::process::Command;

use super::obstacle::Obstacle;
use super::personal::AS_THE_PERSON;
use super::program::{self, TRANSFER_LIMIT};
use super::repository::set_up;
use super::{GitError, GitRepo, personal};

/// Asking a server what it has; it answers or it does not.
const ASK_LIMIT: Duration = Duration::from_secs(30);

/// What came of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The upstream's branch is at `tip`.
    Tip(CommitId),
    /// It does not hold where it was seen last; that is remembered until a person has decided.
    Rewritten(UpstreamRewrite),
}

/// What came of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    Done,
    /// The upstream's branch is not where it was expected.
    Diverged,
    /// The upstream does not take it, for a reason of its own.
    Refused {
        why: String,
    },
}

/// Has a repository on this host take a push to the branch that is checked out there: its files are brought along, and
/// it refuses where a person's own changes are in the way. Its configuration stays as it is.
fn receive_pack() -> String {
    format!("--receive-pack={AS_THE_PERSON} -c receive.denyCurrentBranch=updateInstead receive-pack")
}

/// Answers git's question for a user and a password from the environment: all users of this host can read its
/// arguments. What was refused is not given again to Git LFS, which would ask without end.
const HELPER: &str = "!f() { test \"$1\" = erase && test -n \"$SPRINT_GIT_REFUSED\" && : > \"$SPRINT_GIT_REFUSED\"; \
    test \"$1\" = get && ! test -e \"$SPRINT_GIT_REFUSED\" && \
    printf 'username=%s\\npassword=%s\\n' \"$SPRINT_GIT_USER\" \"$SPRINT_GIT_PASSWORD\"; }; f";

/// An upstream, as arguments and environment of git.
pub(super) struct Reach<'a> {
    address: &'a RepoAddress,
    /// The address without its secret, for arguments and messages.
    pub(super) url: String,
    credentials: Option<Credentials>,
}

impl<'a> Reach<'a> {
    pub(super) fn new(address: &'a RepoAddress) -> Self {
        let (url, credentials) = address.reach();
        Self { address, url, credentials }
    }

    /// Runs git, which may reach the upstream; what it says of a failure holds no secret.
    async fn git(&self, directory: &Path, args: &[&str], limit: Duration) -> Result<String, GitError> {
        self.run(program::command(directory), args, limit).await
    }

    /// As [`Self::git`], for Git LFS, which opens a path by itself: it sees that repository's settings as its person does.
    pub(super) async fn lfs(&self, directory: &Path, args: &[&str], limit: Duration) -> Result<String, GitError> {
        let mut command = program::command(directory);
        command.env("SPRINT_GIT_REFUSED", directory.join("refused"));
        if self.address.path().is_some() {
            for key in ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_ATTR_NOSYSTEM"] {
                command.env_remove(key);
            }
        }
        self.run(command, args, limit).await
    }

    async fn run(&self, mut command: Command, args: &[&str], limit: Duration) -> Result<String, GitError> {
        let mut settings = personal::reach().await;
        if let Some(Credentials { user, password }) = &self.credentials {
            command.env("SPRINT_GIT_USER", user).env("SPRINT_GIT_PASSWORD", password);
            let own = format!("credential.{}.helper", origin(&self.url));
            // Only this helper is asked, for this server only: no other helper gets the secret, or stores it.
            settings.push(("credential.helper".to_owned(), String::new()));
            settings.push((own, HELPER.to_owned()));
        }
        command.envs(git_settings::variables(&settings));
        match program::run_command(command, args, limit).await {
            Err(GitError::Failed { command, stdout, stderr }) => {
                Err(GitError::Failed { command, stdout, stderr: self.address.scrub(&stderr) })
            }
            ran => ran,
        }
    }

    fn unreachable(&self, said: String) -> GitError {
        GitError::Unreachable { url: self.address.to_string(), obstacle: Obstacle::of(&said), said }
    }

    /// How the other side of a fetch is started, where it is a program on this host.
    fn upload_pack(&self) -> Option<String> {
        self.address.path().map(|_| format!("--upload-pack={AS_THE_PERSON} upload-pack"))
    }

    /// As [`Self::git`], for a command that reads, where a failure says most likely that the upstream cannot be reached.
    pub(super) async fn ask(&self, directory: &Path, args: &[&str], limit: Duration) -> Result<String, GitError> {
        let upload_pack = self.upload_pack();
        let args: Vec<&str> =
            args[..1].iter().copied().chain(upload_pack.as_deref()).chain(args[1..].iter().copied()).collect();
        match self.git(directory, &args, limit).await {
            Err(GitError::Failed { stderr, .. }) => Err(self.unreachable(words(&stderr))),
            Err(GitError::TimedOut { command: _, limit }) => Err(self.unreachable(no_answer(limit))),
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

/// The ref for what is fetched from a branch of the upstream.
fn fetched_ref(branch: &str) -> String {
    format!("refs/sprint/fetched/{branch}")
}

/// What workers get of an upstream besides the repo's branch.
const OTHERS: [&str; 2] = ["+refs/tags/*:refs/tags/*", "+refs/heads/*:refs/remotes/origin/*"];

/// Clones the branches and tags of an upstream into a new bare repository at `path`.
pub(super) async fn clone(
    path: &Path,
    address: &RepoAddress,
    branch: Option<&str>,
) -> Result<(String, CommitId), GitError> {
    std::fs::create_dir_all(path)?;
    let upstream = Reach::new(address);
    let (branch, tip) = find(path, &upstream, branch).await?;
    init(path, &branch).await?;
    let heads = format!("+refs/heads/{branch}:refs/heads/{branch}");
    let fetch = ["fetch", "--quiet", "--no-write-fetch-head", "--no-tags", &upstream.url];
    upstream.ask(path, &[&fetch[..], &[&heads]].concat(), TRANSFER_LIMIT).await?;
    // Git leaves out, with a warning only, what would make a clone shallow.
    let fetched = ["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")];
    if program::run(path, &fetched, ASK_LIMIT).await.is_err() {
        return Err(GitError::Shallow { url: address.to_string() });
    }
    upstream.ask(path, &[&fetch[..], &OTHERS].concat(), TRANSFER_LIMIT).await?;
    program::run(path, &["update-ref", &seen_ref(&branch), &format!("refs/heads/{branch}")], ASK_LIMIT).await?;
    Ok((branch, tip))
}

/// The directory of the hooks, from that of a repository: the data directory may be moved.
pub(super) const HOOKS: &str = "../.hooks";

/// Makes an empty bare repository as ours are.
pub(super) async fn init(path: &Path, branch: &str) -> Result<(), GitError> {
    program::run(path, &["init", "--quiet", "--bare", "--initial-branch", branch, "."], ASK_LIMIT).await?;
    program::run(path, &["config", "core.hooksPath", HOOKS], ASK_LIMIT).await?;
    set_up(path)
}

/// Asks the upstream for its branches; answers the one wanted, or the one its HEAD names.
async fn find(directory: &Path, upstream: &Reach<'_>, branch: Option<&str>) -> Result<(String, CommitId), GitError> {
    let args = ["ls-remote", "--symref", "--", &upstream.url, "HEAD", "refs/heads/*"];
    let printed = upstream.ask(directory, &args, ASK_LIMIT).await?;
    let (head, branches) = branches(&printed);
    let url = || upstream.address.to_string();
    // Twice as many digits as an object's name has here.
    if printed.lines().any(|line| line.split('\t').next().is_some_and(|name| name.len() == 64)) {
        return Err(GitError::ObjectFormat { url: url() });
    }
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
        let now = self.fetch(address, branch).await?;
        match self.upstream_seen(branch)? {
            Some(was) if !self.reaches(&now, &was)? => Ok(Fetched::Rewritten(UpstreamRewrite { was, now })),
            Some(_) | None => {
                self.see_upstream(branch, &now)?;
                Ok(Fetched::Tip(now))
            }
        }
    }

    /// Remembers that the upstream's branch is at a commit, whatever it was at before.
    ///
    /// # Errors
    /// [`GitError::Library`].
    pub fn see_upstream(&self, branch: &str, commit: &CommitId) -> Result<(), GitError> {
        self.set_ref(&seen_ref(branch), commit)
    }

    async fn fetch(&self, address: &RepoAddress, branch: &str) -> Result<CommitId, GitError> {
        let upstream = Reach::new(address);
        let refspec = format!("+refs/heads/{branch}:{}", fetched_ref(branch));
        let args = ["fetch", "--quiet", "--no-write-fetch-head", "--no-tags", &upstream.url, &refspec];
        upstream.ask(self.path(), &args, TRANSFER_LIMIT).await?;
        self.resolve(&fetched_ref(branch))?.ok_or_else(|| GitError::NoTip(branch.to_owned()))
    }

    /// Brings the upstream's tags and other branches along, as `refs/tags/…` and `refs/remotes/origin/…`; those that are
    /// gone there go.
    ///
    /// # Errors
    /// [`GitError::Unreachable`] when the upstream does not answer.
    pub async fn fetch_others(&self, address: &RepoAddress) -> Result<(), GitError> {
        let upstream = Reach::new(address);
        let mut args = vec!["fetch", "--quiet", "--no-write-fetch-head", "--no-tags", "--prune", &upstream.url];
        args.extend(OTHERS);
        upstream.ask(self.path(), &args, TRANSFER_LIMIT).await.map(drop)
    }

    /// Makes a branch that is at `tip` here and at the upstream, and the one that clones of this repository begin with.
    ///
    /// # Errors
    /// [`GitError::Library`]; [`GitError::Failed`] for a name that is none.
    pub async fn take_branch(&self, branch: &str, tip: &CommitId) -> Result<(), GitError> {
        self.set_ref(&format!("refs/heads/{branch}"), tip)?;
        self.see_upstream(branch, tip)?;
        let head = ["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")];
        program::run(self.path(), &head, ASK_LIMIT).await.map(drop)
    }

    /// Removes a branch, and where it was seen.
    ///
    /// # Errors
    /// [`GitError::Library`].
    pub fn forget_branch(&self, branch: &str) -> Result<(), GitError> {
        for name in [format!("refs/heads/{branch}"), seen_ref(branch), fetched_ref(branch)] {
            self.delete_ref(&name)?;
        }
        Ok(())
    }

    /// Fetches a branch of the upstream, if it has one of that name.
    ///
    /// # Errors
    /// As [`GitRepo::fetch_upstream`].
    pub async fn fetch_branch(&self, address: &RepoAddress, branch: &str) -> Result<Option<CommitId>, GitError> {
        if !git2::Reference::is_valid_name(&format!("refs/heads/{branch}")) {
            return Ok(None);
        }
        match self.fetch(address, branch).await {
            Ok(tip) => Ok(Some(tip)),
            Err(GitError::Unreachable { said, .. }) if said.contains("couldn't find remote ref") => Ok(None),
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

    /// Pushes `tip` to the upstream's branch, if that is where `expected` says: not over what was pushed meanwhile, and
    /// not where it was moved back. None expected: there is no such branch.
    ///
    /// # Errors
    /// [`GitError::Unreachable`] when no answer came: whether the push has arrived is then unknown.
    pub async fn push_upstream(
        &self,
        address: &RepoAddress,
        branch: &str,
        expected: Option<&CommitId>,
        tip: &CommitId,
    ) -> Result<Pushed, GitError> {
        let upstream = Reach::new(address);
        let refspec = format!("{tip}:refs/heads/{branch}");
        let expected = expected.map_or("", CommitId::as_str);
        let lease = format!("--force-with-lease=refs/heads/{branch}:{expected}");
        let mut args = vec!["push", "--porcelain", "--no-verify", &lease];
        let receive_pack = receive_pack();
        if address.path().is_some() {
            args.push(&receive_pack);
        }
        args.extend([upstream.url.as_str(), refspec.as_str()]);
        match upstream.git(self.path(), &args, TRANSFER_LIMIT).await {
            Ok(_) => {
                self.set_ref(&seen_ref(branch), tip)?;
                Ok(Pushed::Done)
            }
            Err(GitError::Failed { command: _, stdout, stderr }) => match refusal(&stdout) {
                Some("stale info" | "fetch first" | "non-fast-forward") => Ok(Pushed::Diverged),
                Some(reason) => Ok(Pushed::Refused { why: self.why(address, reason, &stderr).await }),
                None => Err(upstream.unreachable(words(&stderr))),
            },
            Err(GitError::TimedOut { command: _, limit }) => Err(upstream.unreachable(no_answer(limit))),
            Err(error) => Err(error),
        }
    }

    /// Finds out, without writing, whether the upstream may be pushed to; answers why it may not. A rule of its own, such
    /// as a protected branch, shows at a real push only.
    ///
    /// # Errors
    /// Those of our own repository.
    pub async fn try_push(&self, address: &RepoAddress, branch: &str) -> Result<Option<String>, GitError> {
        let upstream = Reach::new(address);
        let refspec = format!("refs/heads/{branch}:refs/heads/{branch}");
        let receive_pack = receive_pack();
        let mut args = vec!["push", "--dry-run", "--porcelain", "--no-verify"];
        if address.path().is_some() {
            args.push(&receive_pack);
        }
        args.extend([upstream.url.as_str(), refspec.as_str()]);
        match upstream.git(self.path(), &args, ASK_LIMIT).await {
            Ok(_) => Ok(None),
            // Somebody has pushed in the meantime.
            Err(GitError::Failed { stdout, .. }) if refusal(&stdout).is_some() => Ok(None),
            Err(GitError::Failed { stderr, .. }) => Ok(Some(upstream.unreachable(words(&stderr)).to_string())),
            Err(GitError::TimedOut { limit, .. }) => Ok(Some(upstream.unreachable(no_answer(limit)).to_string())),
            Err(error) => Err(error),
        }
    }

    /// Finds out by a branch that is pushed and deleted again whether the upstream takes pushes; answers why it does not.
    /// A rule for one branch only does not show.
    ///
    /// # Errors
    /// Those of our own repository.
    pub async fn probe_push(
        &self,
        address: &RepoAddress,
        tip: &CommitId,
        now: Timestamp,
    ) -> Result<Option<String>, GitError> {
        let branch = format!("sprint-probe-{:x}", now.as_millis());
        for refspec in [format!("{tip}:refs/heads/{branch}"), format!(":refs/heads/{branch}")] {
            let upstream = Reach::new(address);
            let receive_pack = receive_pack();
            let mut args = vec!["push", "--porcelain", "--no-verify"];
            if address.path().is_some() {
                args.push(&receive_pack);
            }
            args.extend([upstream.url.as_str(), refspec.as_str()]);
            let left = |why: String| {
                if refspec.starts_with(':') { format!("its branch {branch} could not be removed: {why}") } else { why }
            };
            match upstream.git(self.path(), &args, TRANSFER_LIMIT).await {
                Ok(_) => {}
                Err(GitError::Failed { command: _, stdout, stderr }) => {
                    return Ok(Some(left(match refusal(&stdout) {
                        Some(reason) => self.why(address, reason, &stderr).await,
                        None => upstream.unreachable(words(&stderr)).to_string(),
                    })));
                }
                Err(GitError::TimedOut { limit, .. }) => {
                    return Ok(Some(left(upstream.unreachable(no_answer(limit)).to_string())));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Why the upstream refused a push, in its own words, and for a checkout on this host with the files in the way.
    async fn why(&self, address: &RepoAddress, reason: &str, stderr: &str) -> String {
        let said = words(stderr);
        let why = if said.is_empty() { reason.to_owned() } else { format!("{reason}: {said}") };
        let Some(path) = address.path() else { return why };
        // A file that is in the way and unknown to git there is in git's own words.
        let args = ["-C", &path.to_string_lossy(), "status", "--porcelain", "-z", "--untracked-files=no"];
        let Ok(status) = program::run(self.path(), &args, ASK_LIMIT).await else { return why };
        // Of a renamed file the second name has a line of its own, which is as good.
        let changed: Vec<_> = status.split('\0').filter_map(|line| line.get(3..)).collect();
        if changed.is_empty() {
            return why;
        }
        let more = changed.len().saturating_sub(FILES_NAMED);
        let named = changed.iter().take(FILES_NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{why}; changed there: {named}{more}; commit, stash or remove these")
    }
}

fn no_answer(limit: Duration) -> String {
    format!("no answer within {}", humantime::format_duration(limit))
}

/// How many files in the way of a push are named.
const FILES_NAMED: usize = 5;

/// Why the upstream refused, as `git push --porcelain` prints it: `!`, the refs, and `[remote rejected] (why)`.
fn refusal(printed: &str) -> Option<&str> {
    let line = printed.lines().find_map(|line| line.strip_prefix("!\t"))?;
    let (_, reason) = line.rsplit_once('\t')?;
    let within = reason.split_once('(').and_then(|(_, within)| within.strip_suffix(')'));
    Some(within.unwrap_or(reason))
}

/// What git itself says of every failure, or of something else.
const NOISE: &[&str] = &[
    "Could not read from remote repository",
    "Please make sure you have the correct access rights",
    "and the repository exists",
    "To add an exception for this directory",
    "failed to push some refs",
    "hint:",
    "warning:",
];

/// What git and a server say of a failure, without what is said of every failure.
fn words(stderr: &str) -> String {
    let said = |line: &str| {
        let line = line.trim();
        let (theirs, line) = line.strip_prefix("remote:").map_or((false, line), |line| (true, line.trim()));
        let line = line.strip_prefix("error: ").or_else(|| line.strip_prefix("fatal: ")).unwrap_or(line);
        // A server's message counts whole, but for the signs with which it is ruled off.
        let is_noise = !theirs && NOISE.iter().any(|noise| line.starts_with(noise));
        (line.chars().any(char::is_alphanumeric) && !is_noise).then(|| line.to_owned())
    };
    let mut lines: Vec<String> = stderr.lines().filter_map(said).collect();
    lines.dedup();
    lines.join("; ")
}

#[cfg(test)]
#[path = "upstream_tests.rs"]
mod tests;
