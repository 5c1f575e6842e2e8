//! `embargo status`: how a running server is.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::console::{Console, Look, Tone};
use super::failure::{Failure, write_lines};
use super::lists::sources::{complaints, table};
use super::table::Table;
use super::{EXIT_CODES, flags};
use crate::app::control::{self, ControlError, Request};
use crate::diag::shown;

/// A server that takes longer to say how it is, is not well.
const PATIENCE: Duration = Duration::from_secs(5);
/// Digits of a digest in a table: enough to tell two apart.
const DIGEST_DIGITS: usize = 12;

/// Show how the running server is
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
pub(super) struct Status {
    /// One JSON object, as the server sends it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

impl Status {
    /// Asks and shows.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let directory = self.state.directory(console)?;
        let status = reached(control::ask(&directory, &Request::Status, PATIENCE))?;
        if self.json {
            return Ok(console.json(&status)?);
        }
        let text = render(console.look, &status);
        write!(console.out, "{text}")?;
        let mistakes = items(status.get("last_reload").unwrap_or(&Value::Null), "mistakes").iter();
        let mistakes: Vec<String> = mistakes.filter_map(Value::as_str).map(str::to_owned).collect();
        if !mistakes.is_empty() {
            writeln!(console.out, "\nMistakes that the last reload found:")?;
        }
        Ok(write_lines(&mistakes, console.out)?)
    }
}

/// The answer, or what to do when there is none.
///
/// # Errors
/// Exit code 3, or 2 when the server says that what was asked for can't be meant.
pub(super) fn reached(answer: Result<Value, ControlError>) -> Result<Value, Failure> {
    answer.map_err(|error| {
        let next = match &error {
            ControlError::Wrong(why) => return Failure::usage(why),
            ControlError::Unreachable { .. } => {
                "is it running, and are you its user or root? --state-dir or --config names another server"
            }
            ControlError::NoAnswer { .. } => "its log may say why; try again, or restart it",
            ControlError::Refused(_) => "its log may say more",
        };
        Failure::cannot(error, next)
    })
}

/// The text of a field for people: `-` when it is missing. The server may be of another version than this command.
pub(super) fn text(object: &Value, field: &str) -> String {
    match object.get(field) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => shown(text),
        Some(other) => shown(&other.to_string()),
    }
}

/// The items of an array; none when it is missing.
pub(super) fn items<'v>(object: &'v Value, field: &str) -> &'v [Value] {
    object.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The whole status, for people.
pub(super) fn render(look: Look, status: &Value) -> String {
    let mut page = String::new();
    let ready = match status.get("ready").and_then(Value::as_bool) {
        Some(true) => look.paint(Tone::Good, "ready"),
        _ => look.paint(Tone::Bad, "not ready"),
    };
    let uptime = status.get("uptime_seconds").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), for_people);
    // Writing to a String can't fail, here and below.
    let _infallible = writeln!(page, "Embargo {} is {ready}, up {uptime}.", text(status, "version"));
    field(&mut page, "process", &format!("{} since {}", text(status, "pid"), text(status, "started")));
    field(&mut page, "config", &or(text(status, "config"), "the shipped default"));
    field(&mut page, "state", &text(status, "state_dir"));
    let listens = items(status, "listen").iter().chain(items(status, "endpoints"));
    let listens: Vec<String> = listens.filter_map(Value::as_str).map(shown).collect();
    field(&mut page, "listens", &or(listens.join(", "), "nowhere"));
    field(&mut page, "admin", &or(text(status, "admin"), "off"));
    for url in items(status, "block_page").iter().filter_map(Value::as_str) {
        field(&mut page, "page", &shown(url));
    }
    field(&mut page, "cache", &cache(status.get("cache").unwrap_or(&Value::Null)));
    journal(look, status.get("journal").unwrap_or(&Value::Null), &mut page);
    reload(look, status.get("last_reload").unwrap_or(&Value::Null), &mut page);
    page.push('\n');
    policy(look, status.get("policy").unwrap_or(&Value::Null), &mut page);
    let sources = items(status, "sources");
    if !sources.is_empty() {
        page.push_str(&table(look, sources));
        for line in complaints(sources).iter().flat_map(|complaint| complaint.lines()) {
            let _infallible = writeln!(page, "  {}", look.paint(Tone::Warn, &shown(line)));
        }
        page.push('\n');
    }
    page.push_str(&upstreams(look, items(status, "upstreams")));
    page.push_str(&zones(look, items(status, "zones")));
    page
}

fn field(page: &mut String, name: &str, value: &str) {
    let _infallible = writeln!(page, "  {name:<9}{value}");
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() || text == "-" { otherwise.to_owned() } else { text }
}

fn cache(cache: &Value) -> String {
    let mebibytes = cache.get("bytes").and_then(Value::as_f64).map(|bytes| bytes / f64::from(1 << 20));
    let mebibytes = mebibytes.map_or_else(|| "-".to_owned(), |mebibytes| format!("{mebibytes:.1}"));
    format!("{} answers, {mebibytes} MiB", text(cache, "entries"))
}

fn journal(look: Look, journal: &Value, page: &mut String) {
    let commit = or(text(journal, "last_commit"), "never");
    let counts = format!("last written {commit}, {} pending, {} lost", text(journal, "pending"), text(journal, "lost"));
    field(page, "record", &counts);
    if journal.get("error").is_some_and(Value::is_string) {
        field(page, "", &look.paint(Tone::Warn, &format!("can't be written: {}", text(journal, "error"))));
    }
}

fn reload(look: Look, reload: &Value, page: &mut String) {
    let at = text(reload, "at");
    let told = match reload.get("ok").and_then(Value::as_bool) {
        Some(true) if at == "-" => "none since the start".to_owned(),
        Some(true) => format!("{at}, taken ({})", text(reload, "why")),
        _ => look.paint(
            Tone::Warn,
            &format!("{at}, not taken as it stands ({}): the mistakes stand below", text(reload, "why")),
        ),
    };
    field(page, "reload", &told);
    let waiting: Vec<String> = items(reload, "needs_restart").iter().filter_map(Value::as_str).map(shown).collect();
    if !waiting.is_empty() {
        field(page, "", &format!("takes effect after a restart: {}", waiting.join(", ")));
    }
}

fn policy(look: Look, policy: &Value, page: &mut String) {
    if policy.is_null() {
        page.push_str("No policy is in force: every query is answered with SERVFAIL.\n\n");
        return;
    }
    if policy.get("last_good").and_then(Value::as_bool) == Some(true) {
        let told = "The lists have mistakes: the last good copy of them is in force.";
        let _infallible = writeln!(page, "{}\n", look.paint(Tone::Warn, told));
    }
    let mut bans = Table::new(look, &["BAN", "MODE", "CHANGES", "ACTION", "TITLE"]);
    for ban in items(policy, "bans") {
        let spares_some = ban.get("spares_some").and_then(Value::as_bool) == Some(true);
        let mode = if spares_some { text(ban, "mode") + " for some" } else { text(ban, "mode") };
        let row = [text(ban, "id"), mode, text(ban, "next_change"), text(ban, "action"), text(ban, "title")];
        bans.row(row.map(Some));
    }
    let mut lists = Table::new(look, &["LIST", "BAN", "#RULES", "SHA-256"]);
    for list in items(policy, "lists") {
        let digest = text(list, "digest").chars().take(DIGEST_DIGITS).collect();
        lists.row([Some(text(list, "name")), Some(text(list, "ban")), Some(text(list, "rules")), Some(digest)]);
    }
    let _infallible = writeln!(page, "{}\n{}", bans.render(), lists.render());
}

fn upstreams(look: Look, upstreams: &[Value]) -> String {
    let mut table = Table::new(look, &["UPSTREAM", "HEALTH", "#QUERIES", "#FAILURES", "#SRTT MS"]);
    for upstream in upstreams {
        let healthy = upstream.get("healthy").and_then(Value::as_bool) == Some(true);
        let srtt = upstream.get("srtt_ms").and_then(Value::as_f64).map(|srtt| format!("{srtt:.1}"));
        let zone = upstream.get("zone").filter(|zone| zone.is_string());
        let zone = zone.map_or_else(String::new, |_zone| format!(" for {}", text(upstream, "zone")));
        table.row([
            Some(text(upstream, "address") + &zone),
            Some(if healthy { "ok" } else { "probed only" }.to_owned()),
            Some(text(upstream, "queries")),
            Some(text(upstream, "failures")),
            srtt,
        ]);
    }
    let mut page = table.render();
    for upstream in upstreams.iter().filter(|upstream| upstream.get("trouble").is_some_and(Value::is_string)) {
        let told = format!("{}: {}", text(upstream, "address"), text(upstream, "trouble"));
        let _infallible = writeln!(page, "  {}", look.paint(Tone::Warn, &told));
    }
    page
}

/// Policy zones on the wire; nothing where there is none.
fn zones(look: Look, zones: &[Value]) -> String {
    if zones.is_empty() {
        return String::new();
    }
    let mut table = Table::new(look, &["ZONE", "WAY", "#SERIAL", "#RECORDS", "REFRESHED"]);
    for zone in zones {
        let mut cells = ["zone", "direction", "serial", "records", "refreshed"].map(|field| Some(text(zone, field)));
        if zone.get("expired").and_then(Value::as_bool) == Some(true) {
            cells[4] = Some(format!("{}, EXPIRED", text(zone, "refreshed")));
        }
        table.row(cells);
    }
    format!("\n{}", table.render())
}

/// A duration by its two largest units.
fn for_people(seconds: u64) -> String {
    let units = [("d", 24 * 60 * 60), ("h", 60 * 60), ("m", 60), ("s", 1)];
    let first = units.iter().position(|&(_unit, length)| seconds >= length).unwrap_or(units.len() - 1);
    let mut rest = seconds;
    let parts = units.iter().skip(first).take(2).filter_map(|&(unit, length)| {
        let number = rest / length;
        rest %= length;
        (number > 0 || length == 1 && seconds == 0).then(|| format!("{number}{unit}"))
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_by_its_two_largest_units() {
        for (seconds, expected) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (3_601, "1h"), (3_660, "1h 1m"), (90_061, "1d 1h"), (86_400, "1d")]
        {
            assert_eq!(for_people(seconds), expected, "{seconds}");
        }
    }
}
