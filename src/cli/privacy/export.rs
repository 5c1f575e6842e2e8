//! `embargo privacy export`.

use clap::Args;
use serde::Serialize;

use super::Who;
use crate::audit::{self, Event};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::{EXIT_CODES, flags, known, record};
use crate::journal::{AttemptRow, Kept, Key, NameStore, Store};
use crate::policy::Whom;
use crate::sinks::waiting_of;
use crate::time::rfc3339;

/// Show all that is kept of one client or device, as one JSON object
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
pub(super) struct Export {
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    state: flags::State,
}

/// All that is kept.
#[derive(Serialize)]
struct Document {
    made: String,
    #[serde(flatten)]
    kept: Kept,
    /// Attempts that wait for sinks and webhooks.
    waiting: Vec<AttemptRow>,
    /// Entries of the audit log that name the client or device: they stay.
    audit: Vec<Named>,
}

#[derive(Serialize)]
struct Named {
    number: u64,
    at: String,
    #[serde(flatten)]
    event: Event,
}

impl Export {
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let directory = self.state.directory(console)?;
        record::flush(console, &directory)?;
        record::look(console, &directory, "privacy export", "of one client".to_owned())?;
        let store = Store::open_read_only(&directory).map_err(record::unread)?;
        let devices = known::of_record(&self.state, console)?;
        let key = Key::read(&directory).map_err(|error| Failure::cannot(error, ""))?;
        let asked = NameStore::open_read_only(&directory).map_err(record::unread)?;
        let Some(whose) = self.who.whose() else { return Ok(()) };
        let kept = store.kept(&whose, (key.as_ref(), &devices), asked.as_ref()).map_err(record::unread)?;
        let waiting = waiting_of(&directory, &kept.sought);
        let waiting = waiting.map_err(|error| Failure::cannot(format!("what waits for sinks: {error}"), ""))?;
        let mut named = Vec::new();
        let read = audit::read(&directory, |entry, _hash| {
            if names_whom(&entry.event, &kept) {
                named.push(Named { number: entry.number, at: rfc3339(entry.at), event: entry.event.clone() });
            }
        });
        read.map_err(|error| Failure::cannot(format!("{}: {error}", audit::path(&directory).display()), ""))?;
        Ok(console.json(&Document { made: rfc3339(console.now), kept, waiting, audit: named })?)
    }
}

/// Whether an entry names the client or device itself; networks and groups name nobody.
fn names_whom(event: &Event, kept: &Kept) -> bool {
    let is_device = |text: &str| kept.sought.devices.contains(text);
    match event {
        Event::Granted(terms) => match &terms.whom {
            Whom::Device(device) => is_device(device),
            Whom::Network(network) => {
                let is_one = network.prefix_len() == network.max_prefix_len();
                is_one && kept.sought.clients.contains(&network.addr())
            }
            Whom::Group(_) => false,
        },
        Event::Merged(merged) => is_device(&merged.device) || is_device(&merged.with),
        Event::Split(split) => is_device(&split.device),
        _ => false,
    }
}
