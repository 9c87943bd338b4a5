//! What stands between the coordinator and an upstream, read from the words of git, curl and ssh.

/// Why an upstream did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    HostUnknown,
    NoAnswer,
    HostKey,
    NoRepository,
    Denied,
    Owner,
    Partial,
    Certificate,
    Unsound,
    Other,
}

/// What is said of each, in lower case; the first that fits counts.
const SAID: &[(Obstacle, &[&str])] = &[
    (Obstacle::Unsound, &["fsck error", "error: object"]),
    (Obstacle::Owner, &["detected dubious ownership"]),
    (Obstacle::Partial, &["promisor remote", "lazy fetching disabled"]),
    (Obstacle::HostUnknown, &["could not resolve host", "name or service not known", "temporary failure in name"]),
    (Obstacle::HostKey, &["host key verification failed"]),
    (
        Obstacle::Denied,
        &[
            "permission denied",
            "authentication failed",
            "could not read username",
            "could not read password",
            "access denied",
            "returned error: 401",
            "returned error: 403",
            "you do not have permission",
            "not allowed to push",
            "read only",
            "read-only",
        ],
    ),
    (
        Obstacle::NoRepository,
        &["does not appear to be a git repository", "repository not found", "not found", "does not exist", "no such"],
    ),
    (Obstacle::Certificate, &["ssl certificate problem", "certificate verif", "server certificate"]),
    (
        Obstacle::NoAnswer,
        &[
            "connection refused",
            "couldn't connect",
            "failed to connect",
            "timed out",
            "no answer within",
            "no route to host",
            "network is unreachable",
            "connection reset",
            "connection closed",
            "unexpectedly",
            "empty reply",
        ],
    ),
];

impl Obstacle {
    pub(super) fn of(said: &str) -> Self {
        let said = said.to_ascii_lowercase();
        let found = SAID.iter().find(|(_, phrases)| phrases.iter().any(|phrase| said.contains(phrase)));
        found.map_or(Self::Other, |(obstacle, _)| *obstacle)
    }

    /// What it is, as the end of a sentence about the upstream.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::HostUnknown => "its host is not known here",
            Self::NoAnswer => "its host does not answer",
            Self::HostKey => "the key of its host is not known here",
            Self::NoRepository => "no git repository is there",
            Self::Denied => "it denies access",
            Self::Owner => "it belongs to another user",
            Self::Partial => "it is a partial clone, which lacks files of its history",
            Self::Certificate => "the certificate of its host is not trusted",
            Self::Unsound => "it has objects that git's fsck does not allow",
            Self::Other => "it cannot be reached",
        }
    }

    /// What a person can do.
    pub(super) const fn advice(self) -> &'static str {
        match self {
            Self::HostUnknown => "check the host's name, and the coordinator's network",
            Self::NoAnswer => "check the address and its port, and that the server runs",
            Self::HostKey => "connect to it once with ssh, as the coordinator's user",
            Self::NoRepository => "check the address; a path is one of the coordinator's host",
            Self::Denied => "check the access rights of the coordinator's user",
            Self::Owner => "have the coordinator's user trust it with git's setting safe.directory",
            Self::Partial => {
                "complete it with git fetch --refetch --no-filter, or name the repository that it was cloned from"
            }
            Self::Certificate => "have the coordinator's user trust it with git's setting http.sslCAInfo",
            Self::Unsound => "mend its history as git fsck says, or name a repository without them",
            Self::Other => "check the address",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_curl_and_ssh_say_is_told_apart() {
        let said = [
            ("Could not resolve host: no.such.host.invalid", Obstacle::HostUnknown),
            ("ssh: Could not resolve hostname x: Name or service not known", Obstacle::HostUnknown),
            ("Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server", Obstacle::NoAnswer),
            ("ssh: connect to host 127.0.0.1 port 1: Connection refused", Obstacle::NoAnswer),
            ("no answer within 30s", Obstacle::NoAnswer),
            ("Host key verification failed.", Obstacle::HostKey),
            ("'/tmp/nope' does not appear to be a git repository", Obstacle::NoRepository),
            ("ERROR: Repository not found.", Obstacle::NoRepository),
            ("repository 'https://example.org/x.git/' not found", Obstacle::NoRepository),
            ("git@example.org: Permission denied (publickey).", Obstacle::Denied),
            ("could not read Username for 'https://example.org': terminal prompts disabled", Obstacle::Denied),
            ("Authentication failed for 'https://example.org/x.git/'", Obstacle::Denied),
            ("unable to access 'https://example.org/': The requested URL returned error: 403", Obstacle::Denied),
            ("detected dubious ownership in repository at '/srv/x'", Obstacle::Owner),
            ("server certificate verification failed. CAfile: none", Obstacle::Certificate),
            ("remote: fatal: could not fetch 28e3b92 from promisor remote; bad pack header", Obstacle::Partial),
            ("something else", Obstacle::Other),
        ];
        for (said, obstacle) in said {
            assert_eq!(Obstacle::of(said), obstacle, "{said}");
        }
    }
}
