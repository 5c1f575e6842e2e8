//! What can be wrong with the file, and why an entry was not written.

use std::io;
use std::path::PathBuf;

use super::file::{FILE_MAX, WORDS_MAX};
use crate::policy::Exemptions;

/// What is wrong with the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// No entry.
    #[error("it is no entry")]
    Line,
    /// Not as it was written.
    #[error("it is not as it was written")]
    Hash,
    /// Something between is missing, or does not belong there.
    #[error("it does not follow the entry before it")]
    Order,
    /// Longer than any entry is.
    #[error("it is longer than any entry")]
    Long,
    /// What was read before is gone.
    #[error("the file was cut, removed or replaced while the server ran")]
    Cut,
    /// What could not be written to its end could not be taken back either.
    #[error("an entry that was not written to its end could not be removed")]
    Torn,
}

/// Why an entry was not written.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The chain is broken.
    #[error(
        "the audit log is damaged at entry {number}: {damage}; none of its exemptions is in force, and none can be granted. Keep \
         the file as evidence: stop the server, move it away, start the server, and grant anew what is still needed"
    )]
    Damaged {
        /// The first entry that is not to be trusted.
        number: u64,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The file has its size.
    #[error(
        "the audit log has {} MiB, which is its limit: stop the server, move it to your archive, start the server, and grant anew \
         what is still needed",
        FILE_MAX >> 20
    )]
    Full,
    /// There are as many exemptions as can be.
    #[error(
        "{} exemptions are in force, which is the limit; revoke one, or exempt a network or a group",
        Exemptions::MAX
    )]
    TooMany,
    /// No such exemption is in force.
    #[error("no exemption {0} is in force; `embargo exempt list` shows those that are")]
    Unknown(u64),
    /// Operators have said as much of devices as can be kept.
    #[error(
        "{WORDS_MAX} merges and splits of devices are in force, which is the limit; put the devices into an inventory ([[assets]])"
    )]
    TooManyWords,
    /// No such word of devices is in force.
    #[error("{0} is no merge or split that is in force; `embargo audit` shows them")]
    NoWord(u64),
    /// Another process holds the lock.
    #[error("{}: locked by another process; `fuser` with this path shows which", .0.display())]
    Locked(PathBuf),
    /// The disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}
