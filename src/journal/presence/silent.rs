//! Devices that somebody knows of and that never asked.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

use roaring::RoaringBitmap;
use rusqlite::params;

use super::{BLOCK, Presence, Sign, What};
use crate::journal::StoreError;
use crate::time::Day;

impl Presence<'_> {
    /// Those of these devices that asked for nothing on these days, as far as that is on record; by the names that they have now.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read.
    pub fn silent(&self, names: &BTreeSet<String>, days: &RangeInclusive<Day>) -> Result<Vec<String>, StoreError> {
        let active = Sign { ban: "", evidence: None, what: What::Active };
        let united: HashMap<&str, &[u32]> =
            self.same().iter().map(|device| (&*device.name, &*device.numbers)).collect();
        let mut of_block = HashMap::<u32, RoaringBitmap>::new();
        let mut silent = Vec::new();
        for name in names {
            let numbers = match united.get(&**name) {
                Some(numbers) => numbers.to_vec(),
                None => self.numbers_named(name)?,
            };
            let mut asked = self.was_last_there(&numbers, days)?;
            for number in numbers {
                let block = number / BLOCK;
                let there = match of_block.entry(block) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(unread) => {
                        let mut all = RoaringBitmap::new();
                        self.sets(active, block, days)?.into_iter().for_each(|(_day, bits)| all |= bits);
                        unread.insert(all)
                    }
                };
                asked |= there.contains(number % BLOCK);
            }
            if !asked {
                silent.push(name.clone());
            }
        }
        Ok(silent)
    }

    fn numbers_named(&self, name: &str) -> Result<Vec<u32>, StoreError> {
        self.rows("SELECT id FROM devices WHERE name = ?1", [name], |row| row.get(0))
    }

    /// Whether the last day on which one of these numbers was in any set is one of these: lookups are on record from before it was
    /// noted who was active.
    fn was_last_there(&self, numbers: &[u32], days: &RangeInclusive<Day>) -> Result<bool, StoreError> {
        let sql = "SELECT last_day FROM devices WHERE id = ?1";
        for number in numbers {
            let last = self.rows(sql, params![number], |row| row.get(0).map(Day))?;
            if last.iter().any(|day| days.contains(day)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
