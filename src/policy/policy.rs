//! The compiled policy: immutable, shared by every thread that answers.
//!
//! Leaves making one to [`PolicyBuilder`](super::PolicyBuilder), and what to make of its rules to `decide` and
//! `explain`.

use std::sync::Arc;

use super::attributes::{self, Attributes, Series};
use super::ban::{Action, Ban, Mode};
use super::depths::Depths;
use super::glob::Globs;
use super::hash::Key;
use super::list::ListFormat;
use super::literals::Literals;
use super::mixed::Mixed;
use super::networks::Networks;
use super::pattern::PatternKind;
use super::roster::Roster;
use super::rule::Effect;
use super::who::Who;
use crate::wire::LowerName;

/// A ban, as an index into [`Policy::bans`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BanIndex(pub usize);

/// A list, as an index into [`Policy::lists`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListIndex(pub usize);

/// A list in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListInfo {
    /// What messages call it: a path, or `<embedded>/kaspersky/rules.txt`.
    pub name: Arc<str>,
    /// The ban it belongs to.
    pub ban: BanIndex,
    /// How to read it again.
    pub format: ListFormat,
    /// Whether nobody has said the format: its first lines have told it.
    pub detected: bool,
    /// SHA-256 of its octets, in hexadecimal.
    pub digest: String,
    /// Its octets.
    pub bytes: u64,
    /// Whether its last line has an end.
    pub ended: bool,
    /// Rules held.
    pub entries: u64,
    /// Rules dropped because their pattern stands already, in this list or one before it of the same ban.
    pub duplicates: u64,
    /// Those of them that would have banned something.
    pub bans_twice: u64,
}

impl ListInfo {
    /// A list whose rules are still to come.
    pub fn new(name: impl Into<Arc<str>>, ban: BanIndex, format: ListFormat, digest: impl Into<String>) -> Self {
        let (name, digest, detected) = (name.into(), digest.into(), false);
        Self { name, ban, format, detected, digest, bytes: 0, ended: true, entries: 0, duplicates: 0, bans_twice: 0 }
    }
}

/// The compiled policy.
#[derive(Debug)]
pub struct Policy {
    pub(super) generation: u64,
    pub(super) bans: Vec<Arc<Ban>>,
    /// By ban: its place among the bans sorted by id.
    pub(super) ranks: Vec<usize>,
    pub(super) lists: Vec<ListInfo>,
    pub(super) series: Vec<Series>,
    pub(super) key: Key,
    pub(super) depths: Depths,
    pub(super) attributes: Box<[Attributes]>,
    pub(super) literals: Literals,
    pub(super) globs: Globs,
    pub(super) mixed: Mixed,
    /// Rules about addresses in answers.
    pub(super) answers: Networks,
    /// Rules about clients, whatever they ask for.
    pub(super) clients: Networks,
    /// Names that no rule about a network can enforce.
    pub(super) protected: Vec<LowerName>,
    /// Whether some rule about names answers by another action than NXDOMAIN.
    pub(super) otherwise: bool,
    pub(super) who: Who,
}

impl Policy {
    /// The bans, in the order they were added.
    pub fn bans(&self) -> &[Arc<Ban>] {
        &self.bans
    }

    /// The lists, in the order they were added.
    pub fn lists(&self) -> &[ListInfo] {
        &self.lists
    }

    /// Sites, departments and groups.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// The same roster, where each device is of the groups that name it.
    #[must_use]
    pub fn with_groups(&self, roster: Roster) -> Roster {
        roster.in_groups(&self.who)
    }

    /// Whether any ban does something else to some clients than to others.
    pub fn tells_clients_apart(&self) -> bool {
        let by_client = |ban: &Arc<Ban>| ban.ceiling() != Mode::Off && ban.is_by_client();
        self.clients.speaks() || self.bans.iter().any(by_client)
    }

    /// Whether a ban ever answers for a name, or for where it leads, by this action.
    pub fn answers_by(&self, ban: BanIndex, action: Action) -> bool {
        let mut rules = self.attributes.iter().filter(|rule| rule.ban == ban.0 && rule.kind != PatternKind::Client);
        rules.any(|rule| {
            let mut effects = self.bans[ban.0]
                .stances()
                .map(|stance| attributes::effect(rule.does, rule.allow, stance.action).capped(stance.mode));
            effects.any(|effect| effect == Effect::Enforce(action))
        })
    }

    /// Every series that a hit can count in.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The number given to [`PolicyBuilder::build`](super::PolicyBuilder::build).
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Octets held by the compiled rules.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + size_of_val(&*self.attributes)
            + self.literals.memory_bytes()
            + self.globs.memory_bytes()
            + self.mixed.memory_bytes()
            + self.answers.memory_bytes()
            + self.clients.memory_bytes()
    }
}
