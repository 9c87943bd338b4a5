//! Texts that others have written, as people may be shown them: what a reader would not see, and what would steer a
//! terminal or turn the order of letters, becomes text that says so.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character stands for itself only where nobody means ill. Line breaks and tabs are none of these.
pub fn is_hidden(char: char) -> bool {
    match char {
        '\n' | '\t' => false,
        // Left-to-right and right-to-left, line and paragraph ends, marks of annotations, invisible letters.
        '\u{61c}'
        | '\u{180e}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => true,
        char => char.is_control(),
    }
}

/// Writes a character that is hidden so that it can be seen.
pub fn escape(char: char, to: &mut String) {
    // Writing to a text does not fail.
    if char.is_ascii() { write!(to, "\\x{:02x}", u32::from(char)) } else { write!(to, "\\u{{{:x}}}", u32::from(char)) }
        .ok();
}

/// The text with everything in it to be seen.
pub fn shown(text: &str) -> Cow<'_, str> {
    replaced(text, escape)
}

/// JSON in which no character is hidden within a text: the same for every reader of JSON.
pub fn in_json(json: &str) -> Cow<'_, str> {
    // Outside of a text there is none of these but line breaks.
    replaced(json, |char, to| {
        for unit in char.encode_utf16(&mut [0; 2]) {
            write!(to, "\\u{unit:04x}").ok();
        }
    })
}

fn replaced(text: &str, replace: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if is_hidden(char) { replace(char, &mut visible) } else { visible.push(char) }
    }
    Cow::Owned(visible)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::texts;

    #[test]
    fn what_is_hidden_is_shown_and_the_rest_stays() {
        assert_eq!(shown("a\tb\nc é 漢 👩‍💻"), "a\tb\nc é 漢 👩‍💻");
        assert_eq!(shown("\x1b]52;c;eA==\x07"), "\\x1b]52;c;eA==\\x07");
        assert_eq!(shown("\u{9b}31m \u{202e}cod.exe\u{2069}"), "\\u{9b}31m \\u{202e}cod.exe\\u{2069}");
        assert_eq!(shown("\r\u{0}\u{7f}\u{e0041}"), "\\x0d\\x00\\x7f\\u{e0041}");
    }

    proptest! {
        /// Whatever a text holds, nothing of it is hidden afterwards, and JSON still says the same.
        #[test]
        fn fuzz_any_text_may_be_shown(text in texts(&["\x1b[2J", "\u{202e}\u{9d}0;x\u{9c}", "\u{e0041}"])) {
            let visible = shown(&text);
            prop_assert!(!visible.contains(is_hidden));
            prop_assert_eq!(shown(&visible), &visible[..]);
            let json = serde_json::to_string(&text).expect("is written");
            let escaped = in_json(&json);
            prop_assert!(!escaped.contains(is_hidden));
            prop_assert_eq!(serde_json::from_str::<String>(&escaped).expect("is JSON"), text);
        }
    }
}
