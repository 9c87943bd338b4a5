//! Text for people: fields, times, and nothing that could steer the terminal.

use std::fmt::Display;
use std::time::Duration;

use sprint_core::time::Timestamp;
use sprint_core::visible::shown;

use crate::render::layout::Layout;

/// Named values, one on a line, the values in one column.
pub(crate) fn fields(fields: &[(&str, String)]) -> String {
    let widest = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    fields.iter().filter(|(_, value)| !value.is_empty()).fold(String::new(), |text, (name, value)| {
        let value = many_lines(value).replace('\n', &format!("\n{:widest$}  ", ""));
        text + &format!("{name:widest$}  {value}\n")
    })
}

/// A heading with an indented text under it; nothing when the text is empty.
pub(crate) fn section(heading: &str, text: &str) -> String {
    if text.trim().is_empty() {
        return String::new();
    }
    let text = many_lines(text.trim_end());
    let indented = text.lines().map(|line| if line.is_empty() { String::new() } else { format!("  {line}") });
    format!("\n{heading}\n{}\n", lines(indented))
}

/// How long ago something was, in its largest unit.
pub(crate) fn ago(layout: &Layout, time: Timestamp) -> String {
    short_duration(layout.now.since(time))
}

/// How far off something is, or how long ago it was, in its largest unit.
pub(crate) fn until(layout: &Layout, time: Timestamp) -> String {
    if time > layout.now {
        format!("in {}", short_duration(time.since(layout.now)))
    } else {
        format!("{} ago", ago(layout, time))
    }
}

/// A duration in its largest unit.
pub(crate) fn short_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Values with commas between them.
pub(crate) fn commas<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
}

/// Texts, each on a line of its own.
pub(crate) fn lines<T: Display>(texts: impl IntoIterator<Item = T>) -> String {
    texts.into_iter().map(|text| text.to_string()).collect::<Vec<_>>().join("\n")
}

/// The first line of a text that is not empty, of a length that a table can hold.
pub(crate) fn gist(text: &str) -> String {
    one_line(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim(), 160)
}

/// A text on one line, at most `most` characters long, that cannot steer a terminal.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let text = text.replace(['\n', '\t'], " ");
    let text = shown(&text);
    let mut chars = text.chars();
    let mut line = chars.by_ref().take(most).collect::<String>();
    if chars.next().is_some() {
        line.pop();
        line.push('…');
    }
    line
}

/// A text with its lines, that cannot steer a terminal.
pub(crate) fn many_lines(text: &str) -> String {
    shown(&text.replace("\r\n", "\n")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_cannot_steer_the_terminal() {
        assert_eq!(one_line("a\x1b[2Jb\nc", 99), "a\\x1b[2Jb c");
        assert_eq!(many_lines("a\x1b]0;x\x07b\nc"), "a\\x1b]0;x\\x07b\nc");
        assert_eq!(one_line("abcdef", 4), "abc…");
    }

    #[test]
    fn durations_are_said_in_their_largest_unit() {
        let said = [0, 59, 60, 3_599, 3_600, 86_400].map(|seconds| short_duration(Duration::from_secs(seconds)));
        assert_eq!(said, ["0s", "59s", "1m", "59m", "1h", "1d"]);
    }
}
