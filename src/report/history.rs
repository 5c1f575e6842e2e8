//! What the audit log says of the time in question: who was spared, and which policy was in force.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use serde::Serialize;

use super::cohort::Asked;
use crate::audit::{self, Entry, Event, Reloaded, Terms, Written};
use crate::journal::{Erasure, LevelRow};
use crate::time::{Timestamp, rfc3339};

/// What the state directory tells beside the record of attempts: the audit log, read to its end, and of privacy.
#[derive(Clone, Debug, Default)]
pub struct History {
    granted: BTreeMap<u64, (Timestamp, Written)>,
    /// Those of them that stand in the configuration, which tells of them itself.
    standing: BTreeSet<u64>,
    ended: BTreeMap<u64, (Timestamp, &'static str)>,
    reloaded: Vec<(Timestamp, Reloaded)>,
    /// Entries that are as they were written.
    pub count: u64,
    /// The hash of the last of them.
    pub head: String,
    /// What is wrong with the one after it.
    pub damage: Option<String>,
    /// How much of the clients of each site the record knows since when, where that is not everything.
    pub levels: Vec<LevelRow>,
    /// What was erased of the record because somebody asked for it.
    pub erasures: Vec<Erasure>,
}

/// Somebody who was spared. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, Serialize)]
pub struct ExceptionRow {
    /// What commands call it.
    pub id: String,
    /// Who is spared.
    pub whom: String,
    /// In what.
    pub what: String,
    /// When it was granted; `None`: it stands in the configuration.
    pub granted: Option<String>,
    /// When it ends or ended; `None`: without end.
    pub until: Option<String>,
    /// How it is: `granted`, `revoked` or `expired`, by the end of the window; `configured`.
    pub state: &'static str,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Where it was asked for.
    pub ticket: Option<String>,
}

/// A policy in force. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnforcementRow {
    /// When it came into force.
    pub from: String,
    /// When the next one did; `None`: not by the end of the window.
    pub until: Option<String>,
    /// The mode of the ban when it came into force; `None`: not on record.
    pub mode: Option<String>,
    /// SHA-256 over all lists and bans.
    pub policy: String,
    /// Why it came into force.
    pub why: String,
}

impl History {
    /// The log of a state directory.
    ///
    /// # Errors
    /// The operating system's.
    pub fn read(state_dir: &Path) -> io::Result<Self> {
        let mut history = Self::default();
        let reading = audit::read(state_dir, |entry, _hash| history.take(entry))?;
        history.damage = reading.damage.map(|(_entry, damage)| damage.to_string());
        (history.count, history.head) = (reading.entries, reading.head);
        Ok(history)
    }

    /// Takes the next entry.
    pub fn take(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Granted(terms) => {
                self.granted.insert(entry.number, (entry.at, Terms::clone(terms).into()));
            }
            Event::Configured(terms) => {
                self.granted.insert(entry.number, (entry.at, Terms::clone(terms).into()));
                self.standing.insert(entry.number);
            }
            Event::Unconfigured(id) => {
                self.standing.remove(id);
                self.ended.entry(*id).or_insert((entry.at, "revoked"));
            }
            Event::Revoked(id) => drop(self.ended.insert(*id, (entry.at, "revoked"))),
            Event::Expired(id) => drop(self.ended.insert(*id, (entry.at, "expired"))),
            Event::Reloaded(reloaded) => self.reloaded.push((entry.at, reloaded.clone())),
            // Says of no ban what it did when. Figures know devices by the names under which they were recorded, and how much was
            // erased the store says.
            Event::Merged(_)
            | Event::Split(_)
            | Event::Undone(_)
            | Event::Did(_)
            | Event::Erased(_)
            | Event::Looked(_)
            | Event::Looks(_) => {}
        }
    }

    /// Every exemption that could have spared somebody this ban, whenever that was.
    pub fn all_exceptions(&self, ban: &str, now: Timestamp) -> Vec<ExceptionRow> {
        self.exceptions_within(ban, (Timestamp::MIN, now))
    }

    /// Exemptions that could have spared somebody this ban in the time in question.
    pub(super) fn exceptions(&self, ban: &str, asked: &Asked) -> Vec<ExceptionRow> {
        self.exceptions_within(ban, asked.moments())
    }

    fn exceptions_within(&self, ban: &str, whole: (Timestamp, Timestamp)) -> Vec<ExceptionRow> {
        let row = |(id, (at, written)): (&u64, &(Timestamp, Written))| {
            let ended = self.ended.get(id).filter(|(ended, _how)| *ended < whole.1);
            let until: Option<Timestamp> = written.until.as_ref().and_then(|until| until.parse().ok());
            let end = [ended.map(|(at, _how)| *at), until].into_iter().flatten().min();
            let is_of_time = *at < whole.1 && end.is_none_or(|end| end >= whole.0);
            let is_of_ban = written.ban.as_ref().is_none_or(|other| other == ban);
            // No server may have been there to note its end.
            let is_over = until.is_some_and(|until| until < whole.1);
            let state = ended.map_or(if is_over { "expired" } else { "granted" }, |(_at, how)| how);
            (is_of_time && is_of_ban)
                .then(|| ExceptionRow::new(&id.to_string(), written, Some(rfc3339(*at)), state, end.map(rfc3339)))
        };
        self.granted.iter().filter(|(id, _granted)| !self.standing.contains(id)).filter_map(row).collect()
    }

    /// Policies that were in force in the time in question. Entries that say the same of this ban by the same lists are one.
    pub(super) fn enforcement(&self, ban: &str, asked: &Asked) -> Vec<EnforcementRow> {
        let whole = asked.moments();
        let mut rows: Vec<(Timestamp, EnforcementRow)> = Vec::new();
        for (at, Reloaded { why, policy, modes, .. }) in self.reloaded.iter().filter(|(at, _reloaded)| *at < whole.1) {
            let untold = modes.len() >= Reloaded::MODES_MAX;
            let mode = modes.get(ban).cloned().or_else(|| (!untold).then(|| "off".to_owned()));
            let (from, policy, why) = (rfc3339(*at), policy.clone(), why.clone());
            match rows.last_mut() {
                Some((_at, last)) if (&last.mode, &last.policy) == (&mode, &policy) => continue,
                Some((_at, last)) => last.until = Some(from.clone()),
                None => (),
            }
            rows.push((*at, EnforcementRow { from, until: None, mode, policy, why }));
        }
        // One that ended before the time began was not in force in it.
        let first = rows.partition_point(|(at, _row)| *at <= whole.0).saturating_sub(1);
        rows.into_iter().skip(first).map(|(_at, row)| row).collect()
    }

    /// Whether the log says what was in force from the first moment of the time in question.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.reloaded.first().map(|(at, _reloaded)| *at)
    }
}

impl ExceptionRow {
    /// One that stands in the configuration.
    pub fn configured(id: &str, terms: &Terms) -> Self {
        let written = Written::from(terms.clone());
        let until = written.until.clone();
        Self::new(id, &written, None, "configured", until)
    }

    fn new(id: &str, written: &Written, granted: Option<String>, state: &'static str, until: Option<String>) -> Self {
        let Written { client, group, ban, category, name, owner, reason, ticket, .. } = written.clone();
        let named = |kind: &str, id: Option<String>| id.map(|id| format!("{kind} {id}"));
        let whom = client.or_else(|| named("group", group)).unwrap_or_default();
        let what = named("ban", ban).or_else(|| named("category", category)).or_else(|| named("name", name));
        let what = what.unwrap_or_default();
        Self { id: id.to_owned(), whom, what, granted, until, state, owner, reason, ticket }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Day;

    fn asked() -> Asked {
        let day = |text: &str| text.parse::<Day>().unwrap();
        Asked::new(day("2026-03-11"), day("2026-03-20"), day("2026-03-11")).unwrap()
    }

    fn history(entries: &[(&str, Event)]) -> History {
        let mut history = History::default();
        for (number, (at, event)) in (1..).zip(entries) {
            history.take(&Entry { number, at: at.parse().unwrap(), uid: None, by: None, event: event.clone() });
        }
        history
    }

    fn granted(ban: &str, until: Option<&str>) -> Event {
        let (until, endless) = (until.map(str::to_owned), until.is_none());
        let (client, ban) = (Some("192.0.2.7".to_owned()), Some(ban.to_owned()));
        let (owner, reason) = ("soc".to_owned(), "test".to_owned());
        let written = Written { client, ban, until, endless, owner, reason, ..Written::default() };
        Event::Granted(Box::new(Terms::try_from(written).unwrap()))
    }

    /// The same in the configuration.
    fn configured(ban: &str) -> Event {
        match granted(ban, None) {
            Event::Granted(terms) => Event::Configured(terms),
            other => other,
        }
    }

    fn reloaded(policy: &str, mode: &str) -> Event {
        let modes = [("acme".to_owned(), mode.to_owned())].into();
        let (why, policy) = ("start".to_owned(), policy.to_owned());
        Event::Reloaded(Reloaded { why, policy, modes, ..Reloaded::default() })
    }

    #[test]
    fn exceptions_are_those_of_the_ban_that_held_in_the_time() {
        let history = history(&[
            ("2026-02-01T00:00:00Z", granted("acme", Some("2026-02-20T00:00:00Z"))),
            ("2026-02-02T00:00:00Z", granted("acme", None)),
            ("2026-02-03T00:00:00Z", granted("other", None)),
            ("2026-03-05T00:00:00Z", Event::Revoked(2)),
            ("2026-03-06T00:00:00Z", granted("acme", Some("2026-03-07T00:00:00Z"))),
            ("2026-03-21T00:00:00Z", granted("acme", None)),
            ("2026-03-12T00:00:00Z", configured("acme")),
            ("2026-03-13T00:00:00Z", configured("acme")),
            ("2026-03-14T00:00:00Z", Event::Unconfigured(7)),
        ]);
        let rows = history.exceptions("acme", &asked());
        let told: Vec<_> = rows.iter().map(|row| (&*row.id, row.state, row.until.as_deref())).collect();
        let expected = [
            ("2", "revoked", Some("2026-03-05T00:00:00.000Z")),
            ("5", "expired", Some("2026-03-07T00:00:00.000Z")),
            // Where it stood it is no longer told of.
            ("7", "revoked", Some("2026-03-14T00:00:00.000Z")),
        ];
        assert_eq!(told, expected);
        assert_eq!((&*rows[0].whom, &*rows[0].what), ("192.0.2.7", "ban acme"));
    }

    #[test]
    fn enforcement_begins_with_what_was_in_force_and_tells_each_change_once() {
        let history = history(&[
            ("2026-01-01T00:00:00Z", reloaded("aa", "off")),
            ("2026-02-01T00:00:00Z", reloaded("aa", "observe")),
            ("2026-03-04T00:00:00Z", reloaded("aa", "observe")),
            ("2026-03-05T00:00:00Z", reloaded("bb", "enforce")),
            ("2026-04-01T00:00:00Z", reloaded("cc", "off")),
        ]);
        let rows = history.enforcement("acme", &asked());
        let told: Vec<_> = rows.iter().map(|row| (&*row.policy, row.mode.as_deref(), row.until.is_some())).collect();
        assert_eq!(told, [("aa", Some("observe"), true), ("bb", Some("enforce"), false)]);
        assert_eq!(rows[1].from, "2026-03-05T00:00:00.000Z");
        assert_eq!(history.enforcement("gone", &asked())[0].mode.as_deref(), Some("off"));
    }
}
