//! The record of names asked, for `embargo preview`: off unless the operator asks for it.
//!
//! Which client asked which name on which day, how often, and when first and last: nothing else. What a rule speaks of is in
//! the record of attempts and not here. It stands in a file of its own, `names.db`, so that it takes no room from the
//! record of attempts, can be removed alone, and what has been erased of it is overwritten. What there was no room for is
//! counted, so that whoever reads it knows what is missing.
//!
//! ```text
//! fold    in memory, part by part under locks of its own; a query costs a hash and the lock of one part
//! store   the file being written
//! keeper  what the journal's thread does about it once a second
//! read    the file as `preview` reads it
//! ```

mod fold;
mod keeper;
mod read;
mod store;
#[cfg(test)]
mod tests;

pub(super) use fold::Fold;
pub(super) use keeper::Keeper;
pub use read::{Coverage, KeptName, NameRow, NameStore};

/// The file's name in the state directory.
const FILE: &str = "names.db";
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Settings of the record of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamesConfig {
    /// Whether names are recorded. If not, what is there still goes when its time has come.
    pub enabled: bool,
    /// Days that names are kept.
    pub keep_days: u32,
    /// Size of the file at most; what comes when it is reached is counted and not recorded.
    pub size_max_bytes: u64,
}

impl Default for NamesConfig {
    fn default() -> Self {
        Self { enabled: false, keep_days: 30, size_max_bytes: 256 << 20 }
    }
}

/// The day since 1970 of a moment, in UTC.
fn day(millis: i64) -> i64 {
    millis.div_euclid(DAY_MS)
}
