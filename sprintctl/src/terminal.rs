//! What others write to the person's terminal: as text where it is read, and within its window where it is joined.

use sprint_core::visible::{escape, is_hidden};

const ESCAPE: u8 = 0x1b;
/// Longer than any sequence that means something.
const LONGEST: usize = 64;

/// Shows a log: colours stay, everything else that would steer the terminal is to be seen.
#[derive(Debug, Default)]
pub(crate) struct LogView {
    /// The beginning of a character or of a sequence whose end is still to come.
    pending: Vec<u8>,
}

impl LogView {
    /// The next bytes, as they may be shown.
    pub(crate) fn show(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let whole = whole(&self.pending);
        let rest = self.pending.split_off(whole);
        let text = coloured(&String::from_utf8_lossy(&self.pending));
        self.pending = rest;
        text
    }

    /// What was held back.
    pub(crate) fn end(&mut self) -> String {
        coloured(&String::from_utf8_lossy(&std::mem::take(&mut self.pending)))
    }
}

/// How much of these bytes does not depend on what follows.
fn whole(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(LONGEST);
    if let Some(at) = bytes[from..].iter().rposition(|byte| *byte == ESCAPE) {
        let sequence = &bytes[from + at..];
        let is_open = sequence.len() == 1 || (sequence[1] == b'[' && final_of(&sequence[2..]).is_none());
        if is_open {
            return from + at;
        }
    }
    if bytes.last() == Some(&b'\r') {
        return bytes.len() - 1;
    }
    // A character has four bytes at most; what stands before it need not be text.
    let is_begun = |from: &usize| {
        std::str::from_utf8(&bytes[*from..]).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (bytes.len().saturating_sub(3)..bytes.len()).find(is_begun).unwrap_or(bytes.len())
}

/// The place of the byte that ends a control sequence, from its parameters on; none while they go on.
fn final_of(parameters: &[u8]) -> Option<usize> {
    parameters.iter().position(|byte| !(0x20..0x40).contains(byte))
}

/// A text of which only sequences for colours count.
pub(crate) fn coloured(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        if let Some(sequence) = colour(rest) {
            shown.push_str(sequence);
            rest = &rest[sequence.len()..];
            continue;
        }
        rest = &rest[char.len_utf8()..];
        match char {
            '\r' if rest.starts_with('\n') => {}
            char if is_hidden(char) => escape(char, &mut shown),
            char => shown.push(char),
        }
    }
    shown
}

/// The sequence with which a text begins, if it is one for colours, and hides nothing.
fn colour(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|char: char| !char.is_ascii_digit() && !matches!(char, ';' | ':'))?;
    let is_colour = parameters[end..].starts_with('m') && end < LONGEST;
    let hides = parameters[..end].split([';', ':']).any(|parameter| parameter.trim_start_matches('0') == "8");
    (is_colour && !hides).then(|| &text[..=2 + end])
}

/// What a person who has joined a terminal gets of it: everything that draws within the window, and nothing that reaches
/// outside of it, such as titles, the clipboard and files, or that their terminal would answer as if they had typed.
#[derive(Debug, Default)]
pub(crate) struct Window {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Ground,
    /// The first byte of a character of two, of which some are controls.
    Latin,
    /// After an escape, with what stands between.
    Escape(Vec<u8>),
    Sequence(Vec<u8>),
    /// In a text for the terminal itself, which is dropped.
    Text,
    TextEscape,
}

impl Window {
    /// The next bytes, without what is not for the window.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut passed = Vec::with_capacity(bytes.len());
        for byte in bytes {
            self.take(*byte, &mut passed);
        }
        passed
    }

    fn take(&mut self, byte: u8, passed: &mut Vec<u8>) {
        self.state = match (std::mem::take(&mut self.state), byte) {
            // It begins anew, whatever was before.
            (State::Ground | State::Latin | State::Escape(_) | State::Sequence(_), ESCAPE) => State::Escape(vec![]),
            // The terminal would answer.
            (State::Ground, 0x05) => State::Ground,
            (State::Ground, 0xc2) => State::Latin,
            (State::Ground, byte) => {
                passed.push(byte);
                State::Ground
            }
            (State::Latin, 0x80..=0x9f) => State::Ground,
            (State::Latin, byte) => {
                passed.extend([0xc2, byte]);
                State::Ground
            }
            (State::Escape(between), b'[') if between.is_empty() => State::Sequence(vec![]),
            (State::Escape(between), b']' | b'P' | b'^' | b'_' | b'X') if between.is_empty() => State::Text,
            (State::Escape(between), b'Z') if between.is_empty() => State::Ground,
            (State::Escape(mut between), 0x20..=0x2f) if between.len() < LONGEST => {
                between.push(byte);
                State::Escape(between)
            }
            (State::Escape(between), byte) => {
                passed.push(ESCAPE);
                passed.extend(between);
                passed.push(byte);
                State::Ground
            }
            (State::Sequence(mut parameters), 0x20..=0x3f) => {
                // One without end is dropped as a whole.
                if parameters.len() <= LONGEST {
                    parameters.push(byte);
                }
                State::Sequence(parameters)
            }
            (State::Sequence(parameters), byte) => {
                if parameters.len() <= LONGEST && draws(&parameters, byte) {
                    passed.extend([ESCAPE, b'[']);
                    passed.extend(parameters);
                    passed.push(byte);
                }
                State::Ground
            }
            (State::Text, 0x07) => State::Ground,
            (State::Text, ESCAPE) => State::TextEscape,
            (State::Text, _) => State::Text,
            (State::TextEscape, b'\\') => State::Ground,
            (State::TextEscape, byte) => {
                self.state = State::Escape(vec![]);
                return self.take(byte, passed);
            }
        };
    }
}

/// Whether a control sequence only draws: it asks for no report, and moves no window.
fn draws(parameters: &[u8], last: u8) -> bool {
    let has = |byte: u8| parameters.contains(&byte);
    match last {
        // Attributes, status, parameters of the terminal; the window; printing.
        b'c' | b'n' | b'x' | b't' | b'i' => false,
        // Versions and modes, keys as another protocol has them.
        b'q' => !has(b'>'),
        b'p' => !has(b'$'),
        b'u' => !has(b'?'),
        0x40..=0x7e => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::bytes;

    use super::*;

    fn shown(log: &[u8]) -> String {
        let mut view = LogView::default();
        view.show(log) + &view.end()
    }

    #[test]
    fn a_log_has_colours_and_steers_nothing() {
        assert_eq!(shown(b"\x1b[1;31mred\x1b[0m\r\nnext\n"), "\x1b[1;31mred\x1b[0m\nnext\n");
        assert_eq!(shown(b"\x1b[8msecret"), "\\x1b[8msecret");
        assert_eq!(shown(b"\x1b]52;c;eA==\x07\x1b[2J"), "\\x1b]52;c;eA==\\x07\\x1b[2J");
        assert_eq!(shown("\u{9b}5n\u{202e}x\r".as_bytes()), "\\u{9b}5n\\u{202e}x\\x0d");
        assert_eq!(shown(b"\xff\x1b["), "\u{fffd}\\x1b[");
    }

    fn joined(screen: &[u8]) -> String {
        String::from_utf8_lossy(&Window::default().pass(screen)).into_owned()
    }

    #[test]
    fn a_joined_terminal_draws_and_reaches_nothing_else() {
        let drawing = "\x1b[?1049h\x1b[2J\x1b[3;5H\x1b[38;5;9mé漢\x1b(B\x1b[?25l\x1b[4 q\x1bM\x1b=\u{a3}\t\r\n";
        assert_eq!(joined(drawing.as_bytes()), drawing);
        for (what, sequence) in [
            ("a title", "\x1b]0;t\x07"),
            ("the clipboard", "\x1b]52;c;eA==\x1b\\"),
            ("a link", "\x1b]8;;file:///etc/passwd\x1b\\"),
            ("a colour that is asked for", "\x1b]11;?\x07"),
            ("a file", "\x1b]1337;File=name=eA==:eA==\x07"),
            ("a capability", "\x1bP+q544e\x1b\\"),
            ("a setting", "\x1bP$qm\x1b\\"),
            ("a command of a program", "\x1b_Gi=1;AAAA\x1b\\"),
            ("a private message", "\x1b^x\x1b\\"),
            ("attributes", "\x1b[c\x1b[>c\x1b[=c\x1bZ"),
            ("the cursor's place", "\x1b[6n\x1b[?6n\x1b[5n"),
            ("the window", "\x1b[21t\x1b[8;10;10t\x1b[14t"),
            ("parameters", "\x1b[x"),
            ("a mode", "\x1b[?2026$p"),
            ("the version", "\x1b[>q"),
            ("the keyboard's protocol", "\x1b[?u"),
            ("the printer", "\x1b[5i"),
            ("an answer", "\x05"),
            ("controls of one byte", "\u{9d}\u{9b}\u{90}"),
            ("a sequence without end", &format!("\x1b[{}m", "1;".repeat(100))),
        ] {
            assert_eq!(joined(format!("a{sequence}b").as_bytes()), "ab", "{what}");
        }
        assert_eq!(joined(b"a\x1b]0;t\x1b[31mb"), "a\x1b[31mb", "a text ends with the next sequence");
    }

    proptest! {
        /// Whatever is written, in whatever pieces, the same is shown, and it steers nothing but colours.
        #[test]
        fn fuzz_any_output_may_be_shown(
            output in bytes(vec![b"\x1b[1;31mred\x1b]0;t\x07\r\n".to_vec(), "é\u{202e}\u{9b}5n\x1bP+q\x1b\\".as_bytes().to_vec()]),
            at in any::<prop::sample::Index>(),
        ) {
            let at = at.index(output.len() + 1);
            let whole = shown(&output);
            let mut view = LogView::default();
            let pieces = view.show(&output[..at]) + &view.show(&output[at..]) + &view.end();
            prop_assert_eq!(&pieces, &whole);
            let mut rest = whole.as_str();
            while let Some(place) = rest.find(is_hidden) {
                let sequence = colour(&rest[place..]);
                prop_assert!(sequence.is_some(), "{:?}", &rest[place..]);
                rest = &rest[place + sequence.map_or(1, str::len)..];
            }
            let mut window = Window::default();
            let pieces = [window.pass(&output[..at]), window.pass(&output[at..])].concat();
            prop_assert_eq!(pieces, Window::default().pass(&output));
        }
    }
}
