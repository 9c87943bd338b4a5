//! Where the coordinator's repositories are, and how git proves there whose it is.

use std::path::PathBuf;

use super::git::Git;

/// The coordinator as git sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    base_url: String,
    /// For addresses with TLS.
    tls: Option<TlsFiles>,
}

/// The files that git reads for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) trust: PathBuf,
}

impl Remote {
    pub(crate) fn new(base_url: String, tls: Option<TlsFiles>) -> Self {
        Self { base_url, tls }
    }

    /// The address of a repo.
    pub(crate) fn address(&self, repo: &str) -> String {
        format!("{}/git/{repo}.git", self.base_url.trim_end_matches('/'))
    }

    pub(super) fn tls(&self) -> Option<&TlsFiles> {
        self.tls.as_ref()
    }

    /// Lets a command show the outpost's certificate, and trust the coordinator's authority only.
    pub(crate) fn apply(&self, git: Git) -> Git {
        match &self.tls {
            Some(TlsFiles { certificate, key, trust }) => git
                .env("GIT_SSL_CERT", certificate)
                .env("GIT_SSL_KEY", key)
                .env("GIT_SSL_CAINFO", trust)
                .env("GIT_SSL_VERSION", "tlsv1.3"),
            None => git,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_slash_between_its_parts() {
        let address = |base: &str| Remote::new(base.to_owned(), None).address("web");
        assert_eq!(address("https://127.0.0.1:50051/"), "https://127.0.0.1:50051/git/web.git");
        assert_eq!(address("file:///tmp/x"), "file:///tmp/x/git/web.git");
    }
}
