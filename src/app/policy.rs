//! Policy into force: from the lists as they are, or from the last good copy when they are broken.

use std::path::Path;
use std::sync::Arc;

use crate::config::{self, PolicyLoad, Settings};
use crate::diag::Diagnostic;
use crate::metrics::{ListFigures, Metrics};
use crate::policy::Policy;

/// A policy ready to be put in force.
pub(super) struct Ready {
    pub(super) policy: Policy,
    /// What the lists had to be said about them.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Whether it is the saved copy, because the lists as they are have mistakes.
    pub(super) last_good: bool,
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
    let Some(policy) = load.policy else { return Err(load.diagnostics) };
    let rejected = |list: &str| load.rejected_lines.get(list).copied().unwrap_or_default();
    let figures: Vec<_> = policy
        .lists()
        .iter()
        .map(|list| ListFigures {
            list: Arc::clone(&list.name),
            entries: list.entries,
            rejected_lines: u64::try_from(rejected(&list.name)).unwrap_or(u64::MAX),
        })
        .collect();
    metrics.banned.set_lists(&figures);
    Ok(Ready { policy, diagnostics: load.diagnostics, last_good })
}
