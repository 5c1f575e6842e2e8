//! A table of a page: its cells as text, so that they can be sorted, linked and taken along as CSV.

use super::times::to_the_second;
use crate::diag::shown;
use crate::report;
use crate::time::Timestamp;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// What stands above it.
    pub(super) title: &'static str,
    /// The word by which it is sorted; empty: it is not.
    pub(super) key: &'static str,
    /// Whether it holds numbers.
    pub(super) is_number: bool,
}

impl Column {
    /// Of text.
    pub(super) fn text(title: &'static str, key: &'static str) -> Self {
        Self { title, key, is_number: false }
    }

    /// Of numbers.
    pub(super) fn number(title: &'static str, key: &'static str) -> Self {
        Self { title, key, is_number: true }
    }
}

/// A cell.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    /// As people read it, with nothing in it that is not printed as itself.
    pub(super) text: String,
    /// As spreadsheets read it, if that differs.
    plain: Option<String>,
    /// Where it leads.
    pub(super) href: Option<String>,
    /// A class of it.
    pub(super) mark: Option<&'static str>,
    /// By what it is sorted, if not by its text.
    order: Option<f64>,
}

impl Cell {
    /// A text, whoever has chosen it.
    pub(super) fn text(text: impl AsRef<str>) -> Self {
        Self { text: shown(text.as_ref()), ..Self::default() }
    }

    /// A text that may be missing.
    pub(super) fn maybe(text: Option<impl AsRef<str>>) -> Self {
        text.map_or_else(Self::default, Self::text)
    }

    /// A moment, to the second.
    pub(super) fn time(at: Timestamp) -> Self {
        Self { text: to_the_second(at), mark: Some("t"), ..Self::default() }
    }

    /// A number.
    #[expect(clippy::cast_precision_loss, reason = "by which cells are sorted")]
    pub(super) fn number(number: u64) -> Self {
        let plain = Some(number.to_string());
        Self { text: report::number(number), plain, order: Some(number as f64), ..Self::default() }
    }

    /// A share.
    pub(super) fn percent(percent: Option<f64>) -> Self {
        let text = percent.map_or_else(|| "–".to_owned(), |percent| format!("{percent:.1} %"));
        let plain = Some(percent.map_or_else(String::new, |percent| percent.to_string()));
        Self { text, plain, order: percent.or(Some(f64::NEG_INFINITY)), ..Self::default() }
    }

    /// It leads there.
    pub(super) fn to(mut self, href: String) -> Self {
        self.href = Some(href);
        self
    }

    /// It is of this class.
    pub(super) fn mark(mut self, mark: &'static str) -> Self {
        self.mark = Some(mark);
        self
    }

    /// For spreadsheets.
    fn csv(&self) -> String {
        // Numbers of ours are written as they are.
        self.plain.clone().unwrap_or_else(|| report::quoted(&self.text))
    }

    fn before(&self, other: &Self) -> std::cmp::Ordering {
        match (self.order, other.order) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => self.text.cmp(&other.text),
        }
    }
}

/// Where a table of many rows stands, which was cut and sorted by whoever has read it.
#[derive(Clone, Debug, Default)]
pub(super) struct Turned {
    /// What is shown of how much.
    pub(super) says: String,
    /// The page before.
    pub(super) back: Option<String>,
    /// The next page.
    pub(super) on: Option<String>,
}

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// The word for it in addresses; unique in a page.
    pub(super) id: &'static str,
    /// What it shows.
    pub(super) caption: String,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// What is said when there is no row.
    pub(super) empty: String,
    /// `None`: these are all rows, in the order that stands when nobody asks for another.
    pub(super) turned: Option<Turned>,
}

impl Table {
    /// A table of all its rows.
    pub(super) fn new(id: &'static str, caption: impl Into<String>, columns: Vec<Column>) -> Self {
        let (rows, empty) = (Vec::new(), "Nothing is on record.".to_owned());
        Self { id, caption: caption.into(), columns, rows, empty, turned: None }
    }

    /// Sorts the rows by a column.
    pub(super) fn sort(&mut self, key: &str, falling: bool) {
        let Some(at) = self.columns.iter().position(|column| column.key == key && !key.is_empty()) else { return };
        self.rows.sort_by(|a, b| match (a.get(at), b.get(at)) {
            (Some(a), Some(b)) if falling => b.before(a),
            (Some(a), Some(b)) => a.before(b),
            _ => std::cmp::Ordering::Equal,
        });
    }

    /// RFC 4180; no cell is a formula.
    pub(super) fn csv(&self) -> String {
        let header: Vec<_> = self.columns.iter().map(|column| report::quoted(column.title)).collect();
        let mut out = header.join(",") + "\r\n";
        for row in &self.rows {
            let cells: Vec<_> = row.iter().map(Cell::csv).collect();
            out.push_str(&cells.join(","));
            out.push_str("\r\n");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_sorted_by_numbers_as_numbers_and_csv_holds_no_formula() {
        let mut table = Table::new("t", "T", vec![Column::text("Name", "name"), Column::number("Count", "count")]);
        for (name, count) in [("=a", 9), ("b", 1_000), ("c", 20)] {
            table.rows.push(vec![Cell::text(name), Cell::number(count)]);
        }
        table.sort("count", true);
        assert_eq!(table.csv(), "\"Name\",\"Count\"\r\n\"b\",1000\r\n\"c\",20\r\n\"'=a\",9\r\n");
        table.sort("nothing", false);
        table.sort("name", false);
        assert_eq!(table.rows[0][0].text, "=a");
    }
}
