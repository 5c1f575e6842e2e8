//! `embargo check`: every mistake in configuration and lists at once, or a summary of what would be in force.

use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::failure::{Failure, write_lines};
use super::table::Table;
use super::{EXIT_CODES, flags};
use crate::app::{BanRow, ListRow, idle_exemptions, out_of_place};
use crate::config::{self, AssetsRead, LeaseFile, LeasesRead};
use crate::diag::{Diagnostic, Severity, shown};
use crate::identity::{Held, Lease};
use crate::time::Timestamp;

/// Digits of a digest in a table: enough to tell two apart.
const DIGEST_DIGITS: usize = 12;

/// Check configuration and lists without running anything
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Check {
    #[arg(long, help = JSON_HELP)]
    json: bool,
    #[command(flatten)]
    settings: flags::Settings,
}

const JSON_HELP: &str = "One JSON object of {ok, errors, warnings, diagnostics, config, listen, admin, upstream, \
                         state_dir, bans, lists, leases}";

const EXAMPLES: &str = "\
Examples:
  embargo check && embargo reload
  embargo check --config new.toml --json | jq '.diagnostics[]'";

const NOTES: &str = "\
It takes the flags of `run` and reads what `run` with the same flags would read. Mistakes are exit code 1; warnings \
alone are 0.";

/// What `--json` prints; its names are an interface.
#[derive(Debug, Serialize)]
struct Checked {
    ok: bool,
    errors: usize,
    warnings: usize,
    diagnostics: Vec<DiagnosticRow>,
    config: Option<String>,
    listen: Vec<String>,
    admin: Option<String>,
    upstream: Vec<String>,
    state_dir: Option<String>,
    bans: Vec<BanRow>,
    lists: Vec<ListRow>,
    leases: Vec<LeaseRow>,
}

/// A file of leases in JSON; its names are an interface.
#[derive(Debug, Serialize)]
struct LeaseRow {
    file: String,
    format: &'static str,
    /// Addresses that it says somebody holds; `None`: it can't be read.
    held: Option<usize>,
}

/// One diagnostic in JSON; its names are an interface.
#[derive(Debug, Serialize)]
pub(super) struct DiagnosticRow {
    severity: &'static str,
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
}

impl Check {
    /// Reads everything, then tells everything.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let mut found = config::check(&self.settings.args(), &console.environment);
        let mut diagnostics = std::mem::take(&mut found.mistakes);
        diagnostics.extend(found.loaded.iter().flat_map(|loaded| loaded.warnings(console.now)));
        diagnostics.append(&mut found.policy.diagnostics);
        if let (Some(loaded), Some(policy)) = (&found.loaded, &found.policy.policy) {
            diagnostics.extend(config::advice(&loaded.settings, policy));
            diagnostics.extend(idle_exemptions(&loaded.state_dir, policy));
        }
        if !diagnostics.iter().any(Diagnostic::is_error) {
            diagnostics.extend(found.loaded.as_ref().and_then(out_of_place));
        }
        let leases = leases(&found, &mut diagnostics);
        for file in found.loaded.iter().flat_map(|loaded| &loaded.settings.assets) {
            let AssetsRead { assets, warnings } = file.read();
            diagnostics.extend(warnings.into_iter().chain(assets.err()));
        }
        let checked = Checked::new(&found, &diagnostics, leases, console.now);
        if self.json {
            console.json(&checked)?;
            return if checked.ok { Ok(()) } else { Err(Failure::MistakesShown) };
        }
        if !checked.ok {
            return Err(Failure::Mistakes(diagnostics));
        }
        let warnings: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        write_lines(&warnings, console.out)?;
        let summary = summary(console, &checked);
        Ok(write!(console.out, "{summary}")?)
    }
}

impl Checked {
    fn new(found: &config::Checked, diagnostics: &[Diagnostic], leases: Vec<LeaseRow>, now: Timestamp) -> Self {
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
        let (loaded, policy) = (found.loaded.as_ref(), found.policy.policy.as_ref());
        let settings = loaded.map(|loaded| &loaded.settings);
        Self {
            ok: errors == 0 && loaded.is_some() && policy.is_some(),
            errors,
            warnings: diagnostics.len() - errors,
            diagnostics: diagnostics.iter().map(DiagnosticRow::new).collect(),
            config: loaded.and_then(|loaded| loaded.file.as_ref()).map(|file| file.display().to_string()),
            listen: settings.map(|all| in_words(&all.listen)).unwrap_or_default(),
            admin: settings.and_then(|all| all.admin).map(|address| address.to_string()),
            upstream: settings.map(|all| in_words(&all.upstream.servers)).unwrap_or_default(),
            state_dir: loaded.map(|loaded| loaded.state_dir.display().to_string()),
            bans: policy.map(|policy| BanRow::all(policy, now)).unwrap_or_default(),
            lists: policy.map(ListRow::all).unwrap_or_default(),
            leases,
        }
    }
}

/// What each file of leases says, and what is wrong with it: the server goes on without, so that is no more than a warning.
fn leases(found: &config::Checked, diagnostics: &mut Vec<Diagnostic>) -> Vec<LeaseRow> {
    let files = found.loaded.iter().flat_map(|loaded| &loaded.settings.leases);
    let read = |file: &LeaseFile| {
        let LeasesRead { leases, warnings } = file.read();
        diagnostics.extend(warnings);
        let is_held = |lease: &&Lease| matches!(lease.held, Held::By { .. });
        let held = leases.map(|leases| leases.iter().filter(is_held).count());
        let held = held.map_err(|unread| diagnostics.push(unread)).ok();
        LeaseRow { file: file.path.value.display().to_string(), format: file.format.as_str(), held }
    };
    files.map(read).collect()
}

fn in_words(values: &[impl ToString]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

impl DiagnosticRow {
    pub(super) fn new(diagnostic: &Diagnostic) -> Self {
        Self {
            severity: match diagnostic.severity {
                Severity::Warning => "warning",
                Severity::Error => "error",
            },
            file: diagnostic.source.to_string(),
            line: diagnostic.place.as_ref().map(|place| place.line),
            column: diagnostic.place.as_ref().map(|place| place.column),
            message: diagnostic.message.clone(),
        }
    }
}

fn summary(console: &Console<'_>, checked: &Checked) -> String {
    let mut bans = Table::new(console.look, &["BAN", "MODE", "CHANGES", "ACTION", "#RULES", "TITLE"]);
    for ban in &checked.bans {
        bans.row([
            Some(ban.id.clone()),
            Some(ban.mode_in_words()),
            ban.next_change.clone(),
            Some(ban.action.to_owned()),
            Some(ban.rules.to_string()),
            Some(ban.title.clone()),
        ]);
    }
    let mut lists = Table::new(console.look, &["LIST", "BAN", "FORMAT", "#RULES", "SHA-256"]);
    for list in &checked.lists {
        lists.row([
            Some(list.name.clone()),
            Some(list.ban.clone()),
            Some(if list.detected { format!("{} (detected)", list.format) } else { list.format.to_owned() }),
            Some(list.rules.to_string()),
            Some(list.digest.chars().take(DIGEST_DIGITS).collect()),
        ]);
    }
    let mut leases = Table::new(console.look, &["LEASES", "FORMAT", "#HELD"]);
    for file in &checked.leases {
        leases.row([Some(file.file.clone()), Some(file.format.to_owned()), file.held.map(|held| held.to_string())]);
    }
    let leases = if checked.leases.is_empty() { String::new() } else { format!("\n{}", leases.render()) };
    let or = |text: &Option<String>, otherwise: &str| shown(text.as_deref().unwrap_or(otherwise));
    let warnings = match checked.warnings {
        0 => "no warnings".to_owned(),
        1 => "1 warning".to_owned(),
        many => format!("{many} warnings"),
    };
    format!(
        "No mistakes, {warnings}.\n  config    {}\n  state     {}\n  listens   {}\n  admin     {}\n  upstreams {}\n\n{}\n{}{leases}",
        or(&checked.config, "the shipped default"),
        or(&checked.state_dir, "-"),
        checked.listen.join(", "),
        or(&checked.admin, "off"),
        checked.upstream.join(", "),
        bans.render(),
        lists.render(),
    )
}
