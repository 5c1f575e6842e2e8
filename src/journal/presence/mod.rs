//! Who was there on which day: sets of devices, compressed, written in the transaction of the attempts that they come from.
//!
//! A device is a number, one for each site where it was seen. Numbers are handed out in blocks of one site each, so that a site
//! is a few ranges of numbers, and counting, comparing and subtracting sets answers what is asked of the record over years
//! without reading attempts. Which numbers are of one device is found out by whoever reads. The
//! sets of a day are cut into pieces of 65,536 numbers: what is written or held at a time is 8 KiB, however many devices
//! there are.

mod active;
mod bits;
mod damaged;
mod ever;
mod known;
mod numbers;
mod older;
mod read;
mod same;
mod seen;
mod silent;
mod trim;

pub use read::{DayCount, DeviceRow, Numbered, Presence, Set};
pub use same::SameDevice;

pub(super) use active::{add as add_active, add_crowds};
pub(super) use bits::octets;
pub(super) use damaged::empty as empty_damaged;
pub(super) use known::Known;
pub(super) use older::{finish as finish_older, take as take_older};
pub(super) use seen::add;
pub(super) use trim::{delete, fold_days, oldest};

use crate::policy::Evidence;

/// Numbers of one piece of a set.
pub const BLOCK: u32 = 1 << 16;

/// What a set says of the devices in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// They made a lookup with this evidence.
    Seen,
    /// One of those lookups came from a source that was verified.
    Verified,
    /// Lookups of verified sources, of two names or in two hours of the day.
    Confirmed,
    /// One of those lookups was let through by an exemption.
    Exempt,
    /// Not devices but the addresses of those that leases name.
    Address,
    /// They asked for anything at all, banned or not.
    Active,
    /// They connected to the block page by a name with this evidence.
    Connected,
    /// They are addresses that stood for many clients, banned names or not.
    Crowd,
}

impl What {
    /// Everything that a set may say.
    pub const ALL: [Self; 8] = [
        Self::Seen,
        Self::Verified,
        Self::Confirmed,
        Self::Exempt,
        Self::Address,
        Self::Active,
        Self::Connected,
        Self::Crowd,
    ];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Verified => "verified",
            Self::Confirmed => "confirmed",
            Self::Exempt => "exempt",
            Self::Address => "address",
            Self::Active => "active",
            Self::Connected => "connected",
            Self::Crowd => "crowd",
        }
    }
}

/// Of what a set is: of one ban and evidence, or of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sign<'a> {
    /// The ban's id; empty: of none.
    pub ban: &'a str,
    /// What the lookups prove.
    pub evidence: Option<Evidence>,
    /// What the set says.
    pub what: What,
}

impl Sign<'_> {
    /// Evidence as the store has it.
    fn evidence(&self) -> &'static str {
        self.evidence.map_or("", Evidence::as_str)
    }
}

#[cfg(test)]
mod tests;
