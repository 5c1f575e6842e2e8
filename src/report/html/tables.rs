//! Tables of a report.

use maud::{Markup, html};

use crate::report::document::{Covered, Document, SignalRow};
use crate::report::format::plain;
use crate::report::groups::GroupRow;
use crate::report::history::{EnforcementRow, ExceptionRow};
use crate::report::key::{SiteRow, number, percent};
use crate::report::milestones::{LawRow, MilestoneRow};
use crate::report::open::OpenRow;

/// A table with a header; a title that begins with `#` is of numbers. Without rows it says so.
pub(super) fn table(says: &str, header: &[&str], rows: &[Markup]) -> Markup {
    html! {
        @if rows.is_empty() { p.none { "None." } } @else {
            div.wide { table {
                @if !says.is_empty() { caption { (says) } }
                thead { tr { @for title in header {
                    @if let Some(title) = title.strip_prefix('#') { th.n scope="col" { (title) } }
                    @else { th scope="col" { (title) } }
                } } }
                tbody { @for row in rows { (row) } }
            } }
        }
    }
}

pub(super) fn rows<T>(all: &[T], row: impl Fn(&T) -> Markup) -> Vec<Markup> {
    all.iter().map(row).collect()
}

fn count(count: u64) -> Markup {
    html! { td.n { (number(count)) } }
}

fn maybe(value: Option<u64>, other: &str) -> Markup {
    html! { @match value { Some(value) => (count(value)), None => { td.n.none { (other) } } } }
}

/// A date, or the day of a moment with its time to the minute.
pub(super) fn moment(text: Option<&str>, other: &str) -> Markup {
    let shown = |text: &str| {
        let (day, time) = text.split_once('T').unwrap_or((text, ""));
        let minute: String = time.chars().take(5).collect();
        if minute.is_empty() { day.to_owned() } else { format!("{day} {minute}") }
    };
    html! { td.d { (text.map_or_else(|| other.to_owned(), shown)) } }
}

/// A word that stands for a state.
pub(super) fn tag(word: &str) -> Markup {
    let class = format!("tag {word}");
    html! { span class=(class) { (word) } }
}

pub(super) fn figures(document: &Document) -> Markup {
    let all = document.figures.rows();
    let row = |(_name, value, says): &(&str, String, &str)| {
        html! { tr { th scope="row" { (says) } td.n { (value) } } }
    };
    html! { h2 { "Figures" } (table("", &["What is counted", "#Figure"], &rows(&all, row))) }
}

pub(super) fn months(document: &Document) -> Markup {
    let row = |row: &crate::report::document::SpanRow| {
        html! { tr {
            th scope="row" { (row.from) } (maybe(row.devices, "unknown")) (maybe(row.addresses, "unknown"))
            (maybe(row.active, "unknown"))
        } }
    };
    let header = ["Month from", "#Devices", "#Addresses", "#Active devices"];
    table(
        "By month, from the first day of the baseline to the last of the window.",
        &header,
        &rows(&document.months, row),
    )
}

pub(super) fn sites(document: &Document) -> Markup {
    let row = |row: &SiteRow| {
        html! { tr {
            th scope="row" { (plain(&row.site)) }
            (count(row.baseline)) (maybe(row.now, "unknown")) td.n { (percent(row.decline_percent)) } (count(row.still)) (count(row.new))
            (count(row.returned)) (count(row.clean)) (count(row.quiet)) (count(row.unknown)) (count(row.exempt))
            td { (row.covered) } td.n { (row.days_baseline) } td.n { (row.days_now) }
        } }
    };
    let header = [
        "Site",
        "#Baseline",
        "#Now",
        "#Decline",
        "#Still",
        "#New",
        "#Returned",
        "#Clean",
        "#Quiet",
        "#Unknown",
        "#Exempt",
        "Covered",
        "#Days before",
        "#Days now",
    ];
    let left_out = u64::try_from(document.sites_left_out).unwrap_or(u64::MAX);
    html! {
        h2 { "Sites" }
        (table("Devices by site, those with most first.", &header, &rows(&document.sites, row)))
        (more(left_out, "sites"))
    }
}

/// Tables by tags of sites, where there are any.
pub(super) fn groups(document: &Document) -> Markup {
    let row = |row: &&GroupRow| {
        html! { tr {
            th scope="row" { (plain(&row.name)) } (count(row.sites))
            (count(row.baseline)) (maybe(row.now, "unknown")) td.n { (percent(row.decline_percent)) } (count(row.still)) (count(row.new))
            (count(row.clean)) (count(row.unknown))
        } }
    };
    let header = ["Name", "#Sites", "#Baseline", "#Now", "#Decline", "#Still", "#New", "#Clean", "#Unknown"];
    let of = |by: &str| document.groups.iter().filter(|row| row.by == by).collect::<Vec<_>>();
    let all = [("country", "Countries"), ("department", "Departments")].map(|(by, title)| (title, of(by)));
    html! { @for (title, groups) in all.iter().filter(|(_title, groups)| !groups.is_empty()) {
        h2 { (title) }
        (table("Devices by what sites are tagged with, those with most first.", &header, &rows(groups, row)))
    } }
}

fn more(left_out: u64, what: &str) -> Markup {
    html! { @if left_out > 0 { p.more { (number(left_out)) " more " (what) " are not listed; the forms JSON and CSV list more." } } }
}

pub(super) fn open(document: &Document) -> Markup {
    let row = |row: &OpenRow| {
        let marks = [
            (row.exempt, "exempt"),
            (row.reinfected, "seen again after it was clean"),
            (row.connected, "connected to the block page"),
            (row.many, "stands for many, at least one"),
        ];
        let marks: Vec<_> = marks.into_iter().filter(|(holds, _)| *holds).map(|(_, word)| word).collect();
        html! { tr {
            td { (plain(&row.site)) } th scope="row" { (plain(&row.device)) }
            td { (row.client.as_deref().filter(|client| *client != row.device).unwrap_or("–")) }
            td { (tag(row.state)) } td { (row.since_baseline) @if !marks.is_empty() { ", " (marks.join(", ")) } }
            td.n { (row.days) } td.d { (row.first) } td.d { (row.last) }
        } }
    };
    let header = ["Site", "Device", "Last address", "State", "Since the baseline", "#Days", "First seen", "Last seen"];
    html! {
        h2 { "Open devices" }
        (table("Devices seen in the window.", &header, &rows(&document.open.devices, row)))
        (more(document.open.left_out, "devices"))
    }
}

/// Devices of the inventory that never asked.
pub(super) fn silent(document: &Document) -> Markup {
    let Some(silent) = &document.silent else { return Markup::default() };
    let row = |device: &String| html! { tr { th scope="row" { (plain(device)) } } };
    html! {
        h2 { "Devices that never asked" }
        p {
            "Of " (number(silent.known as u64)) " devices of the inventory, " (number(silent.silent as u64)) " asked this server for \
             nothing in the window. Nothing is known of what they run."
        }
        @if !silent.devices.is_empty() { (table("", &["Device"], &rows(&silent.devices, row))) }
        (more(silent.left_out as u64, "devices"))
    }
}

pub(super) fn exceptions(document: &Document) -> Markup {
    let row = |row: &ExceptionRow| {
        html! { tr {
            td { (plain(&row.id)) } td { (row.state) } td { (plain(&row.whom)) } td { (plain(&row.what)) }
            (moment(row.granted.as_deref(), "configuration")) (moment(row.until.as_deref(), "no end"))
            td { (plain(&row.owner)) ": " (plain(&row.reason)) @if let Some(ticket) = &row.ticket { " (" (plain(ticket)) ")" } }
        } }
    };
    let header = ["Id", "State", "Whom", "In what", "Granted (UTC)", "Until (UTC)", "Owner and reason"];
    html! {
        h2 { "Exceptions" }
        (table("Exemptions that could let devices through in this time, by the audit log.", &header, &rows(&document.exceptions, row)))
    }
}

pub(super) fn enforcement(document: &Document) -> Markup {
    let row = |row: &EnforcementRow| {
        html! { tr {
            (moment(Some(&row.from), "")) (moment(row.until.as_deref(), "–"))
            td { @match &row.mode { Some(mode) => (tag(mode)), None => { span.none { "not on record" } } } }
            td { code { (plain(&row.policy)) } } td { (plain(&row.why)) }
        } }
    };
    let list = |row: &crate::report::document::ListRow| {
        html! { tr { th scope="row" { (plain(&row.name)) } (count(row.rules)) td { code { (row.sha256) } } } }
    };
    html! {
        h2 { "Enforcement" }
        (table(
            "Policies in force, by the audit log: the mode of the ban when each came into force, and the SHA-256 of all its lists.",
            &["From (UTC)", "Until (UTC)", "Mode", "Policy", "Why"],
            &rows(&document.enforcement, row),
        ))
        h3 { "Lists of the ban as they are now" }
        (table("", &["List", "#Rules", "SHA-256"], &rows(&document.lists, list)))
    }
}

pub(super) fn milestones(document: &Document) -> Markup {
    let row = |row: &MilestoneRow| {
        let change = row.before.zip(row.after).map(|_both| percent(row.decline_percent));
        html! { tr {
            td.d { (row.date) }
            td { @for (at, text) in row.texts.iter().enumerate() { @if at > 0 { br; } (plain(text)) } }
            (maybe(row.before, "–")) (maybe(row.after, "–")) td.n { (change.as_deref().unwrap_or("–")) }
        } }
    };
    let law = |row: &LawRow| {
        html! { tr {
            th scope="row" { (plain(&row.instrument)) @if !row.citation.is_empty() { br; span.note { (plain(&row.citation)) } } }
            td { (plain(&row.jurisdiction)) } (moment(row.effective.as_deref(), "–"))
            td { (plain(&row.applies_to)) @if !row.note.is_empty() { br; span.note { (plain(&row.note)) } } }
            td { (tag(row.end_use)) } td { @if row.binds { "yes" } @else { "no" } }
        } }
    };
    let header = ["Date", "What", "#7 days before", "#7 days from it on", "#Decline"];
    let laws = ["Instrument", "Where", "Effective", "Whom it binds", "Prohibits use", "Binds this network"];
    html! {
        h2 { "Dates of the law" }
        (table("Devices seen around each date; a dash: not all of those days are on record.", &header, &rows(&document.milestones, row)))
        @if !document.laws.is_empty() {
            h3 { "Legal bases" }
            (table("What binds this network is the word of its operator.", &laws, &rows(&document.laws, law)))
        }
    }
}

pub(super) fn evidence(document: &Document) -> Markup {
    let row = |row: &crate::report::document::EvidenceRow| {
        html! { tr { th scope="row" { (row.evidence) } (count(row.baseline)) (count(row.now)) } }
    };
    html! {
        h2 { "Evidence" }
        (table(
            "Devices by what their lookups prove. Only the first grade counts as an installed product; a device may be in several.",
            &["Grade", "#Baseline", "#Window"],
            &rows(&document.evidence, row),
        ))
    }
}

pub(super) fn signals(document: &Document) -> Markup {
    let row = |row: &SignalRow| {
        html! { tr {
            th scope="row" { (plain(&row.category)) } td { (row.meaning.replace('_', " ")) } (maybe(row.devices, "not on record")) (maybe(row.lookups, "not on record"))
        } }
    };
    let says = "Lookups of the window that may lead past this server, and canaries by which devices ask whether they may. A device \
                that was answered with a block and went quiet may have gone another way too; silence alone is no proof of it.";
    html! {
        h2 { "Ways past this server" }
        (table(says, &["Signal", "Meaning", "#Devices", "#Lookups"], &rows(&document.signals, row)))
    }
}

pub(super) fn annex(document: &Document) -> Markup {
    let (audit, coverage) = (&document.audit, &document.coverage);
    let covered = |name: &str, covered: &Covered| {
        html! { tr {
            th scope="row" { (name) } td.n { (covered.days) " of " (covered.of_days) }
            td.n { (number(covered.hours)) " of " (number(covered.of_hours)) }
            (count(covered.queries)) (count(covered.lost)) (count(covered.unnoted)) (count(covered.unnumbered))
        } }
    };
    let covered = [covered("Baseline", &coverage.baseline), covered("Window", &coverage.window)];
    let header = [
        "",
        "#Days with activity",
        "#Hours of service",
        "#Queries",
        "#Attempts lost",
        "#Queries not noted",
        "#Lookups of no device",
    ];
    html! {
        h2 { "Coverage" }
        (table("What the figures rest on. Hours in which the server did not serve, and attempts that were lost, are unknown.", &header, &covered))
        h2 { "Annex" }
        ul.plain {
            li {
                "First day with a lookup of an installed product on record: "
                (coverage.record_since.as_deref().unwrap_or("none")) "."
            }
            li {
                "Audit log: " (number(audit.entries)) " entries, "
                @if audit.intact { "chain intact" } @else { "chain broken after the last of them" }
                ", the last with the hash " code { (audit.head) } "."
            }
            @if !document.about.alternatives.is_empty() { li { (plain(&document.about.alternatives)) } }
        }
    }
}
