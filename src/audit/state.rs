//! What is left of the entries when they are replayed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chain;
use super::entry::{Author, Entry, Event, Reloaded};
use super::error::Damage;
use super::terms::{Terms, Written};
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

/// An exemption of the configuration.
#[derive(Clone, Debug)]
pub(super) struct Configured {
    /// What it says.
    pub(super) terms: Terms,
    /// Whether it is noted that its time is over.
    pub(super) over: bool,
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
    /// What stood in the configuration when that was read last.
    pub(super) configured: BTreeMap<u64, Configured>,
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
            configured: BTreeMap::new(),
            words: BTreeMap::new(),
            looks: false,
            reloaded: None,
        }
    }
}

impl State {
    /// The exemptions that are over at `at`.
    pub(super) fn over(&self, at: Timestamp) -> BTreeMap<u64, Terms> {
        let granted = self.live.iter().map(|(number, granted)| (number, &granted.terms));
        let configured = self.configured.iter().filter(|(_number, configured)| !configured.over);
        let all = granted.chain(configured.map(|(number, configured)| (number, &configured.terms)));
        let over = all.filter(|(_number, terms)| terms.until.is_some_and(|until| until <= at));
        over.map(|(number, terms)| (*number, terms.clone())).collect()
    }

    /// What is to be noted where the configuration has these exemptions at `at`. What has ended and was never noted freed nobody.
    pub(super) fn changes_to(&self, terms: &[Terms], at: Timestamp) -> Vec<Event> {
        // As the log has them: it keeps whole milliseconds.
        let logged = |terms: &Terms| Written::from(terms.clone());
        let mut gone: Vec<_> =
            self.configured.iter().map(|(number, known)| (*number, known, logged(&known.terms))).collect();
        let mut new = Vec::new();
        for terms in terms {
            let (wanted, holds) = (logged(terms), terms.until.is_none_or(|until| at < until));
            // One that is over holds again when the clock was set back.
            let is_it =
                |(_number, known, logged): &(u64, &Configured, Written)| *logged == wanted && !(known.over && holds);
            match gone.iter().position(is_it) {
                Some(place) => drop(gone.swap_remove(place)),
                None if holds => new.push(Event::Configured(Box::new(terms.clone()))),
                None => (),
            }
        }
        gone.sort_unstable_by_key(|(number, _known, _logged)| *number);
        gone.into_iter().map(|(number, _known, _logged)| Event::Unconfigured(number)).chain(new).collect()
    }

    /// The lines of entries that follow.
    ///
    /// # Errors
    /// None that an entry could have: `serde_json` might have one.
    pub(super) fn lines(&self, events: Vec<Event>, author: &Author, at: Timestamp) -> serde_json::Result<Vec<String>> {
        let (mut lines, mut head) = (Vec::new(), self.head.clone());
        for (number, event) in (self.next..).zip(events) {
            let Author { uid, by } = author.clone();
            let (line, hash) = Entry { number, at, uid, by, event }.line(&head)?;
            lines.push(line);
            head = hash;
        }
        Ok(lines)
    }

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
            Event::Configured(terms) => {
                let configured = Configured { terms: Terms::clone(terms), over: false };
                self.configured.insert(entry.number, configured);
            }
            Event::Unconfigured(number) => drop(self.configured.remove(number)),
            Event::Revoked(number) => drop(self.live.remove(number)),
            Event::Expired(number) => {
                self.live.remove(number);
                self.configured.entry(*number).and_modify(|configured| configured.over = true);
            }
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
