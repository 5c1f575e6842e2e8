//! The record a page at a time: for people who look at a part of it and go on from there.
//!
//! A page reads a bounded number of rows, however large the record is and however little of it is wanted: it says how far
//! it has looked, and the next one goes on from there.

mod attempts;
mod clients;
mod device;
mod held;
mod hours;
mod place;

pub(super) use attempts::Common;
pub use attempts::{AttemptPage, Wanted};
pub use clients::{ClientPage, ClientPlace};
pub use device::{DeviceDay, Known};
pub use held::{HeldPage, HeldPlace};
pub use place::Place;

/// Rows that one page looks at, at most.
pub const LOOK_MAX: usize = 60_000;

/// Rows after which whoever waits for the processor gets it.
const SLICE: usize = 128;

/// Adds the indexes that pages need, of columns that never change: they cost the writer only what is new. They are no
/// format of their own, since whoever does not know them does not miss them.
pub(super) fn make_indexes(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    connection.execute_batch(include_str!("../schema/indexes.sql"))
}

#[cfg(test)]
mod tests;
