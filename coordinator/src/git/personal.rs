//! The git settings of the person who runs the coordinator. Only what says how an upstream is reached counts; our own
//! repositories do not depend on any.

use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use git2::ConfigLevel;

use super::program;

/// What the keys begin with that say how an upstream is reached: whom to ask for a password, by which other address,
/// over which proxy, trusting whom.
const REACH: &[&str] =
    &["credential.", "url.", "http.", "ssh.", "protocol.", "core.askpass", "core.gitproxy", "core.sshcommand"];

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
        Ok(listed) => reach_among(&listed),
        Err(error) => {
            tracing::warn!(%error, "the git settings of the coordinator's user cannot be read");
            vec![]
        }
    }
}

/// Takes them from what `git config --list -z` prints: a key, and after a line break its value; a key alone is true.
fn reach_among(listed: &str) -> Vec<(String, String)> {
    let entries = listed.split('\0').filter(|entry| !entry.is_empty());
    let entries = entries.map(|entry| entry.split_once('\n').unwrap_or((entry, "true")));
    let counts = |key: &str| REACH.iter().any(|start| key.starts_with(start));
    entries.filter(|(key, _)| counts(key)).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_how_upstreams_are_reached_counts() {
        let listed = "user.name\nAnn\0core.sshcommand\nssh -i key\0url.ssh://x/.insteadof\nhttps://x/\0\
                      push.gpgsign\ntrue\0credential.helper\0http.https://x.proxy\nhttp://p:1\0core.hookspath\n/x\0";
        let expected = [
            ("core.sshcommand", "ssh -i key"),
            ("url.ssh://x/.insteadof", "https://x/"),
            ("credential.helper", "true"),
            ("http.https://x.proxy", "http://p:1"),
        ];
        assert_eq!(reach_among(listed), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(reach_among(""), vec![]);
    }
}
