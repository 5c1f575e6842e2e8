//! Who was never there before: the sets of all days as one for each sign, in memory.

use hashbrown::HashMap;
use roaring::RoaringBitmap;
use rusqlite::Transaction;

use super::BLOCK;
use crate::priority::make_way;

/// Devices that were ever seen, by the number of the sign.
#[derive(Debug, Default)]
pub(super) struct Ever(HashMap<i64, RoaringBitmap>);

impl Ever {
    /// Notes that a device was seen; whether it never was before, as far back as the record goes. To be asked before it is put
    /// into the set of its day.
    pub(super) fn insert(&mut self, transaction: &Transaction<'_>, sign: i64, device: u32) -> rusqlite::Result<bool> {
        if let Some(seen) = self.0.get_mut(&sign) {
            return Ok(seen.insert(device));
        }
        let seen = self.0.entry(sign).or_insert(read(transaction, sign)?);
        Ok(seen.insert(device))
    }

    /// Whether a device was seen before.
    pub(super) fn contains(&mut self, transaction: &Transaction<'_>, sign: i64, device: u32) -> rusqlite::Result<bool> {
        if let Some(seen) = self.0.get(&sign) {
            return Ok(seen.contains(device));
        }
        Ok(self.0.entry(sign).or_insert(read(transaction, sign)?).contains(device))
    }
}

/// Whoever was seen on any day. A million devices on each day of a year are some hundred MiB to read, once.
fn read(transaction: &Transaction<'_>, sign: i64) -> rusqlite::Result<RoaringBitmap> {
    let mut seen = RoaringBitmap::new();
    let mut select = transaction.prepare_cached("SELECT block, bits FROM presence WHERE sign = ?1 ORDER BY block")?;
    let mut rows = select.query([sign])?;
    let mut here = (0, RoaringBitmap::new());
    while let Some(row) = rows.next()? {
        make_way();
        let block: u32 = row.get(0)?;
        if block != here.0 {
            extend(&mut seen, &here);
            here = (block, RoaringBitmap::new());
        }
        // Whom a damaged piece held is new once more: told twice, not never.
        here.1 |= RoaringBitmap::deserialize_from(row.get_ref(1)?.as_blob()?).unwrap_or_default();
    }
    extend(&mut seen, &here);
    Ok(seen)
}

fn extend(seen: &mut RoaringBitmap, (block, bits): &(u32, RoaringBitmap)) {
    // In order and behind all that is there.
    seen.extend(bits.iter().map(|low| block * BLOCK + low));
}
