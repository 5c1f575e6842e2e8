//! `embargo clients`: who made banned lookups, and what that proves.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;

use super::connected::{Connected, Connections};
use super::console::Console;
use super::failure::Failure;
use super::known;
use super::record::{self, to_the_second};
use super::table::Table;
use super::when::When;
use super::{EXIT_CODES, flags};
use crate::app::control::{self, Request};
use crate::journal::{ClientRow, Filter, Store};

/// List the clients that made banned lookups, last seen first
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}\n\n{EXIT_CODES}", record::NOTES))]
pub(super) struct Clients {
    #[arg(long, help = JSON_HELP)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
    #[command(flatten)]
    rows: flags::Rows,
    /// Only of devices that had tried nothing of the ban before: 2024-09-29, 7d
    #[arg(long, value_name = "TIME", help_heading = "Filters")]
    new_since: Option<When>,
}

/// A running server says within this which addresses stand for many.
const PATIENCE: Duration = Duration::from_secs(1);

const JSON_HELP: &str =
    "One JSON array of {client, device, site, ban, evidence, first_seen, last_seen, count, many, connected}";

const EXAMPLES: &str = "\
Examples:
  embargo clients --evidence installed             who runs the product
  embargo clients --ban kaspersky --since 7d --json
  embargo clients --new-since 7d                   who began in the last week";

impl Clients {
    /// Reads and shows them.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let what = ("clients", &self.state, &self.rows, self.json);
        let devices = known::of_record(&self.state, console)?;
        let directory = self.state.directory(console)?;
        let new_since = self.new_since.map(|since| since.resolve(console.now, &TimeZone::UTC));
        let read = |store: &Store, filter: &Filter| {
            let rows = match new_since {
                Some(since) => store.new_clients(filter, since)?,
                None => store.clients(filter)?,
            };
            let connected = Connected::read(store, filter)?;
            // After it has written what it holds.
            let crowds = crowds(&directory);
            let with = |mut row: ClientRow| {
                // By the device as it was recorded.
                let connected = connected.of_client(&row);
                if let Some(device) = row.device.as_mut() {
                    *device = known::renamed(device, &devices);
                }
                Line { many: crowds.contains(&row.client.to_string()), connected, row }
            };
            Ok(rows.into_iter().map(with).collect())
        };
        record::show(console, what, read, table)
    }
}

/// A client, and whether its address was seen to stand for many. Its JSON is an interface.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    #[serde(flatten)]
    row: ClientRow,
    many: bool,
    /// What it connected to, if it did not only look it up.
    connected: Option<Connections>,
}

/// Addresses that stand for many, as a running server has seen.
fn crowds(directory: &Path) -> Vec<String> {
    let status = control::ask(directory, &Request::Status, PATIENCE).unwrap_or_default();
    let address = |crowd: &Value| Some(crowd["address"].as_str()?.to_owned());
    status["crowds"].as_array().into_iter().flatten().filter_map(address).collect()
}

/// One row for each client, ban and evidence.
pub(super) fn table(console: &Console<'_>, rows: &[Line]) -> String {
    // A column only where there is something in it: most servers know no leases.
    let device = rows.iter().any(|with| with.row.device.is_some());
    let header = ["LAST SEEN", "FIRST SEEN", "CLIENT"].into_iter().chain(device.then_some("DEVICE"));
    let connected = rows.iter().any(|with| with.connected.is_some());
    let header = header.chain(["BAN", "EVIDENCE", "#COUNT"]).chain(connected.then_some("CONNECTED TO"));
    let header: Vec<_> = header.collect();
    let mut table = Table::new(console.look, &header);
    for Line { row, many, connected: to } in rows {
        let client = if *many { format!("{} (many)", row.client) } else { row.client.to_string() };
        let who = [to_the_second(row.last_seen), to_the_second(row.first_seen), client];
        let what = [row.ban.clone(), row.evidence.as_str().to_owned(), row.count.to_string()];
        let to = connected.then(|| to.as_ref().map(|to| to.name.clone()));
        table.row(who.map(Some).into_iter().chain(device.then(|| row.device.clone())).chain(what.map(Some)).chain(to));
    }
    table.render()
}
