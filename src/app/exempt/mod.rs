//! Who is spared: by commands, which go into the audit log first, and by the configuration; into force at once.

mod row;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::control::Exempt;
use super::parts::Parts;
use crate::audit::{self, Author, Granted, Refusal, Reloaded, Terms, Written};
use crate::config::{FileExemption, nearest_first};
use crate::diag::{Diagnostic, Severity, shown};
use crate::orders::Answer;
use crate::policy::{Exemption, Exemptions, GroupKind, Policy, Spares, Whom};
use crate::time::{Timestamp, rfc3339};

pub(crate) use row::{ExemptionRow, ROWS_MAX, RowState, rows};

/// What another process has appended is seen within this time.
const LOOK: Duration = Duration::from_secs(1);
/// The shortest wait: an end that a clock puts between two ticks is not waited for in circles.
const LEAST: Duration = Duration::from_millis(1);
/// Ids that a message offers at most.
const OFFERED_MAX: usize = 5;

/// Notes which exemptions are over, and follows what other processes write, until `stop`.
pub(super) async fn keep(parts: Arc<Parts>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(parts.until_next_end())).await.is_some() {
        let keeper = Arc::clone(&parts);
        if let Err(error) = tokio::task::spawn_blocking(move || keeper.follow_audit()).await {
            tracing::error!(%error, "The audit log could not be followed.");
        }
    }
}

impl Parts {
    /// Reads what is new in the audit log, notes there what is over, and puts the rest in force. Blocks.
    pub(super) fn follow_audit(&self) {
        let followed = self.audit.follow();
        self.metrics.banned.audit_intact.set(u64::from(followed.is_ok()));
        let noted = followed.and_then(|()| self.audit.expire(self.clock.now().wall));
        if let Ok(over) = &noted {
            for (id, terms) in over {
                let Written { client, group, ban, category, name, owner, .. } = terms.clone().into();
                tracing::info!(id, client, group, ban, category, name, owner, "An exemption has expired.");
            }
        }
        self.tell_trouble(noted.err());
        self.spare();
    }

    /// What is wrong with the audit log.
    pub(super) fn audit_trouble(&self) -> Option<String> {
        self.audit_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Logs what is wrong with the audit log, once for each trouble.
    fn tell_trouble(&self, trouble: Option<Refusal>) {
        let trouble = trouble.map(|refusal| refusal.to_string());
        let mut told = self.audit_trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match &trouble {
            Some(error) if *told != trouble => {
                tracing::error!(error, "Something is wrong with the audit log; bans are enforced as ever.");
            }
            None if told.is_some() => tracing::info!("The audit log is well again."),
            _ => (),
        }
        *told = trouble;
    }

    /// Puts the exemptions of the configuration and of the audit log in force, as they are now.
    pub(super) fn spare(&self) {
        let mut before = self.exempting.lock().unwrap_or_else(PoisonError::into_inner);
        self.devices.take_words(self.audit.words());
        let loaded = self.loaded.load();
        let of_file = loaded.settings.exemptions.iter().flat_map(FileExemption::exemptions);
        let granted = self.audit.live();
        let at = self.clock.now().wall;
        // What has ended takes no place of what is in force.
        let all = of_file.chain(granted.iter().map(Granted::exemption)).filter(|exemption| exemption.holds_at(at));
        let all: Vec<_> = all.collect();
        let of_ban = |exemption: &Arc<Exemption>| match &exemption.what {
            Spares::Ban(id) => Some(Arc::clone(id)),
            Spares::Category(_) | Spares::Name(_) => None,
        };
        let bans: Vec<_> = all.iter().map(of_ban).collect();
        self.metrics.banned.set_exemptions(&bans);
        let named = all.iter().filter_map(|exemption| match &exemption.whom {
            Whom::Device(device) => Some(device),
            Whom::Network(_) | Whom::Group(_) => None,
        });
        let in_groups = loaded.settings.groups.iter().flat_map(|group| &group.devices);
        let roster = self.devices.roster(named.chain(in_groups), at);
        if *before == (all.clone(), roster.clone()) {
            return;
        }
        if all.len() > Exemptions::MAX {
            let (most, left_out) = (Exemptions::MAX, all.len() - Exemptions::MAX);
            tracing::error!(most, left_out, "There are too many exemptions; the newest are not in force.");
        }
        self.guard.exempt(all.clone(), roster.clone());
        *before = (all, roster);
    }

    /// The time until the next exemption ends, or until the file has to be looked at again.
    fn until_next_end(&self) -> Duration {
        let now = self.clock.now().wall;
        let before = self.exempting.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = before.0.iter().filter_map(|exemption| exemption.until).filter(|until| *until > now);
        let left = ends.min().and_then(|until| Duration::try_from(until.duration_since(now)).ok());
        left.unwrap_or(LOOK).clamp(LEAST, LOOK)
    }

    /// Grants an exemption to be in force before the answer.
    pub(super) async fn exempt(&self, asked: &Exempt, author: Author) -> Answer {
        let now = self.clock.now().wall;
        let Some(in_force) = self.guard.in_force() else {
            return Answer::Failed("the lists are still being read; try again when the server is ready".to_owned());
        };
        let terms = match meant(asked, &in_force.policy, now) {
            Ok(terms) => terms,
            Err(why) => return Answer::Wrong(why),
        };
        let (audit, of_file) = (Arc::clone(&self.audit), self.loaded.load_full());
        let of_file = of_file.settings.exemptions.iter().flat_map(FileExemption::exemptions);
        let others = of_file.filter(|exemption| exemption.holds_at(now)).count();
        let granted = tokio::task::spawn_blocking(move || audit.grant(terms, author, others, now)).await;
        let granted = match granted {
            Ok(Ok(granted)) => granted,
            Ok(Err(refusal)) => return Answer::Failed(refusal.to_string()),
            Err(error) => return Answer::Failed(error.to_string()),
        };
        self.spare();
        let Terms { owner, reason, ticket, until, .. } = &granted.terms;
        let (uid, by) = (granted.uid, granted.by.as_deref());
        let (until, head) = (until.map(rfc3339), self.audit.head());
        tracing::info!(id = granted.number, uid, by, %owner, %reason, ?ticket, until, head, "An exemption is granted.");
        done(&ExemptionRow::granted(&granted, now))
    }

    /// Takes an exemption back; it is out of force before the answer.
    pub(super) async fn revoke(&self, id: &str, author: Author) -> Answer {
        if id.starts_with("file:") {
            return Answer::Wrong(format!("{} stands in the configuration; remove it there", shown(id)));
        }
        let Ok(number) = id.parse() else {
            return Answer::Wrong(format!("`{}` is no id; `embargo exempt list` shows them", shown(id)));
        };
        let (audit, now, by) = (Arc::clone(&self.audit), self.clock.now().wall, author.clone());
        let revoked = tokio::task::spawn_blocking(move || audit.revoke(number, by, now)).await;
        match revoked {
            Ok(Ok(())) => {
                self.spare();
                tracing::info!(id = number, ?author, head = self.audit.head(), "An exemption is revoked.");
                Answer::Done(json!({"id": id, "revoked": true}))
            }
            Ok(Err(refusal @ Refusal::Unknown(_))) => Answer::Wrong(refusal.to_string()),
            Ok(Err(refusal)) => Answer::Failed(refusal.to_string()),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    /// Who is spared what; `all`: and who was, as far as the audit log tells.
    pub(super) async fn exemptions(&self, all: bool) -> Answer {
        let now = self.clock.now().wall;
        let loaded = self.loaded.load_full();
        let mut listed: Vec<_> =
            loaded.settings.exemptions.iter().flat_map(|exemption| ExemptionRow::of_file(exemption, now)).collect();
        let live = self.audit.live();
        if all {
            let state_dir = self.first.state_dir.clone();
            match tokio::task::spawn_blocking(move || rows(&state_dir, now)).await {
                Ok(Ok((rows, _reading))) => listed.extend(rows),
                Ok(Err(error)) => return Answer::Failed(error.to_string()),
                Err(error) => return Answer::Failed(error.to_string()),
            }
        } else {
            listed.extend(live.iter().map(|granted| ExemptionRow::granted(granted, now)));
            listed.retain(|row| row.state == RowState::Live);
        }
        if let Some(in_force) = self.guard.in_force() {
            let idle = live.iter().filter(|granted| granted.exemption().missing_in(&in_force.policy).is_some());
            let idle: BTreeSet<String> = idle.map(|granted| granted.number.to_string()).collect();
            listed = listed
                .into_iter()
                .map(|row| {
                    let is_idle = idle.contains(&row.id);
                    row.idling(is_idle)
                })
                .collect();
        }
        done(&listed)
    }

    /// Notes in the audit log that a policy came into force, if it is another than before, and whom the configuration spares.
    pub(super) async fn note(&self, taken: Reloaded, why: &str) {
        let (audit, now, loaded) = (Arc::clone(&self.audit), self.clock.now().wall, self.loaded.load_full());
        let configuration = loaded.digest.clone().unwrap_or_default();
        let taken = Reloaded { why: why.to_owned(), configuration, ..taken };
        let noted = tokio::task::spawn_blocking(move || {
            audit.reloaded(&taken, now)?;
            let spared = loaded.settings.exemptions.iter().flat_map(|exemption| exemption.terms.clone());
            audit.configured(&spared.collect::<Vec<_>>(), now)
        });
        tell_noted(noted.await);
        if let Some(in_force) = self.guard.in_force() {
            for warning in idle(&self.audit.live(), &in_force.policy, &audit::path(&self.first.state_dir)) {
                tracing::warn!("{warning}");
            }
        }
    }
}

/// Warnings of exemptions that were granted by the log of a state directory, and spare nobody under a policy.
pub(crate) fn idle_exemptions(state_dir: &Path, policy: &Policy) -> Vec<Diagnostic> {
    let reading = audit::read(state_dir, |_entry, _hash| ());
    let live = reading.map(|reading| reading.live).unwrap_or_default();
    idle(&live, policy, &audit::path(state_dir))
}

fn idle(live: &[Granted], policy: &Policy, log: &Path) -> Vec<Diagnostic> {
    let told = |granted: &Granted| {
        let (number, missing) = (granted.number, granted.exemption().missing_in(policy)?);
        let message = format!(
            "exemption {number} spares nobody: there is no {missing}. Revoke it, or it spares whoever gets that id next"
        );
        Some(Diagnostic::whole(Severity::Warning, log.display().to_string(), message))
    };
    live.iter().filter_map(told).collect()
}

/// Tells that the audit log does not say what is in force, if so.
pub(super) fn tell_noted(noted: Result<Result<(), Refusal>, tokio::task::JoinError>) {
    match noted {
        // What is wrong with the file is said by whoever follows it.
        Ok(Ok(()) | Err(Refusal::Damaged { .. })) => (),
        Ok(Err(error)) => tracing::error!(%error, "The audit log does not have the policy that is in force."),
        Err(error) => tracing::error!(%error, "The audit log does not have the policy that is in force."),
    }
}

fn done(value: &impl serde::Serialize) -> Answer {
    serde_json::to_value(value).map_or_else(|error| Answer::Failed(error.to_string()), Answer::Done)
}

/// What is asked for, if it can be meant under this policy.
fn meant(asked: &Exempt, policy: &Policy, now: Timestamp) -> Result<Terms, String> {
    let mut written: Written = asked.terms.clone();
    if let Some(lasts) = asked.lasts_ms {
        let end =
            now.checked_add(Duration::from_millis(lasts)).map_err(|_error| "the end is too far away".to_owned())?;
        if written.until.replace(rfc3339(end)).is_some() {
            return Err("has two ends".to_owned());
        }
    }
    let terms = Terms::try_from(written).map_err(|error| error.to_string())?;
    terms.check(now).map_err(|error| error.to_string())?;
    if terms.until.is_some_and(|until| until <= now) {
        return Err(format!("the end has passed already: it is {}", rfc3339(now)));
    }
    let groups = policy.who().groups().iter().filter(|group| !asked.is_site || group.kind == GroupKind::Site);
    match &terms.whom {
        Whom::Network(_) | Whom::Device(_) => (),
        Whom::Group(id) => {
            let what = if asked.is_site { "site" } else { "group" };
            known(what, id, groups.map(|group| &*group.id).collect())?;
        }
    }
    match &terms.what {
        Spares::Ban(id) => known("ban", id, policy.bans().iter().map(|ban| &*ban.id).collect())?,
        Spares::Category(id) => {
            known("category", id, policy.series().iter().map(|series| &*series.category).collect())?;
        }
        Spares::Name(_) => (),
    }
    Ok(terms)
}

/// # Errors
/// It is none of the known ones.
fn known(what: &str, id: &str, mut known: Vec<&str>) -> Result<(), String> {
    if known.contains(&id) {
        return Ok(());
    }
    known.sort_unstable();
    known.dedup();
    let nearest: Vec<_> = nearest_first(id, &known).into_iter().take(OFFERED_MAX).collect();
    let nearest =
        if nearest.is_empty() { "there is none".to_owned() } else { format!("known: {}", nearest.join(", ")) };
    Err(format!("unknown {what} `{}`; {nearest}", shown(id)))
}
