//! `embargo report incident`: everything about one device.

use std::collections::BTreeSet;
use std::net::IpAddr;

use clap::Args;

use super::make::unmade;
use crate::app::{configured, history, signing_key};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::{EXIT_CODES, flags, record};
use crate::config;
use crate::journal::{AttemptRow, BindingRow, ConnectedRow, Filter, Store, StoreError};
use crate::report::{Format, Incident, IncidentInputs, SigningKey, seal};

/// Put together what the record has about one device, for whoever has to report it
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{}\n\n{EXIT_CODES}", record::NOTES))]
pub(super) struct IncidentOf {
    /// The device as `embargo attempts` and reports name it, or an address
    #[arg(value_name = "DEVICE")]
    device: String,
    /// The ban, by its id
    #[arg(long, value_name = "ID")]
    ban: String,
    /// The form, on standard output
    #[arg(long, value_name = "FORMAT", default_value = "html", value_parser = flags::one_of([Format::Html, Format::Json], Format::as_str))]
    format: Format,
    #[command(flatten)]
    state: flags::State,
}

const EXAMPLES: &str = "\
Examples:
  embargo report incident mac:52:54:00:12:34:56 --ban kaspersky > incident.html
  embargo report incident 192.0.2.7 --ban kaspersky --format json | jq .report_by";

const NOTES: &str = "\
FAR 52.204-23 asks for a report within three business days of finding the product: `report_by` counts them from the first lookup \
that only an installed product makes, leaving weekends out. What the record can't know is listed to be added.";

impl IncidentOf {
    /// Reads and writes it.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let loaded = self.state.loaded(console)?;
        let load = config::policy(&loaded.settings, 1);
        let Some(policy) = load.policy else { return Err(Failure::Mistakes(load.diagnostics)) };
        flags::known_bans(&policy, std::slice::from_ref(&self.ban))?;
        let Some(ban) = policy.bans().iter().find(|known| *known.id == *self.ban) else { return Ok(()) };
        let directory = loaded.state_dir;
        record::flush(console, &directory)?;
        record::look(console, &directory, "report incident", format!("of one device, ban {}", ban.id))?;
        let store = Store::open_read_only(&directory).map_err(record::unread)?;
        let (attempts, bindings, connected) = self.read(&store).map_err(record::unread)?;
        if attempts.is_empty() && bindings.is_empty() {
            return Err(Failure::usage(format!("nothing on record of the device `{}`", self.device)));
        }
        let history = history(&directory).map_err(unmade)?;
        let mut exceptions = history.all_exceptions(&ban.id);
        exceptions.extend(configured(&loaded.settings, ban));
        let key = signing_key(&directory).map_err(|fault| unmade(fault.into()))?;
        let signed_by = key.as_ref().map(SigningKey::fingerprint);
        let device = &self.device;
        let inputs = IncidentInputs { ban, device, attempts: &attempts, bindings, connected, exceptions, signed_by };
        let text = self.format.render_incident(&Incident::build(&inputs));
        Ok(console.out.write_all(seal(&text, self.format, key.as_ref()).as_bytes())?)
    }

    /// The lookups of the device, when it held which address, and what it connected to.
    fn read(&self, store: &Store) -> Result<(Vec<AttemptRow>, Vec<BindingRow>, Vec<ConnectedRow>), StoreError> {
        let address: Option<IpAddr> = self.device.parse().ok().map(|address: IpAddr| address.to_canonical());
        let is_named = |row: &BindingRow| row.identifiers.contains(&self.device) || Some(row.client) == address;
        let mut bindings = store.bindings(&Filter::default())?;
        bindings.retain(is_named);
        let addresses: BTreeSet<IpAddr> = bindings.iter().map(|row| row.client).chain(address).collect();
        let (mut attempts, mut connected) = (Vec::new(), Vec::new());
        for client in addresses {
            let filter = Filter { ban: Some(self.ban.clone()), client: Some(client), ..Filter::default() };
            let mut rows = store.attempts(&filter)?;
            rows.retain(|row| Some(client) == address || row.device.as_ref() == Some(&self.device));
            attempts.extend(rows);
            let mut rows = store.connected(&filter)?;
            rows.retain(|row| Some(client) == address || row.device.as_ref() == Some(&self.device));
            connected.extend(rows);
        }
        Ok((attempts, bindings, connected))
    }
}
