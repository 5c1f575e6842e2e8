//! Policy into force: from the lists as they are, or from the last good copy when they are broken.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use crate::audit::Reloaded;
use crate::config::{self, PolicyLoad, Settings};
use crate::diag::Diagnostic;
use crate::metrics::{ListFigures, Metrics};
use crate::policy::{ListInfo, Mode, Policy};
use crate::time::Timestamp;

/// A policy ready to be put in force.
pub(super) struct Ready {
    pub(super) policy: Policy,
    /// What the lists had to be said about them.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Whether it is the saved copy, because the lists as they are have mistakes.
    pub(super) last_good: bool,
    /// One digest over all its files.
    digest: String,
}

impl Ready {
    /// What the audit says of it when it comes into force at `at`.
    pub(super) fn taken(&self, at: Timestamp) -> Reloaded {
        let modes = self.policy.bans().iter().map(|ban| (ban.id.to_string(), ban.stance.mode_at(at)));
        let on = modes.filter(|(_ban, mode)| *mode != Mode::Off).take(Reloaded::MODES_MAX);
        let modes = on.map(|(ban, mode)| (ban, mode.as_str().to_owned())).collect();
        Reloaded { why: String::new(), policy: self.digest.clone(), modes }
    }
}

/// Loads the lists and saves a copy.
///
/// # Errors
/// Every mistake in them.
pub(super) fn load(
    settings: &Settings,
    state_dir: &Path,
    generation: u64,
    metrics: &Metrics,
) -> Result<Ready, Vec<Diagnostic>> {
    let load = config::policy(settings, generation);
    if load.policy.is_some()
        && let Err(error) = config::save(state_dir, &load)
    {
        tracing::warn!(%error, "The policy in force could not be saved; a start with broken lists would have no copy of it.");
    }
    ready(load, false, metrics)
}

/// The same at a start: with the last good copy when the lists have mistakes.
///
/// # Errors
/// Every mistake in the lists, when there is no copy.
pub(super) fn load_or_last_good(
    settings: &Settings,
    state_dir: &Path,
    generation: u64,
    metrics: &Metrics,
) -> Result<Ready, Vec<Diagnostic>> {
    let mistakes = match load(settings, state_dir, generation, metrics) {
        Ok(ready) => return Ok(ready),
        Err(mistakes) => mistakes,
    };
    let copy = match config::last_good(state_dir, settings, generation) {
        Ok(copy) => copy,
        Err(error) => {
            tracing::error!(%error, "The lists have mistakes, and there is no good copy to start with.");
            return Err(mistakes);
        }
    };
    match ready(copy, true, metrics) {
        Ok(ready) => Ok(Ready { diagnostics: mistakes, ..ready }),
        Err(_of_the_copy) => Err(mistakes),
    }
}

fn ready(load: PolicyLoad, last_good: bool, metrics: &Metrics) -> Result<Ready, Vec<Diagnostic>> {
    let digest = load.digest();
    let Some(policy) = load.policy else { return Err(load.diagnostics) };
    let rejected = |list: &str| load.rejected_lines.get(list).copied().unwrap_or_default();
    let figures: Vec<_> = policy
        .lists()
        .iter()
        .filter(|list| policy.bans().get(list.ban.0).is_none_or(|ban| ban.ceiling() != Mode::Off))
        .map(|list| ListFigures {
            list: label(&policy, list),
            entries: list.entries,
            rejected_lines: u64::try_from(rejected(&list.name)).unwrap_or(u64::MAX),
        })
        .collect();
    metrics.banned.set_lists(&figures);
    Ok(Ready { policy, diagnostics: load.diagnostics, last_good, digest })
}

/// What metrics call a list: its ban and its file, wherever the server was started and the lists are kept, so that a series
/// goes on when they move. Two files of one ban that are called the same keep their paths.
fn label(policy: &Policy, list: &ListInfo) -> Arc<str> {
    let file = |list: &ListInfo| Path::new(&*list.name).file_name().map(OsStr::to_owned);
    let twins = policy.lists().iter().filter(|other| other.ban == list.ban && file(other) == file(list)).count();
    match (policy.bans().get(list.ban.0), file(list)) {
        (Some(ban), Some(name)) if twins == 1 => format!("{}/{}", ban.id, name.to_string_lossy()).into(),
        _ => Arc::clone(&list.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn a_list_is_called_by_its_ban_and_file_in_metrics() {
        let policy = config::policy(&Settings::default(), 1).policy.unwrap();
        let labels: Vec<_> = policy.lists().iter().map(|list| label(&policy, list).to_string()).collect();
        assert!(labels.iter().any(|label| label == "kaspersky/rules.txt"), "{labels:?}");
    }
}
