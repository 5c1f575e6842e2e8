//! One device: what it is called, what its lookups come to, which addresses it held, and where it connected.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use rusqlite::params;
use serde::Serialize;

use crate::journal::bindings::{binding, told};
use crate::journal::connected::connected_row;
use crate::journal::read::{ClientRow, Unreadable, client_row, count, word};
use crate::journal::{BindingRow, ConnectedRow, DeviceRow, Store, StoreError};
use crate::policy::Evidence;
use crate::time::Day;

/// Rows of each kind at most.
const ROWS_MAX: i64 = 500;

/// What the record knows of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Known {
    /// What its lookups prove, by address, ban and evidence; the last seen first.
    pub lookups: Vec<ClientRow>,
    /// Which addresses it held, the newest first.
    pub addresses: Vec<BindingRow>,
    /// Its connections to the block page, by day, ban and evidence; the newest first.
    pub connected: Vec<ConnectedRow>,
}

/// What a device did on one day with one ban. Days are kept one by one for a while only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceDay {
    /// Which day.
    pub day: Day,
    /// The ban's id.
    pub ban: String,
    /// What the lookups prove.
    pub evidence: Evidence,
    /// How many lookups.
    pub count: u64,
    /// The hours in which it made them; bit 0 is the one from midnight.
    pub hours: u32,
}

impl Store {
    /// The state directory that it stands in.
    pub fn directory(&self) -> PathBuf {
        self.path.parent().map(Path::to_path_buf).unwrap_or_default()
    }

    /// Who has this number; `None`: nobody has.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn device(&self, number: u32) -> Result<Option<DeviceRow>, StoreError> {
        Ok(self.presence()?.devices([number])?.pop())
    }

    /// The number of a device at a site, or of the first one that is called so.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn device_number(&self, name: &str) -> Result<Option<u32>, StoreError> {
        let numbers = self.numbers_of(name).map_err(|error| self.unreadable(error.into()))?;
        Ok(numbers.first().copied())
    }

    /// What is known of whatever the record calls so: a device that leases name, or an address that stands for one.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn known_of(&self, name: &str) -> Result<Known, StoreError> {
        let read = || -> Result<Known, Unreadable> {
            let mut lookups = self.lookups_of(name)?;
            lookups.sort_by(|a, b| (b.last_seen, &a.ban).cmp(&(a.last_seen, &b.ban)));
            let mut addresses = self.held_by(name)?;
            if name.parse::<std::net::IpAddr>().is_ok() {
                addresses.extend(self.held_at(name)?);
            }
            addresses.sort_by_key(|row| std::cmp::Reverse(row.from));
            addresses.dedup();
            let connected = self.connected_by(&lookups)?;
            Ok(Known { lookups, addresses, connected })
        };
        read().map_err(|error| self.unreadable(error))
    }

    /// What a device did on each of these days, by ban and evidence, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn days_of(&self, number: u32, days: &RangeInclusive<Day>) -> Result<Vec<DeviceDay>, StoreError> {
        // Day by day: the table begins with sign and day, and would else be read whole.
        let sql = "WITH RECURSIVE days (day) AS (SELECT ?2 UNION ALL SELECT day + 1 FROM days WHERE day < ?3) \
                   SELECT d.day, s.ban, s.evidence, d.count, d.hours FROM signs AS s CROSS JOIN days \
                   CROSS JOIN device_days AS d ON d.sign = s.id AND d.day = days.day AND d.device = ?1 \
                   WHERE s.what = 'seen' ORDER BY d.day, s.ban, s.evidence";
        let read = || -> Result<Vec<DeviceDay>, Unreadable> {
            let mut select = self.connection.prepare_cached(sql)?;
            let mut rows = select.query(params![number, days.start().0, days.end().0])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let evidence = word(Evidence::ALL, Evidence::as_str, &row.get::<_, String>(2)?)?;
                let (day, ban, count) = (Day(row.get(0)?), row.get(1)?, count(row.get(3)?)?);
                found.push(DeviceDay { day, ban, evidence, count, hours: row.get(4)? });
            }
            Ok(found)
        };
        read().map_err(|error| self.unreadable(error))
    }

    fn lookups_of(&self, name: &str) -> Result<Vec<ClientRow>, Unreadable> {
        let columns = "client, device, site, ban, evidence, first_seen_ms, last_seen_ms, count";
        let named = format!("SELECT {columns} FROM clients WHERE device = ?1 AND device <> '' LIMIT ?2");
        // An address without a device: by each ban and evidence that there is, since the key begins with them.
        let plain = "SELECT c.client, c.device, c.site, c.ban, c.evidence, c.first_seen_ms, c.last_seen_ms, c.count \
                     FROM (SELECT DISTINCT ban, evidence FROM series) AS s CROSS JOIN clients AS c \
                     ON c.ban = s.ban AND c.evidence = s.evidence AND c.client = ?1 AND c.device = '' LIMIT ?2";
        let mut found = Vec::new();
        for sql in [&*named, plain] {
            let mut select = self.connection.prepare_cached(sql)?;
            let mut rows = select.query(params![name, ROWS_MAX])?;
            while let Some(row) = rows.next()? {
                found.push(client_row(row)?);
            }
        }
        Ok(found)
    }

    /// Connections of the addresses by which it made these lookups, as this device.
    fn connected_by(&self, lookups: &[ClientRow]) -> Result<Vec<ConnectedRow>, Unreadable> {
        let sql = "SELECT first_ms, last_ms, client, device, site, ban, evidence, name, said, count FROM connected \
                   WHERE client = ?1 AND device = ?2 ORDER BY day DESC LIMIT ?3";
        let holders: BTreeSet<_> = lookups.iter().map(|row| (row.client, row.device.as_deref())).collect();
        let mut select = self.connection.prepare_cached(sql)?;
        let mut found = Vec::new();
        for (client, device) in holders {
            let mut rows = select.query(params![client.to_string(), device.unwrap_or_default(), ROWS_MAX])?;
            while let Some(row) = rows.next()? {
                found.push(connected_row(row)?);
            }
        }
        found.sort_by_key(|row| std::cmp::Reverse((row.last, row.client)));
        found.truncate(usize::try_from(ROWS_MAX).unwrap_or(usize::MAX));
        Ok(found)
    }

    /// Bindings whose strongest identifier it is.
    fn held_by(&self, name: &str) -> Result<Vec<BindingRow>, Unreadable> {
        let sql = "SELECT client, from_ms, until_ms, identifiers, method, estimated FROM bindings \
                   WHERE identifiers = ?1 OR (identifiers >= ?1 || ' ' AND identifiers < ?1 || '!') LIMIT ?2";
        self.bindings_by(sql, name)
    }

    /// Bindings of an address.
    fn held_at(&self, address: &str) -> Result<Vec<BindingRow>, Unreadable> {
        let sql = "SELECT client, from_ms, until_ms, identifiers, method, estimated FROM bindings \
                   WHERE client = ?1 ORDER BY from_ms DESC LIMIT ?2";
        self.bindings_by(sql, address)
    }

    fn bindings_by(&self, sql: &str, name: &str) -> Result<Vec<BindingRow>, Unreadable> {
        let mut select = self.connection.prepare_cached(sql)?;
        let mut rows = select.query(params![name, ROWS_MAX])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.extend(binding(row)?.and_then(|binding| told(&binding)));
        }
        Ok(found)
    }
}
