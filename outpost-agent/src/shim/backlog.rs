//! What a pane has yet to show.
//!
//! All panes of an outpost share one tmux server, which reads some 30 MB/s in all. A worker that prints more than
//! its pane can take does not wait for it: lines are left out of the pane, which says so, and are in the log all
//! the same. Output that draws a screen is not left out, because the rest would be drawn wrongly: there, the
//! worker waits.

use std::collections::VecDeque;

/// The backlog, in bytes, at which lines are left out.
const MOST: usize = 256 << 10;
/// The newest bytes that are shown in any case: more lines than a screen has.
const NEWEST: usize = 64 << 10;

/// Bytes on their way into the pane.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    first: VecDeque<u8>,
    /// The number of bytes that are left out between `first` and `last`.
    left_out: usize,
    /// Empty as long as nothing is left out.
    last: VecDeque<u8>,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.left_out == 0
    }

    /// Whether the worker has to wait for its pane.
    pub(super) fn is_full(&self) -> bool {
        self.first.len() + self.last.len() >= MOST
    }

    /// Adds what was printed, and leaves out older lines if the pane is too far behind.
    pub(super) fn add(&mut self, printed: &[u8]) {
        if self.left_out == 0 { &mut self.first } else { &mut self.last }.extend(printed);
        if self.is_full() {
            self.leave_out();
        }
    }

    /// What to show next; the caller removes what the pane has taken.
    pub(super) fn next(&mut self) -> &mut VecDeque<u8> {
        if self.first.is_empty() && self.left_out > 0 {
            let left_out = std::mem::take(&mut self.left_out);
            let note = format!("\x1b[m[sprint] {left_out} bytes came too fast for this terminal and are not shown\r\n");
            self.first.extend(note.as_bytes());
            self.first.append(&mut self.last);
        }
        &mut self.first
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn leave_out(&mut self) {
        if self.left_out == 0 {
            // A part of the first line may be in the pane already.
            let Some(end) = self.first.iter().position(|byte| *byte == b'\n') else { return };
            self.last = self.first.split_off(end + 1);
        }
        let bytes = self.last.make_contiguous();
        let older = &bytes[..bytes.len().saturating_sub(NEWEST)];
        let end = older.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if only_adds_lines(&older[..end]) {
            self.last.drain(..end);
            self.left_out += end;
        }
        if self.left_out == 0 {
            self.first.append(&mut self.last);
        }
    }
}

/// Whether nothing but lines is lost when a terminal does not see these bytes: their only sequences are those for
/// colours and for the rest of a line.
fn only_adds_lines(mut bytes: &[u8]) -> bool {
    const SHIFT_OUT: u8 = 0x0e;
    const SHIFT_IN: u8 = 0x0f;
    const ESCAPE: u8 = 0x1b;
    while let Some(at) = bytes.iter().position(|byte| matches!(*byte, SHIFT_OUT | SHIFT_IN | ESCAPE)) {
        let Some(sequence) = bytes[at..].strip_prefix(b"\x1b[") else { return false };
        let last = sequence.iter().position(|byte| !matches!(*byte, b'0'..=b'9' | b';' | b':'));
        match last {
            Some(last) if matches!(sequence[last], b'm' | b'K') => bytes = &sequence[last + 1..],
            Some(_) | None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::bytes;

    use super::*;

    fn lines(count: usize) -> Vec<u8> {
        (0..count).flat_map(|number| format!("\x1b[32mline {number:>8}\x1b[0m\x1b[K\r\n").into_bytes()).collect()
    }

    /// Everything that a pane would show now.
    fn shown(backlog: &mut Backlog) -> Vec<u8> {
        let mut shown = vec![];
        while !backlog.is_empty() {
            shown.extend(std::mem::take(backlog.next()));
        }
        shown
    }

    #[test]
    fn lines_are_left_out_in_the_middle_and_the_pane_says_so() {
        let mut backlog = Backlog::default();
        let printed = lines(40_000);
        printed.chunks(64 << 10).for_each(|chunk| backlog.add(chunk));
        assert!(!backlog.is_full());
        let text = String::from_utf8(shown(&mut backlog)).expect("text");
        assert!(
            text.as_bytes().starts_with(&lines(1)) && text.as_bytes().ends_with(&printed[printed.len() - NEWEST..])
        );
        let notes: Vec<&str> = text.lines().filter(|line| line.contains("[sprint]")).collect();
        let [note] = notes[..] else { panic!("one note: {notes:?}") };
        let left_out: usize = note.split(' ').nth(1).and_then(|count| count.parse().ok()).expect("a number");
        assert_eq!(text.len() - (note.len() + 2) + left_out, printed.len());
        assert!(backlog.is_empty());
    }

    #[test]
    fn what_draws_a_screen_is_kept_and_the_worker_waits() {
        for drawing in [&b"\x1b[?1049h"[..], b"\x1b[2J", b"\x1b[3;4H", b"\x1b]0;title\x07", b"\x0e", b"\x1bc"] {
            let mut backlog = Backlog::default();
            let printed = [&lines(2_000), drawing, &lines(20_000)].concat();
            backlog.add(&printed);
            assert!(backlog.is_full(), "{drawing:?}");
            assert_eq!(shown(&mut backlog), printed);
        }
    }

    #[test]
    fn one_long_line_is_kept() {
        let mut backlog = Backlog::default();
        backlog.add(&vec![b'x'; MOST]);
        assert_eq!(shown(&mut backlog).len(), MOST);
    }

    proptest! {
        /// Whatever is printed, the newest bytes are shown, and all of them if they are few.
        #[test]
        fn fuzz_a_backlog_keeps_the_newest(
            pieces in proptest::collection::vec(bytes(vec![lines(3), b"\x1b[?1049h".to_vec(), vec![b'x'; 100]]), 1..8),
            times in 1_usize..400
        ) {
            let mut backlog = Backlog::default();
            let mut printed = vec![];
            for piece in pieces {
                let chunk = piece.repeat(times);
                printed.extend_from_slice(&chunk);
                backlog.add(&chunk);
            }
            let shown = shown(&mut backlog);
            prop_assert!(shown.ends_with(&printed[printed.len().saturating_sub(NEWEST)..]));
            if printed.len() < MOST {
                prop_assert_eq!(shown, printed);
            }
        }
    }
}
