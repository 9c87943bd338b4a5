//! Git LFS in workspaces: objects come from the coordinator when files are checked out, into a mirror that keeps them for
//! all workers of its repo.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::git::{Git, GitError};
use super::refs::quoted;
use super::remote::{Remote, TlsFiles};

/// How git reads and writes such files: in the configuration of each of our repositories, since the user's need not say
/// it. Nobody here can lock a file at the upstream.
pub(super) const FILTER: &str = "\
[filter \"lfs\"]
\tclean = git-lfs clean -- %f
\tsmudge = git-lfs smudge -- %f
\tprocess = git-lfs filter-process
\trequired = true
[lfs]
\tlocksverify = false
";

/// The coordinator may fetch from an upstream before it answers.
const ACTIVITY_LIMIT: Duration = Duration::from_mins(11);

/// Where a mirror says from where its objects come, for the checkouts of the agent.
fn settings_file(mirror: &Path) -> PathBuf {
    mirror.join("lfs.gitconfig")
}

/// Where a mirror keeps its objects.
pub(super) fn objects(mirror: &Path) -> PathBuf {
    mirror.join("lfs/objects")
}

/// The part of a configuration with which checkouts find a mirror's objects; workers do not get it.
pub(super) fn include(mirror: &Path) -> String {
    format!("[include]\n\tpath = {}\n", quoted(&settings_file(mirror).to_string_lossy()))
}

/// Has a command see a mirror's objects.
pub(super) fn reading(git: Git, mirror: &Path) -> Git {
    git.setting("include.path", &settings_file(mirror).to_string_lossy())
}

/// Writes where a mirror's objects come from.
///
/// # Errors
/// Those of the file system.
pub(super) fn write_settings(mirror: &Path, remote: &Remote, repo: &str) -> io::Result<()> {
    fs::create_dir_all(objects(mirror))?;
    let url = quoted(&format!("{}/info/lfs", remote.address(repo)));
    let storage = quoted(&mirror.join("lfs").to_string_lossy());
    let limit = ACTIVITY_LIMIT.as_secs();
    let tls = remote.tls().map_or_else(String::new, |TlsFiles { certificate, key, trust }| {
        let quoted = |path: &Path| quoted(&path.to_string_lossy());
        let (certificate, key, trust) = (quoted(certificate), quoted(key), quoted(trust));
        format!("[http]\n\tsslCert = {certificate}\n\tsslKey = {key}\n\tsslCAInfo = {trust}\n")
    });
    // What a tree says of these does not count: a file without its content would look like one that has it, and nobody
    // here has a password.
    let settings = format!(
        "[lfs]\n\turl = {url}\n\tpushurl = {url}\n\tstorage = {storage}\n\tactivitytimeout = {limit}\n\
         \tskipdownloaderrors = false\n\tfetchinclude =\n\tfetchexclude =\n[lfs {url}]\n\taccess = none\n{tls}"
    );
    let path = settings_file(mirror);
    let draft = path.with_extension("new");
    fs::write(&draft, settings)?;
    fs::rename(draft, path)
}

/// Why files could not be checked out, where Git LFS is the cause.
pub(super) enum Cause {
    /// This host has no git-lfs.
    NoProgram,
    /// Nobody has an object: the file holds its pointer then.
    Missing,
}

impl Cause {
    pub(super) fn of(error: &GitError) -> Option<Self> {
        let GitError::Failed { said, .. } = error else { return None };
        if said.contains("git-lfs") && (said.contains("not found") || said.contains("is not a git command")) {
            return Some(Self::NoProgram);
        }
        said.contains("[404]").then_some(Self::Missing)
    }
}

/// Has git leave pointers where there is no object.
pub(super) const LEAVE_POINTERS: (&str, &str) = ("GIT_LFS_SKIP_DOWNLOAD_ERRORS", "1");

/// In the git directory of a tree, some of whose files hold pointers.
pub(super) const LACKS: &str = "sprint-lacks-objects";

/// Whether a mirror has any objects: its repo is one with Git LFS.
pub(super) fn is_used(mirror: &Path) -> bool {
    fs::read_dir(objects(mirror)).is_ok_and(|mut list| list.next().is_some())
}
