//! Attempts of one client by one rule in one minute, and the key that finds them without an allocation.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use super::{Attempt, Did};
use crate::policy::{Evidence, PatternKind, PatternRef};
use crate::wire::Transport;

/// Names of one client, rule and minute that are kept at most; a tunnel or a random-name flood has no more to tell.
const NAMES_MAX: usize = 16;
/// Lines of one client, rule and minute that are told apart at most: names times types, actions and transports.
const LINES_MAX: usize = 64;

/// Count and times of attempts that became one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// How many.
    pub(super) count: u64,
    /// The first, in milliseconds since 1970.
    pub(super) first: i64,
    /// The last, in milliseconds since 1970.
    pub(super) last: i64,
}

impl Tally {
    /// Adds one attempt at `at` milliseconds; says whether it is the first.
    pub(super) fn add(&mut self, at: i64) -> bool {
        let fresh = self.count == 0;
        self.first = if fresh { at } else { self.first.min(at) };
        self.last = if fresh { at } else { self.last.max(at) };
        self.count += 1;
        fresh
    }

    /// Adds the attempts of another tally, which has some.
    pub(super) fn merge(&mut self, other: Self) {
        if self.count == 0 {
            *self = other;
        } else {
            self.count += other.count;
            self.first = self.first.min(other.first);
            self.last = self.last.max(other.last);
        }
    }
}

/// An owned [`KeyRef`].
#[derive(Debug)]
pub(super) struct Key {
    pub(super) minute: u32,
    pub(super) client: IpAddr,
    pub(super) site: Arc<str>,
    pub(super) ban: Arc<str>,
    pub(super) category: Arc<str>,
    pub(super) evidence: Evidence,
    pub(super) pattern: OwnedPattern,
}

/// An owned [`PatternRef`], cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct OwnedPattern {
    wire: Arc<[u8]>,
    kind: PatternKind,
    allow: bool,
}

impl OwnedPattern {
    /// As policy shows it.
    pub(super) fn as_ref(&self) -> PatternRef<'_> {
        PatternRef { wire: &self.wire, kind: self.kind, allow: self.allow }
    }
}

/// Which minute, who, and by which rule.
#[derive(PartialEq, Eq)]
pub(super) struct KeyRef<'a> {
    minute: u32,
    client: IpAddr,
    evidence: Evidence,
    pattern: PatternRef<'a>,
    ban: &'a str,
    category: &'a str,
    site: &'a str,
}

impl<'a> KeyRef<'a> {
    pub(super) fn new(minute: u32, client: IpAddr, attempt: &Attempt<'a>) -> Self {
        Self {
            minute,
            client,
            evidence: attempt.evidence,
            pattern: attempt.pattern,
            ban: attempt.ban,
            category: attempt.category,
            site: attempt.site,
        }
    }
}

impl Key {
    pub(super) fn new(minute: u32, client: IpAddr, attempt: &Attempt<'_>) -> Self {
        let PatternRef { wire, kind, allow } = attempt.pattern;
        Self {
            minute,
            client,
            site: Arc::clone(attempt.site),
            ban: Arc::clone(attempt.ban),
            category: Arc::clone(attempt.category),
            evidence: attempt.evidence,
            pattern: OwnedPattern { wire: wire.into(), kind, allow },
        }
    }
}

/// What both keys can show, so that a map of owned keys is asked with a borrowed one.
pub(super) trait Keyed {
    /// The key's parts.
    fn key(&self) -> KeyRef<'_>;
}

impl Keyed for KeyRef<'_> {
    fn key(&self) -> KeyRef<'_> {
        KeyRef { ..*self }
    }
}

impl Keyed for Key {
    fn key(&self) -> KeyRef<'_> {
        KeyRef {
            minute: self.minute,
            client: self.client,
            evidence: self.evidence,
            pattern: self.pattern.as_ref(),
            ban: &self.ban,
            category: &self.category,
            site: &self.site,
        }
    }
}

/// Ban, category, evidence and site nearly always follow from client and pattern, so they are left to the comparison.
impl Hash for dyn Keyed + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let key = self.key();
        state.write_u32(key.minute);
        match key.client {
            IpAddr::V4(address) => state.write_u32(address.to_bits()),
            IpAddr::V6(address) => state.write_u128(address.to_bits()),
        }
        state.write(key.pattern.wire);
    }
}

impl PartialEq for dyn Keyed + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for dyn Keyed + '_ {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as &dyn Keyed).hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Key {}

impl<'a> Borrow<dyn Keyed + 'a> for Key {
    fn borrow(&self) -> &(dyn Keyed + 'a) {
        self
    }
}

/// What tells the lines of a group apart.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    qname: &'a [u8],
    qtype: u16,
    action: Did,
    transport: Transport,
    verified: bool,
}

impl<'a> Asked<'a> {
    pub(super) fn new(attempt: &Attempt<'a>) -> Self {
        Self {
            qname: attempt.qname.wire(),
            qtype: attempt.qtype,
            action: attempt.action,
            transport: attempt.transport,
            verified: attempt.verified,
        }
    }
}

/// One row to be: what was asked how, and how often.
#[derive(Debug)]
pub(super) struct Line {
    /// In lower case on the wire; `None`: several names.
    pub(super) qname: Option<Arc<[u8]>>,
    /// `None`: several types.
    pub(super) qtype: Option<u16>,
    pub(super) action: Did,
    pub(super) transport: Transport,
    pub(super) verified: bool,
    /// Not yet taken by the writer; a count of 0 keeps the line known without being a row.
    pub(super) tally: Tally,
}

impl Line {
    fn is(&self, qname: Option<&[u8]>, qtype: Option<u16>, asked: &Asked<'_>) -> bool {
        self.qtype == qtype
            && self.action == asked.action
            && self.transport == asked.transport
            && self.verified == asked.verified
            && self.qname.as_deref() == qname
    }
}

/// How much of an attempt there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// No new line.
    Nothing,
    /// A new line, but without the name.
    Nameless,
    /// A new line.
    Whole,
}

/// What became of an attempt that was given to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Added {
    /// A line that did not exist.
    pub(super) new_line: bool,
    /// A line whose count was 0.
    pub(super) new_row: bool,
    /// Whether the name was left out.
    pub(super) nameless: bool,
}

/// The lines of one key.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) lines: Vec<Line>,
    names: usize,
}

impl Group {
    /// Adds to the line that is just this, if there is one.
    pub(super) fn add_known(&mut self, asked: &Asked<'_>, at: i64) -> Option<Added> {
        self.bump(Some(asked.qname), Some(asked.qtype), asked, at)
    }

    /// Adds to a new line, or to one with less detail; `None` when there is room for neither.
    pub(super) fn add(&mut self, asked: &Asked<'_>, at: i64, room: Room) -> Option<Added> {
        let has_line = self.lines.len() < LINES_MAX;
        if room == Room::Whole && has_line {
            if let Some(name) = self.lines.iter().find_map(|line| line.qname.clone().filter(|n| **n == *asked.qname)) {
                return Some(self.push(Some(name), Some(asked.qtype), asked, at));
            }
            if self.names < NAMES_MAX {
                self.names += 1;
                return Some(self.push(Some(asked.qname.into()), Some(asked.qtype), asked, at));
            }
        }
        let known = self.bump(None, Some(asked.qtype), asked, at);
        if known.is_some() || (room > Room::Nothing && has_line) {
            return Some(known.unwrap_or_else(|| self.push(None, Some(asked.qtype), asked, at)));
        }
        let known = self.bump(None, None, asked, at);
        // Without name and type there are only so many lines as actions times transports.
        known.or_else(|| (room > Room::Nothing).then(|| self.push(None, None, asked, at)))
    }

    fn bump(&mut self, qname: Option<&[u8]>, qtype: Option<u16>, asked: &Asked<'_>, at: i64) -> Option<Added> {
        let line = self.lines.iter_mut().find(|line| line.is(qname, qtype, asked))?;
        Some(Added { new_line: false, new_row: line.tally.add(at), nameless: qname.is_none() })
    }

    fn push(&mut self, qname: Option<Arc<[u8]>>, qtype: Option<u16>, asked: &Asked<'_>, at: i64) -> Added {
        let nameless = qname.is_none();
        let mut tally = Tally::default();
        tally.add(at);
        let &Asked { action, transport, verified, .. } = asked;
        self.lines.push(Line { qname, qtype, action, transport, verified, tally });
        Added { new_line: true, new_row: true, nameless }
    }
}
