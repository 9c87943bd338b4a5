//! The end of a terminal's log, as people read it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The number of bytes that are read from the end of the log, and that are kept of its text.
const READ: u64 = 16 << 10;
const KEPT: usize = 4 << 10;

/// The size of a log and its last lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) bytes: u64,
    pub(crate) text: String,
}

/// Reads the end of a log; one that does not exist is empty.
///
/// # Errors
/// Those of the file system.
pub(crate) fn read(path: &Path) -> io::Result<Tail> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Tail::default()),
        Err(error) => return Err(error),
    };
    let bytes = file.metadata()?.len();
    let take = bytes.min(READ);
    let mut end = vec![0; usize::try_from(take).unwrap_or_default()];
    file.read_exact_at(&mut end, bytes - take)?;
    let text = plain(&end);
    let text = text.trim();
    let mut start = text.len().saturating_sub(KEPT);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    Ok(Tail { bytes, text: text[start..].to_owned() })
}

/// The text without escape sequences and control characters.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\u{1b}' => match chars.next() {
                // CSI: parameters, then one final byte.
                Some('[') => while chars.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {},
                // OSC and its kin: up to BEL or ESC \.
                Some(']' | 'P' | '^' | '_' | 'X') => {
                    while let Some(c) = chars.next() {
                        if c == '\u{7}' {
                            break;
                        }
                        if c == '\u{1b}' {
                            chars.next_if_eq(&'\\');
                            break;
                        }
                    }
                }
                // A character set is named by one more.
                Some('(' | ')' | '*' | '+' | '#' | '%') => {
                    chars.next();
                }
                Some(_) | None => {}
            },
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    plain.push('\n');
                }
            }
            '\n' | '\t' => plain.push(char),
            _ if char.is_control() => {}
            _ => plain.push(char),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::bytes;

    use super::*;

    #[test]
    fn colours_titles_and_other_escapes_are_left_out() {
        assert_eq!(plain(b"\x1b[1;31mred\x1b[0m\r\n\x1b]0;title\x07a\x1b(Bb\x1b]8;;u\x1b\\c\x08"), "red\nabc");
        assert_eq!(plain(b"\xff\xfe ok \x1b["), "\u{fffd}\u{fffd} ok ");
    }

    #[test]
    fn only_the_end_is_kept_and_characters_stay_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("terminal.log");
        std::fs::write(&path, "é".repeat(20_000)).expect("is written");
        let tail = read(&path).expect("is read");
        assert_eq!(tail.bytes, 40_000);
        assert!(tail.text.len() <= KEPT && tail.text.ends_with('é') && tail.text.len() > KEPT - 4);
        assert_eq!(read(&dir.path().join("none")).expect("is read"), Tail::default());
    }

    proptest! {
        /// Whatever an agent prints is shown as text: nothing in it does anything to the terminal of who reads it.
        #[test]
        fn fuzz_any_output_is_shown_as_plain_text(
            output in bytes(vec![
                b"\x1b[1;31mred\x1b[0m\r\n\x1b]0;title\x07a\x1b(Bb\x1b]8;;u\x1b\\c".to_vec(),
                "\u{9b}31mé\u{9d}0;x\u{9c}\x1bPq\x1b\\".as_bytes().to_vec(),
            ])
        ) {
            let text = plain(&output);
            prop_assert!(text.chars().all(|char| !char.is_control() || char == '\n' || char == '\t'));
            // A byte that is no text becomes three.
            prop_assert!(text.len() <= 3 * output.len());
            prop_assert_eq!(plain(text.as_bytes()), text);
        }
    }
}
