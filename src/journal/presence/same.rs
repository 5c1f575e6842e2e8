//! Which numbers are of one device: one that was seen at several sites, or that has another name now than when it was recorded.
//!
//! A number is given by the name and site of the moment. What joins names may be known later, by an inventory, a lease or the
//! word of an operator; then whoever reads counts all their numbers as one. Those that this concerns are few: the rest are
//! counted as they are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::Transaction;

use super::numbers::AGAIN;
use crate::identity::Devices;

/// A device that has several numbers, or another name by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SameDevice {
    /// What tells it best now.
    pub name: String,
    /// Its numbers, in their order.
    pub numbers: Vec<u32>,
}

/// All such devices.
#[derive(Clone, Debug, Default)]
pub(super) struct Same {
    devices: Vec<SameDevice>,
    /// The place of each number's device.
    of: HashMap<u32, usize>,
}

impl Same {
    pub(super) fn read(transaction: &Transaction<'_>, devices: &Devices) -> rusqlite::Result<Self> {
        let mut found = BTreeMap::<String, BTreeSet<u32>>::new();
        let mut put = |name, numbers: Vec<u32>| {
            if !numbers.is_empty() {
                found.entry(name).or_default().extend(numbers);
            }
        };
        let named = "SELECT ifnull(sum(used), 0) FROM blocks WHERE named > 0";
        let named: i64 = transaction.query_row(named, [], |row| row.get(0))?;
        let elsewhere = devices.stand_ins();
        // Whichever are fewer are gone through.
        if i64::try_from(elsewhere.len()).unwrap_or(i64::MAX) <= named {
            for (recorded, now) in elsewhere {
                put(now, numbers(transaction, &recorded)?);
            }
        } else {
            let by_name: HashMap<_, _> = elsewhere.into_iter().collect();
            each_named(transaction, "b.named > 0", |number, name| {
                if let Some(now) = by_name.get(name) {
                    put(now.clone(), vec![number]);
                }
            })?;
        }
        each_named(transaction, &format!("b.named = {AGAIN}"), |number, name| {
            put(devices.now_called(name), vec![number]);
        })?;
        // What it was called at the first of several sites, and what it is called since.
        for (name, all) in &mut found {
            all.extend(numbers(transaction, name)?);
        }
        Ok(Self::new(found))
    }

    fn new(found: BTreeMap<String, BTreeSet<u32>>) -> Self {
        let devices: Vec<_> = found
            .into_iter()
            .map(|(name, numbers)| SameDevice { name, numbers: numbers.into_iter().collect() })
            .collect();
        let places = devices.iter().enumerate();
        let of = places.flat_map(|(at, device)| device.numbers.iter().map(move |number| (*number, at))).collect();
        Self { devices, of }
    }

    pub(super) fn all(&self) -> &[SameDevice] {
        &self.devices
    }

    /// The device of a number, if it is one of these.
    pub(super) fn of(&self, number: u32) -> Option<&SameDevice> {
        self.devices.get(*self.of.get(&number)?)
    }
}

/// The numbers under which a name was recorded.
fn numbers(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<Vec<u32>> {
    let mut select = transaction.prepare_cached("SELECT id FROM devices WHERE name = ?1")?;
    select.query_map([name], |row| row.get(0))?.collect()
}

/// Shows every number and name in such blocks.
fn each_named(transaction: &Transaction<'_>, blocks: &str, mut show: impl FnMut(u32, &str)) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT d.id, d.name FROM blocks AS b CROSS JOIN devices AS d \
         ON d.id >= b.first AND d.id < b.first + b.used WHERE {blocks}"
    );
    let mut select = transaction.prepare_cached(&sql)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        show(row.get(0)?, row.get_ref(1)?.as_str()?);
    }
    Ok(())
}
