//! A client's request to git, parsed as strictly as git's own client writes it.

use axum::http::{HeaderMap, Method, header};
use base64::Engine as _;
use sprint_core::ids::RepoName;

use crate::face::caller::bearer;

/// One of git's two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    UploadPack,
    ReceivePack,
}

impl Service {
    const ALL: [Self; 2] = [Self::UploadPack, Self::ReceivePack];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

/// The purpose of a request. Nothing else of a repository is served, in particular not its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) repo: RepoName,
    pub(super) service: Service,
    /// Whether it is the question for refs with which git begins, or the service itself.
    pub(super) begins: bool,
}

impl Asked {
    /// Reads a request's method, path below `/git/` and query; none when it is not one of git's.
    ///
    /// Nothing is unescaped: no name needs it.
    pub(super) fn read(method: &Method, path: &str, query: Option<&str>) -> Option<Self> {
        let (repo, rest) = path.split_once(".git/")?;
        let repo = RepoName::new(repo).ok()?;
        let begins = rest == "info/refs";
        let asked = Service::ALL.into_iter().find(|service| {
            if begins {
                query.and_then(|query| query.strip_prefix("service=")) == Some(service.name())
            } else {
                rest == service.name() && query.is_none()
            }
        });
        let wanted = if begins { Method::GET } else { Method::POST };
        asked.filter(|_| *method == wanted).map(|service| Self { repo, service, begins })
    }

    /// The input of `git http-backend`: method, path and query.
    pub(super) fn for_backend(&self) -> (&'static str, String, String) {
        let (repo, service) = (&self.repo, self.service.name());
        if self.begins {
            ("GET", format!("/{repo}.git/info/refs"), format!("service={service}"))
        } else {
            ("POST", format!("/{repo}.git/{service}"), String::new())
        }
    }
}

/// The token that a request shows: as `Bearer`, or as the password of HTTP's basic authentication, which git
/// sends where an address carries one.
pub(super) fn token(headers: &HeaderMap) -> Option<String> {
    bearer(headers).map(ToOwned::to_owned).or_else(|| password(headers))
}

fn password(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(text).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
#[path = "asked_tests.rs"]
mod tests;
