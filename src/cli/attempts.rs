//! `embargo attempts`: the banned lookups in the record.

use clap::Args;

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
                         evidence, pattern, action, transport, verified, count}";

const EXAMPLES: &str = "\
Examples:
  embargo attempts --since 24h
  embargo attempts --client 192.0.2.7 --evidence installed
  embargo attempts --ban kaspersky --since 2024-09-29 --json | jq 'map(.count) | add'";

impl Attempts {
    /// Reads and shows them.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let what = ("attempts", &self.state, &self.rows, self.json);
        let devices = known::joined(&self.state.directory(console)?, console)?;
        let read = |store: &Store, filter: &Filter| {
            let mut rows = store.attempts(filter)?;
            for device in rows.iter_mut().filter_map(|row| row.device.as_mut()) {
                *device = known::renamed(device, &devices);
            }
            Ok(rows)
        };
        record::show(console, what, read, table)
    }
}

/// The columns an operator asks for first; JSON has them all.
pub(super) fn table(console: &Console<'_>, rows: &[AttemptRow]) -> String {
    // A column only where there is something in it: most servers know no leases.
    let device = rows.iter().any(|row| row.device.is_some());
    let header = ["QNAME", "TYPE", "BAN", "EVIDENCE", "ACTION", "#COUNT"];
    let header: Vec<_> = ["LAST SEEN", "CLIENT"].into_iter().chain(device.then_some("DEVICE")).chain(header).collect();
    let mut table = Table::new(console.look, &header);
    for row in rows {
        let who = [Some(to_the_second(row.last)), row.client.map(|client| client.to_string())];
        let what = [
            row.qname.clone(),
            row.qtype.clone(),
            Some(row.ban.clone()),
            Some(row.evidence.as_str().to_owned()),
            Some(row.action.as_str().to_owned()),
            Some(row.count.to_string()),
        ];
        table.row(who.into_iter().chain(device.then(|| row.device.clone())).chain(what));
    }
    table.render()
}
