//! How much of clients leaves memory: applied when what was recorded is written or handed on, so that nothing finer ever
//! reaches a disk, a sink or the record of names.
//!
//! A pseudonym stays the same as long as the key does, so devices are still told apart, counted and followed over years. That
//! of an address has the form of an address, in a block that no client can have (`100::/64`, RFC 6666): whatever reads, filters
//! or shows clients does so with pseudonyms too.

mod erase;
mod export;
mod following;
mod key;
mod level;
mod noted;
mod person;

pub use erase::Erased;
pub use export::{Kept, KeptDay, KeptMonth, KeptSet};
pub use key::{Key, KeyError};
pub use level::{Level, PrivacyConfig};
pub use noted::{Erasure, LevelRow};
pub use person::{Person, Whose};

pub(super) use erase::overwrite;
pub(super) use following::Following;
pub(super) use noted::make_tables;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::asked::address;
use crate::policy::{Group, SiteIndex, Who};

/// The block of pseudonyms: that of addresses whose packets are discarded (RFC 6666).
const BLOCK: u128 = 0x0100 << 112;
/// The bits of a pseudonym.
const BITS: u32 = 64;

/// How much of whom is recorded.
#[derive(Debug, Default)]
pub struct Privacy {
    config: PrivacyConfig,
    /// Of clients that are of no site.
    elsewhere: Level,
    /// By the number of the site.
    levels: Vec<Level>,
    by_name: HashMap<Arc<str>, Level>,
    who: Who,
    key: Option<Key>,
    /// What was in force before: nothing gets finer than that either, while some of what was recorded then is still in memory.
    before: Option<Arc<Self>>,
}

impl Privacy {
    /// What `config` says of clients in the sites of `groups`. Without a key there are no pseudonyms, and only counts are kept
    /// where they are wanted.
    pub fn new(config: PrivacyConfig, groups: &[Group], key: Option<Key>) -> Self {
        let met = |level| if level == Level::Hashed && key.is_none() { Level::Counts } else { level };
        let who = Who::new(groups.to_vec());
        let by_name = |site: &Arc<str>| met(config.of(site));
        let levels = who.sites().map(|site| by_name(&site.id)).collect();
        let by_name = who.sites().map(|site| (Arc::clone(&site.id), by_name(&site.id))).collect();
        Self { elsewhere: met(config.elsewhere), levels, by_name, who, key, config, before: None }
    }

    /// The same, but nothing finer than `before` either.
    #[must_use]
    pub(super) fn after(&self, before: Arc<Self>) -> Self {
        let groups = self.who.groups();
        Self { before: Some(before), ..Self::new(self.config.clone(), groups, self.key.clone()) }
    }

    /// Whether it says the same of everybody as another.
    fn says_as(&self, other: &Self) -> bool {
        let key = |privacy: &Self| privacy.key.as_ref().map(|key| key.hash("same", b""));
        self.config == other.config && self.who.groups() == other.who.groups() && key(self) == key(other)
    }

    /// Takes the place of another, unless it says the same.
    pub(super) fn in_place_of(self: Arc<Self>, other: Arc<Self>) -> Arc<Self> {
        if self.says_as(&other) { other } else { self }
    }

    /// What it was made of.
    pub fn config(&self) -> &PrivacyConfig {
        &self.config
    }

    /// How much is recorded of the clients of each site, those of none first, by `none` as their name.
    pub(super) fn sites<'p>(&'p self, none: &'p str) -> impl Iterator<Item = (&'p str, Level)> {
        let sites = self.who.sites().zip(&self.levels).map(|(site, &level)| (&*site.id, level));
        [(none, self.elsewhere)].into_iter().chain(sites)
    }

    /// Whether everything is recorded of everybody: then nobody need be asked for.
    pub(super) fn is_full(&self) -> bool {
        let is_full = self.elsewhere == Level::Full && self.levels.iter().all(|&level| level == Level::Full);
        is_full && self.before.as_ref().is_none_or(|before| before.is_full())
    }

    /// How much is recorded of whoever has this address.
    pub fn level_at(&self, address: IpAddr) -> Level {
        let site = self.who.of(address).site();
        let level = site.and_then(|SiteIndex(at)| self.levels.get(usize::from(at)).copied()).unwrap_or(self.elsewhere);
        self.before.as_ref().map_or(level, |before| before.level_at(address).max(level))
    }

    /// How much is recorded of a client that was of this site when it asked: the less of what is so for the site and for its
    /// address, since one may have been exchanged before the other.
    pub(super) fn level(&self, client: u128, site: &str) -> Level {
        if self.is_full() {
            return Level::Full;
        }
        let by_name = self.by_name.get(site).copied().unwrap_or(self.elsewhere).max(self.level_at(address(client)));
        self.before.as_ref().map_or(by_name, |before| before.level(client, site).max(by_name))
    }

    /// What stands for this address at a level; `None`: nothing does.
    pub(super) fn address(&self, client: IpAddr, level: Level) -> Option<IpAddr> {
        match level {
            Level::Full => Some(client),
            Level::Hashed => self.pseudonym_of(client),
            Level::Counts => None,
        }
    }

    /// What stands for whoever has this address now; `None`: nothing does.
    pub(in crate::journal) fn shown(&self, client: IpAddr) -> Option<IpAddr> {
        if self.is_full() { Some(client) } else { self.address(client, self.level_at(client)) }
    }

    /// The pseudonym of an address, if there is a key.
    pub(super) fn pseudonym_of(&self, client: IpAddr) -> Option<IpAddr> {
        self.key.as_ref().map(|key| pseudonym(key, client))
    }

    /// The pseudonym of a device, by what the record would call it, if there is a key.
    pub(super) fn device(&self, device: &str) -> Option<String> {
        self.key.as_ref().map(|key| key.device(device))
    }
}

/// The pseudonym of an address.
fn pseudonym(key: &Key, client: IpAddr) -> IpAddr {
    let octets = match client.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    IpAddr::V6(Ipv6Addr::from_bits(BLOCK | u128::from(key.hash("address", &octets))))
}

/// Whether an address of the record is a pseudonym.
pub fn is_pseudonym(client: IpAddr) -> bool {
    matches!(client, IpAddr::V6(address) if address.to_bits() >> BITS == BLOCK >> BITS)
}
