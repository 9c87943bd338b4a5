//! Output to the terminal.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::time::SystemTime;

use clap::ValueEnum;
use serde::Serialize;
use sprint_core::time::Timestamp;
use sprint_core::visible::{in_json, shown};

use crate::failure::Failure;
use crate::render::Layout;
use crate::terminal::coloured;

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For scripts: stable `snake_case` fields, an array for lists, one object per line for streams.
    Json,
}

/// Standard output, as the person asked for it.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) layout: Layout,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let width = terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| width.0);
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { format, layout: Layout { width, colour, now: Timestamp::from(SystemTime::now()) } }
    }

    /// Prints a list: an array, or a table.
    pub(crate) fn list<T: Serialize>(
        &self,
        values: &[T],
        what: &str,
        table: impl FnOnce(&[T], &Layout) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json(&values),
            Format::Table if values.is_empty() => {
                note(&format!("no {what}"));
                Ok(())
            }
            Format::Table => self.text(&table(values, &self.layout)),
        }
    }

    /// Says after a table how to see what it does not show; a script has asked for what it wanted.
    pub(crate) fn hidden(&self, is_hidden: bool, how: &str) {
        if is_hidden && self.format == Format::Table {
            note(how);
        }
    }

    /// Prints one value: an object, or a text for people.
    pub(crate) fn one<T: Serialize>(&self, value: &T, text: impl FnOnce(&T, &Layout) -> String) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json(value),
            Format::Table => self.text(&text(value, &self.layout)),
        }
    }

    /// Prints one value of a stream, on one line.
    pub(crate) fn line<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T, &Layout) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.write(&in_json(&to_json(serde_json::to_string(value))?)),
            Format::Table => self.text(&text(value, &self.layout)),
        }
    }

    fn json<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        self.write(&in_json(&to_json(serde_json::to_string_pretty(value))?))
    }

    /// Prints a text and the end of its line. Much of it is written by others: but for our own colours it steers nothing.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        self.write(&if self.layout.colour { Cow::Owned(coloured(text)) } else { shown(text) })
    }

    #[expect(clippy::unused_self, reason = "only the holder of an Output prints")]
    fn write(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(end.as_bytes())).map_err(written)?;
        stdout.flush().map_err(written)
    }

    /// Prints bytes as they are.
    #[expect(clippy::unused_self, reason = "only the holder of an Output prints")]
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(written)
    }
}

fn to_json(text: serde_json::Result<String>) -> Result<String, Failure> {
    text.map_err(|error| Failure::new("client.json", format!("the answer cannot be written as JSON: {error}")))
}

fn written(error: std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        Failure::broken_pipe()
    } else {
        Failure::io("writing to standard output")(error)
    }
}

/// Prints a remark for the person, which is not part of the result.
pub(crate) fn note(text: &str) {
    // There is no way to report that standard error is closed.
    writeln!(std::io::stderr().lock(), "{}", shown(text)).ok();
}

/// Prints which long work is under way, if standard error is a terminal.
pub(crate) fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        note(text);
    }
}
