//! Exemptions as they are listed: those in force, and what the audit log knows of those that have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::audit::{self, Entry, Event, Granted, Reading, Terms, Written};
use crate::config::FileExemption;
use crate::time::{Timestamp, rfc3339};

/// Rows at most; beyond, the oldest of those that have ended are left out.
pub(crate) const ROWS_MAX: usize = 10_000;

/// One exemption.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ExemptionRow {
    pub(crate) id: String,
    pub(crate) state: RowState,
    pub(crate) client: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) ban: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) name: Option<String>,
    /// `None`: without end.
    pub(crate) until: Option<String>,
    pub(crate) left_seconds: Option<u64>,
    pub(crate) owner: String,
    pub(crate) reason: String,
    pub(crate) ticket: Option<String>,
    /// When it was granted; `None`: it stands in the configuration.
    pub(crate) granted: Option<String>,
    /// Who asked for it, as the kernel says.
    pub(crate) uid: Option<u32>,
    /// The user or the token of the admin server that asked for it.
    pub(crate) by: Option<String>,
    pub(crate) ended: Option<String>,
    /// Who took it back.
    pub(crate) revoked_by: Option<u32>,
    /// The user or the token that took it back.
    pub(crate) revoker: Option<String>,
}

/// How it is with an exemption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RowState {
    /// It holds.
    Live,
    /// It would hold, but the policy has no such group or ban.
    Idle,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
    /// The audit log is damaged: it does not hold.
    Void,
}

impl RowState {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Idle => "idle",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Void => "void",
        }
    }
}

impl ExemptionRow {
    /// One that was granted and neither revoked nor noted as expired.
    pub(crate) fn granted(granted: &Granted, now: Timestamp) -> Self {
        let row = Self::new(granted.number.to_string(), &granted.terms, now);
        Self { granted: Some(rfc3339(granted.at)), uid: granted.uid, by: granted.by.clone(), ..row }
    }

    /// The same where this is missing in the policy in force, if anything is.
    pub(crate) fn idling(self, missing: bool) -> Self {
        if missing && self.state == RowState::Live { Self { state: RowState::Idle, ..self } } else { self }
    }

    /// Those of one `[[exemption]]`.
    pub(crate) fn of_file(exemption: &FileExemption, now: Timestamp) -> impl Iterator<Item = Self> {
        exemption.terms.iter().map(move |terms| Self::new(exemption.id.to_string(), terms, now))
    }

    fn new(id: String, terms: &Terms, now: Timestamp) -> Self {
        let holds = terms.until.is_none_or(|until| now < until);
        let left = terms.until.map(|until| u64::try_from(until.duration_since(now).as_secs()).unwrap_or(0));
        let Written { client, group, ban, category, name, until, owner, reason, ticket, .. } = terms.clone().into();
        Self {
            id,
            state: if holds { RowState::Live } else { RowState::Expired },
            client,
            group,
            ban,
            category,
            name,
            ended: until.clone().filter(|_end| !holds),
            until,
            left_seconds: left.filter(|_left| holds),
            owner,
            reason,
            ticket,
            granted: None,
            uid: None,
            by: None,
            revoked_by: None,
            revoker: None,
        }
    }

    fn end(&mut self, state: RowState, entry: &Entry) {
        (self.state, self.left_seconds) = (state, None);
        (self.ended, self.revoked_by, self.revoker) = (Some(rfc3339(entry.at)), entry.uid, entry.by.clone());
    }
}

/// What the audit log of a state directory knows, the oldest first, whether a server runs or not.
///
/// # Errors
/// The operating system's.
pub(crate) fn rows(state_dir: &Path, now: Timestamp) -> io::Result<(Vec<ExemptionRow>, Reading)> {
    let mut listed = Listed::default();
    let reading = audit::read(state_dir, |entry, _hash| listed.take(entry, now))?;
    let rows = listed.rows.into_iter().filter(|(id, _row)| !listed.standing.contains(id));
    let mut rows: Vec<_> = rows.map(|(_id, row)| row).collect();
    if reading.damage.is_some() {
        for row in rows.iter_mut().filter(|row| row.state == RowState::Live) {
            (row.state, row.left_seconds) = (RowState::Void, None);
        }
    }
    Ok((rows, reading))
}

/// Exemptions as one entry after another tells of them.
#[derive(Debug, Default)]
struct Listed {
    rows: BTreeMap<u64, ExemptionRow>,
    /// Those that stand in the configuration, which tells of them itself.
    standing: BTreeSet<u64>,
}

impl Listed {
    fn take(&mut self, entry: &Entry, now: Timestamp) {
        let Entry { number, at, uid, ref by, .. } = *entry;
        match &entry.event {
            Event::Granted(terms) | Event::Configured(terms) => {
                if matches!(entry.event, Event::Configured(_)) {
                    self.standing.insert(number);
                }
                let granted = Granted { number, at, uid, by: by.clone(), terms: Terms::clone(terms) };
                self.rows.insert(number, ExemptionRow::granted(&granted, now));
                self.bound();
            }
            Event::Revoked(id) => self.end(*id, RowState::Revoked, entry),
            Event::Expired(id) => self.end(*id, RowState::Expired, entry),
            Event::Unconfigured(id) => {
                self.standing.remove(id);
                let ended_before = |row: &ExemptionRow| row.until.as_ref().is_some_and(|until| *until <= rfc3339(at));
                if !self.rows.get(id).is_some_and(ended_before) {
                    self.end(*id, RowState::Revoked, entry);
                }
            }
            // Nobody was spared anything by these.
            Event::Reloaded(_)
            | Event::Merged(_)
            | Event::Split(_)
            | Event::Undone(_)
            | Event::Did(_)
            | Event::Erased(_)
            | Event::Looked(_)
            | Event::Looks(_) => (),
        }
    }

    fn end(&mut self, id: u64, state: RowState, entry: &Entry) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.end(state, entry);
        }
    }

    /// Lets the oldest go that frees nobody any more: what is in force is always told.
    fn bound(&mut self) {
        if self.rows.len() > ROWS_MAX {
            let is_over = |(_id, row): &(&u64, &ExemptionRow)| row.state != RowState::Live;
            let oldest = self.rows.iter().find(is_over).map(|(id, _row)| *id);
            oldest.map(|id| self.rows.remove(&id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One for each of these, the first with the number 1.
    fn listed(events: impl IntoIterator<Item = Event>) -> Listed {
        let (mut listed, now) = (Listed::default(), "2027-01-01T00:00:00Z".parse().unwrap());
        for (number, event) in (1..).zip(events) {
            listed.take(&Entry { number, at: now, uid: None, by: None, event }, now);
        }
        listed
    }

    fn terms() -> Terms {
        let (client, ban) = (Some("192.0.2.7".to_owned()), Some("acme".to_owned()));
        let (owner, reason) = ("o".to_owned(), "r".to_owned());
        Written { client, ban, endless: true, owner, reason, ..Written::default() }.try_into().unwrap()
    }

    fn granted() -> Event {
        Event::Granted(Box::new(terms()))
    }

    fn configured() -> Event {
        Event::Configured(Box::new(terms()))
    }

    #[test]
    fn what_is_in_force_is_listed_however_much_was_granted_and_revoked_since() {
        let most = u64::try_from(ROWS_MAX).unwrap();
        let later = (0..most).flat_map(|pair| [granted(), Event::Revoked(pair * 2 + 2)]);
        let listed = listed([granted()].into_iter().chain(later));
        assert_eq!(listed.rows.len(), ROWS_MAX);
        assert_eq!((listed.rows[&1].state, listed.rows.keys().nth(1)), (RowState::Live, Some(&4)));
    }

    #[test]
    fn what_has_left_the_configuration_is_listed_and_what_stands_there_is_told_by_it() {
        let listed = listed([configured(), configured(), Event::Unconfigured(2)]);
        assert_eq!(listed.standing, BTreeSet::from([1]));
        assert_eq!((listed.rows[&2].state, listed.rows[&2].ended.is_some()), (RowState::Revoked, true));
    }
}
