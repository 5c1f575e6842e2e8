//! `embargo lists export`: what the bans do, in the words of resolvers that can't be replaced.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, ValueEnum, builder::PossibleValue};

use super::super::EXIT_CODES;
use super::super::console::Console;
use super::super::failure::{Failure, Usage, write_lines};
use super::super::flags::Format;
use crate::config;
use crate::policy::{BanIndex, ExportFormat, Policy};

/// Write what the bans do, as of now, for another resolver
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{SNIPPETS}\n\n{EXIT_CODES}"))]
pub(super) struct Export {
    /// The format to write
    #[arg(long, value_name = "FORMAT")]
    format: Target,
    /// Only this ban, by its id; may be given several times
    #[arg(long, value_name = "ID")]
    ban: Vec<String>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the ban folders, instead of the configured ones
    #[arg(long, value_name = "DIR")]
    blocklists: Option<PathBuf>,
    /// A list beside the configured ones; may be given several times
    #[arg(long, value_name = "FILE")]
    list: Vec<PathBuf>,
    /// The format of those lists; by default their first lines tell
    #[arg(long, value_name = "FORMAT", requires = "list")]
    list_format: Option<Format>,
}

const EXAMPLES: &str = "\
Examples:
  embargo lists export --format rpz > /etc/bind/embargo.rpz
  embargo lists export --format unbound --ban kaspersky > /etc/unbound/embargo.conf";

const NOTES: &str = "\
Names are judged as this server judges them now. What the format can't say stands in the output as a comment, `Not said \
here: …`, and is summed up on standard error. Clients of the other resolver are not recorded. Export again when a list, a mode \
or a date changes.";

/// How each resolver loads the zone, with the options without which it would let names through.
const SNIPPETS: &str = "\
BIND (without these three options: signed names pass, names whose servers are slow pass or wait, queries without RD pass):
  options { response-policy { zone \"rpz.embargo\"; }
            break-dnssec yes qname-wait-recurse no recursive-only no; };
  zone \"rpz.embargo\" { type primary; file \"/etc/bind/embargo.rpz\"; allow-query { none; }; };
Unbound (without `respip` no policy zone is applied):
  server: module-config: \"respip validator iterator\"
  rpz: name: rpz.embargo
       zonefile: /etc/unbound/embargo.rpz
PowerDNS Recursor (in the file that `lua-config-file` names):
  rpzFile(\"/etc/powerdns/embargo.rpz\", { policyName = \"embargo\" })
Knot Resolver 5 (before every other rule, since the first that matches decides):
  policy.add(policy.rpz(policy.DENY, '/etc/knot-resolver/embargo.rpz', true))";

impl Export {
    /// Loads what is on disk and writes it.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let args = config::Args {
            config: self.config.clone(),
            blocklists: self.blocklists.clone(),
            list: self.list.clone(),
            list_format: self.list_format.map(|format| format.0),
            // Nothing is kept here, so a machine without a place for state is no reason to fail.
            state_dir: Some(PathBuf::new()),
            ..config::Args::default()
        };
        let loaded = config::load(&args, &console.environment).map_err(Failure::Mistakes)?;
        let mut load = config::policy(&loaded.settings, 1);
        let Some(policy) = load.policy.take() else { return Err(Failure::Mistakes(load.diagnostics)) };
        let warnings: Vec<String> = load.diagnostics.iter().map(ToString::to_string).collect();
        write_lines(&warnings, console.err)?;
        self.known(&policy)?;
        let chosen = |BanIndex(index): BanIndex| {
            let id = policy.bans().get(index).map(|ban| &*ban.id);
            self.ban.is_empty() || self.ban.iter().any(|ban| Some(ban.as_str()) == id)
        };
        let mut out = std::io::BufWriter::new(&mut *console.out);
        let exported = policy.export(self.format.0, console.now, &chosen, &mut out)?;
        drop(out);
        if exported.unsaid == 0 {
            return Ok(());
        }
        let format = self.format.0.as_str();
        let more = exported.unsaid - exported.shown.len();
        let mut told = vec![format!("`{format}` can't say all of it ({}):", exported.unsaid)];
        told.extend(exported.shown.iter().map(|unsaid| format!("  {unsaid}")));
        if more > 0 {
            told.push(format!("  and {more} more; all stand in the output as comments"));
        }
        Ok(write_lines(&told, console.err)?)
    }

    /// A ban that nobody has is a mistake: an empty list would be taken for one.
    fn known(&self, policy: &Policy) -> Result<(), Failure> {
        let ids: Vec<&str> = policy.bans().iter().map(|ban| &*ban.id).collect();
        let Some(unknown) = self.ban.iter().find(|ban| !ids.contains(&ban.as_str())) else { return Ok(()) };
        let message = format!("unknown ban `{unknown}`; known bans: {}\n", ids.join(", "));
        Err(Failure::Usage(Usage(Box::new(clap::Error::raw(ErrorKind::InvalidValue, message)))))
    }
}

/// [`ExportFormat`] as an argument, so that `--help` lists the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target(ExportFormat);

impl ValueEnum for Target {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Target; ExportFormat::ALL.len()] = {
            let mut all = [Target(ExportFormat::Rpz); ExportFormat::ALL.len()];
            let mut index = 0;
            while index < all.len() {
                all[index] = Target(ExportFormat::ALL[index]);
                index += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.as_str()))
    }
}
