//! `embargo lists hits`: which rules clients run into, and which they never do.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::super::EXIT_CODES;
use super::super::console::Console;
use super::super::failure::Failure;
use super::super::flags::{OnDisk, known_bans};
use super::super::record::{self, flush, to_the_second, unread};
use super::super::table::Table;
use super::super::when::When;
use super::shadowed::{Row, Shadowed};
use crate::config;
use crate::journal::{Filter, Store};
use crate::policy::{BanIndex, Policy};
use crate::time::{Timestamp, rfc3339};

/// Rows of a table at most; JSON has all.
const ROWS_MAX: usize = 100;

/// Show which rules are hit how often, and how many never
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n{}\n\n{EXIT_CODES}", record::NOTES))]
pub(super) struct Hits {
    /// Only this ban, by its id
    #[arg(long, value_name = "ID")]
    ban: Option<String>,
    /// Only attempts since then: 2024-09-29 (00:00 UTC), 2024-09-29T06:00:00Z, or 24h, 7d for so long ago
    #[arg(long, value_name = "TIME")]
    since: Option<When>,
    /// Name the rules that are never hit too
    #[arg(long)]
    never: bool,
    /// Name the rules too that make no difference for others that stand in another list or ban, with the places of both
    #[arg(long)]
    shadowed: bool,
    /// State directory of the server, where its record is
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[arg(long, help = JSON_HELP)]
    json: bool,
    #[command(flatten)]
    on_disk: OnDisk,
}

const JSON_HELP: &str = "One JSON object of {rules, lists, never, others, shadowed}; a rule is {ban, pattern, list, attempts, \
                         clients, last_seen}, a list {list, ban, rules, hit, attempts}, never {ban, pattern, list} with --never, \
                         shadowed {rules, more} with --shadowed, a rule of these {ban, pattern, list, line, why, by}, by {ban, \
                         pattern, list, line}; why is same, covered, outranked or other_ban";

const EXAMPLES: &str = "\
Examples:
  embargo lists hits --since 30d
  embargo lists hits --ban kaspersky --never --json | jq -r '.never[].pattern'";

const NOTES: &str = "\
Rules are those on disk; attempts of others, gone since, and those recorded without their rule are counted as others. A rule \
is shadowed by another one at the names that it is for: of a ban that enforces or observes first, whose hits these are then, or of \
its own ban, where it says the same or has the last word. Within one list `embargo lists lint` tells that.
";

/// What `--json` prints; its names are an interface.
#[derive(Debug, Default, Serialize)]
struct Told {
    rules: Vec<RuleRow>,
    lists: Vec<ListRow>,
    never: Vec<NeverRow>,
    /// Attempts of no rule that is there now.
    others: u64,
    shadowed: Option<Shadowed>,
}

#[derive(Debug, Serialize)]
struct RuleRow {
    ban: String,
    pattern: String,
    list: String,
    attempts: u64,
    clients: usize,
    last_seen: String,
    #[serde(skip)]
    last: Timestamp,
}

#[derive(Debug, Serialize)]
struct ListRow {
    list: String,
    ban: String,
    rules: u64,
    hit: u64,
    attempts: u64,
}

#[derive(Debug, Serialize)]
struct NeverRow {
    ban: String,
    pattern: String,
    list: String,
}

/// Attempts by one rule.
#[derive(Debug, Default)]
struct Sum {
    attempts: u64,
    clients: BTreeSet<IpAddr>,
    last: Timestamp,
}

impl Hits {
    /// Counts the record's attempts by rule and lays them beside the rules that there are.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let (settings, load, policy) = self.on_disk.load(console)?;
        known_bans(&policy, self.ban.as_slice())?;
        let found = config::state_dir(self.state_dir.as_deref(), settings.state_dir.as_deref(), &console.environment);
        let state_dir =
            found.ok_or_else(|| Failure::cannot("no state directory is known", "name it with --state-dir"))?;
        flush(console, &state_dir)?;
        let since = self.since.map(|since| since.resolve(console.now, &TimeZone::UTC));
        let filter = Filter { ban: self.ban.clone(), since, ..Filter::default() };
        let rows = Store::open_read_only(&state_dir).and_then(|store| store.attempts(&filter)).map_err(unread)?;
        let mut sums: HashMap<(String, String), Sum> = HashMap::new();
        let mut others = 0;
        for row in rows {
            let Some(pattern) = row.pattern else {
                others += row.count;
                continue;
            };
            let sum = sums.entry((row.ban, pattern)).or_default();
            sum.attempts += row.count;
            sum.clients.extend(row.client);
            sum.last = sum.last.max(row.last);
        }
        let mut told = self.told(&policy, sums);
        told.others += others;
        let wanted = |ban: &str| self.ban.as_deref().is_none_or(|wanted| wanted == ban);
        told.shadowed = self.shadowed.then(|| Shadowed::of(&load, &policy, console.now, wanted));
        if told.shadowed.as_ref().is_some_and(|shadowed| shadowed.torn) {
            writeln!(
                console.err,
                "embargo: a list was replaced while it was read; some shadowed rules may be missing"
            )?;
        }
        if self.json {
            return Ok(console.json(&told)?);
        }
        let text = told.render(console, self.never);
        Ok(write!(console.out, "{text}")?)
    }

    fn told(&self, policy: &Policy, mut sums: HashMap<(String, String), Sum>) -> Told {
        let id = |BanIndex(ban): BanIndex| policy.bans().get(ban).map(|ban| ban.id.to_string()).unwrap_or_default();
        let wanted = |ban: &str| self.ban.as_deref().is_none_or(|wanted| wanted == ban);
        let mut told = Told::default();
        let mut lists: HashMap<&str, (u64, u64)> = HashMap::new();
        for (list, pattern) in policy.rules() {
            let (ban, pattern, name) = (id(list.ban), pattern.to_string(), list.name.to_string());
            if !wanted(&ban) {
                continue;
            }
            match sums.remove(&(ban.clone(), pattern.clone())) {
                Some(Sum { attempts, clients, last }) => {
                    let (hit, of_list) = lists.entry(&list.name).or_default();
                    (*hit, *of_list) = (*hit + 1, *of_list + attempts);
                    let (clients, last_seen) = (clients.len(), rfc3339(last));
                    told.rules.push(RuleRow { ban, pattern, list: name, attempts, clients, last_seen, last });
                }
                None if self.never => told.never.push(NeverRow { ban, pattern, list: name }),
                None => (),
            }
        }
        told.rules.sort_by(|a, b| b.attempts.cmp(&a.attempts).then_with(|| a.pattern.cmp(&b.pattern)));
        let rows = policy.lists().iter().map(|list| {
            let (hit, attempts) = lists.get(&*list.name).copied().unwrap_or_default();
            ListRow { list: list.name.to_string(), ban: id(list.ban), rules: list.entries, hit, attempts }
        });
        told.lists = rows.filter(|row| wanted(&row.ban)).collect();
        told.others = sums.values().map(|sum| sum.attempts).sum();
        told
    }
}

impl Told {
    fn render(&self, console: &Console<'_>, never: bool) -> String {
        let mut rules = Table::new(console.look, &["LAST SEEN", "BAN", "RULE", "#CLIENTS", "#ATTEMPTS"]);
        for row in self.rules.iter().take(ROWS_MAX) {
            rules.row([
                Some(to_the_second(row.last)),
                Some(row.ban.clone()),
                Some(row.pattern.clone()),
                Some(row.clients.to_string()),
                Some(row.attempts.to_string()),
            ]);
        }
        let mut lists = Table::new(console.look, &["LIST", "BAN", "#RULES", "#HIT", "#NEVER", "#ATTEMPTS"]);
        for row in &self.lists {
            lists.row([
                Some(row.list.clone()),
                Some(row.ban.clone()),
                Some(row.rules.to_string()),
                Some(row.hit.to_string()),
                Some(row.rules.saturating_sub(row.hit).to_string()),
                Some(row.attempts.to_string()),
            ]);
        }
        let mut parts = vec![rules.render(), more(self.rules.len()), "\n".to_owned(), lists.render()];
        if never {
            let mut unused = Table::new(console.look, &["NEVER HIT", "BAN"]);
            for row in self.never.iter().take(ROWS_MAX) {
                unused.row([Some(row.pattern.clone()), Some(row.ban.clone())]);
            }
            parts.extend(["\n".to_owned(), unused.render(), more(self.never.len())]);
        }
        if let Some(shadowed) = &self.shadowed {
            parts.push(shadowed_lines(shadowed));
        }
        if self.others > 0 {
            parts.push(format!("\n{} attempts are of no rule that is there now.\n", self.others));
        }
        parts.concat()
    }
}

fn shadowed_lines(shadowed: &Shadowed) -> String {
    let all = u64::try_from(shadowed.rules.len()).unwrap_or(u64::MAX).saturating_add(shadowed.more);
    if all == 0 {
        return "\nNo rule is shadowed by one of another list or ban.\n".to_owned();
    }
    let mut lines: Vec<_> = shadowed.rules.iter().take(ROWS_MAX).map(Row::sentence).collect();
    let hidden = all.saturating_sub(u64::try_from(lines.len()).unwrap_or(u64::MAX));
    if hidden > 0 {
        lines.push(format!("and {hidden} more; --json names the first 10000"));
    }
    format!("\nShadowed by rules of other lists and bans ({all}):\n{}\n", lines.join("\n"))
}

fn more(rows: usize) -> String {
    if rows > ROWS_MAX { format!("and {} more; --json has them all\n", rows - ROWS_MAX) } else { String::new() }
}
