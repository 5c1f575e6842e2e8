//! How much of clients is recorded, as settings say it.

use std::sync::Arc;

/// How much of a client is recorded, the most first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Its address, and what tells its device.
    #[default]
    Full,
    /// Pseudonyms of both.
    Hashed,
    /// Neither, nor what was asked for: how often a category of a ban was tried, by the minute.
    Counts,
}

impl Level {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Full, Self::Hashed, Self::Counts];

    /// The word for it in settings and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Hashed => "hashed",
            Self::Counts => "counts",
        }
    }
}

/// What settings say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivacyConfig {
    /// Of whoever is of no site, and of sites of which nothing is said.
    pub elsewhere: Level,
    /// Of the clients of some sites.
    pub sites: Vec<(Arc<str>, Level)>,
}

impl PrivacyConfig {
    /// How much is to be recorded of the clients of a site.
    pub fn of(&self, site: &str) -> Level {
        let said = self.sites.iter().find(|(name, _level)| **name == *site);
        said.map_or(self.elsewhere, |&(_, level)| level)
    }

    /// Whether pseudonyms are wanted, and with them a key.
    pub fn needs_key(&self) -> bool {
        self.elsewhere == Level::Hashed || self.sites.iter().any(|&(_, level)| level == Level::Hashed)
    }
}
