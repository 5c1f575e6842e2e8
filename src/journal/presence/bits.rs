//! The sets that are being added to: pieces of them in memory, each read once and written at the end of a batch.

use hashbrown::HashMap;
use roaring::RoaringBitmap;
use rusqlite::{OptionalExtension, Transaction, params};

use super::{BLOCK, damaged};
use crate::time::Day;

/// Pieces in memory at most, of 8 KiB each.
const PIECES_MAX: usize = 4_096;

/// A piece of a set.
#[derive(Debug, Default)]
struct Piece {
    bits: RoaringBitmap,
    is_new: bool,
}

/// Pieces of sets by sign, block and day.
#[derive(Debug, Default)]
pub(super) struct Bits {
    pieces: HashMap<(i64, u32, Day), Piece>,
    /// Pieces that could not be read and were begun anew.
    damaged: u64,
}

impl Bits {
    /// Puts a device into the set of a sign and a day; whether it was not in it yet.
    pub(super) fn insert(
        &mut self,
        transaction: &Transaction<'_>,
        (sign, day): (i64, Day),
        device: u32,
    ) -> rusqlite::Result<bool> {
        let (block, low) = (device / BLOCK, device % BLOCK);
        let key = (sign, block, day);
        if !self.pieces.contains_key(&key) {
            let read = read(transaction, sign, block, day)?;
            self.damaged += u64::from(read.is_none());
            self.pieces.insert(key, read.unwrap_or_default());
        }
        let piece = self.pieces.entry(key).or_default();
        let is_new = piece.bits.insert(low);
        piece.is_new |= is_new;
        Ok(is_new)
    }

    /// Writes the pieces that have grown.
    pub(super) fn write(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut write = transaction.prepare_cached(
            "INSERT INTO presence (sign, block, day, bits) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET bits = excluded.bits",
        )?;
        let mut grown: Vec<_> = self.pieces.iter_mut().filter(|(_key, piece)| piece.is_new).collect();
        grown.sort_unstable_by_key(|(key, _piece)| **key);
        for ((sign, block, day), piece) in grown {
            write.execute(params![sign, block, day.0, octets(&piece.bits)])?;
            piece.is_new = false;
        }
        if self.pieces.len() > PIECES_MAX {
            self.pieces.clear();
        }
        Ok(())
    }

    /// Without any piece in memory.
    pub(super) fn anew(&self) -> Self {
        Self { pieces: HashMap::new(), damaged: self.damaged }
    }

    pub(super) fn take_damaged(&mut self) -> u64 {
        std::mem::take(&mut self.damaged)
    }
}

/// A set in its portable format.
pub(in crate::journal) fn octets(bits: &RoaringBitmap) -> Vec<u8> {
    let mut octets = Vec::with_capacity(bits.serialized_size());
    // Writing to memory can't fail.
    bits.serialize_into(&mut octets).unwrap_or_default();
    octets
}

/// A piece as the store has it; `None`: it can't be read, and is put aside, so that it can be told that devices are missing.
fn read(transaction: &Transaction<'_>, sign: i64, block: u32, day: Day) -> rusqlite::Result<Option<Piece>> {
    let select = "SELECT bits FROM presence WHERE sign = ?1 AND block = ?2 AND day = ?3";
    let octets: Option<Vec<u8>> =
        transaction.prepare_cached(select)?.query_row(params![sign, block, day.0], |row| row.get(0)).optional()?;
    let Some(octets) = octets else { return Ok(Some(Piece::default())) };
    match RoaringBitmap::deserialize_from(&*octets) {
        Ok(bits) => Ok(Some(Piece { bits, is_new: false })),
        Err(error) => {
            tracing::warn!(
                %day,
                %error,
                "A set of devices is damaged and begun anew: devices of that day may be missing in figures. Its octets are put aside."
            );
            damaged::put_aside(transaction, (sign, block, day), &octets)?;
            Ok(None)
        }
    }
}
