//! The key of pseudonyms: a file of the state directory, made once, for its owner alone.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER_PERMISSIVE;
use ring::hmac;

use crate::identity::Identifier;
use crate::replace::replace;

/// The file's name in the state directory.
const FILE: &str = "privacy.key";
/// Octets of a key.
const SIZE: usize = 32;
/// Octets of the file at most: more are no key.
const SIZE_MAX: u64 = 1024;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file can't be read or made.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Others may read it.
    #[error("{}: others than its owner may read it (mode {mode:03o}); whoever has it knows whose pseudonym is whose: chmod 600", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// No key is in it.
    #[error("{}: no key of {} hexadecimal digits; remove it for a new one, by which every client gets another pseudonym", .path.display(), 2 * SIZE)]
    Wrong {
        /// The file.
        path: PathBuf,
    },
}

/// The key of pseudonyms.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").finish_non_exhaustive()
    }
}

impl Key {
    /// The key of a state directory; one is made if there is none.
    ///
    /// # Errors
    /// [`KeyError`]; no other key is made in place of one that can't be used.
    pub fn of(state_dir: &Path) -> Result<Self, KeyError> {
        match Self::read(state_dir)? {
            Some(key) => Ok(key),
            None => Self::make(state_dir),
        }
    }

    /// The key of a state directory; `None`: there is none.
    ///
    /// # Errors
    /// [`KeyError`] when what is there can't be used.
    pub fn read(state_dir: &Path) -> Result<Option<Self>, KeyError> {
        let path = state_dir.join(FILE);
        let failed = |source| KeyError::File { path: path.clone(), source };
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mode = found.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Open { path, mode });
        }
        if !found.is_file() || found.len() > SIZE_MAX {
            return Err(KeyError::Wrong { path });
        }
        let text = fs::read(&path).map_err(failed)?;
        let octets = HEXLOWER_PERMISSIVE.decode(text.trim_ascii()).ok().filter(|octets| octets.len() == SIZE);
        octets.map(|octets| Some(Self::from(&octets))).ok_or(KeyError::Wrong { path })
    }

    fn make(state_dir: &Path) -> Result<Self, KeyError> {
        let octets: [u8; SIZE] = rand::random();
        let (path, beside) = (state_dir.join(FILE), state_dir.join(format!("{FILE}.new")));
        let text = format!("{}\n", HEXLOWER_PERMISSIVE.encode(&octets));
        // A scan into a new directory comes before there is a store in it.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(state_dir);
        let written = made.and_then(|()| replace(&path, beside, text.as_bytes()));
        written.map_err(|source| KeyError::File { path, source })?;
        Ok(Self::from(&octets))
    }

    pub(in crate::journal) fn from(octets: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, octets))
    }

    /// The pseudonym of a device, by what the record would call it.
    pub(super) fn device(&self, device: &str) -> String {
        Identifier::Pseudonym(self.hash("device", device.as_bytes())).to_string()
    }

    /// The first 64 bits of HMAC-SHA-256 of some octets; `kind` tells kinds of them apart.
    pub(in crate::journal) fn hash(&self, kind: &str, octets: &[u8]) -> u64 {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [kind.as_bytes(), &[0], octets] {
            context.update(part);
        }
        let tag = context.sign();
        tag.as_ref().first_chunk().map(|first| u64::from_be_bytes(*first)).unwrap_or_default()
    }
}
