//! Every exemption, as it is on disk.

use std::path::Path;
use std::sync::Arc;

use crate::audit::{self, Terms};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::config::{Settings, state_dir};
use crate::diag::shown;
use crate::policy::Exemption;

/// Those of the configuration and those that were granted. What can't be read is told, and frees nobody.
pub(in crate::cli) fn all(
    settings: &Settings,
    wanted: Option<&Path>,
    console: &mut Console<'_>,
) -> Result<Vec<(Arc<Exemption>, Terms)>, Failure> {
    let of_file = settings.exemptions.iter().flat_map(|exemption| exemption.exemptions().zip(exemption.terms.clone()));
    let mut all: Vec<_> = of_file.collect();
    let Some(directory) = state_dir(wanted, settings.state_dir.as_deref(), &console.environment) else {
        return Ok(all);
    };
    match audit::read(&directory, |_entry, _hash| ()) {
        Ok(reading) => {
            if let Some((number, damage)) = reading.damage {
                writeln!(
                    console.err,
                    "embargo: the audit log is damaged at entry {number}: {damage}; no granted exemption counts"
                )?;
            }
            all.extend(reading.live.into_iter().map(|granted| (granted.exemption(), granted.terms)));
        }
        Err(error) => {
            let path = audit::path(&directory).display().to_string();
            writeln!(console.err, "embargo: granted exemptions are not known: {}: {error}", shown(&path))?;
        }
    }
    Ok(all)
}
