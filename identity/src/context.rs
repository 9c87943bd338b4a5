//! Contexts: the coordinators that a person works with, and their credentials. One file for each,
//! for its owner's eyes only, in `$SPRINT_CONFIG_DIR`, else `$XDG_CONFIG_HOME/sprint`, else `~/.config/sprint`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sprint_core::ids::ContextName;
use sprint_core::token::InvalidToken;
use thiserror::Error;

use crate::connect::Credential;
use crate::private;
use crate::trust::Trust;

/// Why a context cannot be used.
#[derive(Debug, Error)]
pub enum ContextError {
    #[error("there is no place for contexts: HOME is not set; name a directory with SPRINT_CONFIG_DIR")]
    NoPlace,
    #[error("{path} cannot be read or written: {error}")]
    File { path: String, error: std::io::Error },
    #[error("{path} is not a context: {why}; log in again with: sprintctl login")]
    Malformed { path: String, why: String },
    #[error("there is no context \"{0}\"; see: sprintctl context list")]
    Unknown(ContextName),
}

/// A coordinator, and the credentials for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// `HOST:PORT`.
    pub coordinator: String,
    /// The authorities that are trusted, PEM.
    pub trust: String,
    /// Shown at each call; none where there is a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// PEM, with its chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The certificate's private key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The data directory of a coordinator on this host, which wrote this context itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("coordinator", &self.coordinator).finish_non_exhaustive()
    }
}

impl Context {
    pub fn trusted(&self) -> Trust {
        Trust::Authorities(self.trust.clone())
    }

    /// # Errors
    /// [`InvalidToken`].
    pub fn credential(&self) -> Result<Credential, InvalidToken> {
        match (&self.certificate, &self.key, &self.token) {
            (Some(chain), Some(key), _) => {
                Ok(Credential::Certificate { chain_pem: chain.clone(), key_pem: key.clone() })
            }
            (_, _, Some(token)) => Ok(Credential::Token(token.parse()?)),
            (_, _, None) => Ok(Credential::None),
        }
    }

    /// Reads one file.
    ///
    /// # Errors
    /// [`ContextError`].
    pub fn read(path: &Path) -> Result<Self, ContextError> {
        let text = std::fs::read_to_string(path).map_err(file(path))?;
        Self::parse(&text).map_err(|why| ContextError::Malformed { path: path.display().to_string(), why })
    }

    /// Reads the text of a file; an error says what is wrong with it.
    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            // What stands there may be a secret, also where a key is expected: it is not shown.
            match error.span() {
                Some(span) if !error.message().starts_with("missing field") => {
                    let line = text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1;
                    format!("line {line} makes no sense")
                }
                Some(_) | None => error.message().to_owned(),
            }
        })
    }

    /// Writes one file, with mode 0600.
    ///
    /// # Errors
    /// [`ContextError::File`].
    pub fn write(&self, path: &Path) -> Result<(), ContextError> {
        let text = toml::to_string(self)
            .map_err(|error| ContextError::Malformed { path: path.display().to_string(), why: error.to_string() })?;
        if let Some(parent) = path.parent() {
            private::make_dir(parent).map_err(file(parent))?;
        }
        private::write(path, text.as_bytes()).map_err(file(path))
    }
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> ContextError {
    let path = path.display().to_string();
    move |error| ContextError::File { path, error }
}

/// A person's contexts.
#[derive(Debug, Clone)]
pub struct Contexts {
    dir: PathBuf,
}

impl Contexts {
    pub fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Those of the person who runs this process.
    ///
    /// # Errors
    /// [`ContextError::NoPlace`].
    pub fn of_environment() -> Result<Self, ContextError> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("SPRINT_CONFIG_DIR")
            .or_else(|| set("XDG_CONFIG_HOME").map(|dir| dir.join("sprint")))
            .or_else(|| set("HOME").map(|home| home.join(".config/sprint")))
            .map(Self::at)
            .ok_or(ContextError::NoPlace)
    }

    /// Where a context is kept, or would be.
    pub fn path(&self, name: &ContextName) -> PathBuf {
        self.dir.join("contexts").join(format!("{name}.toml"))
    }

    fn current_path(&self) -> PathBuf {
        self.dir.join("current")
    }

    /// The names of all of them, sorted.
    ///
    /// # Errors
    /// [`ContextError::File`].
    pub fn names(&self) -> Result<Vec<ContextName>, ContextError> {
        let dir = self.dir.join("contexts");
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => return Err(file(&dir)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let path = entry.map_err(file(&dir))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".toml"));
            names.extend(name.and_then(|name| ContextName::new(name).ok()));
        }
        names.sort();
        Ok(names)
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// [`ContextError`].
    pub fn list(&self) -> Result<Vec<(ContextName, Context)>, ContextError> {
        self.names()?.into_iter().map(|name| self.get(&name).map(|context| (name, context))).collect()
    }

    /// Whether others than its owner may read a context, or write it.
    ///
    /// # Errors
    /// [`ContextError::File`].
    pub fn is_exposed(&self, name: &ContextName) -> Result<bool, ContextError> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        let metadata = std::fs::metadata(&path).map_err(file(&path))?;
        Ok(metadata.permissions().mode() & 0o077 != 0)
    }

    /// # Errors
    /// [`ContextError::Unknown`], or why it cannot be read.
    pub fn get(&self, name: &ContextName) -> Result<Context, ContextError> {
        let path = self.path(name);
        if path.exists() { Context::read(&path) } else { Err(ContextError::Unknown(name.clone())) }
    }

    /// # Errors
    /// [`ContextError::File`].
    pub fn save(&self, name: &ContextName, context: &Context) -> Result<(), ContextError> {
        context.write(&self.path(name))
    }

    /// # Errors
    /// [`ContextError::Unknown`], or why it cannot be removed.
    pub fn remove(&self, name: &ContextName) -> Result<(), ContextError> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ContextError::Unknown(name.clone()));
            }
            Err(error) => return Err(file(&path)(error)),
        }
        if self.current()?.as_ref() == Some(name) {
            std::fs::remove_file(self.current_path()).map_err(file(&self.current_path()))?;
        }
        Ok(())
    }

    /// The one that commands use when none is named.
    ///
    /// # Errors
    /// [`ContextError::File`].
    pub fn current(&self) -> Result<Option<ContextName>, ContextError> {
        let path = self.current_path();
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(ContextName::new(text.trim()).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file(&path)(error)),
        }
    }

    /// # Errors
    /// [`ContextError::Unknown`], or why it cannot be written.
    pub fn make_current(&self, name: &ContextName) -> Result<(), ContextError> {
        if !self.path(name).exists() {
            return Err(ContextError::Unknown(name.clone()));
        }
        let path = self.current_path();
        private::write(&path, format!("{name}\n").as_bytes()).map_err(file(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(coordinator: &str) -> Context {
        Context {
            coordinator: coordinator.to_owned(),
            trust: "pem".to_owned(),
            token: Some("sprint1_secret".to_owned()),
            certificate: None,
            key: None,
            data_dir: None,
        }
    }

    fn name(text: &str) -> ContextName {
        ContextName::new(text).expect("a name")
    }

    #[test]
    fn contexts_are_kept_used_and_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let contexts = Contexts::at(dir.path().join("sprint"));
        assert!(contexts.list().expect("a list").is_empty());
        contexts.save(&name("home"), &context("a:1")).expect("is saved");
        contexts.save(&name("work"), &context("b:1")).expect("is saved");
        contexts.make_current(&name("work")).expect("is there");
        assert_eq!(contexts.current().expect("is read"), Some(name("work")));
        assert_eq!(contexts.get(&name("home")).expect("is read"), context("a:1"));
        contexts.remove(&name("work")).expect("is removed");
        assert_eq!(contexts.current().expect("is read"), None);
        assert!(matches!(contexts.make_current(&name("work")), Err(ContextError::Unknown(_))));
        assert_eq!(contexts.list().expect("a list").len(), 1);
    }

    #[test]
    fn an_error_about_a_file_shows_no_secret_of_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.toml");
        std::fs::write(&path, "coordinator = \"a:1\"\ntoken = hunter2 = 3").expect("is written");
        let error = Context::read(&path).expect_err("is refused").to_string();
        assert!(error.contains("a.toml") && !error.contains("hunter2"), "{error}");
        assert!(!format!("{:?}", context("a:1")).contains("secret"));
    }
}

#[cfg(test)]
#[path = "context_fuzz.rs"]
mod fuzz;
