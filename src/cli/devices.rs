//! `embargo devices`: who held which address when.

use std::net::IpAddr;

use clap::Args;

use super::console::Console;
use super::failure::Failure;
use super::record::{self, to_the_second};
use super::table::Table;
use super::when::When;
use super::{EXIT_CODES, flags};
use crate::journal::{BindingRow, Store};

/// List the devices that held addresses, by the leases of DHCP servers, newest first
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}\n\n{EXIT_CODES}", record::NOTES))]
pub(super) struct Devices {
    #[arg(long, help = JSON_HELP)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
    /// Only this address
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// Only who held it at this moment: 2024-09-29 (00:00 UTC), 2024-09-29T06:00:00Z, or 24h, 7d for so long ago
    #[arg(long, value_name = "TIME")]
    at: Option<When>,
    /// At most so many rows, the newest; by default 100 in a table and all in JSON
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

const JSON_HELP: &str = "One JSON array of {client, device, identifiers, from, until, method, confidence, estimated}";

const EXAMPLES: &str = "\
Examples:
  embargo devices --client 10.1.2.7
  embargo devices --client 10.1.2.7 --at 2024-09-29T14:05:00Z --json";

impl Devices {
    /// Reads and shows them.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let Self { json, state, client, at, limit } = self;
        let rows = flags::Rows { client, since: at, until: at, limit, ..flags::Rows::default() };
        record::show(console, (&state, &rows, json), Store::bindings, table)
    }
}

fn table(console: &Console<'_>, rows: &[BindingRow]) -> String {
    let mut table = Table::new(console.look, &["FROM", "UNTIL", "CLIENT", "DEVICE", "ALSO"]);
    for row in rows {
        let also = row.identifiers.get(1..).filter(|also| !also.is_empty());
        table.row([
            Some(to_the_second(row.from)),
            row.until.map(to_the_second),
            Some(row.client.to_string()),
            Some(row.device.clone()),
            also.map(|also| also.join(" ")),
        ]);
    }
    table.render()
}
