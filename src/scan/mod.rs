//! Logs and captures of others, read into the record: the same grading that live queries get, over what a network already has.
//!
//! ```text
//! file ─► unpacked ─► cut into chunks ─► judged by several threads ─► recorded in the order of the file
//! source              cut, units         judge: text, entry            work ─► journal::Import
//! ```
//! What was found in a chunk, and that the log was read up to its end, are written in one transaction. A log is known by its
//! content, so whatever it is called or packed with, reading it again adds nothing, and one that has grown is read on.
//!
//! Memory is that of some chunks, however long a log is. Leaves flags and words to [`cli`](crate::cli).

mod binary;
mod cut;
mod detect;
mod entry;
mod format;
mod judge;
mod names;
mod known;
mod rules;
mod source;
mod text;
mod times;
mod units;
mod work;

pub use entry::{Entry, Fault};
pub use format::Format;
pub use judge::{Counts, FaultAt};
pub use rules::Rules;
pub use source::{Packing, Progress};
pub use text::{Fields, PARTS};
pub use work::{FALLBACK, FileScanned, Scan, ScanError, Standing};

#[cfg(test)]
mod tests;
