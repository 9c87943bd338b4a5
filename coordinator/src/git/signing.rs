//! Signatures of commits by an SSH key, as `git commit -S` makes them with `gpg.format=ssh`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::GitError;

/// The namespace that git gives its signatures.
const NAMESPACE: &str = "git";

/// Signs the text of a commit with the private key in a file.
///
/// # Errors
/// [`GitError::Signing`]: there is no such key, it is locked by a passphrase, or ssh-keygen is missing.
pub(super) fn sign(key: &Path, text: &[u8]) -> Result<String, GitError> {
    let failed = |why: String| GitError::Signing { key: key.display().to_string(), why };
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", NAMESPACE, "-f"])
        .arg(key)
        // It asks for a passphrase at a terminal, or by a program on a screen.
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("SSH_ASKPASS", "/bin/false")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            failed(format!("ssh-keygen cannot be run: {error} (Debian: apt-get install openssh-client)"))
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // Where it refuses the key it reads nothing.
        stdin.write_all(text).ok();
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    let signature = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() && signature.starts_with("-----BEGIN SSH SIGNATURE-----") {
        return Ok(signature);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace("\r\n", "; ").replace('\n', "; ");
    Err(failed(if said.is_empty() { output.status.to_string() } else { said }))
}

/// Whether a key can sign.
///
/// # Errors
/// Those of signing with it.
pub fn check_key(key: &Path) -> Result<(), GitError> {
    sign(key, b"probe").map(drop)
}
