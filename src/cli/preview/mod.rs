//! `embargo preview`: whom a change would touch, before it is made.
//!
//! Two policies judge what clients asked: the one in force, as it is on disk, and the same with the change. What they asked is
//! read from the record of attempts and, where it is kept, from the record of names.

mod judge;
mod text;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::failure::{Failure, write_lines};
use super::flags::{known_bans, one_of};
use super::record::{flush, unread};
use super::when::When;
use super::{EXIT_CODES, record};
use crate::config::{self, Loaded, PolicyLoad, Settings};
use crate::journal::{Coverage, NameStore, Store};
use crate::policy::{ListFormat, Mode, Policy};
use crate::time::{Timestamp, rfc3339};
use judge::{Effect, Judge, Touched};

/// Show whom a change would block or release, before it is made
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n{}\n\n{EXIT_CODES}", record::NOTES))]
pub(super) struct Preview {
    #[command(flatten)]
    change: Change,
    /// Configuration file in force
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the ban folders in force, instead of the configured ones
    #[arg(long, value_name = "DIR")]
    blocklists: Option<PathBuf>,
    /// State directory of the server, where its record is
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Only what was asked since then: 2024-09-29, 2024-09-29T06:00:00Z, or 24h, 7d for so long ago; everything by default
    #[arg(long, value_name = "TIME")]
    since: Option<When>,
    /// Judge as of then, where a ban begins at a date; now by default
    #[arg(long, value_name = "TIME")]
    at: Option<When>,
    #[arg(long, help = JSON_HELP)]
    json: bool,
}

/// What is to be changed; several changes are made together.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
#[command(next_help_heading = "The change (at least one)")]
struct Change {
    /// A list, enforced as a ban of its own; may be given several times
    #[arg(long, value_name = "FILE")]
    list: Vec<PathBuf>,
    /// The format of those lists; by default their first lines tell
    #[arg(long, value_name = "FORMAT", requires = "list", value_parser = one_of(ListFormat::ALL, ListFormat::as_str))]
    list_format: Option<ListFormat>,
    /// The ban that is to have another mode
    #[arg(long, value_name = "ID", requires = "mode")]
    ban: Option<String>,
    /// That mode
    #[arg(long, value_name = "MODE", requires = "ban", value_parser = one_of(Mode::ALL, Mode::as_str))]
    mode: Option<Mode>,
    /// A configuration in place of the one in force
    #[arg(long, value_name = "FILE")]
    new_config: Option<PathBuf>,
    /// Ban folders in place of those in force
    #[arg(long, value_name = "DIR")]
    new_blocklists: Option<PathBuf>,
}

const JSON_HELP: &str = "One JSON object of {at, since, blocks, releases, changes, attempts, names, clients}; the first three \
                         are {clients, names, queries, at_least}, attempts is {nameless}, names {recorded, since, \
                         not_recorded}, a client {client, groups, queries, last_seen, names}, and one of its names {name, \
                         effect, old, new, ban, pattern, queries, last_seen}";

const EXAMPLES: &str = "\
Examples:
  embargo preview --list candidate.txt             whom would this list block?
  embargo preview --ban kaspersky --mode enforce   and whom this ban, which only observes now?
  embargo preview --new-config new.toml --json | jq '.clients[] | select(.names[].effect == \"block\")'";

const NOTES: &str = "\
Names of no rule are in the record only with `enabled = true` in [names] of the configuration, from then on. Where the figures \
are not all, the output says so: in JSON by at_least. Exemptions and what answers lead to are left out.
";

/// What `--json` prints; its names are an interface.
#[derive(Debug, Serialize)]
struct Previewed {
    at: String,
    since: Option<String>,
    blocks: Figures,
    releases: Figures,
    changes: Figures,
    attempts: Attempts,
    names: Names,
    clients: Vec<ClientRow>,
}

/// How many are touched in one way.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Figures {
    clients: usize,
    /// Different ones.
    names: usize,
    queries: u64,
    /// Whether there may be more.
    at_least: bool,
}

/// What the record of attempts is worth here.
#[derive(Debug, Serialize)]
struct Attempts {
    /// Attempts of which client or name is not known.
    nameless: u64,
}

/// What the record of names is worth here.
#[derive(Debug, Serialize)]
struct Names {
    recorded: bool,
    since: Option<String>,
    not_recorded: u64,
}

#[derive(Debug, Serialize)]
struct ClientRow {
    client: String,
    groups: Vec<String>,
    queries: u64,
    last_seen: String,
    names: Vec<TouchedRow>,
}

#[derive(Debug, Serialize)]
struct TouchedRow {
    name: String,
    effect: &'static str,
    old: &'static str,
    new: &'static str,
    /// Of the rule that will decide; of the one that did, if the name is released.
    ban: Option<String>,
    pattern: Option<String>,
    queries: u64,
    last_seen: String,
}

impl Preview {
    /// Judges the record by both policies and shows the difference.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let loaded = self.in_force(console)?;
        let (old, _told) = policy(&loaded.settings)?;
        known_bans(&old, self.change.ban.as_slice())?;
        let (new, told) = policy(&self.changed(console, &loaded)?)?;
        write_lines(&told, console.err)?;
        let zone = &loaded.settings.time_zone;
        let resolve = |when: When| when.resolve(console.now, zone);
        let (at, since) = (self.at.map_or(console.now, resolve), self.since.map(resolve));
        flush(console, &loaded.state_dir)?;

        let mut judge = Judge::new(&old, &new, at);
        let attempts = Store::open_read_only(&loaded.state_dir).map_err(unread)?;
        attempts.visit_tried(since, &mut |row| judge.tried(&row)).map_err(unread)?;
        let names = NameStore::open_read_only(&loaded.state_dir).map_err(unread)?;
        let mut coverage = None;
        if let Some(names) = names {
            names.visit(since, &mut |row| judge.asked(&row)).map_err(unread)?;
            coverage = Some(names.coverage(since).map_err(unread)?);
        }
        let previewed = Previewed::new(&judge, &new, at, since, coverage);
        if self.json {
            return Ok(console.json(&previewed)?);
        }
        let text = text::render(console.look, &judge, &previewed);
        Ok(write!(console.out, "{text}")?)
    }

    /// The settings in force, and where their record is.
    fn in_force(&self, console: &Console<'_>) -> Result<Loaded, Failure> {
        let args = config::Args {
            config: self.config.clone(),
            blocklists: self.blocklists.clone(),
            state_dir: self.state_dir.clone(),
            ..config::Args::default()
        };
        config::load(&args, &console.environment).map_err(Failure::Mistakes)
    }

    /// The settings with the change.
    fn changed(&self, console: &Console<'_>, in_force: &Loaded) -> Result<Settings, Failure> {
        let change = &self.change;
        let args = config::Args {
            config: change.new_config.clone().or_else(|| self.config.clone()),
            blocklists: change.new_blocklists.clone().or_else(|| self.blocklists.clone()),
            list: change.list.clone(),
            list_format: change.list_format,
            state_dir: Some(in_force.state_dir.clone()),
            ..config::Args::default()
        };
        let mut settings = config::load(&args, &console.environment).map_err(Failure::Mistakes)?.settings;
        if let (Some(ban), Some(mode)) = (&change.ban, change.mode) {
            settings.set_mode(ban, mode);
        }
        Ok(settings)
    }
}

/// The policy of these settings, and what there is to say about it.
fn policy(settings: &Settings) -> Result<(Policy, Vec<String>), Failure> {
    let PolicyLoad { policy, diagnostics, .. } = config::policy(settings, 1);
    let told = diagnostics.iter().map(ToString::to_string).collect();
    policy.map(|policy| (policy, told)).ok_or(Failure::Mistakes(diagnostics))
}

impl Previewed {
    fn new(
        judge: &Judge<'_>,
        new: &Policy,
        at: Timestamp,
        since: Option<Timestamp>,
        coverage: Option<Coverage>,
    ) -> Self {
        let covered = coverage.is_some_and(|coverage| coverage.not_recorded == 0);
        let figures = |effect| {
            // What was blocked was an attempt.
            let at_least = judge.nameless > 0 || (effect != Effect::Release && !covered);
            Figures { at_least, ..Figures::of(judge, effect) }
        };
        Self {
            at: rfc3339(at),
            since: since.map(rfc3339),
            blocks: figures(Effect::Block),
            releases: figures(Effect::Release),
            changes: figures(Effect::Change),
            attempts: Attempts { nameless: judge.nameless },
            names: Names {
                recorded: coverage.is_some(),
                since: coverage.and_then(|coverage| coverage.since).map(rfc3339),
                not_recorded: coverage.map_or(0, |coverage| coverage.not_recorded),
            },
            clients: ClientRow::all(judge, new),
        }
    }

    fn figures(&self, effect: Effect) -> Figures {
        match effect {
            Effect::Block => self.blocks,
            Effect::Release => self.releases,
            Effect::Change => self.changes,
        }
    }
}

impl Figures {
    fn of(judge: &Judge<'_>, effect: Effect) -> Self {
        let mut names = std::collections::HashSet::new();
        let mut figures = Self::default();
        for touched in judge.touched.values() {
            let here = touched.iter().filter(|(_name, touched)| touched.effect == effect);
            let known = figures.queries;
            for (name, touched) in here {
                names.insert(name.as_str());
                figures.queries += touched.queries();
            }
            figures.clients += usize::from(figures.queries > known);
        }
        Self { names: names.len(), ..figures }
    }
}

impl ClientRow {
    /// Every client that is touched, last seen first.
    fn all(judge: &Judge<'_>, new: &Policy) -> Vec<Self> {
        let who = new.who();
        let rows = judge.touched.iter().map(|(&client, touched)| Self {
            client: client.to_string(),
            groups: who.of(client).iter().map(|index| who.group(index).id.to_string()).collect(),
            queries: touched.values().map(Touched::queries).sum(),
            last_seen: touched.values().map(|touched| touched.last).max().map(rfc3339).unwrap_or_default(),
            names: touched.iter().map(|(name, touched)| TouchedRow::new(name, touched)).collect(),
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| b.last_seen.cmp(&a.last_seen));
        rows
    }
}

impl TouchedRow {
    fn new(name: &str, touched: &Touched) -> Self {
        let rule = touched.rule.clone().unzip();
        Self {
            name: name.to_owned(),
            effect: touched.effect.as_str(),
            old: touched.old,
            new: touched.new,
            ban: rule.0,
            pattern: rule.1,
            queries: touched.queries(),
            last_seen: rfc3339(touched.last),
        }
    }
}

#[cfg(test)]
mod tests;
