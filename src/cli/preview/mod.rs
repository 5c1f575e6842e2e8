//! `embargo preview`: whom a change would touch, before it is made.
//!
//! Two policies judge what clients asked: the one in force, as it is on disk, and the same with the change. What they asked is
//! read from the record of attempts and, where it is kept, from the record of names.

mod judge;
mod rows;
mod side;
mod text;

use std::path::PathBuf;

use clap::Args;

use super::console::Console;
use super::failure::{Failure, write_lines};
use super::flags::{known_bans, one_of};
use super::record::{flush, look, unread};
use super::when::When;
use super::{EXIT_CODES, record};
use crate::config::{self, Loaded, PolicyLoad, Settings};
use crate::journal::{NameStore, Store};
use crate::policy::{ListFormat, Mode, Policy};
use crate::time::rfc3339;
use judge::Judge;
use rows::Previewed;
use side::Side;

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

const JSON_HELP: &str = "One JSON object of {at, since, blocks, releases, changes, later, attempts, names, not_judged, clients}; \
                         blocks, releases and changes are {clients, names, queries, at_least}, later {clients, names, queries, \
                         first}, attempts {nameless}, names {recorded, since, not_recorded}, not_judged {doors, answers}, each \
                         {clients, names, queries}, a client {client, groups, queries, last_seen, names}, and one of its names \
                         {name, effect, old, new, ban, pattern, queries, last_seen}";

const EXAMPLES: &str = "\
Examples:
  embargo preview --list candidate.txt             whom would this list block?
  embargo preview --ban kaspersky --mode enforce   and whom this ban, which only observes now?
  embargo preview --new-config new.toml --json | jq '.clients[] | select(.names[].effect == \"block\")'";

const NOTES: &str = "\
Names of no rule are in the record only with `enabled = true` in [names] of the configuration, from then on. Where the record \
is not all that was asked, the output says so: in JSON by at_least.
Exemptions, groups by network and by device (as addresses are held now), rollouts, hours and dates count as at the time of --at; what another hour of the week to come \
changes is counted apart (later). The record does not hold by what listener, path or TLS name a query came, nor what an answer \
held: what would depend on that is counted (not_judged). Where an answer led to a rule, that rule is judged.
";

impl Preview {
    /// Judges the record by both policies and shows the difference.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let loaded = self.in_force(console)?;
        let (old, _told) = policy(&loaded.settings)?;
        known_bans(&old, self.change.ban.as_slice())?;
        let changed = self.changed(console, &loaded)?;
        let (new, told) = policy(&changed)?;
        write_lines(&told, console.err)?;
        let old = Side::new(old, (&loaded.settings, &loaded.state_dir), console)?;
        let new = Side::new(new, (&changed, &loaded.state_dir), console)?;
        let zone = &loaded.settings.time_zone;
        let resolve = |when: When| when.resolve(console.now, zone);
        let (at, since) = (self.at.map_or(console.now, resolve), self.since.map(resolve));
        if let Some(since) = since.filter(|since| *since > console.now) {
            return Err(Failure::usage(format!(
                "--since {} is yet to come: nothing was asked since then",
                rfc3339(since)
            )));
        }
        flush(console, &loaded.state_dir)?;
        look(console, &loaded.state_dir, "preview", String::new())?;

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

#[cfg(test)]
mod tests;
