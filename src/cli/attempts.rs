//! `embargo attempts`: the banned lookups in the record.

use clap::Args;
use serde::Serialize;

use super::connected::Connected;
use super::console::Console;
use super::failure::Failure;
use super::known;
use super::record::{self, to_the_second};
use super::table::Table;
use super::{EXIT_CODES, flags};
use crate::journal::{AttemptRow, Filter, Store};

/// List the banned lookups in the record, newest first
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}\n\n{EXIT_CODES}", record::NOTES))]
pub(super) struct Attempts {
    #[arg(long, help = JSON_HELP)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
    #[command(flatten)]
    rows: flags::Rows,
}

const JSON_HELP: &str = "One JSON array of {first, last, client, device, site, qname, qtype, ban, category, \
                         evidence, pattern, action, transport, verified, count, connected}";

const EXAMPLES: &str = "\
Examples:
  embargo attempts --since 24h
  embargo attempts --client 192.0.2.7 --evidence installed
  embargo attempts --ban kaspersky --since 2024-09-29 --json | jq 'map(.count) | add'";

impl Attempts {
    /// Reads and shows them.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let what = ("attempts", &self.state, &self.rows, self.json);
        let devices = known::of_record(&self.state, console)?;
        let read = |store: &Store, filter: &Filter| {
            let rows = store.attempts(filter)?;
            // A connection may follow a lookup after the end of the time that is asked for.
            let connected = Connected::read(store, &Filter { until: None, ..filter.clone() })?;
            let with = |mut row: AttemptRow| {
                // By the device as it was recorded.
                let connected = connected.follows(&row);
                if let Some(device) = row.device.as_mut() {
                    *device = known::renamed(device, &devices);
                }
                Row { row, connected }
            };
            Ok(rows.into_iter().map(with).collect())
        };
        record::show(console, what, read, table)
    }
}

/// Attempts, and whether a connection followed them. Its JSON is an interface.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    row: AttemptRow,
    /// Whether the client connected to the block page by a name of this ban and evidence on that day, after it.
    connected: bool,
}

/// The columns an operator asks for first; JSON has them all.
pub(super) fn table(console: &Console<'_>, rows: &[Row]) -> String {
    // A column only where there is something in it: most servers know no leases.
    let device = rows.iter().any(|with| with.row.device.is_some());
    let connected = rows.iter().any(|with| with.connected);
    let header = ["QNAME", "TYPE", "BAN", "EVIDENCE", "ACTION", "#COUNT"];
    let header = ["LAST SEEN", "CLIENT"].into_iter().chain(device.then_some("DEVICE")).chain(header);
    let header: Vec<_> = header.chain(connected.then_some("CONNECTED")).collect();
    let mut table = Table::new(console.look, &header);
    for Row { row, connected: is_connected } in rows {
        let who = [Some(to_the_second(row.last)), row.client.map(|client| client.to_string())];
        let what = [
            row.qname.clone(),
            row.qtype.clone(),
            Some(row.ban.clone()),
            Some(row.evidence.as_str().to_owned()),
            Some(row.action.as_str().to_owned()),
            Some(row.count.to_string()),
        ];
        let flag = connected.then(|| Some(if *is_connected { "yes" } else { "no" }.to_owned()));
        table.row(who.into_iter().chain(device.then(|| row.device.clone())).chain(what).chain(flag));
    }
    table.render()
}
