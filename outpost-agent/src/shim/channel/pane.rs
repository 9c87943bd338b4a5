//! What a pane shows of an agent's work, and what is typed there.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{InputFlags, SetArg, tcgetattr, tcsetattr};
use sprint_core::agent::{AgentSaid, Usage, dollars};
use sprint_core::bounds::cut;
use sprint_core::visible::shown;

/// Bytes that are shown of a message, of a tool's arguments, and of its output.
const MESSAGE: usize = 600;
const BRIEF: usize = 160;

/// Larger than the standard library's buffer, which is passed by then.
const CHUNK: usize = 16 << 10;

/// A tool, and what it is about, on one line.
pub(super) fn tool(name: &str, what: &str) -> String {
    let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{name}: {}", cut(&what, BRIEF))
}

/// The worker's terminal.
#[derive(Debug)]
pub(super) struct Pane {
    stdin: io::Stdin,
    /// Nothing more is typed there.
    closed: bool,
}

impl Pane {
    pub(super) fn new() -> Self {
        let stdin = io::stdin();
        // Who holds the output back must not hold this process back.
        if let Ok(mut mode) = tcgetattr(&stdin) {
            mode.input_flags.remove(InputFlags::IXON);
            tcsetattr(&stdin, SetArg::TCSANOW, &mode).ok();
        }
        Self { stdin, closed: false }
    }

    pub(super) fn takes_typing(&self) -> bool {
        !self.closed && self.stdin.is_terminal()
    }

    pub(super) fn terminal(&self) -> BorrowedFd<'_> {
        self.stdin.as_fd()
    }

    /// Takes what was typed, in whole lines as the terminal gives them.
    pub(super) fn typed(&mut self, into: &mut Vec<u8>) {
        while self.takes_typing() {
            let mut fds = [PollFd::new(self.stdin.as_fd(), PollFlags::POLLIN)];
            if !matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1..)) {
                return;
            }
            let mut piece = [0; CHUNK];
            match self.stdin.lock().read(&mut piece) {
                Ok(0) | Err(_) => self.closed = true,
                Ok(read) => into.extend_from_slice(&piece[..read]),
            }
        }
    }

    #[expect(clippy::unused_self, reason = "it is this pane's")]
    fn print(&self, text: &str) {
        // It may be gone; the worker goes on.
        writeln!(io::stderr(), "{}", shown(text)).ok();
    }

    pub(super) fn note(&self, text: &str) {
        self.print(&format!("[sprint] {text}"));
    }

    pub(super) fn message(&self, text: &str) {
        let mut lines = cut(text.trim(), MESSAGE).lines().map(|line| format!("> {line}")).collect::<Vec<_>>();
        lines.push(String::new());
        self.print_all(lines.iter().map(String::as_str));
    }

    fn print_all<'a>(&self, lines: impl Iterator<Item = &'a str>) {
        for line in lines {
            self.print(line);
        }
    }

    pub(super) fn text(&self, text: &str) {
        self.print_all(text.trim_end().lines());
    }

    pub(super) fn tool(&self, name: &str, what: &str) {
        self.print(&format!("* {}", tool(name, what)));
    }

    pub(super) fn tool_ended(&self, failed: bool, said: &str) {
        let lines = said.trim().lines().count();
        let first = cut(said.trim().lines().next().unwrap_or_default(), BRIEF);
        let more = if lines > 1 { format!(" (and {} more lines)", lines - 1) } else { String::new() };
        if failed {
            self.print(&format!("  failed: {first}{more}"));
        } else if !first.is_empty() {
            self.print(&format!("  {first}{more}"));
        }
    }

    pub(super) fn ended(&self, said: &AgentSaid) {
        let Usage { tokens, cost_micros, is_guess, by_table: _ } = said.total();
        let model = said.model.as_deref().unwrap_or("unknown");
        let mut line = format!("-- {} turns of {model}", said.turns);
        if said.usage.is_empty() {
            line.push_str(", tokens unknown");
        } else {
            let _ =
                write!(line, ", tokens: {} in, {} from the cache, {} out", tokens.input, tokens.cached, tokens.output);
        }
        if let Some(micros) = cost_micros {
            let how = if is_guess { "by its guess" } else { "by its own word" };
            let _ = write!(line, ", {} {how}", dollars(micros));
        }
        self.print(&line);
        if let Some(fault) = &said.fault {
            self.note(&fault.why);
        }
    }
}
