//! Who held which address when, a page at a time: by address, the newest of each first.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rusqlite::params;
use serde_json::json;

use super::place::NoPlace;
use super::{LOOK_MAX, SLICE};
use crate::journal::bindings::{binding, told};
use crate::journal::read::Unreadable;
use crate::journal::{BindingRow, Store, StoreError};
use crate::priority::make_way;
use crate::time::Timestamp;

/// A page of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldPage {
    /// By address, the newest of each first.
    pub rows: Vec<BindingRow>,
    /// Where the next page begins; `None`: there are no others.
    pub next: Option<HeldPlace>,
}

/// Behind which row a page begins. As text it is what follows in a link, and nothing that others may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPlace {
    client: String,
    from_ms: i64,
}

impl HeldPlace {
    /// Before every row: no address has such a character.
    fn first() -> Self {
        Self { client: "~".to_owned(), from_ms: 0 }
    }
}

impl fmt::Display for HeldPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json!([self.client, self.from_ms]).fmt(f)
    }
}

impl FromStr for HeldPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (client, from_ms) = serde_json::from_str(text).map_err(|_error| NoPlace)?;
        Ok(Self { client, from_ms })
    }
}

impl Store {
    /// At most `limit` rows behind a place: of one client, if there is one, and who held it at a moment, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn held_page(
        &self,
        (client, at): (Option<IpAddr>, Option<Timestamp>),
        after: Option<&HeldPlace>,
        limit: usize,
    ) -> Result<HeldPage, StoreError> {
        self.held_looked((client, at), after, limit, LOOK_MAX)
    }

    pub(super) fn held_looked(
        &self,
        (client, at): (Option<IpAddr>, Option<Timestamp>),
        after: Option<&HeldPlace>,
        limit: usize,
        look_max: usize,
    ) -> Result<HeldPage, StoreError> {
        let all = "SELECT client, from_ms, until_ms, identifiers, method, estimated FROM bindings \
                   WHERE (client, from_ms) < (?1, ?2) AND ?3 IS NULL ORDER BY client DESC, from_ms DESC";
        let of_client = "SELECT client, from_ms, until_ms, identifiers, method, estimated FROM bindings \
                         WHERE (client, from_ms) < (?1, ?2) AND client = ?3 ORDER BY client DESC, from_ms DESC";
        let client = client.map(|client| client.to_canonical().to_string());
        let holds = |row: &BindingRow| at.is_none_or(|at| row.from <= at && row.until.is_none_or(|until| until > at));
        let read = || -> Result<HeldPage, Unreadable> {
            let HeldPlace { client: behind, from_ms } = after.cloned().unwrap_or_else(HeldPlace::first);
            let mut select = self.connection.prepare_cached(if client.is_some() { of_client } else { all })?;
            let mut rows = select.query(params![behind, from_ms, client])?;
            let (mut page, mut end, mut left) = (HeldPage::default(), None, look_max);
            while let Some(row) = rows.next()? {
                if end.is_some() {
                    page.next = end;
                    break;
                }
                left = left.saturating_sub(1);
                if left.is_multiple_of(SLICE) {
                    make_way();
                }
                page.rows.extend(binding(row)?.and_then(|binding| told(&binding)).filter(holds));
                if left == 0 || page.rows.len() >= limit {
                    end = Some(HeldPlace { client: row.get(0)?, from_ms: row.get(1)? });
                }
            }
            Ok(page)
        };
        read().map_err(|error| self.unreadable(error))
    }
}
