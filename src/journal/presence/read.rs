//! Reading presence: sets of devices by day, the ranges of sites, and who a number is.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use roaring::RoaringBitmap;
use rusqlite::{OptionalExtension, Transaction, params};

use super::same::{Same, SameDevice};
use super::{BLOCK, Sign, damaged};
use crate::identity::Devices;
use crate::journal::read::Unreadable;
use crate::journal::{Store, StoreError};
use crate::priority::make_way;
use crate::time::Day;

/// Sets that are read before whoever waits for the processor gets it.
const SETS_AT_ONCE: usize = 16;

/// Presence as it was at one moment, however much is written meanwhile.
#[derive(Debug)]
pub struct Presence<'s> {
    store: &'s Store,
    pub(super) transaction: Transaction<'s>,
    same: Same,
    /// Days of sets that could not be read.
    damaged: RefCell<BTreeSet<Day>>,
}

/// Numbers of one site that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Numbered {
    /// The first.
    pub first: u32,
    /// Behind the last that was handed out.
    pub end: u32,
    /// Whose site.
    pub site: String,
    /// Whether they are devices that leases name; else they are addresses.
    pub named: bool,
}

/// A piece of the set of a day; its numbers are those of devices without their block.
pub type Set = (Day, RoaringBitmap);

/// Who a number is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// Its number.
    pub number: u32,
    /// Where it is.
    pub site: String,
    /// What tells it best, or its address.
    pub device: String,
    /// Its address: the last one, if it has had several.
    pub client: Option<IpAddr>,
}

/// What a device did on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayCount {
    /// Which day.
    pub day: Day,
    /// How many lookups.
    pub count: u64,
    /// The hours in which it made them; bit 0 is the one from midnight.
    pub hours: u32,
}

impl Store {
    /// Presence as it is now.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn presence(&self) -> Result<Presence<'_>, StoreError> {
        let transaction = self.connection.unchecked_transaction();
        let transaction = transaction.map_err(|error| StoreError::new(&self.path, &error))?;
        Ok(Presence { store: self, transaction, same: Same::default(), damaged: RefCell::default() })
    }
}

impl Presence<'_> {
    /// The same where the numbers of one device are known as such: by its name at several sites, and by what is known now of
    /// names that it was recorded under.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read.
    pub fn uniting(mut self, devices: &Devices) -> Result<Self, StoreError> {
        self.same = Same::read(&self.transaction, devices).map_err(|error| self.fail(error.into()))?;
        Ok(self)
    }

    /// Devices that have several numbers, or another name by now.
    pub fn same(&self) -> &[SameDevice] {
        self.same.all()
    }

    /// Every range of numbers, in their order.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read.
    pub fn numbered(&self) -> Result<Vec<Numbered>, StoreError> {
        let sql = "SELECT b.first, b.used, s.site, b.named FROM blocks AS b JOIN sites AS s ON s.id = b.site ORDER BY b.first";
        self.rows(sql, [], |row| {
            let first: u32 = row.get(0)?;
            let end = first.saturating_add(row.get(1)?);
            Ok(Numbered { first, end, site: row.get(2)?, named: row.get(3)? })
        })
    }

    /// The first and the last day of which there is a set of this sign.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read.
    pub fn days(&self, sign: Sign<'_>) -> Result<Option<RangeInclusive<Day>>, StoreError> {
        let sql = "SELECT min(p.day), max(p.day) FROM signs AS s JOIN presence AS p ON p.sign = s.id \
                   WHERE (s.ban, s.evidence, s.what) = (?1, ?2, ?3)";
        let key = params![sign.ban, sign.evidence(), sign.what.as_str()];
        let read = || -> rusqlite::Result<Option<(i32, i32)>> {
            let mut select = self.transaction.prepare_cached(sql)?;
            let days =
                select.query_row(key, |row| Ok((row.get::<_, Option<i32>>(0)?, row.get::<_, Option<i32>>(1)?)))?;
            Ok(days.0.zip(days.1))
        };
        let days = read().map_err(|error| self.fail(error.into()))?;
        Ok(days.map(|(first, last)| Day(first)..=Day(last)))
    }

    /// The sets of one sign, of the numbers from `block` times [`BLOCK`] on, of these days, in their order. Days of which there
    /// is no set are left out. One that can't be read has nobody in it; [`Presence::damaged`] tells of it.
    ///
    /// # Errors
    /// [`StoreError`] when they can't be read.
    pub fn sets(&self, sign: Sign<'_>, block: u32, days: &RangeInclusive<Day>) -> Result<Vec<Set>, StoreError> {
        let find = "SELECT id FROM signs WHERE (ban, evidence, what) = (?1, ?2, ?3)";
        let sql =
            "SELECT day, bits FROM presence WHERE sign = ?1 AND block = ?2 AND day BETWEEN ?3 AND ?4 ORDER BY day";
        let read = || -> Result<Vec<Set>, Unreadable> {
            let key = params![sign.ban, sign.evidence(), sign.what.as_str()];
            let found: Option<i64> =
                self.transaction.prepare_cached(find)?.query_row(key, |row| row.get(0)).optional()?;
            let Some(number) = found else { return Ok(Vec::new()) };
            let mut select = self.transaction.prepare_cached(sql)?;
            let mut rows = select.query(params![number, block, days.start().0, days.end().0])?;
            let mut sets = Vec::new();
            while let Some(row) = rows.next()? {
                let octets = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
                let day = Day(row.get(0)?);
                let bits = RoaringBitmap::deserialize_from(octets).unwrap_or_else(|_damage| {
                    self.damaged.borrow_mut().insert(day);
                    RoaringBitmap::new()
                });
                sets.push((day, bits));
                if sets.len().is_multiple_of(SETS_AT_ONCE) {
                    make_way();
                }
            }
            Ok(sets)
        };
        read().map_err(|error| self.fail(error))
    }

    /// Days of these that sets of this sign are damaged of: those that were met by now, of any sign, and those that were begun anew
    /// before. Devices of these days may be missing.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read.
    pub fn damaged(&self, sign: Sign<'_>, days: &RangeInclusive<Day>) -> Result<Vec<Day>, StoreError> {
        let mut all = self.damaged.borrow().clone();
        all.extend(damaged::days(&self.transaction, sign).map_err(|error| self.fail(error.into()))?);
        all.retain(|day| days.contains(day));
        Ok(all.into_iter().collect())
    }

    /// How many lookups of this sign are of no device in the sets: there were too many at once to tell them apart, no number was
    /// left, or clients are only counted.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read.
    pub fn unnumbered(&self, sign: Sign<'_>, days: &RangeInclusive<Day>) -> Result<u64, StoreError> {
        let sql = "SELECT ifnull(sum(u.count), 0) FROM signs AS s JOIN unnumbered AS u ON u.sign = s.id \
                   WHERE (s.ban, s.evidence, s.what) = (?1, ?2, ?3) AND u.day BETWEEN ?4 AND ?5";
        let key = params![sign.ban, sign.evidence(), sign.what.as_str(), days.start().0, days.end().0];
        let sums = self.rows(sql, key, |row| row.get::<_, i64>(0))?;
        Ok(sums.into_iter().sum::<i64>().cast_unsigned())
    }

    /// Who these numbers are, in the order of sites and names; a device that is known under another name now has that.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read.
    pub fn devices(&self, numbers: impl IntoIterator<Item = u32>) -> Result<Vec<DeviceRow>, StoreError> {
        let sql = "SELECT s.site, d.name, d.client FROM devices AS d JOIN sites AS s ON s.id = d.site WHERE d.id = ?1";
        let read = || -> rusqlite::Result<Vec<DeviceRow>> {
            let mut select = self.transaction.prepare_cached(sql)?;
            let mut devices = Vec::new();
            for number in numbers {
                let device = select.query_row([number], |row| {
                    let (device, client): (String, String) = (row.get(1)?, row.get(2)?);
                    let client = if client.is_empty() { &device } else { &client }.parse().ok();
                    let device = self.same.of(number).map_or(device, |same| same.name.clone());
                    Ok(DeviceRow { number, site: row.get(0)?, device, client })
                });
                devices.extend(device.optional()?);
            }
            Ok(devices)
        };
        let mut devices = read().map_err(|error| self.fail(error.into()))?;
        devices.sort_by(|a, b| (&a.site, &a.device, a.number).cmp(&(&b.site, &b.device, b.number)));
        Ok(devices)
    }

    /// What a device did on the days that are kept one by one, in their order.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read.
    pub fn counts(&self, sign: Sign<'_>, device: u32, days: &RangeInclusive<Day>) -> Result<Vec<DayCount>, StoreError> {
        // Day by day: the table begins with sign and day, and would else be read whole.
        let sql = "WITH RECURSIVE days (day) AS (SELECT ?4 UNION ALL SELECT day + 1 FROM days WHERE day < ?5) \
                   SELECT d.day, d.count, d.hours FROM signs AS s CROSS JOIN days CROSS JOIN device_days AS d \
                   ON d.sign = s.id AND d.day = days.day AND d.device = ?6 \
                   WHERE (s.ban, s.evidence, s.what) = (?1, ?2, ?3) ORDER BY days.day";
        let key = params![sign.ban, sign.evidence(), sign.what.as_str(), days.start().0, days.end().0, device];
        self.rows(sql, key, |row| {
            let (day, count): (_, i64) = (Day(row.get(0)?), row.get(1)?);
            Ok(DayCount { day, count: count.cast_unsigned(), hours: row.get(2)? })
        })
    }

    /// Every number in the order of names, or against it.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read.
    pub fn by_name(&self, falling: bool, visit: &mut dyn FnMut(u32)) -> Result<(), StoreError> {
        let sql = if falling {
            "SELECT id FROM devices ORDER BY name DESC, site DESC"
        } else {
            "SELECT id FROM devices ORDER BY name, site"
        };
        let mut read = || -> rusqlite::Result<()> {
            let mut select = self.transaction.prepare_cached(sql)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                visit(row.get(0)?);
            }
            Ok(())
        };
        read().map_err(|error| self.fail(error.into()))
    }

    /// Numbers of blocks that may hold a device: those of [`Presence::numbered`].
    pub fn blocks(numbered: &[Numbered]) -> RangeInclusive<u32> {
        let last = numbered.last().map_or(0, |last| last.end.saturating_sub(1) / BLOCK);
        0..=last
    }

    pub(super) fn rows<T>(
        &self,
        sql: &str,
        key: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let select =
            || -> rusqlite::Result<Vec<T>> { self.transaction.prepare_cached(sql)?.query_map(key, read)?.collect() };
        select().map_err(|error| self.fail(error.into()))
    }

    fn fail(&self, error: Unreadable) -> StoreError {
        self.store.unreadable(error)
    }
}
