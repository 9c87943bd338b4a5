//! A worker's secrets on this outpost: written down for it alone, and taken away when it has ended.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;

use sprint_core::secret::{SecretForm, SecretText};
use sprint_identity::private;

use crate::host::disk;
use crate::host::paths::WorkerDir;

/// Writes them down, for this user only: the shim gives them to the worker's commands.
///
/// # Errors
/// Those of the file system.
pub(super) fn write(secrets: &[SecretText], dir: &WorkerDir) -> io::Result<()> {
    if secrets.is_empty() {
        return Ok(());
    }
    private::write(&dir.secrets(), &serde_json::to_vec(secrets)?)
}

/// Makes the files of those that a worker gets as files.
///
/// # Errors
/// Those of the file system.
pub(super) fn make_files(dir: &WorkerDir) -> io::Result<()> {
    let secrets = match fs::read(dir.secrets()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        content => serde_json::from_slice::<Vec<SecretText>>(&content?)?,
    };
    for SecretText { name, form, text } in secrets {
        if form == SecretForm::File {
            let files = dir.secret_files();
            DirBuilder::new().recursive(true).mode(0o700).create(&files)?;
            private::write(&files.join(name.as_str()), text.as_bytes())?;
        }
    }
    Ok(())
}

/// Takes them away, with what may hold one as the worker has said it.
///
/// # Errors
/// Those of the file system.
pub(super) fn remove(dir: &WorkerDir) -> io::Result<()> {
    disk::remove_dir(&dir.secret_files())?;
    if !dir.secrets().try_exists()? {
        return Ok(());
    }
    for file in [dir.agent(), dir.exit(), dir.nothing_to_do(), dir.secrets()] {
        match fs::remove_file(file) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
