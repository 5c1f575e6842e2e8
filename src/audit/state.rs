//! What is left of the entries when they are replayed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chain;
use super::entry::{Entry, Event, Reloaded};
use super::error::Damage;
use super::terms::Terms;
use crate::identity::Word;
use crate::policy::Exemption;
use crate::time::Timestamp;

/// An exemption that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The number of its entry.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who asked for it, as the kernel says.
    pub uid: Option<u32>,
    /// The user or the token that asked for it.
    pub by: Option<String>,
    /// What it says.
    pub terms: Terms,
}

impl Granted {
    /// As policy sees it.
    pub fn exemption(&self) -> Arc<Exemption> {
        Arc::new(self.terms.exemption(self.number.to_string()))
    }
}

/// The entries up to one of them.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The number of the next entry.
    pub(super) next: u64,
    /// The hash of the last one.
    pub(super) head: String,
    /// Octets of their lines.
    pub(super) octets: u64,
    /// Neither revoked nor expired.
    pub(super) live: BTreeMap<u64, Granted>,
    /// What operators have said of devices, and not taken back.
    pub(super) words: BTreeMap<u64, Word>,
    /// Whether it is noted who looks at clients.
    pub(super) looks: bool,
    /// The policy that came into force last.
    pub(super) reloaded: Option<Reloaded>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            next: 1,
            head: chain::beginning(),
            octets: 0,
            live: BTreeMap::new(),
            words: BTreeMap::new(),
            looks: false,
            reloaded: None,
        }
    }
}

impl State {
    /// Takes the next line, without its newline.
    ///
    /// # Errors
    /// [`Damage`]; nothing is taken.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<Entry, Damage> {
        let (entry, hash) = Entry::read(line, self.next, &self.head)?;
        (self.head, self.next) = (hash, self.next + 1);
        self.octets += u64::try_from(line.len()).unwrap_or(u64::MAX) + 1;
        match &entry.event {
            Event::Granted(terms) => {
                let Entry { number, at, uid, ref by, .. } = entry;
                let by = by.clone();
                self.live.insert(number, Granted { number, at, uid, by, terms: Terms::clone(terms) });
            }
            Event::Revoked(number) | Event::Expired(number) => drop(self.live.remove(number)),
            Event::Reloaded(reloaded) => self.reloaded = Some(reloaded.clone()),
            Event::Merged(_) | Event::Split(_) => {
                self.words.extend(entry.event.word().map(|word| (entry.number, word)));
            }
            Event::Undone(number) => drop(self.words.remove(number)),
            Event::Did(_) | Event::Erased(_) | Event::Looked(_) => (),
            Event::Looks(noted) => self.looks = *noted,
        }
        Ok(entry)
    }
}
