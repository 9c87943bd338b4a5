//! The git settings of the person who runs the coordinator. Only what says how an upstream is reached counts; our own
//! repositories do not depend on any.

use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use git2::ConfigLevel;
use sprint_core::git_settings;

use super::program;

/// What the keys begin with that say how an upstream is reached: whom to ask for a password, by which other address,
/// over which proxy, trusting whom.
const REACH: &[&str] = &[
    "credential.",
    "url.",
    "http.",
    "ssh.",
    "protocol.",
    "core.askpass",
    "core.gitproxy",
    "core.sshcommand",
    // Not where Git LFS keeps objects, or from whom.
    "lfs.http",
    "lfs.customtransfer.",
    "lfs.standalonetransferagent",
    "lfs.transfer.",
    "lfs.concurrenttransfers",
];

/// Reading files on this host.
const LIMIT: Duration = Duration::from_secs(10);

/// Has a program on this host see the person's settings, as it does when the person pushes to a path.
pub(super) const AS_THE_PERSON: &str = "env -u GIT_CONFIG_GLOBAL -u GIT_CONFIG_NOSYSTEM -u GIT_ATTR_NOSYSTEM git";

/// The settings by which upstreams are reached, as they are now. None where git cannot read them: what depends on them
/// then fails with words of its own.
pub(super) async fn reach() -> Vec<(String, String)> {
    let mut command = program::command(Path::new("/"));
    command.env_remove("GIT_CONFIG_GLOBAL").env_remove("GIT_CONFIG_NOSYSTEM");
    match program::run_command(command, &["config", "--list", "--includes", "-z"], LIMIT).await {
        Ok(listed) => git_settings::among(&listed, REACH),
        Err(error) => {
            tracing::warn!(%error, "the git settings of the coordinator's user cannot be read");
            vec![]
        }
    }
}

/// Keeps libgit2 from reading any settings but those of a repository itself.
#[expect(unsafe_code, reason = "libgit2's search paths are global, and git2 leaves the threads to the caller")]
pub(super) fn ignore_in_libgit2() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for level in [ConfigLevel::System, ConfigLevel::Global, ConfigLevel::XDG, ConfigLevel::ProgramData] {
            // SAFETY: the paths are set once, before the first repository is opened.
            if let Err(error) = unsafe { git2::opts::set_search_path(level, "") } {
                tracing::warn!(%error, "libgit2 reads the git settings of the coordinator's user");
            }
        }
    });
}
