//! `embargo lists export`: what the bans do, in the words of resolvers that can't be replaced.

use clap::Args;

use super::super::EXIT_CODES;
use super::super::console::Console;
use super::super::failure::{Failure, write_lines};
use super::super::flags::{OnDisk, known_bans, one_of};
use crate::policy::{BanIndex, ExportFormat};

/// Write what the bans do, as of now, for another resolver
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{SNIPPETS}\n\n{EXIT_CODES}"))]
pub(super) struct Export {
    /// The format to write
    #[arg(long, value_name = "FORMAT", value_parser = one_of(ExportFormat::ALL, ExportFormat::as_str))]
    format: ExportFormat,
    /// Only this ban, by its id; may be given several times
    #[arg(long, value_name = "ID")]
    ban: Vec<String>,
    #[command(flatten)]
    on_disk: OnDisk,
}

const EXAMPLES: &str = "\
Examples:
  embargo lists export --format rpz > /etc/bind/embargo.rpz
  embargo lists export --format unbound --ban kaspersky > /etc/unbound/embargo.conf";

const NOTES: &str = "\
Names are judged as this server judges them now. What the format can't say stands in the output as a comment, `Not said \
here: …`, and is summed up on standard error. Clients of the other resolver are not recorded, and none of them is exempt: whom \
`embargo exempt` or [[exemption]] spares here is blocked there. Export again when a list, a mode or a date changes.";

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
Knot Resolver 5 (before every other rule, since the first that matches decides; with the package lua-cqueues, or it can't watch \
the file):
  policy.add(policy.rpz(policy.DENY, '/etc/knot-resolver/embargo.rpz', true))
Without a file, by zone transfer: `[[export]]` in the configuration.";

impl Export {
    /// Loads what is on disk and writes it.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let (_settings, load, policy) = self.on_disk.load(console)?;
        let warnings: Vec<String> = load.diagnostics.iter().map(ToString::to_string).collect();
        write_lines(&warnings, console.err)?;
        known_bans(&policy, &self.ban)?;
        let chosen = |BanIndex(index): BanIndex| {
            let id = policy.bans().get(index).map(|ban| &*ban.id);
            self.ban.is_empty() || self.ban.iter().any(|ban| Some(ban.as_str()) == id)
        };
        let mut out = std::io::BufWriter::new(&mut *console.out);
        let exported = policy.export(self.format, console.now, &chosen, &mut out)?;
        drop(out);
        if exported.unsaid == 0 {
            return Ok(());
        }
        let format = self.format.as_str();
        let more = exported.unsaid - exported.shown.len();
        let mut told = vec![format!("`{format}` can't say all of it ({}):", exported.unsaid)];
        told.extend(exported.shown.iter().map(|unsaid| format!("  {unsaid}")));
        if more > 0 {
            told.push(format!("  and {more} more; all stand in the output as comments"));
        }
        Ok(write_lines(&told, console.err)?)
    }
}
