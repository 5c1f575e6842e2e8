//! Exemptions that were granted by command, and the audit of who granted what to whom, why, and when it ended; of exemptions that
//! stand in the configuration, when they came, ended and went.
//!
//! One file in the state directory, `audit.log`, is both: exemptions in force are what is left when it is replayed. It is only
//! ever appended to, one JSON object a line:
//!
//! ```text
//! {"number":1,"at":"2026-03-02T08:00:00.000Z","uid":1000,"granted":{"client":"192.0.2.7/32","ban":"vendor",…},"prev":"0…0","hash":"5f1c…"}
//! {"number":2,"at":"2026-03-02T08:00:06.012Z","uid":null,"expired":1,"prev":"5f1c…","hash":"b3a8…"}
//! ```
//! `hash` is SHA-256 of the line up to it (`sed 's/,"hash".*//'`), and `prev` that of the line before, so that no line can be
//! changed, left out or put in without all later ones. Whoever may write the file could still write all of it anew: the last
//! hash, noted elsewhere, shows that.
//!
//! An entry is on the disk before whoever asked for it is answered. Several processes may write: each locks the file, reads
//! what the others wrote, and appends. A last line without a newline was never answered; the next writer cuts it off. When
//! the chain is broken, none of the exemptions is in force and none can be granted: nobody can say which of them are true.
//!
//! Leaves judging clients to [`policy`](crate::policy), and asking it at the right moments to [`app`](crate::app).

mod chain;
mod entry;
mod error;
mod file;
mod read;
mod state;
mod terms;

#[cfg(test)]
mod tests;

pub use entry::{Author, Did, Entry, ErasedNote, Event, Looked, Merged, Reloaded, Split};
pub use error::{Damage, Refusal};
pub use file::{Audit, FILE_MAX};
pub use read::{Reading, read};
pub use state::Granted;
pub use terms::{OWNER_MAX, REASON_MAX, TICKET_MAX, Terms, TermsError, Written, is_unprinted, name, near, said, whom};

use std::path::{Path, PathBuf};

/// Where the file of a state directory is.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("audit.log")
}
