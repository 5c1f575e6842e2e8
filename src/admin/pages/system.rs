//! `/system`: how the server is, what is on record of which time, who is spared, and who changed what.

use std::collections::VecDeque;

use maud::{Markup, html};
use serde_json::Value;

use super::asked::encoded;
use super::change;
use super::desk::Desk;
use super::table::{Cell, Column, Table};
use super::trouble::Trouble;
use super::view::View;
use crate::audit;
use crate::diag::shown;
use crate::policy::Ban;
use crate::report::{ExceptionRow, History, number};
use crate::time::{Day, Timestamp, rfc3339};

/// Entries of the audit log that are shown, the newest.
const ENTRIES_MAX: usize = 500;
/// Days of which the coverage is shown.
const DAYS: i32 = 30;

/// The page.
pub(super) fn page(desk: &Desk<'_>, view: &mut View) -> Result<Markup, Trouble> {
    view.title("System");
    let status = desk.status();
    let only = only(desk, view)?;
    let exceptions = exceptions(desk, only.as_deref())?;
    let exceptions = view.table(exceptions_table(&exceptions));
    let coverage = match desk.store() {
        Ok(store) => {
            let since = super::times::begin(Day::of(view.now).plus(1 - DAYS));
            let windows = store.windows(since, view.now)?;
            view.table(coverage(&windows, view.now))
        }
        Err(trouble) => html! { p.trouble { (shown(&trouble.to_string())) } },
    };
    let upstreams = view.table(upstreams(&status));
    let (sources, crowds) = (view.table(sources(&status)), view.table(crowds(&status)));
    let audit = audit_log(desk, view)?;
    Ok(html! {
        (facts(&status))
        (reload(&status))
        (change::reload(desk))
        h2 { "Coverage" }
        p.note { "An hour in which the server did not run is unknown, not compliant." }
        (coverage)
        h2 { "Upstreams" } (upstreams)
        h2 { "Lists from elsewhere" } (sources)
        h2 { "Addresses that stand for many" }
        p.note { "Behind these, devices can't be told apart: they are counted as at least one each." }
        (crowds)
        h2 { "Exemptions" }
        @if let Some(ban) = &only { p { "Those that could spare somebody " b { (ban.title) } ". " a href="/system#exemptions" { "All" } } }
        (exceptions)
        (change::exempt(desk, desk.policy().as_deref()))
        h2 { "Audit" } (audit)
    })
}

/// The ban that the address names.
fn only(desk: &Desk<'_>, view: &View) -> Result<Option<std::sync::Arc<Ban>>, Trouble> {
    let Some(wanted) = view.asked.get("ban") else { return Ok(None) };
    let policy = desk.policy().ok_or(Trouble::NoPolicy)?;
    let found = policy.bans().iter().find(|ban| *ban.id == *wanted).cloned();
    found.map(Some).ok_or_else(|| Trouble::Nothing(format!("there is no ban `{}`", shown(wanted))))
}

/// A field as people read it; `–` where it is missing.
fn text(object: &Value, field: &str) -> String {
    match object.get(field) {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => shown(text),
        Some(Value::Number(count)) => count.as_u64().map_or_else(|| count.to_string(), number),
        Some(other) => shown(&other.to_string()),
    }
}

fn items<'v>(object: &'v Value, field: &str) -> &'v [Value] {
    object.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn is(object: &Value, field: &str) -> bool {
    object.get(field).and_then(Value::as_bool) == Some(true)
}

fn facts(status: &Value) -> Markup {
    let (cache, journal) = (&status["cache"], &status["journal"]);
    let listens: Vec<String> =
        items(status, "listen").iter().chain(items(status, "endpoints")).filter_map(Value::as_str).map(shown).collect();
    let megabytes = |object: &Value, field: &str| {
        object
            .get(field)
            .and_then(Value::as_u64)
            .map_or_else(|| "–".to_owned(), |bytes| format!("{:.1} MiB", as_mebibytes(bytes)))
    };
    html! {
        dl.facts {
            div { dt { "State" } dd class=(if is(status, "ready") { "good" } else { "trouble" }) {
                @if is(status, "ready") { "ready" } @else { "not ready" } " (" a href="/readyz?verbose" { "check by check" } ")"
            } }
            div { dt { "Version" } dd { (text(status, "version")) } }
            div { dt { "Started" } dd { (text(status, "started")) } }
            div { dt { "Configuration" } dd { (text(status, "config")) } }
            div { dt { "State directory" } dd { (text(status, "state_dir")) } }
            div { dt { "Listens" } dd { (listens.join(", ")) } }
            div { dt { "Cache" } dd { (text(cache, "entries")) " answers, " (megabytes(cache, "bytes")) } }
            div { dt { "Record" } dd {
                "written " (text(journal, "last_commit")) ", " (text(journal, "pending")) " waiting, " (text(journal, "lost")) " lost, " (megabytes(journal, "size_bytes"))
            } }
            @if journal.get("error").is_some_and(Value::is_string) {
                div { dt { "The record can't be written" } dd.trouble { (text(journal, "error")) } }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "to be read by people")]
fn as_mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn reload(status: &Value) -> Markup {
    let reload = &status["last_reload"];
    let mistakes = items(reload, "mistakes");
    let waiting: Vec<String> = items(reload, "needs_restart").iter().filter_map(Value::as_str).map(shown).collect();
    html! {
        h2 { "Last reload" }
        @match (is(reload, "ok"), reload.get("at").is_none_or(Value::is_null)) {
            (false, _) => p.trouble { "Not taken as it stands, " (text(reload, "at")) " (" (text(reload, "why")) "). What was in force before stays." },
            (true, true) => p { "None since the start." },
            (true, false) => p.good { "Taken, " (text(reload, "at")) " (" (text(reload, "why")) ")." },
        }
        @if !mistakes.is_empty() {
            ul.plain { @for mistake in mistakes.iter().filter_map(Value::as_str).take(100) { li { pre { (mistake.lines().map(shown).collect::<Vec<_>>().join("\n")) } } } }
        }
        @if !waiting.is_empty() { p { "Takes effect after a restart: " (waiting.join(", ")) "." } }
    }
}

fn coverage(windows: &[crate::journal::WindowRow], now: Timestamp) -> Table {
    let columns = vec![
        Column::text("Day", "day"),
        Column::number("Minutes on record", "minutes"),
        Column::number("Of the day", "share"),
        Column::number("Queries", "queries"),
        Column::number("Most devices active in one hour", "active"),
        Column::number("Attempts lost", "lost"),
        Column::number("Queries not noted", "unnoted"),
    ];
    let mut table = Table::new("coverage", "What is on record, by day", columns);
    let today = Day::of(now);
    for day in (0..DAYS).map(|ago| today.plus(-ago)) {
        let of_day = || windows.iter().filter(|window| Day::of(window.from) == day);
        let seconds: i64 =
            of_day().map(|window| window.until.as_second().saturating_sub(window.from.as_second()).max(0)).sum();
        let length = if day == today { (now.as_second().rem_euclid(86_400)).max(1) } else { 86_400 };
        let sum = |of: fn(&crate::journal::WindowRow) -> u64| Cell::number(of_day().map(of).sum());
        let share = crate::report::share(seconds.min(length).unsigned_abs(), length.unsigned_abs());
        table.rows.push(vec![
            Cell::text(day.to_string()),
            Cell::number(seconds.unsigned_abs() / 60),
            Cell::percent(share),
            sum(|window| window.queries),
            Cell::number(of_day().map(|window| window.active).max().unwrap_or(0)),
            sum(|window| window.lost),
            sum(|window| window.unnoted),
        ]);
    }
    table
}

fn upstreams(status: &Value) -> Table {
    let columns = vec![
        Column::text("Upstream", "upstream"),
        Column::text("For", "zone"),
        Column::text("Health", "health"),
        Column::number("Queries", "queries"),
        Column::number("Failures", "failures"),
        Column::text("Time, ms", ""),
        Column::text("Trouble", ""),
    ];
    let mut table = Table::new("upstreams", "Servers that are asked", columns);
    "None.".clone_into(&mut table.empty);
    for upstream in items(status, "upstreams") {
        let healthy = is(upstream, "healthy");
        let count = |field: &str| Cell::number(upstream.get(field).and_then(Value::as_u64).unwrap_or(0));
        let time = upstream.get("srtt_ms").and_then(Value::as_f64).map(|time| format!("{time:.1}"));
        let zone = upstream.get("zone").and_then(Value::as_str).unwrap_or("every name");
        table.rows.push(vec![
            Cell::text(text(upstream, "address")),
            Cell::text(zone),
            Cell::text(if healthy { "ok" } else { "probed only" }).mark(if healthy { "good" } else { "trouble" }),
            count("queries"),
            count("failures"),
            Cell::maybe(time),
            Cell::maybe(upstream.get("trouble").and_then(Value::as_str)),
        ]);
    }
    table
}

/// Lists that come from elsewhere.
pub(super) fn sources(status: &Value) -> Table {
    let columns = vec![
        Column::text("List", "list"),
        Column::text("Source", "source"),
        Column::text("Version came", "fetched"),
        Column::text("Asked last", "checked"),
        Column::text("Asked next", "next"),
        Column::number("Rules", "rules"),
        Column::text("Result", "result"),
    ];
    let mut table = Table::new("sources", "Lists from elsewhere", columns);
    "No list comes from elsewhere.".clone_into(&mut table.empty);
    for row in items(status, "sources") {
        let field = |name: &str| Cell::text(text(row, name));
        let error = row.get("error").and_then(Value::as_str);
        let result = error.or_else(|| row.get("result").and_then(Value::as_str)).unwrap_or("–");
        table.rows.push(vec![
            Cell::text(text(row, "id")).to(format!("/bans/{}", encoded(&text(row, "id")))),
            field("source"),
            field("fetched"),
            field("checked"),
            field("next"),
            Cell::number(row.get("rules").and_then(Value::as_u64).unwrap_or(0)),
            Cell::text(result).mark(if error.is_some() { "trouble" } else { "good" }),
        ]);
    }
    table
}

fn crowds(status: &Value) -> Table {
    let columns = vec![
        Column::text("Address", "address"),
        Column::number("Percent of all queries", "share"),
        Column::number("Names at least", "names"),
        Column::text("Seen", "seen"),
    ];
    let mut table = Table::new("crowds", "Addresses that stand for many clients", columns);
    "None was seen.".clone_into(&mut table.empty);
    for row in items(status, "crowds") {
        let count = |field: &str| Cell::number(row.get(field).and_then(Value::as_u64).unwrap_or(0));
        let address = text(row, "address");
        let to = super::asked::link("/activity", &[("client", &address)]);
        table.rows.push(vec![
            Cell::text(&address).to(to),
            count("share_percent"),
            count("names_at_least"),
            Cell::text(text(row, "seen")),
        ]);
    }
    table
}

/// Exemptions on file, those of the audit log and those of the configuration; of one ban, if there is one.
pub(super) fn exceptions(desk: &Desk<'_>, only: Option<&Ban>) -> Result<Vec<ExceptionRow>, Trouble> {
    let history = History::read(desk.state_dir())
        .map_err(|error| Trouble::File(format!("the audit log can't be read: {error}")))?;
    let policy = desk.policy();
    let bans = policy.iter().flat_map(|policy| policy.bans()).filter(|ban| only.is_none_or(|only| only.id == ban.id));
    let mut rows: Vec<ExceptionRow> = bans
        .flat_map(|ban| history.all_exceptions(&ban.id, desk.now()).into_iter().chain(desk.configured(ban)))
        .collect();
    // One that is of no single ban is that of each.
    rows.sort_by(|a, b| (&b.granted, &a.id).cmp(&(&a.granted, &b.id)));
    rows.dedup_by(|a, b| a.id == b.id && a.granted == b.granted);
    Ok(rows)
}

fn exceptions_table(rows: &[ExceptionRow]) -> Table {
    let columns = vec![
        Column::text("Id", "id"),
        Column::text("Who", "who"),
        Column::text("In what", "what"),
        Column::text("Granted", "granted"),
        Column::text("Until", "until"),
        Column::text("State", "state"),
        Column::text("Owner", "owner"),
        Column::text("Reason", "reason"),
        Column::text("Ticket", "ticket"),
    ];
    let mut table = Table::new("exemptions", "Exemptions", columns);
    "Nobody was ever spared.".clone_into(&mut table.empty);
    for row in rows {
        table.rows.push(vec![
            Cell::text(&row.id),
            Cell::text(&row.whom),
            Cell::text(&row.what),
            Cell::maybe(row.granted.as_ref()),
            row.until.as_ref().map_or_else(|| Cell::text("without end"), Cell::text),
            Cell::text(row.state),
            Cell::text(&row.owner),
            Cell::text(&row.reason),
            Cell::maybe(row.ticket.as_ref()),
        ]);
    }
    table
}

fn audit_log(desk: &Desk<'_>, view: &mut View) -> Result<Markup, Trouble> {
    let mut newest: VecDeque<audit::Entry> = VecDeque::new();
    let reading = audit::read(desk.state_dir(), |entry, _hash| {
        if newest.len() == ENTRIES_MAX {
            newest.pop_front();
        }
        newest.push_back(entry.clone());
    });
    let reading = reading.map_err(|error| Trouble::File(format!("the audit log can't be read: {error}")))?;
    let columns = vec![
        Column::number("Number", "number"),
        Column::text("When", "when"),
        Column::text("Who", "who"),
        Column::text("What", "what"),
    ];
    let mut table = Table::new("audit", "The newest entries of the audit log", columns);
    "Nothing was changed yet.".clone_into(&mut table.empty);
    for entry in newest.iter().rev() {
        let who = author(entry);
        let what = serde_json::to_value(&entry.event).map(|event| said(&event)).unwrap_or_default();
        table.rows.push(vec![
            Cell::number(entry.number),
            Cell::text(rfc3339(entry.at)),
            Cell::text(who),
            Cell::text(what),
        ]);
    }
    let table = view.table(table);
    Ok(html! {
        @match &reading.damage {
            Some((number, damage)) => p.trouble { "Entry " (number) " is not as it was written: " (shown(&damage.to_string())) ". No exemption that was granted by command is in force." },
            None => p.good { (number(reading.entries)) " entries, none changed, left out or put in. The last hash, to be noted elsewhere: " code.hash { (reading.head) } },
        }
        (table)
    })
}

fn author(entry: &audit::Entry) -> String {
    let uid = || entry.uid.map_or_else(|| "the server".to_owned(), |uid| format!("system user {uid}"));
    entry.by.clone().unwrap_or_else(uid)
}

/// What an entry says, in one line: its word, and its fields.
fn said(event: &Value) -> String {
    let Some((word, what)) = event.as_object().and_then(|object| object.iter().next()) else { return String::new() };
    let fields = match what {
        Value::Object(fields) => {
            let told = fields.iter().filter(|(_name, value)| !value.is_null() && **value != Value::Bool(false));
            told.map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(", ")
        }
        other => plain(other),
    };
    format!("{word}: {fields}")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}
