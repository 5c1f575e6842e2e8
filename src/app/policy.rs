//! Policy into force: from the lists as they are, or from the last good copy when they are broken.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::believe::{Marks, entries, marks};
use super::lists::mend;
use crate::audit::Reloaded;
use crate::config::{self, ListTried, PolicyLoad, Settings, Wanting};
use crate::diag::Diagnostic;
use crate::metrics::{ListFigures, Metrics, list_label};
use crate::policy::{Mode, Policy};
use crate::time::Timestamp;

/// A policy ready to be put in force.
pub(super) struct Ready {
    pub(super) policy: Policy,
    /// What the lists had to be said about them.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Whether it is the saved copy, because the lists as they are have mistakes.
    pub(super) last_good: bool,
    /// Bans without the rules that they had: the kept copies of their lists are damaged, and there are no others.
    pub(super) damaged: Vec<Arc<str>>,
    /// The files of an operator's own lists as they were read.
    pub(super) marks: Marks,
    /// One digest over all its files.
    digest: String,
}

impl Ready {
    /// What the audit says of it when it comes into force at `at`.
    pub(super) fn taken(&self, at: Timestamp) -> Reloaded {
        Reloaded { policy: self.digest.clone(), modes: modes(&self.policy, at), ..Reloaded::default() }
    }
}

/// What bans do at a moment, as the audit says it.
pub(super) fn modes(policy: &Policy, at: Timestamp) -> BTreeMap<String, String> {
    let modes = policy.bans().iter().map(|ban| (ban.id.to_string(), ban.stance.mode_at(at)));
    let on = modes.filter(|(_ban, mode)| *mode != Mode::Off).take(Reloaded::MODES_MAX);
    on.map(|(ban, mode)| (ban, mode.as_str().to_owned())).collect()
}

/// What a policy is to be made of, and what there is already.
#[derive(Clone, Copy)]
pub(super) struct Loading<'l> {
    pub(super) settings: &'l Settings,
    pub(super) state_dir: &'l Path,
    pub(super) generation: u64,
    pub(super) metrics: &'l Metrics,
    /// The policy that stays in force if this one is not to be had; `None` at a start.
    pub(super) in_force: Option<&'l Policy>,
    /// The files of its lists as they were read.
    pub(super) marks: &'l Marks,
    /// Whether an operator has looked at lists that have lost much.
    pub(super) any_size: bool,
}

impl Loading<'_> {
    /// Loads the lists and saves a copy.
    ///
    /// # Errors
    /// Every mistake in them.
    pub(super) fn load(&self) -> Result<Ready, Vec<Diagnostic>> {
        let (mut load, moving) = self.read_at_rest();
        let refusals = self.refusals(&mut load, &moving);
        self.metrics.banned.set_lists_good(&good(&load.tried));
        if !refusals.is_empty() {
            return Err([load.diagnostics, refusals].concat());
        }
        let damaged = damaged(&load.wanting);
        // A copy without their rules would be the last that anybody has of them.
        if load.policy.is_some()
            && damaged.is_empty()
            && let Err(error) = config::save(self.state_dir, &load)
        {
            tracing::warn!(%error, "The policy in force could not be saved; a start with broken lists would have no copy of it.");
        }
        ready(load, false, self.metrics)
    }

    /// The same at a start: with the last good copy when the lists have mistakes.
    ///
    /// # Errors
    /// Every mistake in the lists, when there is no copy.
    pub(super) fn load_or_last_good(&self) -> Result<Ready, Vec<Diagnostic>> {
        let mistakes = match self.load() {
            Ok(ready) => return Ok(ready),
            Err(mistakes) => mistakes,
        };
        let copy = match config::last_good(self.state_dir, self.settings, self.generation) {
            Ok(copy) => copy,
            Err(error) => {
                tracing::error!(%error, "The lists have mistakes, and there is no good copy to start with.");
                return self.load_unbelieved(mistakes);
            }
        };
        match ready(copy, true, self.metrics) {
            Ok(ready) => Ok(Ready { diagnostics: mistakes, ..ready }),
            Err(_of_the_copy) => Err(mistakes),
        }
    }

    /// The same when there is nothing else: lists that are only suspected are better than none.
    fn load_unbelieved(&self, suspicions: Vec<Diagnostic>) -> Result<Ready, Vec<Diagnostic>> {
        match (Self { any_size: true, ..*self }).load() {
            Ok(ready) => Ok(Ready { diagnostics: [suspicions, ready.diagnostics].concat(), ..ready }),
            Err(_the_same) => Err(suspicions),
        }
    }

    /// Reads the lists, with the last good copy of each that came once and is not what came.
    pub(super) fn read(&self) -> PolicyLoad {
        let load = config::policy(self.settings, self.generation);
        let mended = load.wanting.iter().filter(|wanting| mend(self.state_dir, self.settings, &wanting.ban)).count();
        if mended == 0 { load } else { config::policy(self.settings, self.generation) }
    }
}

fn damaged(wanting: &[Wanting]) -> Vec<Arc<str>> {
    wanting.iter().filter(|wanting| wanting.came).map(|wanting| Arc::clone(&wanting.ban)).collect()
}

fn ready(load: PolicyLoad, last_good: bool, metrics: &Metrics) -> Result<Ready, Vec<Diagnostic>> {
    let (digest, damaged, marks) = (load.digest(), damaged(&load.wanting), marks(&load.tried));
    let Some(policy) = load.policy else { return Err(load.diagnostics) };
    let rejected = |list: &str| load.rejected_lines.get(list).copied().unwrap_or_default();
    let figures: Vec<_> = load
        .tried
        .iter()
        .filter(|tried| !tried.off)
        .map(|tried| ListFigures {
            list: label(&load.tried, tried),
            entries: entries(&policy, tried),
            rejected_lines: u64::try_from(rejected(&tried.name)).unwrap_or(u64::MAX),
        })
        .collect();
    metrics.banned.set_lists(&figures);
    Ok(Ready { policy, diagnostics: load.diagnostics, last_good, damaged, marks, digest })
}

/// Whether each list is as it should be, by what metrics call it. One whose ban is off is shown when it is not.
fn good(tried: &[ListTried]) -> Vec<(Arc<str>, bool)> {
    let shown = tried.iter().filter(|list| !list.off || !list.good);
    shown.map(|list| (label(tried, list), list.good)).collect()
}

/// What metrics call a list.
fn label(all: &[ListTried], list: &ListTried) -> Arc<str> {
    list_label(all.iter().map(|list| (&list.ban, &list.name)), (&list.ban, &list.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_called_by_its_ban_and_file_in_metrics() {
        let tried = config::policy(&Settings::default(), 1).tried;
        let labels: Vec<_> = tried.iter().map(|list| label(&tried, list).to_string()).collect();
        assert!(labels.iter().any(|label| label == "kaspersky/rules.txt"), "{labels:?}");
    }
}
