//! `embargo tail`: banned lookups as they come.

use std::collections::HashMap;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;

use super::console::{Console, Tone};
use super::failure::Failure;
use super::flags::one_of;
use super::record::{self, to_the_second};
use super::when::When;
use super::{EXIT_CODES, flags};
use crate::clock::Clock;
use crate::diag::shown;
use crate::journal::{AttemptRow, Filter, Store, StoreError};
use crate::metrics::Did;
use crate::policy::Evidence;
use crate::time::Timestamp;

/// The record is written once a second.
const LOOK: Duration = Duration::from_secs(1);
/// How long after its first attempt a row may grow: a minute, and what a busy disk takes.
const GROWS: Duration = Duration::from_secs(180);
/// Rows that are looked at each time; what is more is said and not shown.
const ROWS_MAX: u32 = 5_000;

/// Show banned lookups as they come, until it is interrupted
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Tail {
    /// JSON Lines: rows as of `embargo attempts --json`, with `count` of what is new
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
    /// Only this ban, by its id
    #[arg(long, value_name = "ID", help_heading = "Filters")]
    ban: Option<String>,
    /// Only this client
    #[arg(long, value_name = "IP", help_heading = "Filters")]
    client: Option<IpAddr>,
    /// Only this evidence
    #[arg(long, value_name = "GRADE", value_parser = one_of(Evidence::ALL, Evidence::as_str), help_heading = "Filters")]
    evidence: Option<Evidence>,
    /// Begin with what came since then: 10m, 24h, 2024-09-29T06:00:00Z
    #[arg(long, value_name = "TIME", help_heading = "Filters")]
    since: Option<When>,
}

const EXAMPLES: &str = "\
Examples:
  embargo tail --evidence installed
  embargo tail --since 10m --json | jq -r '.client'";

const NOTES: &str = "\
It reads the record, which the server writes once a second: equal lookups of a minute are one line with their number, and
one more line for those that come later in the same minute.";

impl Tail {
    /// Shows what comes until nobody reads it.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let directory = self.state.directory(console)?;
        let since = self.since.map(|since| since.resolve(console.now, &TimeZone::UTC));
        // What is there is history, unless it is asked for.
        record::flush(console, &directory)?;
        let store = Store::open_read_only(&directory).map_err(record::unread)?;
        let filter = Filter {
            ban: self.ban.clone(),
            client: self.client.map(|client| client.to_canonical()),
            evidence: self.evidence,
            limit: Some(ROWS_MAX),
            ..Filter::default()
        };
        let mut follower = Follower::new(filter, console.now);
        let before = follower.begin(&store, since).map_err(record::unread)?;
        self.show(&before, console)?;
        loop {
            thread::sleep(LOOK);
            let news = follower.look(&store, Clock::system().now().wall).map_err(record::unread)?;
            self.show(&news, console)?;
        }
    }

    fn show(&self, news: &News, console: &mut Console<'_>) -> Result<(), Failure> {
        for row in &news.rows {
            if self.json {
                console.json(row)?;
            } else {
                let line = line(row, console);
                writeln!(console.out, "{line}")?;
            }
        }
        if news.cut {
            writeln!(console.err, "embargo: more than {ROWS_MAX} rows grew at once; only the newest are shown")?;
        }
        Ok(console.out.flush()?)
    }
}

/// One attempt, or several alike, as a line.
fn line(row: &AttemptRow, console: &Console<'_>) -> String {
    let client = row.client.map_or_else(|| "(several)".to_owned(), |client| client.to_string());
    let device = row.device.as_deref().map(|device| format!(" ({})", shown(device))).unwrap_or_default();
    let name = row.qname.as_deref().map_or_else(|| "(several)".into(), shown);
    let qtype = row.qtype.as_deref().unwrap_or("-");
    let tone = if row.action == Did::Observe || row.action == Did::Exempt { Tone::Warn } else { Tone::Bad };
    let action = console.look.paint(tone, row.action.as_str());
    let times = if row.count == 1 { String::new() } else { format!(" x{}", row.count) };
    let (at, ban, evidence) = (to_the_second(row.last), shown(&row.ban), row.evidence.as_str());
    format!("{at} {client}{device} {name} {qtype} {ban} {evidence} {action}{times}")
}

/// What a look has found.
#[derive(Debug, Default, PartialEq, Eq)]
struct News {
    /// Rows that are new or have grown, oldest first; `count` is by how much.
    rows: Vec<AttemptRow>,
    /// Whether there were more than are looked at.
    cut: bool,
}

/// What was shown of rows that may still grow.
struct Follower {
    filter: Filter,
    shown: HashMap<String, (Timestamp, u64)>,
    from: Timestamp,
}

impl Follower {
    fn new(filter: Filter, now: Timestamp) -> Self {
        Self { filter, shown: HashMap::new(), from: now }
    }

    /// Takes what is there for known, and tells what of it came since some moment.
    fn begin(&mut self, store: &Store, since: Option<Timestamp>) -> Result<News, StoreError> {
        let growing = self.growing(self.from);
        let from = since.map_or(growing, |since| since.min(growing));
        let News { rows, cut } = self.read(store, from)?;
        let rows = since.map(|since| rows.into_iter().filter(|row| row.last >= since).collect());
        Ok(News { rows: rows.unwrap_or_default(), cut: cut && since.is_some() })
    }

    /// Tells what has come since the last look.
    fn look(&mut self, store: &Store, now: Timestamp) -> Result<News, StoreError> {
        let growing = self.growing(now);
        // What cannot grow any more need not be remembered.
        self.shown.retain(|_key, (last, _count)| *last >= growing);
        self.read(store, growing)
    }

    fn growing(&self, now: Timestamp) -> Timestamp {
        now.checked_sub(GROWS).unwrap_or(self.from)
    }

    fn read(&mut self, store: &Store, from: Timestamp) -> Result<News, StoreError> {
        let filter = Filter { since: Some(from), ..self.filter.clone() };
        let mut rows = store.attempts(&filter)?;
        let cut = rows.len() >= usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
        rows.reverse();
        rows.retain_mut(|row| {
            let (last, count) = (row.last, row.count);
            let known = self.shown.insert(key(row), (last, count)).map_or(0, |(_last, count)| count);
            row.count = count.saturating_sub(known);
            row.count > 0
        });
        Ok(News { rows, cut })
    }
}

/// What makes a row one: all but how often it was seen, and when last.
fn key(row: &AttemptRow) -> String {
    let absent = |text: &Option<String>| text.clone().unwrap_or_default();
    let parts = [
        (row.first.as_second() / 60).to_string(),
        row.client.map(|client| client.to_string()).unwrap_or_default(),
        absent(&row.device),
        row.site.clone(),
        absent(&row.qname),
        absent(&row.qtype),
        row.ban.clone(),
        row.category.clone(),
        row.evidence.as_str().to_owned(),
        absent(&row.pattern),
        row.action.as_str().to_owned(),
        row.transport.map(|transport| transport.as_str().to_owned()).unwrap_or_default(),
        row.verified.to_string(),
    ];
    parts.join("\u{1f}")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{now, record, run};
    use super::*;

    #[test]
    fn what_is_there_is_history_unless_it_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        record(directory.path());
        let store = Store::open_read_only(directory.path()).unwrap();
        let mut follower = Follower::new(Filter::default(), now());
        assert_eq!(follower.begin(&store, None).unwrap(), News::default());
        assert_eq!(follower.look(&store, now()).unwrap(), News::default());

        let mut follower = Follower::new(Filter::default(), now());
        let before = follower.begin(&store, Some(now() - Duration::from_secs(60))).unwrap();
        let counts: Vec<u64> = before.rows.iter().map(|row| row.count).collect();
        assert_eq!(counts.iter().sum::<u64>(), 3);
        assert_eq!(follower.look(&store, now()).unwrap(), News::default(), "nothing is told twice");
    }

    #[test]
    fn a_row_that_grows_tells_by_how_much() {
        let directory = tempfile::tempdir().unwrap();
        record(directory.path());
        let store = Store::open_read_only(directory.path()).unwrap();
        let mut follower = Follower::new(Filter::default(), now());
        follower.begin(&store, None).unwrap();
        record(directory.path());
        let news = follower.look(&store, now()).unwrap();
        let told: Vec<_> = news.rows.iter().map(|row| (row.client.unwrap().to_string(), row.count)).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told.contains(&("192.0.2.7".to_owned(), 2)) && told.contains(&("2001:db8::7".to_owned(), 1)),
            "{told:?}"
        );
    }

    #[test]
    fn a_line_has_what_an_operator_asks_first_and_nothing_that_a_terminal_obeys() {
        let directory = tempfile::tempdir().unwrap();
        record(directory.path());
        let store = Store::open_read_only(directory.path()).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let console = super::super::tests::console(&mut out, &mut err);
        let lines: Vec<String> =
            store.attempts(&Filter::default()).unwrap().iter().map(|row| line(row, &console)).collect();
        assert!(
            lines.contains(&"2025-03-10 12:00:00Z 192.0.2.7 upd.acme.example A acme installed nxdomain x2".to_owned()),
            "{lines:?}"
        );
        assert!(lines.iter().all(|line| !line.contains(char::is_control)), "{lines:?}");
    }

    #[test]
    fn without_a_record_it_says_where_it_looked() {
        let ran = run(&["tail", "--state-dir", "/nowhere/at/all"]);
        assert!(ran.code == 3 && ran.err.contains("/nowhere/at/all"), "{}", ran.err);
    }
}
