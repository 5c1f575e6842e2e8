//! A report as Markdown (`CommonMark` with tables), for tickets and documents that take it in.

use super::document::Document;
use super::format::plain;
use super::key::{number, percent};

/// The text.
pub(super) fn render(document: &Document) -> String {
    let mut page = Page(String::new());
    let about = &document.about;
    page.line(&format!("# {}: devices from {} to {}", text(&about.title), about.from, about.to));
    page.list(&document.statement);
    page.line("## Figures");
    let rows = document.figures.rows();
    page.table(&["", "Figure"], rows.iter().map(|(_name, value, what)| vec![text(what), text(value)]));
    page.line("## Sites");
    let site = |row: &super::key::SiteRow| {
        let counts = [row.still, row.new, row.returned, row.clean, row.quiet, row.unknown, row.exempt];
        let first = [text(&row.site), number(row.baseline), known(row.now), text(&percent(row.decline_percent))];
        first.into_iter().chain(counts.map(number)).collect()
    };
    let header =
        ["Site", "Baseline", "Now", "Decline", "Still", "New", "Returned", "Clean", "Quiet", "Unknown", "Exempt"];
    page.table(&header, document.sites.iter().map(site));
    page.left_out(u64::try_from(document.sites_left_out).unwrap_or(u64::MAX), "sites");
    for by in ["country", "department"] {
        let of_it: Vec<_> = document.groups.iter().filter(|row| row.by == by).collect();
        if !of_it.is_empty() {
            page.line(if by == "country" { "## Countries" } else { "## Departments" });
            let header = ["Name", "Sites", "Baseline", "Now", "Decline", "Still", "New", "Clean", "Unknown"];
            page.table(&header, of_it.into_iter().map(group));
        }
    }
    page.line("## Evidence");
    let evidence = |row: &super::document::EvidenceRow| vec![text(row.evidence), number(row.baseline), number(row.now)];
    page.table(&["Grade", "Baseline", "Now"], document.evidence.iter().map(evidence));
    page.line("## Months");
    let month = |row: &super::document::SpanRow| {
        vec![text(&row.from), known(row.devices), known(row.addresses), known(row.active)]
    };
    page.table(&["From", "Devices", "Addresses", "Active"], document.months.iter().map(month));
    devices(document, &mut page);
    annex(document, &mut page);
    page.0
}

fn group(row: &super::groups::GroupRow) -> Vec<String> {
    let first = [text(&row.name), number(row.sites), number(row.baseline), known(row.now)];
    let counts = [row.still, row.new, row.clean, row.unknown].map(number);
    first.into_iter().chain([text(&percent(row.decline_percent))]).chain(counts).collect()
}

/// A count, if there is one.
fn known(count: Option<u64>) -> String {
    count.map_or_else(|| "unknown".to_owned(), number)
}

fn devices(document: &Document, page: &mut Page) {
    page.line("## Open devices");
    let device = |row: &super::open::OpenRow| {
        let client = row.client.clone().unwrap_or_default();
        let exempt = if row.exempt { "yes" } else { "no" };
        let words = [&row.site, &row.device, &client, row.state, row.since_baseline, exempt];
        let dates = [&row.days.to_string(), &row.first, &row.last].map(|cell| text(cell));
        words.map(text).into_iter().chain(dates).collect()
    };
    let header =
        ["Site", "Device", "Address", "State", "Since the baseline", "Exempt", "Days", "First seen", "Last seen"];
    page.table(&header, document.open.devices.iter().map(device));
    page.left_out(document.open.left_out, "devices");
}

fn annex(document: &Document, page: &mut Page) {
    let or = |value: &Option<String>, other: &str| text(value.as_deref().unwrap_or(other));
    page.line("## Exceptions");
    let exception = |row: &super::history::ExceptionRow| {
        let first =
            [text(&row.id), text(row.state), text(&row.whom), text(&row.what), or(&row.granted, "configuration")];
        let last = [or(&row.until, "no end"), text(&row.owner), text(&row.reason), or(&row.ticket, "")];
        first.into_iter().chain(last).collect()
    };
    let header = ["Id", "State", "Whom", "What", "Granted", "Until", "Owner", "Reason", "Ticket"];
    page.table(&header, document.exceptions.iter().map(exception));
    page.line("## Enforcement");
    let enforcement = |row: &super::history::EnforcementRow| {
        let policy = [text(&row.policy), text(&row.why)];
        [text(&row.from), or(&row.until, ""), or(&row.mode, "unknown")].into_iter().chain(policy).collect()
    };
    page.table(&["From", "Until", "Mode", "Policy (SHA-256)", "Why"], document.enforcement.iter().map(enforcement));
    let list = |row: &super::document::ListRow| vec![text(&row.name), number(row.rules), text(&row.sha256)];
    page.table(&["List", "Rules", "SHA-256"], document.lists.iter().map(list));
    if let Some(silent) = &document.silent {
        page.line("## Devices that never asked");
        let (known, count) = (silent.known, silent.silent);
        page.line(&format!(
            "Of {known} devices of the inventory, {count} asked this server for nothing in the window."
        ));
        page.list(&silent.devices);
        page.left_out(u64::try_from(silent.left_out).unwrap_or(u64::MAX), "devices");
    }
    page.line("## Dates of the law");
    let count = |count: Option<u64>| count.map_or_else(|| "not on record".to_owned(), number);
    let milestone = |row: &super::milestones::MilestoneRow| {
        vec![text(&row.date), text(&row.texts.join(" ")), count(row.before), count(row.after)]
    };
    let header = ["Date", "What", "Devices in the 7 days before", "From it on"];
    page.table(&header, document.milestones.iter().map(milestone));
    page.line("## Ways past this server");
    let signal = |row: &super::document::SignalRow| {
        vec![text(&row.category), text(row.meaning), count(row.devices), count(row.lookups)]
    };
    page.table(&["Signal", "Meaning", "Devices", "Lookups"], document.signals.iter().map(signal));
    page.line("## Coverage");
    let covered = [("Baseline", &document.coverage.baseline), ("Window", &document.coverage.window)];
    let covered = covered.into_iter().map(|(name, covered)| {
        let hours = format!("{} of {}", number(covered.hours), number(covered.of_hours));
        let first = [name.to_owned(), format!("{} of {}", covered.days, covered.of_days), hours];
        first
            .into_iter()
            .chain([covered.queries, covered.lost, covered.unnoted, covered.unnumbered].map(number))
            .collect()
    });
    let header = [
        "",
        "Days with activity",
        "Hours of service",
        "Queries",
        "Attempts lost",
        "Queries not noted",
        "Lookups of no device",
    ];
    page.table(&header, covered);
    page.line("## Method");
    page.list(&document.method);
    page.line("## Limits");
    page.list(&document.limits);
    let signed = document.about.signed_by.as_ref().map_or_else(
        || "Not signed; the digest at the end shows accidental changes only.".to_owned(),
        |key| format!("Signed with the key {key}."),
    );
    page.line(&format!("{} {}", text(&format!("Made by {}.", document.about.software)), text(&signed)));
}

struct Page(String);

impl Page {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push_str("\n\n");
    }

    fn list(&mut self, lines: &[String]) {
        for line in lines {
            self.0.extend(["- ", &text(line), "\n"]);
        }
        self.0.push('\n');
    }

    fn table(&mut self, header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return self.line("None.");
        }
        self.0.extend(["| ", &header.join(" | "), " |\n|", &"---|".repeat(header.len()), "\n"]);
        for row in rows {
            self.0.extend(["| ", &row.join(" | "), " |\n"]);
        }
        self.0.push('\n');
    }

    fn left_out(&mut self, count: u64, what: &str) {
        if count > 0 {
            self.line(&format!("{} more {what} are not listed; JSON and CSV list more.", number(count)));
        }
    }
}

/// Text that is nothing but text, whatever is in it: no markup, no entity, no formula, and no address that becomes a link.
fn text(text: &str) -> String {
    let text = plain(text);
    let mut out = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let (before, after) = text.split_at(at);
        let is_markup = "\\`*_[]<>|#~&@$^".contains(character);
        let is_link = (character == ':' && after.starts_with("://"))
            || (character == '.' && before.to_ascii_lowercase().ends_with("www"));
        if is_markup || is_link {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_client_calls_itself_is_more_than_text() {
        for (name, expected) in [
            ("anna-pc", "anna-pc"),
            ("a|b", "a\\|b"),
            ("<img src=x>", "\\<img src=x\\>"),
            ("[x](y)", "\\[x\\](y)"),
            ("`*_", "\\`\\*\\_"),
            ("WWW.example.org https://a.example", "WWW\\.example.org https\\://a.example"),
            ("a\n# b", "a\\\\n\\# b"),
        ] {
            assert_eq!(text(name), expected);
        }
    }
}
