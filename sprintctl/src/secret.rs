//! Secrets that people hand over: read without showing them, and kept out of every message.

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::str::FromStr;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use sprint_core::token::TokenText;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::output::note;

/// The variable with the token of a caller without a context, such as a script.
pub(crate) const VARIABLE: &str = "SPRINT_TOKEN";

/// How every token begins.
const BEGINNING: &str = "sprint1_";

/// More than any secret's bytes.
const LONGEST: u64 = 4 << 10;

/// A text on the command line that no message may show.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(pub(crate) String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

impl FromStr for Hidden {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// The token in the environment; none when it is not set, or set to nothing.
pub(crate) fn from_environment() -> Result<Option<TokenText>, Failure> {
    let Some(value) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) else { return Ok(None) };
    parse(VARIABLE, &value.to_string_lossy()).map(Some)
}

/// Reads a token that came from `source`, which is named when it is none.
pub(crate) fn parse(source: &str, text: &str) -> Result<TokenText, Failure> {
    text.parse().map_err(|error| Failure::usage(format!("{source} cannot be used: {error}")))
}

/// Reads a line from standard input; asks for it on a terminal, and does not show what is typed there.
pub(crate) async fn read_line(prompt: &str) -> Result<String, Failure> {
    // Before echo is off: an interrupt at the prompt must restore the terminal.
    let listen = |kind| signal(kind).map_err(Failure::io("listening for signals"));
    let (mut interrupted, mut terminated) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let silence = Silence::begin()?;
    if silence.is_some() {
        write!(std::io::stderr().lock(), "{prompt}: ").ok();
    }
    let typed = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().take(LONGEST).read_line(&mut line).map(|_| line)
    });
    let stopped = || Err(Failure::new("client.interrupted", "interrupted; nothing was changed"));
    let line = tokio::select! {
        line = typed => line.map_err(std::io::Error::other).and_then(|line| line).map_err(Failure::io("reading standard input")),
        _ = interrupted.recv() => stopped(),
        _ = terminated.recv() => stopped(),
    };
    if silence.is_some() {
        // The end of the line was typed, and not shown.
        note("");
    }
    line
}

/// Reads a whole text from a file, or from standard input; on a terminal a line that is not shown.
pub(crate) async fn read_text(prompt: &str, from: Option<&Path>, most: usize) -> Result<String, Failure> {
    let read = |input: &mut dyn Read| {
        let mut bytes = vec![];
        input.take(most as u64 + 1).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = match from {
        Some(path) => File::open(path)
            .and_then(|mut file| read(&mut file))
            .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))?,
        None if std::io::stdin().is_terminal() => {
            let line = read_line(prompt).await?;
            // A terminal hands over no longer line, and a pasted text of several comes as several.
            let is_cut = !line.ends_with('\n') || has_more();
            return if is_cut {
                Err(Failure::usage(format!("{prompt} is more than a terminal takes as one line; nothing was changed"))
                    .with_next("give it by --from FILE, or by a pipe"))
            } else {
                Ok(line)
            };
        }
        None => read(&mut std::io::stdin().lock()).map_err(Failure::io("reading standard input"))?,
    };
    String::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!("{prompt} is not UTF-8"))
            .with_next("encode it, such as by base64, and decode it in the worker")
    })
}

/// Whether more was typed than has been read.
fn has_more() -> bool {
    let stdin = std::io::stdin();
    let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(50_u8)).is_ok_and(|ready| ready > 0)
}

/// Keeps a terminal from showing what is typed, until dropped.
struct Silence {
    before: Termios,
}

impl Silence {
    /// None when standard input is no terminal.
    fn begin() -> Result<Option<Self>, Failure> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let doing = |error: nix::Error| Failure::io("setting up the terminal")(error.into());
        let before = termios::tcgetattr(stdin.as_fd()).map_err(doing)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        termios::tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &silent).map_err(doing)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // There is nothing left to try when this fails.
        termios::tcsetattr(std::io::stdin().as_fd(), SetArg::TCSANOW, &self.before).ok();
    }
}

/// A text with every token in it cut off after its public part.
pub(crate) fn redacted(text: &str) -> String {
    let mut parts = text.split(BEGINNING);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let end = part.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(part.len());
        let id = part[..end].split('_').next().filter(|id| id.len() == 8).unwrap_or_default();
        let cut = if end > id.len() { "…" } else { "" };
        text + BEGINNING + id + cut + &part[end..]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_a_text_is_cut_off_after_its_public_part() {
        let token = format!("sprint1_1a2b3c4d_{}_{}", "5e".repeat(20), "f1".repeat(32));
        assert_eq!(redacted(&format!("'{token}' and {token}")), "'sprint1_1a2b3c4d…' and sprint1_1a2b3c4d…");
        assert_eq!(redacted("sprint1_secretwithoutanyorder"), "sprint1_…");
        assert_eq!(redacted("a token begins with \"sprint1_\"; copy it"), "a token begins with \"sprint1_\"; copy it");
        assert_eq!(redacted("nothing"), "nothing");
    }

    #[test]
    fn a_text_that_is_no_token_is_refused_and_not_shown() {
        let failure = parse("--token", "hunter2").unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        insta::assert_snapshot!(failure);
        let damaged = parse(VARIABLE, "sprint1_1a2b3c4d_hunter2_3").unwrap_err().to_string();
        insta::assert_snapshot!(damaged);
        assert_eq!(format!("{:?}", Hidden("hunter2".to_owned())), "Hidden(…)");
    }
}
