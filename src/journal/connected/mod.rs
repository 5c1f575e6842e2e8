//! Who connected to the block page by a banned name: not only looked it up, but tried to use it.
//!
//! It goes the way of attempts: folded in memory, written in the same transaction once a second, and counted where it is lost.
//!
//! ```text
//! fold    in memory until it is written
//! store   the table, and the sets of presence
//! read    the rows as commands and reports read them
//! ```

mod fold;
mod read;
mod store;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

pub use read::ConnectedRow;

pub(super) use fold::{Fold, Row};
pub(super) use read::row as connected_row;
pub(super) use store::{add, delete};

use crate::policy::Evidence;
use crate::time::Timestamp;
use crate::wire::LowerName;

/// Where a client said the name by which it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Said {
    /// In the greeting of TLS (RFC 6066 §3).
    Sni,
    /// In a request of HTTP.
    Host,
}

impl Said {
    /// Every place.
    pub const ALL: [Self; 2] = [Self::Sni, Self::Host];

    /// The word for it in JSON and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sni => "sni",
            Self::Host => "host",
        }
    }
}

/// One connection by a banned name.
#[derive(Clone, Debug)]
pub struct Connected<'a> {
    /// When it was made.
    pub at: Timestamp,
    /// Who made it; an IPv4-mapped IPv6 address is recorded as IPv4.
    pub client: IpAddr,
    /// Where that is.
    pub site: &'a Arc<str>,
    /// The ban's id.
    pub ban: &'a Arc<str>,
    /// What the name proves.
    pub evidence: Evidence,
    /// The name.
    pub name: &'a LowerName,
    /// Where it stood.
    pub said: Said,
}
