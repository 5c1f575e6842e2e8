//! The flag `connected`: what the block page has seen of those whose lookups are listed.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::Serialize;

use crate::journal::{AttemptRow, ClientRow, ConnectedRow, Filter, Said, Store, StoreError};
use crate::time::{Day, Timestamp, rfc3339};

/// Connections of one client by names of one ban and evidence. Its JSON is an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Connections {
    first: String,
    last: String,
    count: u64,
    /// The last name, with RFC 4343 escapes.
    pub(super) name: String,
    said: &'static str,
}

/// Who connected to what, by address.
#[derive(Debug, Default)]
pub(super) struct Connected(HashMap<IpAddr, Vec<ConnectedRow>>);

impl Connected {
    /// Those of the time, client and ban of a filter.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub(super) fn read(store: &Store, filter: &Filter) -> Result<Self, StoreError> {
        let mut all = Self::default();
        for row in store.connected(&Filter { limit: None, ..filter.clone() })? {
            all.0.entry(row.client).or_default().push(row);
        }
        Ok(all)
    }

    /// Those that belong to a row of clients.
    pub(super) fn of_client(&self, row: &ClientRow) -> Option<Connections> {
        let same = |connected: &&ConnectedRow| {
            (&connected.device, &connected.ban, connected.evidence, &connected.site)
                == (&row.device, &row.ban, row.evidence, &row.site)
        };
        let here = self.of(row.client).filter(same);
        let sum = here.clone().map(|connected| connected.count).sum();
        let first = here.clone().map(|connected| connected.first).min()?;
        let last = here.max_by_key(|connected| connected.last)?;
        let (name, said) = (last.name.clone(), Said::as_str(last.said));
        Some(Connections { first: rfc3339(first), last: rfc3339(last.last), count: sum, name, said })
    }

    /// Whether a client connected by a name of the same ban and evidence on the day of a lookup, after it.
    pub(super) fn follows(&self, row: &AttemptRow) -> bool {
        let is_after = |connected: &ConnectedRow| {
            (&connected.device, &connected.ban, connected.evidence) == (&row.device, &row.ban, row.evidence)
                && Day::of(connected.first) == Day::of(row.first)
                && connected.last >= row.first
        };
        row.client.is_some_and(|client| self.of(client).any(is_after))
    }

    /// The bans by whose names an address connected from one moment to another.
    pub(super) fn bans_of(&self, client: IpAddr, from: Timestamp, until: Option<Timestamp>) -> Vec<String> {
        let all = self.of(client).filter(|row| row.last >= from);
        let within = all.filter(|row| until.is_none_or(|until| row.first <= until));
        let mut bans: Vec<String> = within.map(|row| row.ban.clone()).collect();
        bans.sort();
        bans.dedup();
        bans
    }

    fn of(&self, client: IpAddr) -> impl Iterator<Item = &ConnectedRow> + Clone {
        self.0.get(&client).into_iter().flatten()
    }
}
