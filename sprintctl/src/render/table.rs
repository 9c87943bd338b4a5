//! Tables that fit the terminal.

use std::fmt::Display;

use comfy_table::{Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row, Table, presets};

use crate::render::layout::Layout;
use crate::render::text::{gist, one_line};

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
        let text = one_line(&value.to_string(), usize::MAX);
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

#[cfg(test)]
mod tests {
    use sprint_core::time::Timestamp;

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
}
