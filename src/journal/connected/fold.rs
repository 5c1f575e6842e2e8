//! Connections in memory until they are written.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use super::{Connected, Said};
use crate::journal::tally::Tally;
use crate::policy::Evidence;
use crate::time::Day;

/// Rows at most between two times of writing: a few MiB.
const ROWS_MAX: usize = 4_096;

/// What connections have in common that are one row.
type Key = (Day, IpAddr, Arc<str>, Arc<str>, Evidence);

/// Connections of one client that became one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Row {
    pub(in super::super) day: Day,
    pub(in super::super) client: IpAddr,
    pub(in super::super) site: Arc<str>,
    pub(in super::super) ban: Arc<str>,
    pub(in super::super) evidence: Evidence,
    /// The last name, in words.
    pub(in super::super) name: String,
    pub(in super::super) said: Said,
    pub(in super::super) tally: Tally,
}

/// Connections that the writer has not taken.
#[derive(Debug, Default)]
pub(in super::super) struct Fold(Mutex<HashMap<Key, Row>>);

impl Fold {
    /// Adds one; `false`: there is no room for it.
    pub(in super::super) fn add(&self, connected: &Connected<'_>) -> bool {
        let &Connected { at, client, site, ban, evidence, name, said } = connected;
        let (day, client, tally) = (Day::of(at), client.to_canonical(), Tally::one(at.as_millisecond()));
        let key = (day, client, Arc::clone(site), Arc::clone(ban), evidence);
        let mut rows = self.lock();
        if let Some(row) = rows.get_mut(&key) {
            if tally.last >= row.tally.last {
                (row.name, row.said) = (name.to_string(), said);
            }
            row.tally.merge(tally);
            return true;
        }
        if rows.len() >= ROWS_MAX {
            return false;
        }
        let (site, ban, name) = (Arc::clone(site), Arc::clone(ban), name.to_string());
        rows.insert(key, Row { day, client, site, ban, evidence, name, said, tally });
        true
    }

    /// Takes everything.
    pub(in super::super) fn take(&self) -> Vec<Row> {
        std::mem::take(&mut *self.lock()).into_values().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use crate::wire::LowerName;

    fn add(fold: &Fold, client: u32, name: &str, second: i64) -> bool {
        let (site, ban) = ("default".into(), "acme".into());
        fold.add(&Connected {
            at: Timestamp::from_second(second).unwrap(),
            client: IpAddr::from(client.to_be_bytes()),
            site: &site,
            ban: &ban,
            evidence: Evidence::Installed,
            name: &LowerName::parse(name).unwrap(),
            said: Said::Sni,
        })
    }

    #[test]
    fn connections_of_a_client_and_day_are_one_row_with_their_last_name() {
        let fold = Fold::default();
        for (name, second) in [("b.example", 20), ("a.example", 10), ("c.example", 86_400)] {
            assert!(add(&fold, 1, name, second));
        }
        let mut rows = fold.take();
        rows.sort_by_key(|row| row.day);
        let told: Vec<_> = rows.iter().map(|row| (row.day.0, &*row.name, row.tally.count, row.tally.first)).collect();
        assert_eq!(told, [(0, "b.example", 2, 10_000), (1, "c.example", 1, 86_400_000)]);
        assert!(fold.take().is_empty());
    }

    #[test]
    fn memory_has_an_end_and_what_is_known_still_counts() {
        let fold = Fold::default();
        let taken = (0..u32::try_from(ROWS_MAX).unwrap() + 9).filter(|client| add(&fold, *client, "a.example", 1));
        assert_eq!(taken.count(), ROWS_MAX);
        assert!(add(&fold, 1, "a.example", 2));
    }
}
