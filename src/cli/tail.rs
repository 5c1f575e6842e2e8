//! `embargo tail`: banned lookups as they come.

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
use crate::journal::{AttemptRow, Filter, Follower, News, Store};
use crate::metrics::Did;
use crate::policy::Evidence;

/// The record is written once a second.
const LOOK: Duration = Duration::from_secs(1);

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
        record::look(console, &directory, "tail", String::new())?;
        let store = Store::open_read_only(&directory).map_err(record::unread)?;
        let filter = Filter {
            ban: self.ban.clone(),
            client: self.client.map(|client| client.to_canonical()),
            evidence: self.evidence,
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
            writeln!(console.err, "embargo: more rows than are looked at grew at once; only the newest are shown")?;
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
