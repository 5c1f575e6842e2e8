//! One page being made: its tables, their order and their CSV.

use axum::http::header;
use maud::{Markup, html};

use super::asked::Asked;
use super::desk::Desk;
use super::frame::{self, Frame};
use super::table::{Cell, Column, Table, Turned};
use super::trouble::Trouble;
use crate::admin::reply::Reply;
use crate::diag::shown;
use crate::report;
use crate::time::Timestamp;

/// Rows of a table that a page shows at once.
pub(super) const ROWS: usize = 50;
/// Rows of a table that CSV holds at most.
pub(super) const CSV_ROWS: usize = 10_000;

/// A page being made.
pub(super) struct View {
    /// Its address.
    pub(super) asked: Asked,
    /// When.
    pub(super) now: Timestamp,
    title: String,
    /// The table that is wanted as CSV, when it has been made.
    csv: Option<String>,
    /// More than is shown of it.
    cut: Option<String>,
    plots: bool,
}

impl View {
    /// Of a page at this address.
    pub(super) fn new(asked: Asked, now: Timestamp) -> Self {
        Self { asked, now, title: String::new(), csv: None, cut: None, plots: false }
    }

    /// What it is called.
    pub(super) fn title(&mut self, title: &str) {
        self.title = shown(title);
    }

    /// It has a plot.
    pub(super) fn plots(&mut self) {
        self.plots = true;
    }

    /// Whether a table is wanted as CSV.
    pub(super) fn wants_csv(&self, id: &str) -> bool {
        self.asked.get("csv") == Some(id)
    }

    /// Rows of a table that are wanted.
    pub(super) fn rows_of(&self, id: &str) -> usize {
        if self.wants_csv(id) { CSV_ROWS } else { ROWS }
    }

    /// By which column a table is to be sorted, and whether against its order.
    pub(super) fn sort_of(&self, id: &str) -> Option<(&str, bool)> {
        let (table, sort) = self.asked.get("sort")?.split_once('.')?;
        let (key, falling) = sort.strip_prefix('-').map_or((sort, false), |key| (key, true));
        (table == id).then_some((key, falling))
    }

    /// How many rows of a table are to be left out.
    pub(super) fn first_of(&self, id: &str) -> usize {
        let from = self.asked.get("from").and_then(|from| from.split_once('.'));
        from.filter(|(table, _at)| *table == id).and_then(|(_table, at)| at.parse().ok()).unwrap_or(0)
    }

    /// Where rows from `at` on are shown.
    pub(super) fn turned_to(&self, id: &str, at: usize) -> String {
        let from = format!("{id}.{at}");
        self.asked.with(&[("from", Some(&*from).filter(|_from| at > 0)), ("csv", None)])
    }

    /// What is shown of so many rows that begin there.
    pub(super) fn turned(&self, id: &str, (from, shown_rows, all): (usize, usize, usize)) -> Turned {
        let said = |number: usize| report::number(number as u64);
        let end = from + shown_rows;
        Turned {
            says: if shown_rows == 0 {
                format!("None of {}", said(all))
            } else {
                format!("{} to {} of {}", said(from + 1), said(end), said(all))
            },
            back: (from > 0).then(|| self.turned_to(id, from.saturating_sub(ROWS))),
            on: (end < all).then(|| self.turned_to(id, end)),
        }
    }

    /// A table as it stands in the page.
    pub(super) fn table(&mut self, mut table: Table) -> Markup {
        let sorted = self.sort_of(table.id).map(|(key, falling)| (key.to_owned(), falling));
        if table.turned.is_none() {
            if let Some((key, falling)) = &sorted {
                table.sort(key, *falling);
            }
            let (all, from) = (table.rows.len(), self.first_of(table.id).min(table.rows.len()));
            let rows = self.rows_of(table.id);
            table.rows = table.rows.into_iter().skip(from).take(rows).collect();
            if all > ROWS || from > 0 {
                table.turned = Some(self.turned(table.id, (from, table.rows.len(), all)));
            }
        }
        if self.wants_csv(table.id) {
            self.csv = Some(table.csv());
            self.cut = table.turned.as_ref().and_then(|turned| turned.on.clone());
        }
        self.drawn(&table, sorted.as_ref())
    }

    fn drawn(&self, table: &Table, sorted: Option<&(String, bool)>) -> Markup {
        let caption = format!("{}-caption", table.id);
        html! {
            div.wide role="region" aria-labelledby=(caption) tabindex="0" {
                table id=(table.id) {
                    caption id=(caption) { (table.caption) }
                    thead { tr { @for column in &table.columns { (self.head(table.id, column, sorted)) } } }
                    tbody {
                        @for row in &table.rows {
                            tr { @for (column, cell) in table.columns.iter().zip(row) { (drawn_cell(column, cell)) } }
                        }
                        @if table.rows.is_empty() {
                            tr { td.none colspan=(table.columns.len()) { (table.empty) } }
                        }
                    }
                }
            }
            p.under {
                @if let Some(turned) = &table.turned {
                    span { (turned.says) }
                    @if let Some(back) = &turned.back { a href=(back) rel="prev" { "Back" span.hidden { " in: " (table.caption) } } }
                    @if let Some(on) = &turned.on { a href=(on) rel="next" { "Next" span.hidden { " of: " (table.caption) } } }
                }
                @if !table.rows.is_empty() {
                    a.csv href=(self.asked.with(&[("csv", Some(table.id))])) { "CSV" span.hidden { " of: " (table.caption) } }
                }
            }
        }
    }

    fn head(&self, id: &str, column: &Column, sorted: Option<&(String, bool)>) -> Markup {
        let now = sorted.filter(|(key, _falling)| key == column.key).map(|(_key, falling)| *falling);
        // Numbers are wanted with the greatest first.
        let falling = now.map_or(column.is_number, |falling| !falling);
        let sort = format!("{id}.{}{}", if falling { "-" } else { "" }, column.key);
        let told = now.map(|falling| if falling { "descending" } else { "ascending" });
        html! {
            th scope="col" class=[column.is_number.then_some("n")] aria-sort=[told] {
                @if column.key.is_empty() {
                    (column.title)
                } @else {
                    a href=(self.asked.with(&[("sort", Some(&sort)), ("from", None), ("after", None), ("csv", None)])) {
                        (column.title)
                        @match now { Some(true) => span aria-hidden="true" { " ▾" }, Some(false) => span aria-hidden="true" { " ▴" }, None => {} }
                    }
                }
            }
        }
    }

    /// The page, or the one table that was wanted of it.
    pub(super) fn reply(self, desk: &Desk<'_>, body: &Markup) -> Reply {
        if let Some(id) = self.asked.get("csv") {
            let Some(csv) = self.csv else {
                let why = format!("this page has no table `{}`", shown(id));
                return frame::troubled(desk, &Trouble::Nothing(why));
            };
            let id = id.replace(|other: char| !other.is_ascii_alphanumeric(), "-");
            let name = format!("attachment; filename=\"embargo-{id}.csv\"");
            let reply = Reply::of("text/csv; charset=utf-8", csv).with(header::CONTENT_DISPOSITION, &name);
            // Whoever wants more than one file holds is told where it is.
            return match self.cut {
                Some(on) => reply.with(header::LINK, &format!("<{on}>; rel=\"next\"")),
                None => reply,
            };
        }
        let frame = Frame { title: &self.title, path: self.asked.path(), now: Some(self.now), plots: self.plots };
        frame.reply(Some(desk), body)
    }
}

fn drawn_cell(column: &Column, cell: &Cell) -> Markup {
    let class = match (column.is_number, cell.mark) {
        (true, _) => Some("n"),
        (false, mark) => mark,
    };
    html! {
        td class=[class] {
            @match &cell.href {
                Some(href) if !cell.text.is_empty() => a href=(href) { (cell.text) },
                _ => (cell.text),
            }
        }
    }
}
