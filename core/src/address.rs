//! Where a repo comes from: an address that may carry a secret, which is shown nowhere.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The text in place of a secret.
const HIDDEN: &str = "***";

/// The address of a git repository, as its owner gave it: a URL, `user@host:path`, or a path.
///
/// It is kept whole, and shown without what it lets its reader do.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepoAddress(String);

/// The credentials in an address.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    /// Empty where the user's name is a token.
    pub password: String,
}

/// Why a text cannot be the address of a repo; it is not shown, since it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidAddress {
    #[error("this is not the address of a git repository; give a URL, or a path on the coordinator's host")]
    NoAddress,
    #[error("the address has a query or a fragment (? or #), which git servers do not use; remove it")]
    Query,
    #[error(
        "the address contains a password, which git accepts for http and https only; for ssh give the coordinator's user a key"
    )]
    Password,
    #[error(
        "the ends of the user and the password in the address are ambiguous; escape special characters in them, such as %2f for / and %40 for @, and each @ in the path"
    )]
    Escapes,
    #[error(
        "the address is of no kind that is used: give https://, http:// or ssh://, user@host:path, file:// or a path on the coordinator's host"
    )]
    Scheme,
}

/// Why an address in `.gitmodules` is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidSubmodule {
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    #[error("its address leads beyond the host of the repository")]
    BeyondHost,
    #[error("its address is a path, which counts only where the repository's own is one")]
    Path,
    #[error(
        "its address is of no kind that is used for submodules: https, http, ssh, user@host:path, or a path from the repository's own"
    )]
    Scheme,
}

/// An address in pieces; together they are the whole.
struct Parts<'a> {
    /// The scheme, with what divides it from what follows.
    before: &'a str,
    /// The part before the `@`.
    user: Option<&'a str>,
    after: &'a str,
}

impl RepoAddress {
    /// Checks and takes an address.
    ///
    /// # Errors
    /// [`InvalidAddress`].
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidAddress> {
        let address = Self(text.into());
        if address.0.trim().is_empty() || address.0.starts_with('-') || address.0.chars().any(char::is_control) {
            return Err(InvalidAddress::NoAddress);
        }
        let Parts { user, after, .. } = address.parts();
        match user {
            Some(user) if address.is_http() && credentials(user).is_none() => Err(InvalidAddress::Escapes),
            _ if address.is_http() && after.contains(['?', '#']) => Err(InvalidAddress::Query),
            Some(_) if !address.is_http() && address.is_secret() => Err(InvalidAddress::Password),
            // Others start programs, or are not encrypted at all.
            _ if address.path().is_none() && !address.is_of_a_server() => Err(InvalidAddress::Scheme),
            Some(_) | None => Ok(address),
        }
    }

    /// Takes an address as the record or the wire has it.
    pub fn as_kept(text: String) -> Self {
        Self(text)
    }

    /// The address for git's command line, which all users of the host can read, and the credentials that git asks for.
    pub fn reach(&self) -> (String, Option<Credentials>) {
        let Parts { before, user, after } = self.parts();
        match user.filter(|_| self.is_http()).and_then(credentials) {
            Some(credentials) => (format!("{before}{after}"), Some(credentials)),
            None => (self.0.clone(), None),
        }
    }

    /// The address of a submodule, as `.gitmodules` of this repository gives it: an address, or a path from this one.
    ///
    /// The file is written by whoever may change the tree. So no scheme is taken that runs a program, and no path on the
    /// coordinator's host unless this repository is one, too.
    ///
    /// # Errors
    /// [`InvalidSubmodule`].
    pub fn submodule(&self, text: &str) -> Result<Self, InvalidSubmodule> {
        let is_relative = text.starts_with("./") || text.starts_with("../");
        let whole = if is_relative { self.beside(text).ok_or(InvalidSubmodule::BeyondHost)? } else { text.to_owned() };
        let address = Self::new(whole).map_err(|error| match error {
            InvalidAddress::Scheme => InvalidSubmodule::Scheme,
            error @ (InvalidAddress::NoAddress
            | InvalidAddress::Query
            | InvalidAddress::Password
            | InvalidAddress::Escapes) => InvalidSubmodule::Address(error),
        })?;
        if address.path().is_some() {
            return if self.path().is_some() { Ok(address) } else { Err(InvalidSubmodule::Path) };
        }
        if !address.is_of_a_server() {
            return Err(InvalidSubmodule::Scheme);
        }
        Ok(self.lend_credentials(address))
    }

    /// Whether a server of a kind that is used is asked.
    fn is_of_a_server(&self) -> bool {
        let lower = self.0.to_ascii_lowercase();
        let has_scheme = ["https://", "http://", "ssh://"].iter().any(|scheme| lower.starts_with(scheme));
        // `host:path`, and nothing that a helper program is asked for.
        let is_scp = !lower.contains("::")
            && !lower.contains("://")
            && lower.split('/').next().is_some_and(|begin| begin.contains(':') && !begin.starts_with(':'));
        has_scheme || is_scp
    }

    /// The address to which a path leads from this one; none when that is beyond the host.
    fn beside(&self, path: &str) -> Option<String> {
        let mut base = self.0.trim_end_matches('/');
        let begin = base.find("://").map_or(0, |at| base[at + 3..].find('/').map_or(base.len(), |end| at + 3 + end));
        let (mut path, mut divider) = (path, '/');
        loop {
            if let Some(rest) = path.strip_prefix("./") {
                path = rest;
            } else if let Some(rest) = path.strip_prefix("../") {
                let at = base[begin..].rfind(['/', ':']).map(|at| begin + at)?;
                divider = base[at..].chars().next()?;
                (base, path) = (&base[..at], rest);
            } else if base.len() < begin || path.is_empty() {
                return None;
            } else {
                return Some(format!("{base}{divider}{path}"));
            }
        }
    }

    /// An address at the server of this one is reached as this one is.
    fn lend_credentials(&self, address: Self) -> Self {
        let (own, other) = (self.parts(), address.parts());
        let origin = |before: &str, after: &str| {
            (before.to_ascii_lowercase(), after.split('/').next().map(str::to_ascii_lowercase))
        };
        // Without a user the whole address is the last part.
        let (scheme, rest) = other.after.split_once("://").unwrap_or(("", other.after));
        let same = origin(own.before, own.after) == origin(&format!("{scheme}://"), rest);
        match own.user {
            Some(user) if self.is_http() && other.user.is_none() && same => {
                Self(format!("{}{user}@{rest}", own.before))
            }
            Some(_) | None => address,
        }
    }

    /// The address for those who may see it: without a secret, and without its place.
    pub fn without_credentials(&self) -> String {
        let Parts { before, user, after } = self.parts();
        match user {
            Some(_) if self.is_secret() => format!("{before}{after}"),
            Some(_) | None => self.0.clone(),
        }
    }

    /// The path that it is, on the coordinator's host; none when a server or another host is asked.
    pub fn path(&self) -> Option<&Path> {
        let text = self.0.strip_prefix("file://").unwrap_or(&self.0);
        text.starts_with('/').then(|| Path::new(text))
    }

    /// A text that may repeat the address, such as what git says of it, without the address's secrets.
    pub fn scrub(&self, text: &str) -> String {
        let Some(user) = self.parts().user.filter(|_| self.is_secret()) else { return text.to_owned() };
        let decoded = credentials(user).map(|Credentials { user, password }| [user, password]).unwrap_or_default();
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let [decoded_name, decoded_password] = decoded;
        // The longest first: it holds the others.
        let mut secrets = vec![user, password, &decoded_password];
        if password.is_empty() {
            secrets.extend([name, &decoded_name]);
        }
        let secrets = secrets.into_iter().filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }

    /// Whether what stands before its `@` is secret. A name at a host that is reached by ssh is.
    fn is_secret(&self) -> bool {
        let has_password = |user: &str| user.split('@').next().is_some_and(|first| first.contains(':'));
        self.parts().user.is_some_and(|user| self.is_http() || has_password(user))
    }

    /// Whether git's own client for HTTP reaches it, also as in `https::https://…`.
    fn is_http(&self) -> bool {
        let scheme = self.0.split_once("://").map_or("", |(scheme, _)| scheme);
        let scheme = scheme.rsplit(':').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    }

    fn parts(&self) -> Parts<'_> {
        let text = self.0.as_str();
        let begin = text.find("://").map_or(0, |at| at + 3);
        let whole = Parts { before: "", user: None, after: text };
        if begin > 0 && text[..begin].to_ascii_lowercase().ends_with("file://") {
            return whole;
        }
        // Clients take more slashes than two for two.
        let begin = if begin > 0 { text.len() - text[begin..].trim_start_matches('/').len() } else { 0 };
        let rest = &text[begin..];
        // Behind a scheme, what stands before any `@` may be a password with a slash in it.
        let end = if begin > 0 { rest.len() } else { rest.find('/').unwrap_or(rest.len()) };
        match rest[..end].rfind('@') {
            Some(at) => Parts { before: &text[..begin], user: Some(&rest[..at]), after: &rest[at + 1..] },
            None => whole,
        }
    }
}

/// Reads `user:password`, unescaped; none when it goes beyond the host, or is not text on one line.
fn credentials(user: &str) -> Option<Credentials> {
    if user.contains(['/', '?', '#', '@']) {
        return None;
    }
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    Some(Credentials { user: unescaped(user)?, password: unescaped(password)? })
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
            u8::try_from(digit()? * 16 + digit()?).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

impl fmt::Display for RepoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { before, user, after } = self.parts();
        let after = if self.is_http() { after.split(['?', '#']).next().unwrap_or_default() } else { after };
        match user {
            Some(_) if self.is_secret() => write!(f, "{before}{HIDDEN}@{after}"),
            Some(user) => write!(f, "{before}{user}@{after}"),
            None => f.write_str(after),
        }
    }
}

impl fmt::Debug for RepoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepoAddress({self})")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
