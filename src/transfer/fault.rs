//! Why a zone did not come.

use std::io;

use super::Soa;
use crate::metrics::TransferEnd;
use crate::wire::tsig::TsigError;
use crate::wire::{Malformed, NameError, rcode};

/// Why a zone did not come from a primary. What is there stays.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nobody could be reached, or went away.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The connection ended before the zone did.
    #[error("the transfer was cut after {records} records")]
    Cut {
        /// Records that came.
        records: u64,
    },
    /// Nothing came for too long, or the whole took too long.
    #[error("nothing came in time, after {records} records")]
    Slow {
        /// Records that came.
        records: u64,
    },
    /// The primary says no.
    #[error("the primary answers {}", named(*.0))]
    Rcode(u16),
    /// A signature.
    #[error("{0}")]
    Signature(#[from] TsigError),
    /// Octets that are no such message.
    #[error("a message that is none: {0}")]
    Malformed(#[from] Malformed),
    /// Messages, but not those of a transfer of this zone.
    #[error("no transfer of this zone: {0}")]
    Foreign(&'static str),
    /// Changes that do not fit what is there.
    #[error("the changes are not those of the zone that is there")]
    Unfit,
    /// More octets or records than may be.
    #[error("the zone is larger than size_max allows")]
    TooLarge,
    /// The primary has gone back.
    #[error("the primary has serial {}, older than {held}, which is there: raise it there", .soa.serial)]
    Older {
        /// What the primary has.
        soa: Box<Soa>,
        /// What is there.
        held: u32,
    },
}

impl From<NameError> for Fault {
    fn from(error: NameError) -> Self {
        Self::Malformed(error.into())
    }
}

impl Fault {
    /// Whether the whole zone may still come where the changes did not.
    pub(super) fn is_of_changes(&self) -> bool {
        matches!(self, Self::Unfit | Self::Rcode(_) | Self::Foreign(_))
    }

    /// What metrics call it.
    pub fn end(&self) -> TransferEnd {
        match self {
            Self::Io(_) | Self::Malformed(_) | Self::Foreign(_) | Self::Older { .. } => TransferEnd::Failed,
            Self::Cut { .. } | Self::Slow { .. } => TransferEnd::Cut,
            Self::Rcode(_) => TransferEnd::Refused,
            Self::Signature(_) => TransferEnd::Unsigned,
            Self::Unfit => TransferEnd::Unfit,
            Self::TooLarge => TransferEnd::TooLarge,
        }
    }
}

fn named(code: u16) -> String {
    match code {
        rcode::FORMERR => "FORMERR".to_owned(),
        rcode::SERVFAIL => "SERVFAIL: it does not have the zone, or not now".to_owned(),
        rcode::NXDOMAIN => "NXDOMAIN: it does not have the zone".to_owned(),
        rcode::NOTIMP => "NOTIMP".to_owned(),
        rcode::REFUSED => "REFUSED: this server may not have the zone".to_owned(),
        rcode::NOTAUTH => "NOTAUTH: it does not have the zone, or does not know the key".to_owned(),
        other => format!("with code {other}"),
    }
}
