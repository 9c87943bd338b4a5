//! The capture, `outpost-agent capture LOG LIMIT END`: tmux pipes a pane's output into it.
//!
//! It appends to the log up to the limit, and makes the file END when no more
//! will come, so that the agent knows when a log is whole.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;
use std::process::ExitCode;

use super::terminal::QUESTION;

/// As much as tmux hands over at once.
const CHUNK: usize = 64 << 10;

/// Appends standard input to `log` until its end, or until `limit` bytes are there.
pub(crate) fn run(log: &Path, limit: u64, end: &Path) -> ExitCode {
    let copied = append(log, limit);
    // Without room for this file the agent goes on after a while.
    let ended = File::create(end);
    if copied.is_ok() && ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn append(log: &Path, limit: u64) -> io::Result<()> {
    let file = File::options().append(true).create(true).open(log)?;
    let size = file.metadata()?.len();
    let mut log = Log { file, size, limit };
    let mut input = io::stdin().lock();
    let mut buffer = vec![0; CHUNK];
    // Bytes at the buffer's start that may be the beginning of the shim's question.
    let mut held = 0;
    loop {
        let read = match input.read(&mut buffer[held..]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let filled = held + read;
        if read == 0 {
            let rest = &buffer[..filled];
            return log.write(rest.strip_suffix(QUESTION).unwrap_or(rest)).map(drop);
        }
        held = held_back(&buffer[..filled]);
        if log.write(&buffer[..filled - held])? == Room::Gone {
            return Ok(());
        }
        buffer.copy_within(filled - held..filled, 0);
    }
}

/// How many bytes at the end may be the beginning of the shim's question, or all of it.
fn held_back(bytes: &[u8]) -> usize {
    let longest = QUESTION.len().min(bytes.len());
    (1..=longest).rev().find(|length| bytes.ends_with(&QUESTION[..*length])).unwrap_or(0)
}

/// Whether more will be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Left,
    Gone,
}

#[derive(Debug)]
struct Log<W> {
    file: W,
    size: u64,
    limit: u64,
}

impl<W: Write> Log<W> {
    /// Writes what there is room for; the first time that this is not all, it says so.
    fn write(&mut self, bytes: &[u8]) -> io::Result<Room> {
        let room = usize::try_from(self.limit.saturating_sub(self.size)).unwrap_or(usize::MAX);
        let kept = bytes.len().min(room);
        self.file.write_all(&bytes[..kept])?;
        self.size += kept as u64;
        if kept == bytes.len() {
            return Ok(Room::Left);
        }
        // Beyond the limit it was said before: by the capture of an earlier round.
        if self.size == self.limit {
            let limit = self.limit;
            let note =
                format!("\r\n[sprint] the log has reached its limit of {limit} bytes: further output is not kept\r\n");
            self.file.write_all(note.as_bytes())?;
        }
        Ok(Room::Gone)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::bytes;

    use super::*;

    #[test]
    fn only_what_may_be_the_question_is_held_back() {
        assert_eq!(held_back(b"text"), 0);
        assert_eq!(held_back(b"text\x1b"), 1);
        assert_eq!(held_back(b"text\x1b^spr"), 5);
        assert_eq!(held_back(b"text\x1b^sprint:end\x1b"), 13);
        assert_eq!(held_back(QUESTION), QUESTION.len());
        assert_eq!(held_back(b"\x1b[0m"), 0);
    }

    #[test]
    fn the_limit_is_noted_once() {
        let mut log = Log { file: vec![], size: 0, limit: 4 };
        assert_eq!(log.write(b"abcd").expect("is written"), Room::Left);
        assert_eq!(log.write(b"e").expect("is written"), Room::Gone);
        let text = String::from_utf8(log.file).expect("text");
        assert!(text.starts_with("abcd\r\n[sprint] the log has reached its limit of 4 bytes"), "{text}");
        let mut again = Log { size: text.len() as u64, file: vec![], limit: 4 };
        assert_eq!(again.write(b"e").expect("is written"), Room::Gone);
        assert!(again.file.is_empty());
    }

    proptest! {
        /// Of any output, what is held back is a beginning of the question, and the longest.
        #[test]
        fn fuzz_only_the_question_is_held_back(output in bytes(vec![QUESTION.to_vec(), [b"text", QUESTION].concat()])) {
            let held = held_back(&output);
            prop_assert!(QUESTION.starts_with(&output[output.len() - held..]));
            let mut longer = held + 1..=QUESTION.len().min(output.len());
            prop_assert!(longer.all(|longer| !QUESTION.starts_with(&output[output.len() - longer..])));
        }

        /// Whatever the sizes, no more than the limit is kept, beside one note.
        #[test]
        fn fuzz_a_log_keeps_to_its_limit(size in any::<u64>(), limit in any::<u64>(), output in bytes(vec![vec![b'x'; 64]])) {
            // A file cannot be longer than this.
            let (size, limit) = (size >> 1, limit >> 1);
            let mut log = Log { file: vec![], size, limit };
            let room = log.write(&output).expect("is written");
            prop_assert_eq!(room == Room::Left, output.len() as u64 <= limit.saturating_sub(size));
        }
    }
}
