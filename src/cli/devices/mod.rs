//! `embargo devices`: who held which address when, and who is who.

mod say;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::connected::Connected;
use super::console::Console;
use super::failure::Failure;
use super::known;
use super::record::{self, to_the_second};
use super::table::Table;
use super::when::When;
use super::{EXIT_CODES, flags};
use crate::diag::shown;
use crate::identity::{Identifier, Mac, Vendors};
use crate::journal::{BindingRow, Filter, Store};

/// List the devices that held addresses, by the leases of DHCP servers, newest first
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{}\n\n{EXIT_CODES}", record::NOTES))]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Devices {
    #[command(subcommand)]
    verb: Option<Verb>,
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
    /// A file of who makes network cards: oui.csv of IEEE, nmap-mac-prefixes, or manuf of Wireshark; by default one that the system has
    #[arg(long, value_name = "FILE")]
    vendors: Option<PathBuf>,
    /// At most so many rows, the newest; by default 100 in a table and all in JSON
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Merge(say::Merge),
    Split(say::Split),
    Undo(say::Undo),
}

/// Where systems have a file of makers.
const VENDOR_FILES: [&str; 4] = [
    "/usr/share/ieee-data/oui.csv",
    "/var/lib/ieee-data/oui.csv",
    "/usr/share/nmap/nmap-mac-prefixes",
    "/usr/share/wireshark/manuf",
];

const NOTES: &str = "\
Identifiers that were said in one breath are of one device, unless two devices have one of them in common; an inventory \
([[assets]] of the configuration) and the words of operators (merge, split) join and part the rest. Numbers of an inventory are \
shown for what a running server has recorded.";

const JSON_HELP: &str = "One JSON array of {client, device, identifiers, from, until, method, confidence, estimated, \
                         vendor, randomised, connected}";

const EXAMPLES: &str = "\
Examples:
  embargo devices --client 10.1.2.7
  embargo devices --client 10.1.2.7 --at 2024-09-29T14:05:00Z --json
  embargo devices merge mac:00:16:3e:12:34:56 mac:00:16:3e:12:34:57 --reason 'cable and radio of one laptop'
  embargo devices split duid:00:01:2a --reason 'one image on many machines'";

impl Devices {
    /// Reads and shows them.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let Self { verb, json, state, client, at, vendors, limit } = self;
        match verb {
            Some(Verb::Merge(merge)) => return merge.execute(console),
            Some(Verb::Split(split)) => return split.execute(console),
            Some(Verb::Undo(undo)) => return undo.execute(console),
            None => (),
        }
        let rows = flags::Rows { client, since: at, until: at, limit, ..flags::Rows::default() };
        let devices = known::of_record(&state, console)?;
        let vendors = makers(vendors.as_deref())?;
        let read = |store: &Store, filter: &Filter| {
            let connected = Connected::read(store, &Filter { client: filter.client, ..Filter::default() })?;
            let of = |mut row: BindingRow| {
                let identifiers: Vec<_> = row.identifiers.iter().filter_map(|text| text.parse().ok()).collect();
                row.device = devices.device(&identifiers).map_or_else(String::new, |device| device.to_string());
                let mac = identifiers.iter().find_map(|identifier| match identifier {
                    Identifier::Mac(mac) => Some(*mac),
                    _ => None,
                });
                let vendor = mac.and_then(|mac| vendors.of(mac)).map(str::to_owned);
                let connected = connected.bans_of(row.client, row.from, row.until);
                DeviceRow { row, vendor, randomised: mac.map(Mac::is_randomised), connected }
            };
            Ok(store.bindings(filter)?.into_iter().map(of).collect())
        };
        record::show(console, ("devices", &state, &rows, json), read, table)
    }
}

/// A binding with what its hardware address says. Its JSON is an interface.
#[derive(Debug, Serialize)]
struct DeviceRow {
    #[serde(flatten)]
    row: BindingRow,
    /// Who made the network card.
    vendor: Option<String>,
    /// Whether the hardware address is one that the device has made up; `None`: it is not known.
    randomised: Option<bool>,
    /// The bans by whose names it connected to the block page while it held the address.
    connected: Vec<String>,
}

/// Who makes network cards, as the file says; without one that which the system has, if it has any.
fn makers(wanted: Option<&Path>) -> Result<Vendors, Failure> {
    let read = |path: &Path| fs::read(path).map(|octets| Vendors::read(&String::from_utf8_lossy(&octets)));
    let Some(wanted) = wanted else {
        return Ok(VENDOR_FILES.iter().find_map(|path| read(Path::new(path)).ok()).unwrap_or_default());
    };
    let failure = |why: String| Failure::cannot(format!("{}: {why}", shown(&wanted.display().to_string())), "");
    match read(wanted) {
        Ok(vendors) if vendors.is_empty() => Err(failure("no line says who was assigned what".to_owned())),
        Ok(vendors) => Ok(vendors),
        Err(error) => Err(failure(error.to_string())),
    }
}

/// What stands for the hardware address in a table.
fn made(row: &DeviceRow) -> Option<String> {
    row.vendor.clone().or_else(|| row.randomised.filter(|made_up| *made_up).map(|_made_up| "(made up)".to_owned()))
}

fn table(console: &Console<'_>, rows: &[DeviceRow]) -> String {
    let connected = rows.iter().any(|with| !with.connected.is_empty());
    let header = ["FROM", "UNTIL", "CLIENT", "DEVICE", "BY", "VENDOR", "ALSO"].into_iter();
    let header: Vec<_> = header.chain(connected.then_some("CONNECTED")).collect();
    let mut table = Table::new(console.look, &header);
    for with in rows {
        let row = &with.row;
        let also: Vec<_> = row.identifiers.iter().filter(|known| **known != row.device).map(String::as_str).collect();
        let cells = [
            Some(to_the_second(row.from)),
            row.until.map(to_the_second),
            Some(row.client.to_string()),
            Some(row.device.clone()),
            Some(row.method.to_owned()),
            made(with),
            Some(also.join(" ")).filter(|also| !also.is_empty()),
        ];
        let bans = connected.then(|| Some(with.connected.join(" ")).filter(|bans| !bans.is_empty()));
        table.row(cells.into_iter().chain(bans));
    }
    table.render()
}
