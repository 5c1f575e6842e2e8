//! The file as a server has it: what it says is known, what others append is followed, what is appended is on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::entry::{Author, Did, Entry, Event, Looked, Reloaded};
use super::error::{Damage, Refusal};
use super::read::follow;
use super::state::{Granted, State};
use super::terms::Terms;
use crate::identity::Word;
use crate::policy::Exemptions;
use crate::time::Timestamp;

/// Octets of the file from which on nothing is granted. What ends an exemption is always written: there can't be many of those.
pub const FILE_MAX: u64 = 64 << 20;
/// What operators say of devices at most, without what they took back.
pub(super) const WORDS_MAX: usize = 10_000;
/// A lock is tried so often …
const TRIES: u32 = 500;
/// … with this time between: whoever holds it writes one line.
const BETWEEN: Duration = Duration::from_millis(10);

/// The audit log of a server.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    octets_max: u64,
    known: Mutex<Known>,
}

/// What is known of the file.
#[derive(Debug, Default)]
struct Known {
    state: State,
    /// Which file it was, once there was one: device and inode.
    file: Option<(u64, u64)>,
    damage: Option<Damage>,
    /// Exemptions that were seen to be over, whether that could be written or not.
    over: BTreeSet<u64>,
}

impl Audit {
    /// The log of a state directory. Nothing is read yet.
    pub fn new(state_dir: &Path) -> Self {
        Self::bounded(state_dir, FILE_MAX)
    }

    /// The same with another limit of its size.
    pub(super) fn bounded(state_dir: &Path, octets_max: u64) -> Self {
        Self { path: super::path(state_dir), octets_max, known: Mutex::default() }
    }

    /// Exemptions in force, but for what the clock says: none while the chain is broken.
    pub fn live(&self) -> Vec<Granted> {
        let known = self.known();
        if known.damage.is_some() {
            return Vec::new();
        }
        known.state.live.values().filter(|granted| !known.over.contains(&granted.number)).cloned().collect()
    }

    /// What operators have said of devices and not taken back, in that order: nothing while the chain is broken.
    pub fn words(&self) -> Vec<Word> {
        let known = self.known();
        if known.damage.is_some() { Vec::new() } else { known.state.words.values().cloned().collect() }
    }

    /// Notes what an operator says of devices, an [`Event::Merged`] or [`Event::Split`]; returns its number.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing is said.
    pub fn say(&self, event: Event, author: impl Into<Author>, at: Timestamp) -> Result<u64, Refusal> {
        let entry = self.append(&author.into(), at, |known| match known.state.words.len() {
            WORDS_MAX.. => Err(Refusal::TooManyWords),
            _room => Ok(Some(event)),
        })?;
        Ok(entry.map_or(0, |entry| entry.number))
    }

    /// Takes back what the entry with this number says of devices.
    ///
    /// # Errors
    /// [`Refusal`], also when it says nothing of them, or no longer.
    pub fn undo(&self, number: u64, author: impl Into<Author>, at: Timestamp) -> Result<(), Refusal> {
        self.append(&author.into(), at, |known| {
            let is_said = known.state.words.contains_key(&number);
            if is_said { Ok(Some(Event::Undone(number))) } else { Err(Refusal::NoWord(number)) }
        })?;
        Ok(())
    }

    /// The hash of the last entry, to be noted elsewhere.
    pub fn head(&self) -> String {
        self.known().state.head.clone()
    }

    /// Reads what is new in the file.
    ///
    /// # Errors
    /// [`Refusal`]; after a damage always the same.
    pub fn follow(&self) -> Result<(), Refusal> {
        let mut known = self.known();
        known.sound()?;
        match std::fs::metadata(&self.path) {
            Ok(found) if known.is_at(&found) => Ok(()),
            Ok(_changed) => {
                let file = File::open(&self.path).map_err(|source| self.io(source))?;
                known.catch_up(&file).map_err(|source| self.io(source))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && known.file.is_none() => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => known.broken(Damage::Cut),
            Err(source) => Err(self.io(source)),
        }
    }

    /// Notes what is about to be done.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn does(&self, did: Did, author: impl Into<Author>, at: Timestamp) -> Result<(), Refusal> {
        self.append(&author.into(), at, |_known| Ok(Some(Event::Did(did))))?;
        Ok(())
    }

    /// Grants an exemption as its author wants; there are `others` in force beside those of this log.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing is granted.
    pub fn grant(
        &self,
        terms: Terms,
        author: impl Into<Author>,
        others: usize,
        at: Timestamp,
    ) -> Result<Granted, Refusal> {
        let author = author.into();
        let entry = self.append(&author, at, |known| match known.state.live.len() + others {
            room if room >= Exemptions::MAX => Err(Refusal::TooMany),
            _room => Ok(Some(Event::Granted(Box::new(terms.clone())))),
        })?;
        let number = entry.map_or(0, |entry| entry.number);
        let Author { uid, by } = author;
        Ok(Granted { number, at, uid, by, terms })
    }

    /// Takes back the exemption with this number.
    ///
    /// # Errors
    /// [`Refusal`], also when there is no such exemption in force.
    pub fn revoke(&self, number: u64, author: impl Into<Author>, at: Timestamp) -> Result<(), Refusal> {
        self.append(&author.into(), at, |known| {
            let is_live = known.state.live.contains_key(&number) && !known.over.contains(&number);
            if is_live { Ok(Some(Event::Revoked(number))) } else { Err(Refusal::Unknown(number)) }
        })?;
        Ok(())
    }

    /// Notes which exemptions are over at `at`, so that none that was granted comes back; returns those that are written down
    /// now.
    ///
    /// # Errors
    /// [`Refusal`]; what is over is over all the same.
    pub fn expire(&self, at: Timestamp) -> Result<Vec<(u64, Terms)>, Refusal> {
        let mut known = self.known();
        let over = known.state.over(at);
        if over.is_empty() {
            return Ok(Vec::new());
        }
        let Known { state, over: seen, .. } = &mut *known;
        seen.extend(over.keys().filter(|number| state.live.contains_key(number)));
        drop(known);
        let mut written = Vec::new();
        self.append_all(&Author::default(), at, |known| {
            // Another process may have been faster.
            written = known.state.over(at).into_iter().collect();
            Ok(written.iter().map(|(number, _terms)| Event::Expired(*number)).collect())
        })?;
        let mut known = self.known();
        let Known { state, over, .. } = &mut *known;
        over.retain(|number| state.live.contains_key(number));
        Ok(written)
    }

    /// Notes which exemptions the configuration has from now on and which it has no longer, if that is not as it was.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn configured(&self, terms: &[Terms], at: Timestamp) -> Result<(), Refusal> {
        let changes = |known: &Known| Ok(known.state.changes_to(terms, at));
        self.append_all(&Author::default(), at, changes).map(drop)
    }

    /// Notes that something was erased, or looked at.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn note(&self, event: Event, author: impl Into<Author>, at: Timestamp) -> Result<(), Refusal> {
        self.append(&author.into(), at, |_known| Ok(Some(event))).map(drop)
    }

    /// Notes from now on who looks at what is kept of clients, or no longer, if that is not as it was.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn keep_looks(&self, noted: bool, at: Timestamp) -> Result<(), Refusal> {
        self.append(&Author::default(), at, |known| Ok((known.state.looks != noted).then_some(Event::Looks(noted))))
            .map(drop)
    }

    /// Notes that the user with this id looked at something, where that is noted; whether it is.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn look(&self, looked: Looked, author: Author, at: Timestamp) -> Result<bool, Refusal> {
        self.follow()?;
        // Most servers note none of it, and need no lock for that.
        if !self.known().state.looks {
            return Ok(false);
        }
        self.note(Event::Looked(looked), author, at).map(|()| true)
    }

    /// Notes the policy that came into force, if it is another than the last one.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn reloaded(&self, reloaded: &Reloaded, at: Timestamp) -> Result<(), Refusal> {
        self.append(&Author::default(), at, |known| {
            let is_known = known.state.reloaded.as_ref().is_some_and(|last| last.says_as(reloaded));
            Ok((!is_known).then(|| Event::Reloaded(reloaded.clone())))
        })?;
        Ok(())
    }

    /// Notes what bans do from now on by their dates, under the policy that came into force last, if that is noted otherwise.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn dated(&self, modes: BTreeMap<String, String>, at: Timestamp) -> Result<(), Refusal> {
        self.append(&Author::default(), at, |known| {
            let last = known.state.reloaded.as_ref().filter(|last| last.modes != modes);
            Ok(last.map(|last| Event::Reloaded(Reloaded { why: "date".to_owned(), modes, ..last.clone() })))
        })?;
        Ok(())
    }

    /// Appends what `event` makes of all that is in the file; `None`: nothing. Returns when it is on the disk.
    fn append(
        &self,
        author: &Author,
        at: Timestamp,
        event: impl FnOnce(&Known) -> Result<Option<Event>, Refusal>,
    ) -> Result<Option<Entry>, Refusal> {
        let all = self.append_all(author, at, |known| Ok(event(known)?.into_iter().collect()))?;
        Ok(all.into_iter().next())
    }

    /// The same of several, all of them or none.
    fn append_all(
        &self,
        author: &Author,
        at: Timestamp,
        events: impl FnOnce(&Known) -> Result<Vec<Event>, Refusal>,
    ) -> Result<Vec<Entry>, Refusal> {
        let io = |source| self.io(source);
        let file = self.locked()?;
        let mut known = self.known();
        known.sound()?;
        let is_new = known.file.is_none() && file.metadata().map_err(io)?.len() == 0;
        known.catch_up(&file).map_err(io)??;
        let events = events(&known)?;
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let start = known.state.octets;
        if events.iter().any(|event| start >= self.room(event)) {
            return Err(Refusal::Full);
        }
        let lines = known.state.lines(events, author, at).map_err(|error| io(error.into()))?;
        let parent = self.path.parent().filter(|_parent| is_new);
        let written = cut_off(&file, start)
            .and_then(|()| (&file).write_all(lines.concat().as_bytes()))
            .and_then(|()| file.sync_data())
            .and_then(|()| parent.map_or(Ok(()), |parent| File::open(parent)?.sync_all()));
        if let Err(error) = written {
            // What nobody was told of must not be found there later.
            if file.set_len(start).and_then(|()| file.sync_data()).is_err() {
                known.damage = Some(Damage::Torn);
            }
            return Err(io(error));
        }
        let mut taken = Vec::new();
        for line in lines {
            let number = known.state.next;
            let entry = known.state.take(line.trim_end_matches('\n').as_bytes());
            taken.push(entry.map_err(|damage| Refusal::Damaged { number, damage })?);
        }
        Ok(taken)
    }

    /// The octets of the file from which on it takes no such entry.
    fn room(&self, event: &Event) -> u64 {
        match event {
            Event::Granted(_) | Event::Configured(_) | Event::Reloaded(_) | Event::Merged(_) | Event::Split(_) => {
                self.octets_max
            }
            // What a script may do all day is not to keep anybody from being spared.
            Event::Did(_) | Event::Looked(_) => self.octets_max / 2,
            Event::Revoked(_)
            | Event::Unconfigured(_)
            | Event::Expired(_)
            | Event::Undone(_)
            | Event::Erased(_)
            | Event::Looks(_) => u64::MAX,
        }
    }

    /// The file, for this thread alone. What is known may be read meanwhile: whoever holds the lock may hold it for long.
    fn locked(&self) -> Result<File, Refusal> {
        let io = |source| self.io(source);
        let is_new = {
            let known = self.known();
            known.sound()?;
            known.file.is_none()
        };
        let mut options = OpenOptions::new();
        options.read(true).append(true).mode(0o600);
        // One that is gone is not to be made anew: that would hide it.
        let file = options.create(is_new).open(&self.path).map_err(io)?;
        for _try in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN),
                Err(TryLockError::Error(error)) => return Err(io(error)),
            }
        }
        Err(Refusal::Locked(self.path.clone()))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn io(&self, source: io::Error) -> Refusal {
        Refusal::Io { path: self.path.clone(), source }
    }
}

impl Known {
    /// # Errors
    /// The damage that was found before.
    fn sound(&self) -> Result<(), Refusal> {
        let number = self.state.next;
        self.damage.map_or(Ok(()), |damage| Err(Refusal::Damaged { number, damage }))
    }

    fn broken(&mut self, damage: Damage) -> Result<(), Refusal> {
        self.damage = Some(damage);
        self.sound()
    }

    /// Whether there is nothing in the file that is not known.
    fn is_at(&self, found: &Metadata) -> bool {
        self.file == Some((found.dev(), found.ino())) && found.len() == self.state.octets
    }

    /// Takes what is new in the file.
    ///
    /// # Errors
    /// The operating system's; within, the damage that was found.
    fn catch_up(&mut self, file: &File) -> io::Result<Result<(), Refusal>> {
        let found = file.metadata()?;
        let which = (found.dev(), found.ino());
        if self.file.is_some_and(|known| known != which) || found.len() < self.state.octets {
            return Ok(self.broken(Damage::Cut));
        }
        self.file = Some(which);
        Ok(match follow(file, &mut self.state, &mut |_entry, _hash| ())? {
            Ok(()) => Ok(()),
            Err(damage) => self.broken(damage),
        })
    }
}

/// Cuts off what follows the last whole line: whoever wrote it died before it could answer.
fn cut_off(file: &File, octets: u64) -> io::Result<()> {
    if file.metadata()?.len() > octets { file.set_len(octets) } else { Ok(()) }
}
