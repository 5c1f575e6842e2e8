//! `embargo report`: what the record proves, as a document that stands for itself.

mod incident;
mod key;
mod make;
mod verify;

use clap::{Args, Subcommand};

use super::console::Console;
use super::failure::Failure;
use super::{EXIT_CODES, flags, record};
use crate::report::{By, Format};
use crate::time::Day;

/// Say which devices a ban still finds, against a time before, as a document to keep
#[derive(Debug, Args)]
#[command(
    after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{}\n\n{EXIT_CODES}", record::NOTES),
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(super) struct Report {
    #[command(flatten)]
    asked: Asked,
    /// The form, on standard output
    #[arg(long, value_name = "FORMAT", default_value = "html", value_parser = flags::one_of(Format::ALL, Format::as_str))]
    format: Format,
    #[command(flatten)]
    state: flags::State,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Incident(incident::IncidentOf),
    Verify(verify::Verify),
    Key(key::Key),
}

/// Which ban, and which time.
#[derive(Debug, Args)]
#[group(skip)]
struct Asked {
    /// The ban, by its id
    #[arg(long, value_name = "ID", required = true)]
    ban: Option<String>,
    /// The first day of the window, in UTC: 2024-11-01
    #[arg(long, value_name = "DATE", required = true)]
    from: Option<Day>,
    /// Its last day
    #[arg(long, value_name = "DATE", required = true)]
    to: Option<Day>,
    /// The window is compared with as many days that end the day before this one, for example that of the law
    #[arg(long, value_name = "DATE", required = true)]
    baseline: Option<Day>,
    /// Only this site
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// Which table of sites, or of what they are tagged with; by default that of sites and every one of tags
    #[arg(long, value_name = "WHAT", value_parser = flags::one_of(By::ALL, By::as_str))]
    by: Option<By>,
}

const EXAMPLES: &str = "\
Examples:
  embargo report --ban kaspersky --from 2024-11-01 --to 2024-11-30 --baseline 2024-09-29 > kaspersky.html
  embargo report --ban kaspersky --from 2024-11-01 --to 2024-11-30 --baseline 2024-09-29 --format json | jq .figures
  embargo report incident mac:52:54:00:12:34:56 --ban kaspersky > incident.html
  embargo report key
  embargo report verify kaspersky.html --key 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";

const NOTES: &str = "\
The baseline has as many days as the window. A device is clean when it was active on 14 days since it was last seen; where nothing \
is on record, the report says unknown. The same record and the same question make the same octets. A report ends in its digest, \
and in a signature once `embargo report key` has made a key.";

impl Report {
    /// Does as the verb says.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        match self.verb {
            Some(Verb::Incident(incident)) => incident.execute(console),
            Some(Verb::Verify(verify)) => verify.execute(console),
            Some(Verb::Key(key)) => key.execute(console),
            None => make::make(&self, console),
        }
    }
}

#[cfg(test)]
mod tests;
