//! Git on this host, and how it reaches the coordinator's repositories.

use std::path::Path;
use std::process::{Command, Stdio};

use sprint_core::git_settings;
use sprint_core::ids::{CommitId, RepoName};
use sprint_identity::connect::{Credential, fetch_authority};
use sprint_identity::private;
use sprint_identity::trust::Trust;
use tempfile::TempDir;

use crate::failure::Failure;
use crate::target::Target;

/// Git in a directory, without the person's hooks, and with every byte as it is.
pub(crate) fn git(directory: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory);
    git.args(["-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false", "-c", "advice.detachedHead=false"]);
    // Those of a repository around this command are not meant.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"] {
        git.env_remove(variable);
    }
    // What cannot be had of Git LFS stays a pointer.
    git.env("GIT_LFS_SKIP_DOWNLOAD_ERRORS", "1");
    git.env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null());
    git
}

/// Runs it; answers what it printed, without the last line end.
///
/// # Errors
/// It cannot be run, or says no.
pub(crate) fn run(git: &mut Command) -> Result<String, Failure> {
    let output = git.output().map_err(Failure::io("starting git"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::new("client.git", format!("git says: {said}")))
}

/// The way to the coordinator's repository of a repo, with the files that prove who asks.
#[derive(Debug)]
pub(crate) struct Remote {
    url: String,
    variables: Vec<(String, String)>,
    _files: TempDir,
}

impl Remote {
    /// # Errors
    /// The files cannot be written, or the coordinator is another than the one that is trusted.
    pub(crate) async fn new(target: &Target, repo: &RepoName) -> Result<Self, Failure> {
        let files = tempfile::tempdir().map_err(Failure::io("making a directory for credentials"))?;
        let write = |name: &str, content: &str| {
            let path = files.path().join(name);
            private::write(&path, content.as_bytes()).map_err(Failure::io("writing credentials for git"))?;
            Ok::<_, Failure>(path.display().to_string())
        };
        let authority = match &target.trust {
            Trust::Fingerprint(fingerprint) => fetch_authority(&target.address, fingerprint).await?,
            Trust::Authorities(pem) => pem.clone(),
        };
        let url = format!("https://{}/git/{repo}.git", target.address);
        let mut variables =
            vec![("GIT_SSL_CAINFO", write("ca.pem", &authority)?), ("GIT_SSL_VERSION", "tlsv1.3".to_owned())];
        // Git LFS reads settings only, and of variables that of the authorities.
        let mut settings = vec![("lfs.url", format!("{url}/info/lfs"))];
        match &target.credential {
            Credential::None => {}
            Credential::Certificate { chain_pem, key_pem } => {
                let (certificate, key) = (write("cert.pem", chain_pem)?, write("key.pem", key_pem)?);
                settings.extend([("http.sslCert", certificate.clone()), ("http.sslKey", key.clone())]);
                variables.extend([("GIT_SSL_CERT", certificate), ("GIT_SSL_KEY", key)]);
            }
            Credential::Token(token) => {
                settings.push(("http.extraHeader", format!("Authorization: Bearer {}", token.reveal())));
            }
        }
        let owned = |(key, value): (&str, String)| (key.to_owned(), value);
        let mut variables: Vec<_> = variables.into_iter().map(owned).collect();
        // In the environment: other users of the host may read arguments.
        variables.extend(git_settings::variables(&settings.into_iter().map(owned).collect::<Vec<_>>()));
        Ok(Self { url, variables, _files: files })
    }

    /// Fetches refs into the repository of a directory.
    ///
    /// # Errors
    /// What git says.
    pub(crate) fn fetch(&self, directory: &Path, refspecs: &[String]) -> Result<(), Failure> {
        let mut git = git(directory);
        git.envs(self.variables.iter().map(|(key, value)| (key, value)));
        git.args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", &self.url]).args(refspecs);
        run(&mut git).map(drop)
    }

    /// Fetches the objects of Git LFS that commits name; a person without git-lfs has pointers everywhere.
    ///
    /// # Errors
    /// What git-lfs says.
    pub(crate) fn fetch_objects<'a>(
        &self,
        directory: &Path,
        commits: impl Iterator<Item = &'a CommitId>,
    ) -> Result<(), Failure> {
        if run(git(directory).args(["lfs", "version"])).is_err() {
            return Ok(());
        }
        let mut git = git(directory);
        git.envs(self.variables.iter().map(|(key, value)| (key, value)));
        git.args(["lfs", "fetch", &self.url]).args(commits.map(CommitId::as_str));
        run(&mut git).map(drop)
    }
}
