//! Sockets in a directory of ours. Its path may be longer than a socket's name can be, so that they are named
//! through the directory's descriptor.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Listens, in place of whoever listened there before.
///
/// # Errors
/// Those of the file system.
pub(crate) fn listen(dir: &Path, name: &str) -> io::Result<UnixListener> {
    let dir = File::open(dir)?;
    let path = below(&dir, name);
    match fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    UnixListener::bind(path)
}

/// # Errors
/// Those of the file system; nobody listens.
pub(crate) fn connect(dir: &Path, name: &str) -> io::Result<UnixStream> {
    let dir = File::open(dir)?;
    UnixStream::connect(below(&dir, name))
}

fn below(dir: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()))
}
