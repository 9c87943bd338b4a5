//! The end of a terminal's log, as people read it.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The number of bytes that are read from the end of the log, and that are kept of its text. A program that draws its
/// screen changes a little of it at a time.
const READ: u64 = 256 << 10;
const KEPT: usize = 4 << 10;
/// The size of a terminal that is drawn on, as panes are.
const ROWS: NonZero<u16> = NonZero::new(50).expect("is not 0");
const COLUMNS: NonZero<u16> = NonZero::new(200).expect("is not 0");
/// Clears the whole of it.
const CLEAR: &[u8] = b"\x1b[2J";
/// Screens that may be the last one with anything on it.
const SCREENS: usize = 8;

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
    let (bytes, end) = end(path)?;
    let text = shown(&end);
    let text = text.trim();
    let mut start = text.len().saturating_sub(KEPT);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    Ok(Tail { bytes, text: text[start..].to_owned() })
}

/// All words of the end of a log, also those that were drawn over.
///
/// # Errors
/// Those of the file system.
pub(super) fn words(path: &Path) -> io::Result<String> {
    Ok(plain(&end(path)?.1))
}

/// The size of a log, and its end.
fn end(path: &Path) -> io::Result<(u64, Vec<u8>)> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, vec![])),
        Err(error) => return Err(error),
    };
    let bytes = file.metadata()?.len();
    let take = bytes.min(READ);
    let mut end = vec![0; usize::try_from(take).unwrap_or_default()];
    file.read_exact_at(&mut end, bytes - take)?;
    Ok((bytes, end))
}

/// What a person would see at the end.
fn shown(bytes: &[u8]) -> String {
    // A program that had the whole screen clears it when it is ended: what stood there before is what counts.
    let left =
        bytes.windows(2).enumerate().rev().filter(|(_, two)| two == b"\x1b[").find(|(at, _)| leaves(&bytes[*at..]));
    let (drawn, after) = left.map_or((bytes, &b""[..]), |(at, _)| bytes.split_at(at));
    if !is_drawn(drawn) {
        return plain(bytes);
    }
    let after = if is_drawn(after) { String::new() } else { plain(after) };
    format!("{}\n{}", last_screen(drawn).trim_end(), after.trim_start())
}

/// The last state of a screen on which there was anything: a program that ends clears it.
fn last_screen(drawn: &[u8]) -> String {
    let drawn = &without_repetitions(drawn);
    let mut terminal = vt100::Parser::new(ROWS, COLUMNS, 0);
    let clears = drawn.windows(CLEAR.len()).enumerate().filter(|(_, some)| *some == CLEAR).map(|(at, _)| at);
    let mut ends: Vec<usize> = clears.chain([drawn.len()]).collect();
    // Those before are only drawn: a screen is large.
    ends.drain(..ends.len().saturating_sub(SCREENS));
    let (mut last, mut begin) = (String::new(), 0);
    for end in ends {
        terminal.process(&drawn[begin..end]);
        begin = end;
        let screen = plain(terminal.screen().contents().as_bytes());
        if !screen.trim().is_empty() {
            last = screen;
        }
    }
    last.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Leaves out the sequence that repeats a character as often as a number says: a few bytes would draw for minutes.
fn without_repetitions(bytes: &[u8]) -> Vec<u8> {
    let (mut kept, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let Some(at) = rest.windows(2).position(|two| two == b"\x1b[") {
        let parameters = rest[at + 2..].iter().take_while(|byte| (0x20..0x40).contains(*byte)).count();
        let end = (at + 2 + parameters + 1).min(rest.len());
        let keep = if rest.get(end - 1) == Some(&b'b') { at } else { end };
        kept.extend_from_slice(&rest[..keep]);
        rest = &rest[end..];
    }
    kept.extend_from_slice(rest);
    kept
}

/// Whether it begins with the end of a screen of a program's own.
fn leaves(bytes: &[u8]) -> bool {
    [&b"\x1b[?1049l"[..], b"\x1b[?1047l", b"\x1b[?47l"].iter().any(|end| bytes.starts_with(end))
}

/// Whether the cursor is moved up, down or to a place, or the screen is cleared: then later bytes stand before earlier
/// ones.
fn is_drawn(bytes: &[u8]) -> bool {
    let mut sequences = bytes.windows(2).enumerate().filter(|(_, two)| two == b"\x1b[");
    sequences.any(|(at, _)| {
        let last = bytes[at + 2..].iter().find(|byte| (0x40..=0x7e).contains(*byte));
        last.is_some_and(|last| b"ABEFHJLMSTdf".contains(last))
    })
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
    fn of_a_screen_that_is_drawn_the_last_state_is_shown() {
        let screen = b"$ tool\r\n\x1b[?1049h\x1b[H\x1b[2J\x1b[3;5HTrust this folder?\x1b[5;5H> Yes\x1b[6;5H  No\x1b[5;5H  \x1b[6;5H> ";
        let said = "    Trust this folder?\n\n      Yes\n    > No";
        assert_eq!(shown(screen).trim_matches('\n'), said);
        // It clears up when it is ended.
        let ended = [&screen[..], b"\x1b[2J\x1b[?1049l\x1b[?25h[sprint] command \"a\" timed out after 2h\r\n"].concat();
        let before = shown(&ended);
        assert!(before.contains("[sprint] command \"a\" timed out"), "{before}");
        assert!(!before.contains('\u{1b}'), "{before}");
        // Lines that are drawn over each other.
        let progress = b"one\r\n10 %\r\n\x1b[1A\x1b[2K100 %\r\nready\r\n";
        assert_eq!(shown(progress).trim_end(), "one\n100 %\nready");
        assert_eq!(shown(b"\x1b[31mred\x1b[0m\r\nand \x1b[Kblue"), "red\nand blue");
        let repeated = [&b"\x1b[Ha"[..], &b"\x1b[65535b".repeat(20_000)].concat();
        assert_eq!(shown(&repeated).trim(), "a");
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
                b"a\x1b[?1049h\x1b[3;5Hb\x1b[2J\x1b[?1049lc".to_vec(),
                "\u{9b}31mé\u{9d}0;x\u{9c}\x1bPq\x1b\\".as_bytes().to_vec(),
            ])
        ) {
            let text = plain(&output);
            prop_assert!(text.chars().all(|char| !char.is_control() || char == '\n' || char == '\t'));
            // A byte that is no text becomes three.
            prop_assert!(text.len() <= 3 * output.len());
            prop_assert_eq!(plain(text.as_bytes()), text);
            let text = shown(&output);
            prop_assert!(text.chars().all(|char| !char.is_control() || char == '\n' || char == '\t'));
        }
    }
}
