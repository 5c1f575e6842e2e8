//! Who is who, as a server with this state directory knows it: by its record.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::console::Console;
use super::failure::Failure;
use super::flags::State;
use crate::audit;
use crate::config::{Settings, state_dir};
use crate::diag::shown;
use crate::identity::Devices;
use crate::journal::{Store, StoreError};
use crate::policy::{Exemption, Roster, Whom};
use crate::time::Timestamp;

/// The devices of the record. What can't be read is told, and nobody is known by it.
///
/// # Errors
/// Those of the output.
pub(super) fn devices(
    settings: &Settings,
    wanted: Option<&Path>,
    console: &mut Console<'_>,
) -> Result<Devices, Failure> {
    let Some(directory) = state_dir(wanted, settings.state_dir.as_deref(), &console.environment) else {
        return Ok(Devices::default());
    };
    let devices = joined(&directory, console)?;
    take_assets(&devices, settings);
    Ok(devices)
}

/// The devices of the record that the flags name, with the inventory of the configuration where that can be read: without it the
/// record is told as it stands.
///
/// # Errors
/// Mistakes of the configuration, where that names the record; those of the output.
pub(super) fn of_record(state: &State, console: &mut Console<'_>) -> Result<Devices, Failure> {
    let devices = joined(&state.directory(console)?, console)?;
    if let Ok(loaded) = state.loaded(console) {
        take_assets(&devices, &loaded.settings);
    }
    Ok(devices)
}

fn take_assets(devices: &Devices, settings: &Settings) {
    devices.take_assets(settings.assets.iter().flat_map(|file| file.read().assets.unwrap_or_default()).collect());
}

/// The devices of the record of this state directory, joined and parted as operators have said. What can't be read is told, and
/// nobody is known by it.
///
/// # Errors
/// Those of the output.
pub(super) fn joined(directory: &Path, console: &mut Console<'_>) -> io::Result<Devices> {
    let devices = match Store::open_read_only(directory).and_then(|store| store.known_devices(console.now)) {
        Ok(devices) => devices,
        Err(StoreError::Missing { .. }) => Devices::default(),
        Err(error) => {
            writeln!(console.err, "embargo: who holds which address is not known: {}", shown(&error.to_string()))?;
            Devices::default()
        }
    };
    hear(&devices, directory, console)?;
    Ok(devices)
}

/// Devices joined and parted by the inventory and as operators have said, and nothing of who held which address: whoever opens the
/// record adds that.
///
/// # Errors
/// Those of the output.
pub(super) fn said(settings: &Settings, directory: &Path, console: &mut Console<'_>) -> io::Result<Devices> {
    let devices = Devices::default();
    hear(&devices, directory, console)?;
    take_assets(&devices, settings);
    Ok(devices)
}

/// Takes over what operators have said of devices.
fn hear(devices: &Devices, directory: &Path, console: &mut Console<'_>) -> io::Result<()> {
    match audit::read(directory, |_entry, _hash| ()) {
        Ok(reading) => devices.take_words(reading.words),
        Err(error) => {
            writeln!(
                console.err,
                "embargo: what operators said of devices is not known: {}",
                shown(&error.to_string())
            )?;
        }
    }
    Ok(())
}

/// The name that stands now for the device that the record calls so.
pub(super) fn renamed(device: &str, devices: &Devices) -> String {
    devices.now_called(device)
}

/// By what the devices that groups and exemptions name are known now.
pub(super) fn roster(settings: &Settings, exemptions: &[Arc<Exemption>], devices: &Devices, now: Timestamp) -> Roster {
    devices.roster(named(settings, exemptions), now)
}

/// The devices that groups and exemptions name.
pub(super) fn named<'n>(
    settings: &'n Settings,
    exemptions: &'n [Arc<Exemption>],
) -> impl Iterator<Item = &'n Arc<str>> {
    let exempt = exemptions.iter().filter_map(|exemption| match &exemption.whom {
        Whom::Device(device) => Some(device),
        Whom::Network(_) | Whom::Group(_) => None,
    });
    exempt.chain(settings.groups.iter().flat_map(|group| &group.devices))
}
