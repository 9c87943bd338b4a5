//! Inputs that parsers must survive, for the tests whose names begin with `fuzz_` (`make fuzz`).

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// What attacks on texts are made of: ways out of a directory, ends of lines and of strings, options,
/// escapes, look-alikes, and the words of our own formats.
const PIECES: &[&str] = &[
    "",
    ".",
    "..",
    "/",
    "../",
    "//",
    "\\",
    "\0",
    "\n",
    "\r\n",
    "\t",
    " ",
    "-",
    "--",
    "_",
    "__",
    "#",
    "+",
    ":",
    "@",
    "%2e%2e",
    "%2f",
    "%00",
    "%0a",
    "\u{ff0e}\u{ff0e}",
    "\u{2215}",
    "\u{430}",
    "e\u{301}",
    "é",
    "\u{202e}",
    "\u{200b}",
    "\u{feff}",
    "İ",
    "ﬀ",
    "７",
    "\u{1b}[0m",
    "a",
    "main",
    "refs/",
    "refs/heads/",
    "refs/sprint/",
    "work/",
    "wip/",
    "late/",
    ".git",
    ".git/",
    ".lock",
    "info/refs",
    "sprint1_",
    "0",
    "1",
    "00",
    "7",
    "4294967296",
    "18446744073709551616",
    "-1",
    "1e9",
    "NaN",
    "0x",
    "ff",
    "0000",
    "fffe",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    "\"",
    "'",
    ",",
    "null",
    "true",
    "gate",
    "name",
    "Bearer ",
    "Basic ",
];

/// A change to a valid input.
#[derive(Debug, Clone)]
enum Edit {
    Flip(Index, u8),
    Set(Index, u8),
    Cut(Index, usize),
    /// Copies the bytes at one place, of a length, to another place, a number of times.
    Copy(Index, usize, Index, usize),
    Insert(Index, Vec<u8>),
    End(Index),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        match self {
            Self::Flip(at, bit) if len > 0 => bytes[at.index(len)] ^= 1 << bit,
            Self::Set(at, byte) if len > 0 => bytes[at.index(len)] = *byte,
            Self::Cut(at, count) if len > 0 => {
                let at = at.index(len);
                bytes.drain(at..len.min(at + count));
            }
            Self::Copy(from, count, to, times) if len > 0 => {
                let from = from.index(len);
                let piece = bytes[from..len.min(from + count)].repeat(*times);
                let to = to.index(len);
                bytes.splice(to..to, piece);
            }
            Self::Insert(at, piece) => {
                let at = at.index(len + 1);
                bytes.splice(at..at, piece.iter().copied());
            }
            Self::End(at) if len > 0 => bytes.truncate(at.index(len)),
            Self::Flip(..) | Self::Set(..) | Self::Cut(..) | Self::Copy(..) | Self::End(_) => {}
        }
    }
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()), vec(any::<u8>(), 0..8)]
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (at(), 1..32_usize).prop_map(|(at, count)| Edit::Cut(at, count)),
        (at(), 1..32_usize, at(), 1..5_usize).prop_map(|(from, count, to, times)| Edit::Copy(from, count, to, times)),
        (at(), piece()).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        at().prop_map(Edit::End),
    ]
}

/// Any bytes, and bytes near to valid ones: a few places are changed, cut out, repeated or added.
pub fn bytes(valid: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let near = (select(valid), vec(edit(), 0..5)).prop_map(|(mut bytes, edits)| {
        for edit in edits {
            edit.apply(&mut bytes);
        }
        bytes
    });
    prop_oneof![1 => vec(any::<u8>(), 0..96), 4 => near]
}

/// Any texts, texts of pieces that attacks are made of, and texts near to valid ones.
pub fn texts(valid: &[&str]) -> impl Strategy<Value = String> {
    let near = bytes(valid.iter().map(|text| text.as_bytes().to_vec()).collect());
    prop_oneof![
        2 => vec(select(PIECES), 0..12).prop_map(|pieces| pieces.concat()),
        1 => vec(any::<char>(), 0..48).prop_map(String::from_iter),
        5 => near.prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        1 => (select(PIECES), 1..3000_usize).prop_map(|(piece, times)| piece.repeat(times)),
    ]
}
