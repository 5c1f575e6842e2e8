//! `embargo top`: who tries most, and what.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::console::Console;
use super::failure::Failure;
use super::record::{self, to_the_second};
use super::table::Table;
use super::when::When;
use super::{EXIT_CODES, flags};
use crate::clock::Clock;
use crate::journal::{Store, StoreError, Tried};
use crate::time::{Timestamp, rfc3339};

/// Between two pictures on a terminal.
const EVERY: Duration = Duration::from_secs(2);
/// Cursor to the corner, and everything below it away (ECMA-48: CUP, ED).
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// Show which clients, names or rules have most banned lookups
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Top {
    /// By what they are counted
    #[arg(long, value_enum, default_value_t = By::Client)]
    by: By,
    /// Lookups since then: 15m, 24h, 2024-09-29
    #[arg(long, value_name = "TIME", default_value = "15m")]
    since: When,
    /// At most so many rows
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// One picture and no more, as when the output is no terminal
    #[arg(long)]
    once: bool,
    /// One JSON array of {what, count, clients, names, last}, once
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

const EXAMPLES: &str = "\
Examples:
  embargo top
  embargo top --by rule --since 24h --once
  embargo top --by name --json | jq -r '.[].what'";

const NOTES: &str = "\
It counts lookups in the record, which are not devices: a product that is blocked asks often. On a terminal the picture
is renewed every two seconds until it is interrupted.";

/// By what lookups are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// The address that asked
    Client,
    /// The name asked for
    Name,
    /// The rule that was hit
    Rule,
}

/// A client, a name or a rule and its lookups. Its JSON is an interface: names and order stay.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Line {
    what: Option<String>,
    count: u64,
    clients: usize,
    names: usize,
    last: String,
}

impl Top {
    /// Shows it, again and again on a terminal.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let directory = self.state.directory(console)?;
        record::flush(console, &directory)?;
        record::look(console, &directory, "top", String::new())?;
        let store = Store::open_read_only(&directory).map_err(record::unread)?;
        if self.json {
            let lines = self.lines(&store, console.now).map_err(record::unread)?;
            return Ok(console.json(&lines)?);
        }
        let once = self.once || console.look.width.is_none();
        let mut now = console.now;
        loop {
            let picture = self.picture(&store, now, console).map_err(record::unread)?;
            if once {
                return Ok(write!(console.out, "{picture}")?);
            }
            write!(console.out, "{CLEAR}{picture}")?;
            console.out.flush()?;
            thread::sleep(EVERY);
            now = Clock::system().now().wall;
        }
    }

    fn picture(&self, store: &Store, now: Timestamp, console: &Console<'_>) -> Result<String, StoreError> {
        let lines = self.lines(store, now)?;
        let since = to_the_second(self.since.resolve(now, &TimeZone::UTC));
        if lines.is_empty() {
            return Ok(format!("No banned lookup since {since}.\n"));
        }
        let title = match self.by {
            By::Client => "CLIENT",
            By::Name => "NAME",
            By::Rule => "RULE",
        };
        let mut table = Table::new(console.look, &[title, "#COUNT", "#CLIENTS", "#NAMES", "LAST SEEN"]);
        for Line { what, count, clients, names, last } in lines {
            table.row([what, Some(count.to_string()), Some(clients.to_string()), Some(names.to_string()), Some(last)]);
        }
        Ok(format!("Banned lookups since {since}\n\n{}", table.render()))
    }

    fn lines(&self, store: &Store, now: Timestamp) -> Result<Vec<Line>, StoreError> {
        let mut sums: HashMap<Option<String>, Sum> = HashMap::new();
        store.visit_tried(Some(self.since.resolve(now, &TimeZone::UTC)), &mut |tried| {
            let Tried { client, qname, pattern, count, last } = tried;
            let client = client.map(|client| client.to_string());
            let what = match self.by {
                By::Client => client.clone(),
                By::Name => qname.clone(),
                By::Rule => pattern,
            };
            let sum = sums.entry(what).or_default();
            sum.count = sum.count.saturating_add(count);
            sum.last = sum.last.max(last);
            sum.clients.extend(client);
            sum.names.extend(qname);
        })?;
        let mut lines: Vec<_> = sums.into_iter().map(|(what, sum)| sum.line(what)).collect();
        lines.sort_by(|one, other| (other.count, &one.what).cmp(&(one.count, &other.what)));
        lines.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
        Ok(lines)
    }
}

/// The lookups of one client, name or rule.
#[derive(Default)]
struct Sum {
    count: u64,
    last: Timestamp,
    clients: HashSet<String>,
    names: HashSet<String>,
}

impl Sum {
    fn line(self, what: Option<String>) -> Line {
        let (clients, names) = (self.clients.len(), self.names.len());
        Line { what, count: self.count, clients, names, last: rfc3339(self.last) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{json_of, record, run};

    #[test]
    fn the_most_lookups_come_first_by_client_name_or_rule() {
        let directory = tempfile::tempdir().unwrap();
        record(directory.path());
        let state = directory.path().display().to_string();
        insta::assert_snapshot!(run(&["top", "--state-dir", &state]).out, @r"
        Banned lookups since 2025-03-10 11:45:00Z

        CLIENT       COUNT  CLIENTS  NAMES  LAST SEEN
        192.0.2.7        2        1      1  2025-03-10T12:00:00.123Z
        2001:db8::7      1        1      1  2025-03-10T12:00:00.123Z
        ");
        insta::assert_snapshot!(run(&["top", "--by", "rule", "--state-dir", &state]).out, @r"
        Banned lookups since 2025-03-10 11:45:00Z

        RULE          COUNT  CLIENTS  NAMES  LAST SEEN
        acme.example      3        2      2  2025-03-10T12:00:00.123Z
        ");
        let names = json_of(&["top", "--by", "name", "--json", "--limit", "1", "--state-dir", &state]);
        assert_eq!(
            (&names[0]["what"], &names[0]["count"], &names[0]["clients"]),
            (&"upd.acme.example".into(), &2.into(), &1.into())
        );
        assert_eq!(names.as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_time_without_lookups_is_said() {
        let directory = tempfile::tempdir().unwrap();
        record(directory.path());
        let ran = run(&["top", "--since", "2026-01-01", "--state-dir", &directory.path().display().to_string()]);
        assert_eq!((ran.code, ran.out.as_str()), (0, "No banned lookup since 2026-01-01 00:00:00Z.\n"));
    }
}
