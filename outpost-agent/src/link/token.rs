//! Keeps the token of the command line out of the list of processes.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::unistd::pipe;
use sprint_core::token::{InvalidToken, TokenText};
use thiserror::Error;

use crate::settings::{FORMER_TOKEN_VARIABLE, TOKEN_VARIABLE};

/// A token is far shorter, and fits into any pipe.
const LONGEST: u64 = 4096;

/// Why there is no token, although one was named.
#[derive(Debug, Error)]
pub(crate) enum TokenError {
    #[error("the token cannot be read from {path}: {error}")]
    File { path: String, error: io::Error },
    #[error(transparent)]
    Invalid(#[from] InvalidToken),
}

/// Starts this program again without the token among its arguments or in its environment, where others
/// may look: it comes by standard input instead.
///
/// Does not return, unless the start failed; then says why.
pub(crate) fn start_again(token: &str) -> io::Error {
    let again = || -> io::Result<Command> {
        let (read, write) = pipe()?;
        File::from(write).write_all(token.as_bytes())?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(without_token(std::env::args_os().skip(1))).args(["--token-file", "-"]);
        command.env_remove(TOKEN_VARIABLE).env_remove(FORMER_TOKEN_VARIABLE).stdin(read);
        Ok(command)
    };
    match again() {
        Ok(mut command) => command.exec(),
        Err(error) => error,
    }
}

fn without_token(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "--token" {
            args.next();
        } else if !arg.as_encoded_bytes().starts_with(b"--token=") {
            kept.push(arg);
        }
    }
    kept
}

/// Reads the token from a file; `-` is standard input.
///
/// # Errors
/// [`TokenError`], which never shows what was read.
pub(crate) fn read(path: &Path) -> Result<TokenText, TokenError> {
    let mut text = String::new();
    let result = if path == Path::new("-") {
        io::stdin().take(LONGEST).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    result.map_err(|error| TokenError::File { path: path.display().to_string(), error })?;
    Ok(text.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_taken_out_of_the_arguments_in_either_form() {
        let args = |list: &[&str]| list.iter().map(OsString::from).collect::<Vec<_>>();
        let rest = args(&["join", "--coordinator", "a:1"]);
        assert_eq!(without_token(args(&["join", "--token", "x", "--coordinator", "a:1"])), rest);
        assert_eq!(without_token(args(&["join", "--coordinator", "a:1", "--token=x"])), rest);
        assert_eq!(without_token(args(&["join", "--token-file", "f"])), args(&["join", "--token-file", "f"]));
    }

    #[test]
    fn a_file_that_holds_no_token_is_not_shown() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("token");
        std::fs::write(&path, "hunter2").expect("is written");
        let error = read(&path).expect_err("is refused").to_string();
        assert!(!error.contains("hunter2") && error.contains("sprint1_"), "{error}");
    }
}
