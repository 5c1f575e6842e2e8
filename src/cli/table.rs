//! Tables that fit the terminal. What goes into a cell is escaped here, once.

use comfy_table::{CellAlignment, ContentArrangement, Table as Comfy, presets};

use super::console::Look;
use crate::diag::shown;

/// A table without lines: a header and rows that `grep` and `awk` can read.
pub(super) struct Table {
    table: Comfy,
    columns: usize,
}

impl Table {
    /// A table of these columns; a header that begins with `#` is of numbers, which stand to the right.
    pub(super) fn new(look: Look, header: &[&str]) -> Self {
        let mut table = Comfy::new();
        table.load_style(presets::NOTHING).force_no_tty();
        if let Some(width) = look.width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        table.set_header(header.iter().map(|title| title.trim_start_matches('#')));
        for (column, title) in table.column_iter_mut().zip(header) {
            column.set_padding((0, 2));
            if title.starts_with('#') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self { table, columns: header.len() }
    }

    /// Adds a row; a missing value is shown as `-`.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Option<String>>) {
        let cell = |cell: Option<String>| cell.map_or_else(|| "-".to_owned(), |cell| shown(&cell));
        let cells: Vec<_> = cells.into_iter().map(cell).collect();
        debug_assert_eq!(cells.len(), self.columns, "a row has the columns of the header");
        self.table.add_row(cells);
    }

    /// The table, each line ended, without blanks at the ends.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        for line in self.table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}
