//! Whether a log was read before, by its content.

use std::io;
use std::path::Path;

use ring::digest::{Context as Digest, SHA256, digest};

use super::source::{Progress, Source};
use crate::journal::{Import, Scanned, StoreError};

/// Octets of a log that it is looked up by.
pub(super) const HEAD: u64 = 4_096;
/// Octets read at a time.
const PIECE: usize = 1 << 20;

/// A size, and SHA-256 of so many octets.
type Begun = (u64, Vec<u8>);

/// What the store knows of a log.
pub(super) struct Known {
    /// What it is known by from now on.
    pub(super) head: (u64, Vec<u8>),
    /// The logs that begin alike.
    pub(super) alike: Vec<Scanned>,
    /// The one of them that this is, as far as it was read.
    pub(super) same: Option<Scanned>,
    /// One of them that begins as this does, and is longer.
    pub(super) longer: Option<Scanned>,
}

/// Why it is not known whether a log was read before.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unknown {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Read(#[from] io::Error),
}

/// Looks a log up that begins with these octets.
pub(super) fn look_up(import: &Import, path: &Path, octets: &[u8]) -> Result<Known, Unknown> {
    let of_size = |size: u64| {
        let head = usize::try_from(size).ok().and_then(|size| octets.get(..size))?;
        Some((size, digest(&SHA256, head).as_ref().to_vec()))
    };
    let own = of_size(HEAD.min(octets.len() as u64)).unwrap_or_default();
    // One that was shorter when it was first read is known by what it had then.
    for size in import.head_sizes()? {
        let Some(head) = of_size(size) else { continue };
        let alike = import.known(&head)?;
        if let Some((same, longer)) = compare(path, &alike)? {
            return Ok(Known { head, alike, same, longer });
        }
    }
    let alike = import.known(&own)?;
    Ok(Known { head: own, alike, same: None, longer: None })
}

/// Which of these, that begin alike, the log is; or which is a longer copy of it, if it is none. `None`: neither.
fn compare(path: &Path, alike: &[Scanned]) -> io::Result<Option<(Option<Scanned>, Option<Scanned>)>> {
    let mut sizes: Vec<u64> = alike.iter().map(|scanned| scanned.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    if sizes.is_empty() {
        return Ok(None);
    }
    let (digests, length) = digests(path, &sizes)?;
    let is_same = |scanned: &&Scanned| digests.iter().any(|known| *known == (scanned.size, scanned.digest.clone()));
    if let Some(same) = alike.iter().filter(is_same).max_by_key(|scanned| scanned.size) {
        return Ok(Some((Some(same.clone()), None)));
    }
    Ok(alike.iter().find(|scanned| scanned.size > length).map(|longer| (None, Some(longer.clone()))))
}

/// SHA-256 of the first octets of a log for each of these sizes, in order, as far as it has so many; and how many it has, or
/// how many were looked at.
fn digests(path: &Path, sizes: &[u64]) -> io::Result<(Vec<Begun>, u64)> {
    let progress = Progress::default();
    let mut source = Source::open(path, &progress)?;
    let (mut digest, mut found, mut at) = (Digest::new(&SHA256), Vec::new(), 0);
    let mut octets = Vec::with_capacity(PIECE);
    for &size in sizes {
        while at < size {
            octets.clear();
            let wanted = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
            source.fill(&mut octets, wanted)?;
            if octets.is_empty() {
                return Ok((found, at));
            }
            digest.update(&octets);
            at += octets.len() as u64;
        }
        found.push((size, digest.clone().finish().as_ref().to_vec()));
    }
    Ok((found, at))
}
