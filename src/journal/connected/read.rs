//! Connections as commands and reports read them.

use std::net::IpAddr;

use rusqlite::Row;
use serde::Serialize;

use super::Said;
use crate::journal::read::{Unreadable, address, count, moment, told, word};
use crate::journal::{Filter, Store, StoreError, words};
use crate::policy::Evidence;
use crate::time::Timestamp;

/// Connections of one client by names of one ban on one day. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConnectedRow {
    /// The first of them.
    #[serde(serialize_with = "words::time")]
    pub first: Timestamp,
    /// The last of them.
    #[serde(serialize_with = "words::time")]
    pub last: Timestamp,
    /// Who connected.
    pub client: IpAddr,
    /// The client's device; `None`: not known.
    pub device: Option<String>,
    /// Where the client is.
    pub site: String,
    /// The ban's id.
    pub ban: String,
    /// What the names prove.
    #[serde(serialize_with = "words::evidence")]
    pub evidence: Evidence,
    /// The last name, with RFC 4343 escapes.
    pub name: String,
    /// Where it stood: `sni` or `host`.
    #[serde(serialize_with = "words::said")]
    pub said: Said,
    /// How many connections.
    pub count: u64,
}

impl Store {
    /// The connections that pass the filter, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read to the end.
    pub fn connected(&self, filter: &Filter) -> Result<Vec<ConnectedRow>, StoreError> {
        let sql = "SELECT first_ms, last_ms, client, device, site, ban, evidence, name, said, count FROM connected \
                   WHERE day BETWEEN ?1 / 86400000 AND ?2 / 86400000 AND last_ms >= ?1 AND first_ms <= ?2 \
                   AND (?3 IS NULL OR ban = ?3) AND (?4 IS NULL OR client = ?4) AND (?5 IS NULL OR evidence = ?5) \
                   ORDER BY last_ms DESC, client, ban, evidence, site, device LIMIT ?6";
        self.rows(sql, filter, row)
    }
}

pub(in crate::journal) fn row(row: &Row<'_>) -> Result<ConnectedRow, Unreadable> {
    Ok(ConnectedRow {
        first: moment(row.get(0)?)?,
        last: moment(row.get(1)?)?,
        client: address(&row.get::<_, String>(2)?)?,
        device: told(row.get(3)?),
        site: row.get(4)?,
        ban: row.get(5)?,
        evidence: word(Evidence::ALL, Evidence::as_str, &row.get::<_, String>(6)?)?,
        name: row.get(7)?,
        said: word(Said::ALL, Said::as_str, &row.get::<_, String>(8)?)?,
        count: count(row.get(9)?)?,
    })
}
