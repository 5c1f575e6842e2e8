//! Exemptions as they are listed: those in force, and what the audit log knows of those that have ended.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::audit::{self, Entry, Event, Granted, Reading, Terms, Written};
use crate::config::FileExemption;
use crate::time::{Timestamp, rfc3339};

/// Rows at most, the newest.
const ROWS_MAX: usize = 10_000;

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
    let mut rows = BTreeMap::new();
    let reading = audit::read(state_dir, |entry, _hash| {
        let Entry { number, at, uid, ref by, .. } = *entry;
        let ended = |id: &u64, state, rows: &mut BTreeMap<u64, ExemptionRow>| {
            if let Some(row) = rows.get_mut(id) {
                row.end(state, entry);
            }
        };
        match &entry.event {
            Event::Granted(terms) => {
                let granted = Granted { number, at, uid, by: by.clone(), terms: Terms::clone(terms) };
                rows.insert(number, ExemptionRow::granted(&granted, now));
                if rows.len() > ROWS_MAX {
                    rows.pop_first();
                }
            }
            Event::Revoked(id) => ended(id, RowState::Revoked, &mut rows),
            Event::Expired(id) => ended(id, RowState::Expired, &mut rows),
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
    })?;
    let mut rows: Vec<_> = rows.into_values().collect();
    if reading.damage.is_some() {
        for row in rows.iter_mut().filter(|row| row.state == RowState::Live) {
            (row.state, row.left_seconds) = (RowState::Void, None);
        }
    }
    Ok((rows, reading))
}
