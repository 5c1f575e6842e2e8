//! Numbers of sites, signs and devices: handed out once, and looked up in memory mostly.

use hashbrown::HashMap;
use rusqlite::{OptionalExtension, Transaction, params};

use super::Sign;
use crate::time::Day;

/// Devices at most: forged addresses must not fill the disk for good.
pub(super) const DEVICES_MAX: u64 = 1 << 24;
/// Devices beyond which one that has only been active gets no number: what follows is of devices that tried something.
pub(super) const ACTIVE_MAX: u64 = 1 << 23;
/// Numbers at most: those of devices that were forgotten are not used again.
const NUMBERS_END: u32 = 1 << 31;
/// Devices whose numbers are kept in memory at most.
const KEPT_MAX: usize = 1 << 18;
/// What the store calls blocks of devices that have a number at another site already.
pub(super) const AGAIN: i64 = Kind::Again as i64;
/// Numbers of a block: so many at least, and at most.
const BLOCK_SIZES: (u32, u32) = (64, 65_536);

/// Numbers that are known.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    sites: HashMap<Box<str>, i64>,
    signs: HashMap<(Box<str>, &'static str, &'static str), i64>,
    /// By site.
    devices: HashMap<(i64, Box<str>), u32>,
    /// The block of each site and kind that still has numbers.
    open: HashMap<(i64, Kind), Open>,
    counted: Option<Counted>,
}

/// What the numbers of a block are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// Addresses.
    Address = 0,
    /// Devices that leases name.
    Named = 1,
    /// Such devices that have a number at another site already.
    Again = 2,
}

/// A block that still has numbers.
#[derive(Clone, Copy, Debug)]
struct Open {
    first: u32,
    size: u32,
    used: u32,
    /// Whether the store does not know yet.
    is_new: bool,
}

/// What has been handed out in all.
#[derive(Clone, Copy, Debug)]
struct Counted {
    devices: u64,
    next: u32,
}

/// Who asked: a device that leases name, or an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder<'a> {
    /// The device, or the address.
    pub(super) name: &'a str,
    /// The address, if it is a device; else empty.
    pub(super) client: &'a str,
}

impl Holder<'_> {
    fn is_named(&self) -> bool {
        !self.client.is_empty()
    }
}

impl Numbers {
    /// The number of a site.
    pub(super) fn site(&mut self, transaction: &Transaction<'_>, site: &str) -> rusqlite::Result<i64> {
        if let Some(&number) = self.sites.get(site) {
            return Ok(number);
        }
        let find = "SELECT id FROM sites WHERE site = ?1";
        let found = transaction.prepare_cached(find)?.query_row([site], |row| row.get(0)).optional()?;
        let insert = "INSERT INTO sites (site) VALUES (?1) RETURNING id";
        let new = || transaction.prepare_cached(insert)?.query_row([site], |row| row.get(0));
        let number = found.map_or_else(new, Ok)?;
        self.sites.insert(site.into(), number);
        Ok(number)
    }

    /// The number of a sign.
    pub(super) fn sign(&mut self, transaction: &Transaction<'_>, sign: Sign<'_>) -> rusqlite::Result<i64> {
        let (evidence, what) = (sign.evidence(), sign.what.as_str());
        if let Some(&number) = self.signs.get(&(Box::from(sign.ban), evidence, what)) {
            return Ok(number);
        }
        let key = params![sign.ban, evidence, what];
        let find = "SELECT id FROM signs WHERE (ban, evidence, what) = (?1, ?2, ?3)";
        let found = transaction.prepare_cached(find)?.query_row(key, |row| row.get(0)).optional()?;
        let insert = "INSERT INTO signs (ban, evidence, what) VALUES (?1, ?2, ?3) RETURNING id";
        let new = || transaction.prepare_cached(insert)?.query_row(key, |row| row.get(0));
        let number = found.map_or_else(new, Ok)?;
        self.signs.insert((sign.ban.into(), evidence, what), number);
        Ok(number)
    }

    /// The number of a device at a site. `None`: there is none left.
    pub(super) fn device(
        &mut self,
        transaction: &Transaction<'_>,
        site: i64,
        holder: Holder<'_>,
        day: Day,
    ) -> rusqlite::Result<Option<u32>> {
        self.device_within(transaction, (site, DEVICES_MAX), holder, day)
    }

    /// The same of a device of which nothing is known but that it was active.
    pub(super) fn active_device(
        &mut self,
        transaction: &Transaction<'_>,
        site: i64,
        holder: Holder<'_>,
        day: Day,
    ) -> rusqlite::Result<Option<u32>> {
        self.device_within(transaction, (site, ACTIVE_MAX), holder, day)
    }

    /// The number of a device; a new one only where there are fewer devices than `most`.
    fn device_within(
        &mut self,
        transaction: &Transaction<'_>,
        (site, most): (i64, u64),
        holder: Holder<'_>,
        day: Day,
    ) -> rusqlite::Result<Option<u32>> {
        // One copy of the name is cheaper than a second hash of it.
        let key = (site, Box::from(holder.name));
        if let Some(&number) = self.devices.get(&key) {
            return Ok(Some(number));
        }
        let find = "SELECT id FROM devices WHERE name = ?1 AND site = ?2";
        let found =
            transaction.prepare_cached(find)?.query_row(params![holder.name, site], |row| row.get(0)).optional()?;
        let Some(number) =
            found.map_or_else(|| self.new_device(transaction, (site, most), holder, day), |number| Ok(Some(number)))?
        else {
            return Ok(None);
        };
        if self.devices.len() >= KEPT_MAX {
            self.devices.clear();
        }
        self.devices.insert(key, number);
        Ok(Some(number))
    }

    fn new_device(
        &mut self,
        transaction: &Transaction<'_>,
        (site, most): (i64, u64),
        holder: Holder<'_>,
        day: Day,
    ) -> rusqlite::Result<Option<u32>> {
        let kind = if holder.is_named() { named(transaction, holder.name)? } else { Kind::Address };
        let Some(number) = self.next(transaction, (site, most), kind)? else { return Ok(None) };
        let insert = "INSERT INTO devices (id, site, name, client, last_day) VALUES (?1, ?2, ?3, ?4, ?5)";
        transaction.prepare_cached(insert)?.execute(params![number, site, holder.name, holder.client, day.0])?;
        Ok(Some(number))
    }

    /// The next number of a site, if there are fewer devices than `most`.
    fn next(
        &mut self,
        transaction: &Transaction<'_>,
        (site, most): (i64, u64),
        kind: Kind,
    ) -> rusqlite::Result<Option<u32>> {
        let mut counted = self.counted.map_or_else(|| count(transaction), Ok)?;
        self.counted = Some(counted);
        let open = match self.open.get(&(site, kind)).copied() {
            Some(open) => open,
            None => last_block(transaction, site, kind)?,
        };
        if counted.devices >= most || (open.used >= open.size && counted.next >= NUMBERS_END) {
            return Ok(None);
        }
        let open = if open.used < open.size {
            open
        } else {
            // Each twice as large as the one before: few ranges, and little room that is never used.
            let (least, most) = BLOCK_SIZES;
            // Written before the next takes its place.
            write(transaction, site, kind, &open)?;
            let room = (open.size * 2).clamp(least, most);
            let first = counted.next;
            counted.next += room;
            Open { first, size: room, used: 0, is_new: true }
        };
        let number = open.first + open.used;
        counted.devices += 1;
        self.counted = Some(counted);
        self.open.insert((site, kind), Open { used: open.used + 1, is_new: true, ..open });
        Ok(Some(number))
    }

    /// Writes how far the blocks are used.
    pub(super) fn write(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        for (&(site, kind), open) in &mut self.open {
            write(transaction, site, kind, open)?;
            open.is_new = false;
        }
        Ok(())
    }

    /// Notes that the store was changed otherwise: devices are to be counted anew, and looked up there, and so are blocks.
    pub(super) fn forget(&mut self) {
        self.counted = None;
        self.devices.clear();
        self.open.clear();
    }
}

/// What the next number of a device with this name is: the first, or one more.
fn named(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<Kind> {
    let elsewhere = "SELECT EXISTS (SELECT 1 FROM devices WHERE name = ?1)";
    let is_elsewhere: bool = transaction.prepare_cached(elsewhere)?.query_row([name], |row| row.get(0))?;
    Ok(if is_elsewhere { Kind::Again } else { Kind::Named })
}

fn count(transaction: &Transaction<'_>) -> rusqlite::Result<Counted> {
    let devices =
        transaction.query_row("SELECT count(*) FROM devices", [], |row| row.get::<_, i64>(0))?.cast_unsigned();
    let next = transaction.query_row("SELECT ifnull(max(first + size), 0) FROM blocks", [], |row| row.get(0))?;
    Ok(Counted { devices, next })
}

/// The last block of a site; without one, one that is used up.
fn last_block(transaction: &Transaction<'_>, site: i64, kind: Kind) -> rusqlite::Result<Open> {
    let last = "SELECT first, size, used FROM blocks WHERE site = ?1 AND named = ?2 ORDER BY first DESC LIMIT 1";
    let open = transaction.prepare_cached(last)?.query_row(params![site, kind as i64], |row| {
        Ok(Open { first: row.get(0)?, size: row.get(1)?, used: row.get(2)?, is_new: false })
    });
    Ok(open.optional()?.unwrap_or(Open { first: 0, size: 0, used: 0, is_new: false }))
}

fn write(transaction: &Transaction<'_>, site: i64, kind: Kind, open: &Open) -> rusqlite::Result<()> {
    if !open.is_new {
        return Ok(());
    }
    let sql = "INSERT INTO blocks (first, size, used, site, named) VALUES (?1, ?2, ?3, ?4, ?5) \
               ON CONFLICT DO UPDATE SET used = excluded.used";
    transaction.prepare_cached(sql)?.execute(params![open.first, open.size, open.used, site, kind as i64]).map(drop)
}
