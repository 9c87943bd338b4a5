//! Text for people: tables that fit the terminal, fields, times, and nothing that could steer it.

use std::fmt::Display;
use std::time::Duration;

use comfy_table::{Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row, Table, presets};
use sprint_core::time::Timestamp;

/// What a text is laid out for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// The terminal's columns; none when there is no terminal, and nothing is cut then.
    pub(crate) width: Option<u16>,
    pub(crate) colour: bool,
    pub(crate) now: Timestamp,
}

/// How a column behaves when space is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Keeps its width.
    Word,
    /// Keeps its width, aligned to the right.
    Number,
    /// Wraps.
    Text,
}

/// A column of a table; one that is empty in every row is left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) shape: Shape,
}

impl Column {
    pub(crate) const fn word(title: &'static str) -> Self {
        Self { title, shape: Shape::Word }
    }

    pub(crate) const fn number(title: &'static str) -> Self {
        Self { title, shape: Shape::Number }
    }

    pub(crate) const fn text(title: &'static str) -> Self {
        Self { title, shape: Shape::Text }
    }
}

/// How a word should strike the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tint {
    Plain,
    Good,
    Bad,
    Busy,
    Faint,
}

impl Tint {
    /// The tint of a stage's or a state's word.
    pub(crate) fn of(word: &str) -> Self {
        match word {
            "done" | "landed" | "online" | "passed" => Self::Good,
            "blocked" | "failed" | "lost" | "conflicted" | "halted" => Self::Bad,
            "in_progress" | "merging" | "running" | "starting" | "assigned" | "finishing" | "gating" | "landing"
            | "in_review" | "in_tests" | "in_docs" | "draining" => Self::Busy,
            "cancelled" | "offline" => Self::Faint,
            _ => Self::Plain,
        }
    }
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tint: Tint,
}

impl Cell {
    pub(crate) fn new(value: impl Display) -> Self {
        Self { text: one_line(&value.to_string(), usize::MAX), tint: Tint::Plain }
    }

    /// A stage's or a state's word, tinted by what it means.
    pub(crate) fn state(value: impl Display) -> Self {
        let text = value.to_string();
        Self { tint: Tint::of(&text), text }
    }

    /// Nothing, when there is nothing.
    pub(crate) fn maybe(value: Option<impl Display>) -> Self {
        value.map_or_else(|| Self::new(""), Self::new)
    }

    /// The first line of a longer text.
    pub(crate) fn gist(text: &str) -> Self {
        Self { text: gist(text), tint: Tint::Plain }
    }
}

/// The most lines of a row on a terminal; what is cut there is whole in a pipe and in `show`.
const TALLEST: usize = 3;

/// Lays out a table.
pub(crate) fn table(layout: &Layout, columns: &[Column], rows: Vec<Vec<Cell>>) -> String {
    let used = (0..columns.len())
        .map(|index| rows.iter().any(|row| row.get(index).is_some_and(|cell| !cell.text.is_empty())))
        .collect::<Vec<_>>();
    let shown = || columns.iter().enumerate().filter(|(index, _)| used[*index]).map(|(_, column)| column);
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if layout.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    match layout.width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table.set_header(
        shown().map(|column| comfy_table::Cell::new(column.title).add_attribute(Attribute::Bold)).collect::<Vec<_>>(),
    );
    for row in rows {
        let cells = row.into_iter().enumerate().filter(|(index, _)| used.get(*index).copied().unwrap_or(false));
        let mut row = Row::from(cells.map(|(_, cell)| styled(cell)).collect::<Vec<_>>());
        if layout.width.is_some() {
            row.max_height(TALLEST);
        }
        table.add_row(row);
    }
    for (index, column) in shown().enumerate() {
        let Some(laid_out) = table.column_mut(index) else { continue };
        laid_out.set_padding((0, 2));
        match column.shape {
            Shape::Word => {
                laid_out.set_constraint(ColumnConstraint::ContentWidth);
            }
            Shape::Number => {
                laid_out.set_constraint(ColumnConstraint::ContentWidth);
                laid_out.set_cell_alignment(CellAlignment::Right);
            }
            Shape::Text => {}
        }
    }
    table.trim_fmt()
}

fn styled(cell: Cell) -> comfy_table::Cell {
    let laid_out = comfy_table::Cell::new(cell.text);
    match cell.tint {
        Tint::Plain => laid_out,
        Tint::Good => laid_out.fg(Color::DarkGreen),
        Tint::Bad => laid_out.fg(Color::DarkRed),
        Tint::Busy => laid_out.fg(Color::DarkCyan),
        Tint::Faint => laid_out.add_attribute(Attribute::Dim),
    }
}

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
    let mut chars = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    let mut line = chars.by_ref().take(most).collect::<String>();
    if chars.next().is_some() {
        line.pop();
        line.push('…');
    }
    line
}

/// A text with its lines, that cannot steer a terminal.
pub(crate) fn many_lines(text: &str) -> String {
    text.chars().filter(|char| !char.is_control() || matches!(char, '\n' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(width: Option<u16>) -> Layout {
        Layout { width, colour: false, now: Timestamp::from_millis(0) }
    }

    fn sample(width: Option<u16>) -> String {
        let columns = [Column::number("ID"), Column::word("STAGE"), Column::word("EMPTY"), Column::text("TITLE")];
        let row = |id: u64, stage: &str, title: &str| {
            vec![Cell::new(id), Cell::state(stage), Cell::new(""), Cell::new(title)]
        };
        let rows = vec![
            row(1, "in_progress", "Teach the parser that a comment may stand at the end of a line"),
            row(12, "done", "short"),
        ];
        table(&layout(width), &columns, rows)
    }

    #[test]
    fn a_table_wraps_its_text_to_the_terminal_and_keeps_its_words_whole() {
        insta::assert_snapshot!(sample(Some(40)));
    }

    #[test]
    fn a_table_in_a_pipe_has_one_line_for_each_row() {
        insta::assert_snapshot!(sample(None));
    }

    #[test]
    fn texts_of_others_cannot_steer_the_terminal() {
        assert_eq!(one_line("a\x1b[2Jb\nc", 99), "a [2Jb c");
        assert_eq!(many_lines("a\x1b]0;x\x07b\nc"), "a]0;xb\nc");
        assert_eq!(one_line("abcdef", 4), "abc…");
    }

    #[test]
    fn durations_are_said_in_their_largest_unit() {
        let said = [0, 59, 60, 3_599, 3_600, 86_400].map(|seconds| short_duration(Duration::from_secs(seconds)));
        assert_eq!(said, ["0s", "59s", "1m", "59m", "1h", "1d"]);
    }
}
