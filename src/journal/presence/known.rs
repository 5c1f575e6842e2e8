//! What is in memory of presence, and adding what one device did in one day.

use rusqlite::{Transaction, params};

use super::active::Window;
use super::bits::Bits;
use super::ever::Ever;
use super::numbers::{Holder, Numbers};
use super::{Sign, What};
use crate::journal::AttemptRow;
use crate::policy::Evidence;
use crate::time::Day;

/// What the writer keeps in memory from batch to batch. It is true only as long as each transaction is committed: whoever
/// rolls one back begins with a new one.
#[derive(Debug, Default)]
pub(in crate::journal) struct Known {
    pub(super) numbers: Numbers,
    bits: Bits,
    /// Whoever was ever seen, if somebody wants to hear of those who never were.
    ever: Option<Ever>,
    new: Vec<AttemptRow>,
    pub(super) window: Window,
    /// The day on which everything was looked through for what is too old.
    pub(in crate::journal) trimmed: Option<Day>,
    /// What SQLite said of changes by others (`PRAGMA data_version`).
    version: i64,
}

/// What one device did on one day, or a part of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deed<'a> {
    pub(super) ban: &'a str,
    pub(super) evidence: Evidence,
    pub(super) site: &'a str,
    /// Its address.
    pub(super) client: &'a str,
    /// Its best identifier; empty: not known.
    pub(super) device: &'a str,
    pub(super) day: Day,
    pub(super) sum: Sum,
}

/// Lookups of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) count: u64,
    /// Bit 0 is the hour from midnight.
    pub(super) hours: u32,
    pub(super) verified_hours: u32,
    /// A bit for each name, by its hash.
    pub(super) verified_names: u64,
    pub(super) exempt: bool,
}

impl Sum {
    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.hours |= other.hours;
        self.verified_hours |= other.verified_hours;
        self.verified_names |= other.verified_names;
        self.exempt |= other.exempt;
    }
}

impl Known {
    /// Adds what one device did; whether it is wanted to be told, and the first time that this device did such a thing.
    pub(super) fn add(&mut self, transaction: &Transaction<'_>, deed: &Deed<'_>) -> rusqlite::Result<bool> {
        let &Deed { ban, evidence, day, sum, .. } = deed;
        let site = self.numbers.site(transaction, deed.site)?;
        let sign = |what| Sign { ban, evidence: Some(evidence), what };
        let seen = self.numbers.sign(transaction, sign(What::Seen))?;
        let is_named = !deed.device.is_empty();
        let address = Holder { name: deed.client, client: "" };
        let holder = if is_named { Holder { name: deed.device, client: deed.client } } else { address };
        let Some(device) = self.numbers.device(transaction, site, holder, day)? else {
            return unnumbered(transaction, seen, day, sum.count).map(|()| false);
        };
        let is_first = self.ever.as_mut().map_or(Ok(false), |ever| ever.insert(transaction, seen, device))?
            && !(is_named && self.was_elsewhere(transaction, seen, (device, deed.device))?);
        self.put(transaction, (seen, day), device, holder)?;
        if is_named && let Some(address) = self.numbers.device(transaction, site, address, day)? {
            let sign = self.numbers.sign(transaction, sign(What::Address))?;
            self.put(transaction, (sign, day), address, Holder { name: deed.client, client: "" })?;
        }
        let confirmed = add_to_day(transaction, seen, device, day, sum)?;
        let also = [(What::Verified, sum.verified_hours > 0), (What::Confirmed, confirmed), (What::Exempt, sum.exempt)];
        for (what, _) in also.into_iter().filter(|&(_, holds)| holds) {
            let sign = self.numbers.sign(transaction, sign(what))?;
            self.bits.insert(transaction, (sign, day), device)?;
        }
        Ok(is_first)
    }

    /// Counts lookups of which it is not known whose they are.
    pub(super) fn add_unnumbered(
        &mut self,
        transaction: &Transaction<'_>,
        sign: Sign<'_>,
        day: Day,
        count: u64,
    ) -> rusqlite::Result<()> {
        let sign = self.numbers.sign(transaction, sign)?;
        unnumbered(transaction, sign, day, count)
    }

    /// Sets that could not be read and were begun anew since the last call.
    pub(in crate::journal) fn take_damaged(&mut self) -> u64 {
        self.bits.take_damaged()
    }

    /// Keeps what devices do for the first time from now on, for [`Known::take_new`].
    pub(in crate::journal) fn tell_new(&mut self) {
        self.ever.get_or_insert_default();
    }

    /// What devices did for the first time since the last call.
    pub(in crate::journal) fn take_new(&mut self) -> Vec<AttemptRow> {
        std::mem::take(&mut self.new)
    }

    /// Keeps it.
    pub(super) fn put_new(&mut self, row: AttemptRow) {
        self.new.push(row);
    }

    /// Notes that a device connected to the block page by a name of a ban and evidence. One that has no number stays in the
    /// rows of connections alone.
    pub(in crate::journal) fn add_connected(
        &mut self,
        transaction: &Transaction<'_>,
        (ban, evidence): (&str, Evidence),
        (site, client, device): (&str, &str, &str),
        day: Day,
    ) -> rusqlite::Result<()> {
        let site = self.numbers.site(transaction, site)?;
        let sign = Sign { ban, evidence: Some(evidence), what: What::Connected };
        let sign = self.numbers.sign(transaction, sign)?;
        let address = Holder { name: client, client: "" };
        let holder = if device.is_empty() { address } else { Holder { name: device, client } };
        match self.numbers.device(transaction, site, holder, day)? {
            Some(number) => self.put(transaction, (sign, day), number, holder),
            None => Ok(()),
        }
    }

    /// Whether a device that has this number at one site was seen at another one before.
    fn was_elsewhere(
        &mut self,
        transaction: &Transaction<'_>,
        sign: i64,
        (device, name): (u32, &str),
    ) -> rusqlite::Result<bool> {
        let others = "SELECT id FROM devices WHERE name = ?1 AND id <> ?2";
        let mut select = transaction.prepare_cached(others)?;
        let others = select.query_map(params![name, device], |row| row.get(0))?;
        let others = others.collect::<rusqlite::Result<Vec<u32>>>()?;
        let Some(ever) = &mut self.ever else { return Ok(false) };
        others.into_iter().try_fold(false, |was, other| Ok(was || ever.contains(transaction, sign, other)?))
    }

    /// Puts a device into a set of those that say it was there.
    pub(super) fn put(
        &mut self,
        transaction: &Transaction<'_>,
        set: (i64, Day),
        device: u32,
        holder: Holder<'_>,
    ) -> rusqlite::Result<()> {
        let is_new = self.bits.insert(transaction, set, device)?;
        // A device that leases name may be elsewhere by noon; what an old log tells of does not move it.
        if is_new || !holder.client.is_empty() {
            let touch = "UPDATE devices SET last_day = max(last_day, ?2), \
                         client = CASE WHEN ?2 >= last_day THEN ?3 ELSE client END \
                         WHERE id = ?1 AND (?2 > last_day OR ?2 = last_day AND client <> ?3)";
            transaction.prepare_cached(touch)?.execute(params![device, set.1.0, holder.client])?;
        }
        Ok(())
    }

    /// Writes what is new in memory; the last of a transaction.
    pub(in crate::journal) fn write(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        self.numbers.write(transaction)?;
        self.bits.write(transaction)
    }

    /// Looks whether others have written since the last time, as a scan does beside a server: then what memory holds of the
    /// store may no longer be so. To be called first in every transaction that adds.
    pub(super) fn look(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let version = transaction.pragma_query_value(None, "data_version", |row| row.get(0))?;
        if std::mem::replace(&mut self.version, version) != version {
            self.forget();
        }
        Ok(())
    }

    /// Forgets what memory holds, because the store was changed otherwise.
    pub(in crate::journal) fn forget(&mut self) {
        self.numbers.forget();
        self.bits = self.bits.anew();
        self.ever = self.ever.take().map(|_seen| Ever::default());
    }
}

/// Adds to what the device did on that day; whether that is now enough to call it confirmed.
fn add_to_day(transaction: &Transaction<'_>, sign: i64, device: u32, day: Day, sum: Sum) -> rusqlite::Result<bool> {
    let mut add = transaction.prepare_cached(
        "INSERT INTO device_days (sign, day, device, count, hours, verified_hours, verified_names) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET count = count + excluded.count, \
         hours = hours | excluded.hours, verified_hours = verified_hours | excluded.verified_hours, \
         verified_names = verified_names | excluded.verified_names RETURNING verified_hours, verified_names",
    )?;
    let (count, names) = (sum.count.cast_signed(), sum.verified_names.cast_signed());
    let row = params![sign, day.0, device, count, sum.hours, sum.verified_hours, names];
    let (hours, names): (i64, i64) = add.query_row(row, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(hours.count_ones() > 1 || names.count_ones() > 1)
}

/// Counts what was done by a device that has no number, so that it is missing nowhere without a word.
pub(super) fn unnumbered(transaction: &Transaction<'_>, sign: i64, day: Day, count: u64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO unnumbered (sign, day, count) VALUES (?1, ?2, ?3) \
               ON CONFLICT DO UPDATE SET count = count + excluded.count";
    transaction.prepare_cached(sql)?.execute(params![sign, day.0, count.cast_signed()]).map(drop)
}
