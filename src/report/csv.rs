//! A report as one table for spreadsheets (RFC 4180): a row for each figure, day, site, device and the rest.
//!
//! Names come from clients. A cell that a spreadsheet would take for a formula begins with an apostrophe.

use std::fmt::Write;

use super::document::{Document, SpanRow};
use super::format::plain;

/// The columns.
const HEADER: &str = "section,date,site,item,address,name,value,text\r\n";

/// A row; empty where nothing applies.
#[derive(Default)]
struct Row<'a> {
    section: &'a str,
    date: &'a str,
    site: &'a str,
    item: &'a str,
    address: &'a str,
    name: &'a str,
    /// A number of ours: written as it is.
    value: String,
    text: String,
}

impl Row<'_> {
    fn write(&self, out: &mut String) {
        let Self { section, date, site, item, address, name, value, text } = self;
        for cell in [section, date, site, item, address, name] {
            out.push_str(&quoted(cell));
            out.push(',');
        }
        // Writing to a string can't fail.
        let _written = write!(out, "{value},{}\r\n", quoted(text));
    }
}

/// The table.
pub(super) fn render(document: &Document) -> String {
    let mut out = HEADER.to_owned();
    let mut add = |row: Row<'_>| row.write(&mut out);
    about(document, &mut add);
    for (name, value, text) in document.figures.rows() {
        // As in JSON: without thousands, percent signs or words.
        let value = value.trim_end_matches(" %").replace(',', "");
        let value = if value.parse::<f64>().is_ok() { value } else { String::new() };
        add(Row { section: "figure", name, value, text: text.to_owned(), ..Row::default() });
    }
    for row in &document.sites {
        let counts = [
            ("baseline", Some(row.baseline)),
            ("now", row.now),
            ("still", Some(row.still)),
            ("new", Some(row.new)),
            ("returned", Some(row.returned)),
        ];
        let more = [("clean", row.clean), ("quiet", row.quiet), ("unknown", row.unknown), ("exempt", row.exempt)];
        let more = more.into_iter().chain([("confirmed", row.confirmed)]).map(|(name, count)| (name, Some(count)));
        let days = [("days_baseline", row.days_baseline), ("days_now", row.days_now)];
        let days = days.map(|(name, days)| (name, Some(days.into())));
        for (name, value) in counts.into_iter().chain(more).chain(days) {
            let value = value.map(|value| value.to_string()).unwrap_or_default();
            add(Row { section: "site", site: &row.site, name, value, ..Row::default() });
        }
    }
    for row in &document.groups {
        let counts = [("sites", row.sites), ("baseline", row.baseline), ("still", row.still)];
        let now = row.now.map(|now| ("now", now));
        let more = [("new", row.new), ("returned", row.returned), ("clean", row.clean), ("quiet", row.quiet)];
        let last = [("unknown", row.unknown), ("exempt", row.exempt), ("confirmed", row.confirmed)];
        for (name, value) in counts.into_iter().chain(now).chain(more).chain(last) {
            add(Row { section: row.by, item: &row.name, name, value: value.to_string(), ..Row::default() });
        }
    }
    for (item, covered) in [("baseline", &document.coverage.baseline), ("window", &document.coverage.window)] {
        let counts = [("hours", covered.hours), ("of_hours", covered.of_hours), ("queries", covered.queries)];
        let days = [("days", covered.days as u64), ("of_days", covered.of_days as u64)];
        let lost = [("lost", covered.lost), ("unnoted", covered.unnoted), ("unnumbered", covered.unnumbered)];
        let damaged = [("damaged_days", covered.damaged_days as u64)];
        for (name, value) in days.into_iter().chain(counts).chain(lost).chain(damaged) {
            add(Row { section: "coverage", item, name, value: value.to_string(), ..Row::default() });
        }
    }
    for row in &document.evidence {
        for (name, value) in [("baseline", row.baseline), ("now", row.now)] {
            add(Row { section: "evidence", item: row.evidence, name, value: value.to_string(), ..Row::default() });
        }
    }
    for (section, spans) in [("day", &document.days), ("week", &document.weeks), ("month", &document.months)] {
        for span in spans {
            spans_of(section, span, &mut add);
        }
    }
    annex(document, &mut add);
    devices(document, &mut add);
    out
}

fn about(document: &Document, add: &mut impl FnMut(Row<'_>)) {
    let about = &document.about;
    let row = |name, text: &str| Row { section: "about", name, text: text.to_owned(), ..Row::default() };
    add(row("ban", &about.ban));
    add(row("title", &about.title));
    add(row("site", about.site.as_deref().unwrap_or("all")));
    add(row("from", &about.from));
    add(row("to", &about.to));
    add(row("baseline_from", &about.baseline_from));
    add(row("baseline_to", &about.baseline_to));
    add(row("software", about.software));
    add(row("signed_by", about.signed_by.as_deref().unwrap_or("not signed")));
    document.statement.iter().for_each(|text| add(row("statement", text)));
}

fn spans_of(section: &str, span: &SpanRow, add: &mut impl FnMut(Row<'_>)) {
    let values = [("devices", span.devices), ("addresses", span.addresses), ("active", span.active)];
    for (name, value) in values {
        // Nothing known is an empty cell, not nought.
        let value = value.map(|value| value.to_string()).unwrap_or_default();
        add(Row { section, date: &span.from, name, value, ..Row::default() });
    }
}

fn annex(document: &Document, add: &mut impl FnMut(Row<'_>)) {
    for row in &document.milestones {
        for (name, value) in [("before", row.before), ("after", row.after)] {
            let value = value.map(|value| value.to_string()).unwrap_or_default();
            add(Row {
                section: "milestone",
                date: &row.date,
                name,
                value,
                text: row.texts.join(" "),
                ..Row::default()
            });
        }
    }
    for row in &document.exceptions {
        let until = row.until.as_deref().unwrap_or("no end");
        let text = format!("{} is spared {} until {until}; {}: {}", row.whom, row.what, row.owner, row.reason);
        let date = row.granted.as_deref().unwrap_or_default();
        add(Row { section: "exception", date, item: &row.id, name: row.state, text, ..Row::default() });
    }
    for row in &document.enforcement {
        let name = row.mode.as_deref().unwrap_or("unknown");
        let text = format!("until {}: {}", row.until.as_deref().unwrap_or("the end"), row.why);
        add(Row { section: "enforcement", date: &row.from, item: &row.policy, name, text, ..Row::default() });
    }
    for row in &document.lists {
        let (value, text) = (row.rules.to_string(), row.sha256.clone());
        add(Row { section: "list", item: &row.name, name: "rules", value, text, ..Row::default() });
    }
    for row in &document.signals {
        for (name, value) in [("devices", row.devices), ("lookups", row.lookups)] {
            let text = row.meaning.to_owned();
            // No longer on record is an empty cell, not nought.
            let value = value.map(|value| value.to_string()).unwrap_or_default();
            add(Row { section: "signal", item: &row.category, name, value, text, ..Row::default() });
        }
    }
    let lines = [("method", &document.method), ("limit", &document.limits)];
    for (section, text) in lines.into_iter().flat_map(|(section, lines)| lines.iter().map(move |text| (section, text)))
    {
        add(Row { section, text: text.clone(), ..Row::default() });
    }
}

fn devices(document: &Document, add: &mut impl FnMut(Row<'_>)) {
    for row in &document.open.devices {
        let exempt = if row.exempt { ", exempt" } else { "" };
        let connected = if row.connected { ", connected" } else { "" };
        let many = if row.many { ", stands for many" } else { "" };
        let again = if row.reinfected { ", seen again after it had been clean" } else { "" };
        add(Row {
            section: "device",
            date: &row.last,
            site: &row.site,
            item: &row.device,
            address: row.client.as_deref().unwrap_or_default(),
            name: row.state,
            value: row.days.to_string(),
            text: format!("{}, first seen {}{exempt}{again}{connected}{many}", row.since_baseline, row.first),
        });
    }
    if let Some(silent) = &document.silent {
        for (name, value) in [("known", silent.known), ("silent", silent.silent), ("left_out", silent.left_out)] {
            add(Row { section: "inventory", name, value: value.to_string(), ..Row::default() });
        }
        for item in &silent.devices {
            add(Row { section: "inventory", item, name: "never_asked", ..Row::default() });
        }
    }
    if document.open.left_out > 0 {
        let value = document.open.left_out.to_string();
        add(Row { section: "device", name: "left_out", value, ..Row::default() });
    }
}

/// A cell of text. Spreadsheets take `=`, `+`, `-`, `@` for the beginning of a formula, behind blanks too; some the wide forms.
pub fn quoted(text: &str) -> String {
    let text = plain(text);
    let first = text.trim_start().chars().next();
    let is_formula = first.is_some_and(|first| "=+-@＝＋－＠|%".contains(first));
    let guard = if is_formula { "'" } else { "" };
    if text.is_empty() { text } else { format!("\"{guard}{}\"", text.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_ends_before_it_ends() {
        for (text, cell) in [
            ("", ""),
            ("anna-pc", "\"anna-pc\""),
            ("=cmd()", "\"'=cmd()\""),
            ("  @SUM(A1)", "\"'  @SUM(A1)\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("a\",=1+1", "\"a\"\",=1+1\""),
            ("\t=1", "\"\\t=1\""),
            ("a\r\n=1", "\"a\\r\\n=1\""),
            ("a\u{202e}b", "\"a\\u{202e}b\""),
        ] {
            assert_eq!(quoted(text), cell, "{text:?}");
        }
    }
}
