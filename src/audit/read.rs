//! Reading the file from where it is known to its last whole line; and for whoever only looks at it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::entry::Entry;
use super::error::Damage;
use super::state::{Granted, State};
use crate::identity::Word;

/// Octets of a line at most: a policy with all the bans that are told by name has half of it.
const LINE_MAX: u64 = 32 << 10;

/// What somebody who only looks has read.
#[derive(Debug)]
pub struct Reading {
    /// Exemptions that were neither revoked nor noted as expired; none if the chain is broken.
    pub live: Vec<Granted>,
    /// What operators have said of devices and not taken back, in that order; nothing if the chain is broken.
    pub words: Vec<Word>,
    /// Whether there is a file at all.
    pub found: bool,
    /// Whole entries.
    pub entries: u64,
    /// The hash of the last one, to be noted elsewhere.
    pub head: String,
    /// The number of the first entry that is not to be trusted, and what is wrong with it.
    pub damage: Option<(u64, Damage)>,
}

/// Reads the file of a state directory, whether a server runs or not, and hands each entry and its hash to `sink`. A last line
/// that is not whole may just be being written: it is left out. Without a file there are no entries.
///
/// # Errors
/// The operating system's.
pub fn read(state_dir: &Path, mut sink: impl FnMut(&Entry, &str)) -> io::Result<Reading> {
    let mut state = State::default();
    let (found, damage) = match File::open(super::path(state_dir)) {
        Ok(file) => (true, follow(&file, &mut state, &mut sink)?.err()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (false, None),
        Err(error) => return Err(error),
    };
    let State { next, head, live, words, .. } = state;
    let damage = damage.map(|damage| (next, damage));
    let live = if damage.is_some() { Vec::new() } else { live.into_values().collect() };
    let words = if damage.is_some() { Vec::new() } else { words.into_values().collect() };
    Ok(Reading { live, words, found, entries: next - 1, head, damage })
}

/// Takes the whole lines that follow what `state` knows.
///
/// # Errors
/// The operating system's; within, the [`Damage`] that it stopped at.
pub(super) fn follow(
    mut file: &File,
    state: &mut State,
    sink: &mut impl FnMut(&Entry, &str),
) -> io::Result<Result<(), Damage>> {
    file.seek(SeekFrom::Start(state.octets))?;
    let (mut reader, mut line) = (BufReader::new(file), Vec::new());
    loop {
        line.clear();
        reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
        if line.pop_if(|last| *last == b'\n').is_none() {
            let is_long = u64::try_from(line.len()).is_ok_and(|length| length >= LINE_MAX);
            return Ok(if is_long { Err(Damage::Long) } else { Ok(()) });
        }
        match state.take(&line) {
            Ok(entry) => sink(&entry, &state.head),
            Err(damage) => return Ok(Err(damage)),
        }
    }
}
