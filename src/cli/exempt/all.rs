//! Every exemption, as it is on disk, now or at a moment that has passed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::audit::{self, Entry, Event, Granted, Terms, Written};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::config::{Settings, state_dir};
use crate::diag::shown;
use crate::policy::Exemption;
use crate::time::Timestamp;

/// Those of the configuration and those that were granted, as they were at `at` where that has passed: as far as the audit log
/// tells. What can't be read is told, and frees nobody.
pub(in crate::cli) fn all(
    settings: &Settings,
    wanted: Option<&Path>,
    at: Timestamp,
    console: &mut Console<'_>,
) -> Result<Vec<(Arc<Exemption>, Terms)>, Failure> {
    let of_file = settings.exemptions.iter().flat_map(|exemption| exemption.exemptions().zip(exemption.terms.clone()));
    let mut all: Vec<_> = of_file.collect();
    let Some(directory) = state_dir(wanted, settings.state_dir.as_deref(), &console.environment) else {
        return Ok(all);
    };
    let mut past = Past::default();
    let has_passed = at < console.now;
    match audit::read(&directory, |entry, _hash| past.take(entry, at)) {
        Ok(reading) => {
            if let Some((number, damage)) = reading.damage {
                writeln!(
                    console.err,
                    "embargo: the audit log is damaged at entry {number}: {damage}; no granted exemption counts"
                )?;
                past = Past::default();
            }
            if has_passed {
                past.replace(&mut all);
            } else {
                all.extend(reading.live.into_iter().map(|granted| (granted.exemption(), granted.terms)));
            }
        }
        Err(error) => {
            let path = audit::path(&directory).display().to_string();
            writeln!(console.err, "embargo: granted exemptions are not known: {}: {error}", shown(&path))?;
        }
    }
    Ok(all)
}

/// Who was spared at a moment.
#[derive(Debug, Default)]
struct Past {
    granted: BTreeMap<u64, Granted>,
    configured: BTreeMap<u64, Granted>,
    /// What came into the configuration afterwards.
    later: Vec<Written>,
}

impl Past {
    /// Takes the next entry.
    fn take(&mut self, entry: &Entry, at: Timestamp) {
        let Entry { number, uid, ref by, .. } = *entry;
        let terms = |terms: &Terms| Granted { number, at: entry.at, uid, by: by.clone(), terms: terms.clone() };
        match &entry.event {
            Event::Configured(new) if entry.at > at => self.later.push(Terms::clone(new).into()),
            _later if entry.at > at => (),
            Event::Granted(new) => drop(self.granted.insert(number, terms(new))),
            Event::Configured(new) => drop(self.configured.insert(number, terms(new))),
            Event::Revoked(id) | Event::Expired(id) => drop(self.granted.remove(id)),
            Event::Unconfigured(id) => drop(self.configured.remove(id)),
            _of_nobody => (),
        }
    }

    /// Puts them in the place of those of today. What the configuration has and the log never tells of is older than the log.
    fn replace(self, all: &mut Vec<(Arc<Exemption>, Terms)>) {
        let written = |terms: &Terms| Written::from(terms.clone());
        let stood: Vec<Written> = self.configured.values().map(|configured| written(&configured.terms)).collect();
        all.retain(|(_exemption, terms)| {
            let terms = written(terms);
            stood.contains(&terms) || !self.later.contains(&terms)
        });
        let of_today: Vec<Written> = all.iter().map(|(_exemption, terms)| written(terms)).collect();
        let gone = self.configured.into_values().filter(|configured| !of_today.contains(&written(&configured.terms)));
        let then = gone.chain(self.granted.into_values());
        all.extend(then.map(|granted| (granted.exemption(), granted.terms)));
    }
}
