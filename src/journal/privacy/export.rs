//! All that is kept of one client or device, to be handed to whom it is of.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;
use rusqlite::{Connection, params};
use serde::Serialize;

use super::Key;
use super::person::{Person, Whose};
use crate::identity::Devices;
use crate::journal::connected::connected_row;
use crate::journal::presence::BLOCK;
use crate::journal::read::{Unreadable, attempt_row, client_row};
use crate::journal::{AttemptRow, BindingRow, ClientRow, ConnectedRow, Filter, KeptName, NameStore, Store, StoreError};
use crate::time::Day;

/// All that is kept of one client or device. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Kept {
    /// By what it was looked for.
    pub sought: Person,
    /// What it tried, the newest first.
    pub attempts: Vec<AttemptRow>,
    /// What is known of what it tried.
    pub clients: Vec<ClientRow>,
    /// When it connected to the block page.
    pub connected: Vec<ConnectedRow>,
    /// Which addresses it had, or who had its address.
    pub bindings: Vec<BindingRow>,
    /// On which days it was there.
    pub presence: Vec<KeptSet>,
    /// How often it tried what on each day.
    pub days: Vec<KeptDay>,
    /// How often it tried what in each month.
    pub months: Vec<KeptMonth>,
    /// Which names it asked for, where those are recorded.
    pub names: Vec<KeptName>,
}

/// Days on which a number was in the sets of a sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptSet {
    /// The number's name: a device or an address.
    pub device: String,
    /// Where it is.
    pub site: String,
    /// The ban's id; empty: whatever was asked.
    pub ban: String,
    /// What the lookups prove; empty: whatever was asked.
    pub evidence: String,
    /// `seen`, `verified`, `confirmed`, `exempt`, `address` or `active`.
    pub what: String,
    /// The days, in UTC.
    pub days: Vec<String>,
}

/// What was tried on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptDay {
    /// The day, in UTC.
    pub day: String,
    /// The ban's id.
    pub ban: String,
    /// What the lookups prove.
    pub evidence: String,
    /// How many.
    pub count: u64,
    /// In which hours; bit 0 is the one from midnight.
    pub hours: u32,
}

/// What was tried in a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptMonth {
    /// The month, as 202409.
    pub month: u32,
    /// The ban's id.
    pub ban: String,
    /// What the lookups prove.
    pub evidence: String,
    /// How many.
    pub count: u64,
    /// On how many days.
    pub days: u32,
}

/// A number with its name and site.
type Numbered = (u32, String, String);

impl Store {
    /// All that is kept of somebody; of names asked, what `names` has. Pseudonyms are those of `key`, and `known` says which
    /// identifiers are of one device.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read to the end.
    pub fn kept(
        &self,
        whose: &Whose,
        (key, known): (Option<&Key>, &Devices),
        names: Option<&NameStore>,
    ) -> Result<Kept, StoreError> {
        let sought =
            Person::find(&self.connection, whose, (key, known)).map_err(|error| StoreError::new(&self.path, &error))?;
        let read = || -> Result<Kept, Unreadable> {
            let (attempts, clients) = (self.attempts_of(&sought)?, self.clients_of(&sought)?);
            let connected = self.connected_of(&sought)?;
            let numbers = numbers(&self.connection, &sought)?;
            let presence = presence(&self.connection, &numbers)?;
            let (days, months) = (days(&self.connection, &numbers)?, months(&self.connection, &numbers)?);
            let (bindings, names) = (Vec::new(), Vec::new());
            Ok(Kept { sought: sought.clone(), attempts, clients, connected, bindings, presence, days, months, names })
        };
        let mut kept = read().map_err(|error| self.unreadable(error))?;
        let is_of = |binding: &BindingRow| {
            let is_device = binding.identifiers.iter().any(|identifier| sought.devices.contains(identifier));
            is_device || sought.clients.contains(&binding.client)
        };
        kept.bindings = self.bindings(&Filter::default())?.into_iter().filter(is_of).collect();
        if let Some(names) = names {
            kept.names = names.of(&sought.clients)?;
        }
        Ok(kept)
    }

    fn attempts_of(&self, person: &Person) -> Result<Vec<AttemptRow>, Unreadable> {
        let sql = "SELECT a.first_ms, a.last_ms, a.client, a.device, s.site, a.name, a.qtype, s.ban, s.category, \
                   s.evidence, a.pattern, s.action, s.transport, s.verified, a.count \
                   FROM attempts AS a CROSS JOIN series AS s ON s.id = a.series \
                   WHERE a.client IN (SELECT value FROM json_each(?1)) OR a.device IN (SELECT value FROM json_each(?2)) \
                   ORDER BY a.minute DESC, a.last_ms DESC, a.client, a.name, a.qtype";
        self.of(person, sql, attempt_row)
    }

    fn clients_of(&self, person: &Person) -> Result<Vec<ClientRow>, Unreadable> {
        let sql = "SELECT client, device, site, ban, evidence, first_seen_ms, last_seen_ms, count FROM clients \
                   WHERE client IN (SELECT value FROM json_each(?1)) OR device IN (SELECT value FROM json_each(?2)) \
                   ORDER BY last_seen_ms DESC, client, ban, evidence, site";
        self.of(person, sql, client_row)
    }

    fn connected_of(&self, person: &Person) -> Result<Vec<ConnectedRow>, Unreadable> {
        let sql = "SELECT first_ms, last_ms, client, device, site, ban, evidence, name, said, count FROM connected \
                   WHERE client IN (SELECT value FROM json_each(?1)) OR device IN (SELECT value FROM json_each(?2)) \
                   ORDER BY last_ms DESC, client, ban, evidence, site, device";
        self.of(person, sql, connected_row)
    }

    fn of<T>(
        &self,
        person: &Person,
        sql: &str,
        read: fn(&rusqlite::Row<'_>) -> Result<T, Unreadable>,
    ) -> Result<Vec<T>, Unreadable> {
        let mut select = self.connection.prepare(sql)?;
        let mut rows = select.query([person.clients_json(), person.devices_json()])?;
        let mut read_rows = Vec::new();
        while let Some(row) = rows.next()? {
            read_rows.push(read(row)?);
        }
        Ok(read_rows)
    }
}

fn numbers(connection: &Connection, person: &Person) -> rusqlite::Result<Vec<Numbered>> {
    let sql = "SELECT d.id, d.name, s.site FROM devices AS d JOIN sites AS s ON s.id = d.site \
               WHERE d.name IN (SELECT value FROM json_each(?1)) OR d.name IN (SELECT value FROM json_each(?2)) ORDER BY d.id";
    let mut select = connection.prepare(sql)?;
    let names = [person.clients_json(), person.devices_json()];
    select.query_map(names, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// The days of each number in the sets of each sign.
fn presence(connection: &Connection, numbers: &[Numbered]) -> Result<Vec<KeptSet>, Unreadable> {
    let sql = "SELECT s.ban, s.evidence, s.what, p.day, p.bits FROM signs AS s \
               CROSS JOIN presence AS p ON p.sign = s.id AND p.block = ?1 ORDER BY s.id, p.day";
    let mut select = connection.prepare(sql)?;
    let mut kept = Vec::new();
    for (number, device, site) in numbers {
        let mut days = BTreeMap::<(String, String, String), Vec<String>>::new();
        let mut rows = select.query([number / BLOCK])?;
        while let Some(row) = rows.next()? {
            let octets = row.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?;
            let bits = RoaringBitmap::deserialize_from(octets)
                .map_err(|error| Unreadable::Value(format!("set of devices: {error}")))?;
            if bits.contains(number % BLOCK) {
                let sign = (row.get(0)?, row.get(1)?, row.get(2)?);
                days.entry(sign).or_default().push(Day(row.get(3)?).date().to_string());
            }
        }
        kept.extend(days.into_iter().map(|((ban, evidence, what), days)| {
            let (device, site) = (device.clone(), site.clone());
            KeptSet { device, site, ban, evidence, what, days }
        }));
    }
    Ok(kept)
}

fn days(connection: &Connection, numbers: &[Numbered]) -> rusqlite::Result<Vec<KeptDay>> {
    let sql = "SELECT d.day, s.ban, s.evidence, d.count, d.hours FROM signs AS s \
               CROSS JOIN device_days AS d ON d.sign = s.id WHERE d.device = ?1 ORDER BY d.day, s.ban, s.evidence";
    each(connection, sql, numbers, |row| {
        let (day, count): (String, i64) = (Day(row.get(0)?).date().to_string(), row.get(3)?);
        Ok(KeptDay { day, ban: row.get(1)?, evidence: row.get(2)?, count: count.cast_unsigned(), hours: row.get(4)? })
    })
}

fn months(connection: &Connection, numbers: &[Numbered]) -> rusqlite::Result<Vec<KeptMonth>> {
    let sql = "SELECT d.month, s.ban, s.evidence, d.count, d.days FROM signs AS s \
               CROSS JOIN device_months AS d ON d.sign = s.id WHERE d.device = ?1 ORDER BY d.month, s.ban, s.evidence";
    each(connection, sql, numbers, |row| {
        let count: i64 = row.get(3)?;
        let (month, ban, evidence) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(KeptMonth { month, ban, evidence, count: count.cast_unsigned(), days: row.get(4)? })
    })
}

fn each<T>(
    connection: &Connection,
    sql: &str,
    numbers: &[Numbered],
    read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut select = connection.prepare(sql)?;
    let mut all = Vec::new();
    for (number, ..) in numbers {
        for row in select.query_map(params![number], &read)? {
            all.push(row?);
        }
    }
    Ok(all)
}
