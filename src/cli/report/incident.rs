//! `embargo report incident`: everything about one device.

use std::collections::BTreeSet;
use std::net::IpAddr;

use clap::Args;

use super::make::unmade;
use crate::app::{history, signing_key};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::{EXIT_CODES, flags, known, record};
use crate::config;
use crate::identity::Devices;
use crate::journal::{AttemptRow, BindingRow, ConnectedRow, Filter, Store, StoreError};
use crate::report::{Format, Incident, IncidentInputs, SigningKey, seal};

/// Devices told by name of those that held an address, at most.
const HOLDERS_TOLD: usize = 20;

/// Put together what the record has about one device, for whoever has to report it
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{}\n\n{EXIT_CODES}", record::NOTES))]
pub(super) struct IncidentOf {
    /// The device as `embargo attempts` and reports name it, by any of its identifiers, or an address that one device held
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
        let devices = known::devices(&loaded.settings, Some(&directory), console)?;
        let pairs = store.who_tried(&self.ban).map_err(record::unread)?;
        let mut bindings = store.bindings(&Filter::default()).map_err(record::unread)?;
        let device = self.meant(&pairs, &bindings, &devices)?;
        let (attempts, connected) = self.tried(&store, &device, &pairs, &devices).map_err(record::unread)?;
        bindings.retain(|row| known::renamed(&row.device, &devices) == device);
        if attempts.is_empty() && bindings.is_empty() {
            return Err(Failure::usage(format!("nothing on record of the device `{}`", self.device)));
        }
        let history = history(&directory).map_err(unmade)?;
        let mut exceptions = history.all_exceptions(&ban.id, console.now);
        exceptions.extend(loaded.settings.exceptions_of(ban));
        let key = signing_key(&directory).map_err(|fault| unmade(fault.into()))?;
        let signed_by = key.as_ref().map(SigningKey::fingerprint);
        let device = &device;
        let inputs = IncidentInputs { ban, device, attempts: &attempts, bindings, connected, exceptions, signed_by };
        let text = self.format.render_incident(&Incident::build(&inputs));
        Ok(console.out.write_all(seal(&text, self.format, key.as_ref()).as_bytes())?)
    }

    /// What stands now for the device that is meant; of an address, whoever held it at its lookups.
    fn meant(&self, pairs: &[(String, IpAddr)], bindings: &[BindingRow], devices: &Devices) -> Result<String, Failure> {
        let Some(address) = self.address() else { return Ok(known::renamed(&self.device, devices)) };
        let of_lookups = pairs.iter().filter(|(_device, client)| *client == address);
        let mut holders: BTreeSet<String> = of_lookups.map(|pair| named(pair, devices)).collect();
        if holders.is_empty() {
            let held = bindings.iter().filter(|row| row.client == address);
            holders = held.map(|row| known::renamed(&row.device, devices)).collect();
        }
        match (holders.len(), holders.first()) {
            (0, _) => Ok(address.to_string()),
            (1, Some(holder)) => Ok(holder.clone()),
            (many, _) => {
                let some = holders.iter().take(HOLDERS_TOLD).cloned().collect::<Vec<_>>().join(", ");
                let more = if many > HOLDERS_TOLD { ", …" } else { "" };
                Err(Failure::usage(format!(
                    "{many} devices held the address {address}; name one of them: {some}{more}"
                )))
            }
        }
    }

    fn address(&self) -> Option<IpAddr> {
        self.device.parse().ok().map(|address: IpAddr| address.to_canonical())
    }

    /// The lookups and connections of the device of this name, at whatever address and whatever it was called then.
    fn tried(
        &self,
        store: &Store,
        device: &str,
        pairs: &[(String, IpAddr)],
        devices: &Devices,
    ) -> Result<(Vec<AttemptRow>, Vec<ConnectedRow>), StoreError> {
        let of_device = pairs.iter().filter(|pair| named(pair, devices) == device);
        let addresses: BTreeSet<IpAddr> = of_device.map(|(_device, client)| *client).collect();
        let (mut attempts, mut connected) = (Vec::new(), Vec::new());
        for client in addresses {
            let filter = Filter { ban: Some(self.ban.clone()), client: Some(client), ..Filter::default() };
            let mut rows = store.attempts(&filter)?;
            rows.retain(|row| named(&(row.device.clone().unwrap_or_default(), client), devices) == device);
            attempts.extend(rows);
            let mut rows = store.connected(&filter)?;
            rows.retain(|row| named(&(row.device.clone().unwrap_or_default(), client), devices) == device);
            connected.extend(rows);
        }
        Ok((attempts, connected))
    }
}

/// What stands now for whom a lookup is of; an address without a device stands for one.
fn named((device, client): &(String, IpAddr), devices: &Devices) -> String {
    if device.is_empty() { client.to_string() } else { known::renamed(device, devices) }
}
