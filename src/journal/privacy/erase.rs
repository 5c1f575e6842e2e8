//! Erasing all that is kept of one client or device: from every table, from the sets of presence, and from the file's free room.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;
use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};

use super::noted::note_erasure;
use super::person::{Person, Whose, json};
use super::{Erasure, Key};
use crate::identity::Devices;
use crate::journal::StoreError;
use crate::journal::bindings;
use crate::journal::database::Database;
use crate::journal::presence::{BLOCK, What, empty_damaged, octets};
use crate::priority::make_way;
use crate::time::Timestamp;

/// What was erased. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Numbers of devices and addresses that are in no set any more.
    pub devices: u64,
    /// Attempts.
    pub attempts: u64,
    /// Rows of who held which address.
    pub bindings: u64,
    /// Rows of the record of names asked.
    pub names: u64,
    /// Rows that waited for sinks: they go on without client and device.
    pub waiting: u64,
    /// Why some of it may still stand in free room of the files, if so; `None`: it is overwritten.
    pub not_overwritten: Option<String>,
}

impl Erased {
    /// Whether there was nothing.
    pub fn is_nothing(&self) -> bool {
        let Self { devices, attempts, bindings, names, waiting, .. } = self;
        [devices, attempts, bindings, names, waiting].into_iter().all(|count| *count == 0)
    }
}

/// Numbers of devices and addresses, and the pieces of sets that hold them.
type Numbers = BTreeMap<u32, BTreeSet<u32>>;

impl Database {
    /// Whom the store knows as this.
    pub(in crate::journal) fn person(
        &self,
        whose: &Whose,
        known: (Option<&Key>, &Devices),
    ) -> Result<Person, StoreError> {
        Person::find(&self.connection, whose, known).map_err(|error| StoreError::new(&self.path, &error))
    }

    /// Erases what the store keeps of a person, and overwrites where it stood.
    pub(in crate::journal) fn erase(&mut self, person: &Person, now: Timestamp) -> Result<Erased, StoreError> {
        let overwriting = |on: bool, database: &Self| {
            let set = database.connection.pragma_update_and_check(None, "secure_delete", on, |_| Ok(()));
            set.map_err(|error| StoreError::new(&database.path, &error))
        };
        overwriting(true, self)?;
        let erased = self.transaction(|transaction| erase(transaction, person, now));
        self.known.forget();
        overwriting(false, self)?;
        let mut erased = erased?;
        if erased.attempts + erased.devices + erased.bindings > 0 {
            erased.not_overwritten = overwrite(&self.connection).err();
        }
        Ok(erased)
    }
}

/// Writes the file anew, so that nothing is left in it of what was erased, and empties the write-ahead log.
///
/// # Errors
/// Why that can't be done now.
pub(in crate::journal) fn overwrite(connection: &Connection) -> Result<(), String> {
    /// A store as small as this is copied in memory; a larger one beside the files of the system that are for a while.
    const IN_MEMORY_MAX: i64 = 64 << 20;
    let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let anew = || -> rusqlite::Result<bool> {
        let size: i64 = connection.query_row(size, [], |row| row.get(0))?;
        let place = if size <= IN_MEMORY_MAX { "MEMORY" } else { "FILE" };
        connection.pragma_update(None, "temp_store", place)?;
        connection.execute_batch("VACUUM")?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
    };
    match anew() {
        Ok(false) => Ok(()),
        Ok(true) => Err("somebody reads the store as it was; ask for it again".to_owned()),
        Err(error) => Err(format!("the file can't be written anew: {error}")),
    }
}

fn erase(transaction: &Transaction<'_>, person: &Person, now: Timestamp) -> rusqlite::Result<Erased> {
    let (clients, devices) = (person.clients_json(), person.devices_json());
    let held = held(transaction, &devices)?;
    let numbers = numbers(transaction, &[&clients, &devices])?;
    let addresses = numbers_of_addresses(transaction, &json(held.into_iter()))?;
    let days = erase_sets(transaction, &numbers, |_what, _day| true)?;
    empty_damaged(transaction)?;
    // Which of those who held an address on one day is in the set of addresses is not known: the address leaves it.
    erase_sets(transaction, &addresses, |what, day| what == What::Address.as_str() && days.contains(&day))?;
    for table in ["device_days", "device_months"] {
        let sql = format!("DELETE FROM {table} WHERE device IN (SELECT value FROM json_each(?1))");
        transaction.execute(&sql, [ids(&numbers)])?;
    }
    transaction.execute("DELETE FROM devices WHERE id IN (SELECT value FROM json_each(?1))", [ids(&numbers)])?;
    // Devices that are known by more keep their number, but not the address.
    let last = "UPDATE devices SET client = '?' WHERE client IN (SELECT value FROM json_each(?1))";
    transaction.execute(last, [&clients])?;
    let is_of = "client IN (SELECT value FROM json_each(?1)) OR device IN (SELECT value FROM json_each(?2))";
    let sum = format!("SELECT ifnull(sum(count), 0) FROM attempts WHERE {is_of}");
    let attempts: i64 = transaction.query_row(&sum, [&clients, &devices], |row| row.get(0))?;
    make_way();
    for table in ["attempts", "clients", "connected"] {
        transaction.execute(&format!("DELETE FROM {table} WHERE {is_of}"), [&clients, &devices])?;
    }
    let bindings = erase_bindings(transaction, person)?;
    let devices = numbers.values().map(|numbers| numbers.len() as u64).sum();
    let erased = Erased { devices, attempts: attempts.cast_unsigned(), bindings, ..Erased::default() };
    if erased.devices + erased.attempts > 0 {
        note_erasure(transaction, Erasure { at: now, devices: erased.devices, attempts: erased.attempts })?;
    }
    Ok(erased)
}

/// The numbers of devices and addresses with these names, by block.
fn numbers(transaction: &Transaction<'_>, names: &[&String]) -> rusqlite::Result<Numbers> {
    let mut numbers = Numbers::new();
    let mut select = transaction.prepare("SELECT id FROM devices WHERE name IN (SELECT value FROM json_each(?1))")?;
    for names in names {
        for number in select.query_map([names], |row| row.get::<_, u32>(0))? {
            let number = number?;
            numbers.entry(number / BLOCK).or_default().insert(number);
        }
    }
    Ok(numbers)
}

/// The same of addresses alone.
fn numbers_of_addresses(transaction: &Transaction<'_>, addresses: &str) -> rusqlite::Result<Numbers> {
    numbers(transaction, &[&addresses.to_owned()])
}

/// Addresses that devices with these names have had.
fn held(transaction: &Transaction<'_>, devices: &str) -> rusqlite::Result<BTreeSet<String>> {
    let sql = "SELECT client FROM attempts WHERE device IN (SELECT value FROM json_each(?1)) \
               UNION SELECT client FROM clients WHERE device IN (SELECT value FROM json_each(?1)) \
               UNION SELECT client FROM devices WHERE name IN (SELECT value FROM json_each(?1)) AND client <> ''";
    transaction.prepare(sql)?.query_map([devices], |row| row.get(0))?.collect()
}

fn ids(numbers: &Numbers) -> String {
    serde_json::Value::from(numbers.values().flatten().copied().collect::<Vec<u32>>()).to_string()
}

/// Takes numbers out of the sets that `is_meant` by what they say and their day; the days of those that held any.
fn erase_sets(
    transaction: &Transaction<'_>,
    numbers: &Numbers,
    is_meant: impl Fn(&str, i32) -> bool,
) -> rusqlite::Result<BTreeSet<i32>> {
    let sql = "SELECT p.sign, p.day, p.bits, s.what FROM signs AS s CROSS JOIN presence AS p ON p.sign = s.id AND p.block = ?1";
    let write = "UPDATE presence SET bits = ?4 WHERE sign = ?1 AND block = ?2 AND day = ?3";
    let remove = "DELETE FROM presence WHERE sign = ?1 AND block = ?2 AND day = ?3";
    let mut days = BTreeSet::new();
    for (&block, numbers) in numbers {
        let mut changed = Vec::new();
        let mut select = transaction.prepare_cached(sql)?;
        let mut rows = select.query([block])?;
        while let Some(row) = rows.next()? {
            let (sign, day): (i64, i32) = (row.get(0)?, row.get(1)?);
            if !is_meant(row.get_ref(3)?.as_str()?, day) {
                continue;
            }
            // Of a damaged set nothing can be said, so it goes as a whole.
            let bits = RoaringBitmap::deserialize_from(row.get_ref(2)?.as_blob()?).unwrap_or_default();
            let gone: RoaringBitmap = numbers.iter().map(|number| number % BLOCK).collect();
            if !bits.is_disjoint(&gone) || bits.is_empty() {
                changed.push((sign, day, bits - gone));
                days.insert(day);
            }
        }
        drop(rows);
        for (sign, day, bits) in changed {
            if bits.is_empty() {
                transaction.prepare_cached(remove)?.execute(params![sign, block, day])?;
            } else {
                transaction.prepare_cached(write)?.execute(params![sign, block, day, octets(&bits)])?;
            }
        }
        make_way();
    }
    Ok(days)
}

fn erase_bindings(transaction: &Transaction<'_>, person: &Person) -> rusqlite::Result<u64> {
    let mut gone = Vec::new();
    bindings::visit(transaction, |client, from, mut identifiers| {
        let is_held = client.parse().is_ok_and(|client| person.clients.contains(&client));
        if is_held || identifiers.any(|identifier| person.devices.contains(identifier)) {
            gone.push((client.to_owned(), from));
        }
    })?;
    let mut delete = transaction.prepare("DELETE FROM bindings WHERE client = ?1 AND from_ms = ?2")?;
    for (client, from) in &gone {
        delete.execute(params![client, from])?;
    }
    Ok(gone.len() as u64)
}
