//! `embargo privacy`: all that is kept of one client or device, and its end.

mod erase;
mod export;

use std::net::IpAddr;

use clap::{Args, Subcommand};

use super::EXIT_CODES;
use super::console::Console;
use super::failure::Failure;
use crate::identity::Identifier;
use crate::journal::Whose;

/// Show all that is kept of one client or device, or erase it
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Privacy {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Export(export::Export),
    Erase(erase::Erase),
}

const EXAMPLES: &str = "\
Examples:
  embargo privacy export --client 192.0.2.7 > kept.json
  embargo privacy export --device mac:52:54:00:12:34:56
  embargo privacy erase --device asset:INV-17 --ticket DSR-4";

const NOTES: &str = "\
A client is an address, whoever had it; a device is all its identifiers, whatever addresses it had (`embargo devices` shows them).
Where pseudonyms are recorded both are found by the key of the state directory, or name the pseudonym itself.
Attempts, clients, who held which address, the sets of presence, names asked, and what waits for sinks are shown and erased; what
sinks have sent is their receivers', and exemptions and what the audit log says of devices stay: `embargo exempt list`,
`embargo audit`. Whoever goes on asking is recorded anew.";

impl Privacy {
    /// Does as the verb says.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        match self.verb {
            Verb::Export(export) => export.execute(console),
            Verb::Erase(erase) => erase.execute(console),
        }
    }
}

/// Of whom.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Who {
    /// The address, or its pseudonym
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// One of the device's identifiers, or its pseudonym
    #[arg(long, value_name = "DEVICE", value_parser = identifier)]
    device: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("is no device; `embargo devices` shows those that are known, for example mac:52:54:00:12:34:56")]
struct NoDevice;

fn identifier(text: &str) -> Result<String, NoDevice> {
    text.parse::<Identifier>().map(|identifier| identifier.to_string()).map_err(|()| NoDevice)
}

impl Who {
    fn whose(&self) -> Option<Whose> {
        let device = || self.device.clone().map(Whose::Device);
        self.client.map(|client| Whose::Client(client.to_canonical())).or_else(device)
    }
}

#[cfg(test)]
mod tests;
