//! A worker's log: everything that its terminal printed, up to a limit.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Appends to a log, over all rounds of a worker, up to its limit.
#[derive(Debug)]
pub(super) struct Log<W> {
    file: W,
    size: u64,
    limit: u64,
    /// Nothing more is written: the limit is reached, or writing failed.
    closed: bool,
}

impl Log<File> {
    /// Opens the log of a worker, which may hold an earlier round's output.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn open(path: &Path, limit: u64) -> io::Result<Self> {
        let file = File::options().append(true).create(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file, size, limit, closed: false })
    }
}

impl<W: Write> Log<W> {
    /// Writes what there is room for; the first time that this is not all, it says so.
    ///
    /// After an error, such as that of a full disk, the log ends: a gap in it would not be seen.
    ///
    /// # Errors
    /// Those of the file system, once.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let written = self.try_write(bytes);
        self.closed |= written.is_err();
        written
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = usize::try_from(self.limit.saturating_sub(self.size)).unwrap_or(usize::MAX);
        let kept = bytes.len().min(room);
        self.file.write_all(&bytes[..kept])?;
        self.size += kept as u64;
        if kept == bytes.len() {
            return Ok(());
        }
        self.closed = true;
        // Beyond the limit it was said in an earlier round.
        if self.size == self.limit {
            let limit = self.limit;
            let note =
                format!("\r\n[sprint] the log has reached its limit of {limit} bytes: further output is not kept\r\n");
            self.file.write_all(note.as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::bytes;

    use super::*;

    fn log(size: u64, limit: u64) -> Log<Vec<u8>> {
        Log { file: vec![], size, limit, closed: false }
    }

    #[test]
    fn the_limit_is_noted_once() {
        let mut first = log(0, 4);
        for piece in [&b"abcd"[..], b"e", b"f"] {
            first.write(piece).expect("is written");
        }
        let text = String::from_utf8(first.file).expect("text");
        assert!(text.starts_with("abcd\r\n[sprint] the log has reached its limit of 4 bytes"), "{text}");
        assert_eq!(text.matches("[sprint]").count(), 1);
        let mut again = log(text.len() as u64, 4);
        again.write(b"e").expect("is written");
        assert!(again.file.is_empty());
    }

    #[test]
    fn after_an_error_the_log_has_no_gap() {
        struct Full(Vec<u8>, bool);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if std::mem::take(&mut self.1) {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                self.0.extend_from_slice(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut log = Log { file: Full(vec![], false), size: 0, limit: 100, closed: false };
        log.write(b"one").expect("is written");
        log.file.1 = true;
        assert_eq!(log.write(b"two").map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
        log.write(b"three").expect("is ignored");
        assert_eq!(log.file.0, b"one");
    }

    proptest! {
        /// Whatever the sizes, no more than the limit is kept, beside one note.
        #[test]
        fn fuzz_a_log_keeps_to_its_limit(size in any::<u64>(), limit in any::<u64>(), output in bytes(vec![vec![b'x'; 64]])) {
            // A file cannot be longer than this.
            let (size, limit) = (size >> 1, limit >> 1);
            let mut log = log(size, limit);
            log.write(&output).expect("is written");
            prop_assert_eq!(!log.closed, output.len() as u64 <= limit.saturating_sub(size));
            let said = log.file.windows(8).filter(|window| window == b"[sprint]").count();
            prop_assert!(said <= 1 && log.size <= limit.max(size));
        }
    }
}
