//! Reading files that an operator named, as a whole or piece by piece: bounded, and never waiting on what is no file.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use super::settings::Blocklists;
use super::units::show_bytes;

/// The shipped ban folders, inside the binary.
static SHIPPED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/blocklists");

/// What a shipped file's name begins with in messages.
const SHIPPED_NAME: &str = "<embedded>";

/// Octets read at once.
const PIECE: usize = 64 << 10;

/// Why a file can't be read; the message of a diagnostic.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A directory, FIFO, socket or device.
    #[error("is no regular file")]
    NotRegular,
    /// More than `max` octets.
    #[error("is larger than {}", show_bytes(*max))]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// Nothing of this name.
    #[error("does not exist")]
    Missing,
    /// A copy of which nobody knows what it should be.
    #[error("is there, but what is known of it is gone or damaged")]
    Unknown,
    /// A copy that came when it had not to be signed, or by another key.
    #[error("came without a signature by the key that is configured now")]
    Unsigned,
    /// Other octets than those that came.
    #[error("is damaged: it is not what came")]
    Damaged,
    /// The system's own words.
    #[error("can't be read: {0}")]
    Io(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Missing } else { Self::Io(error) }
    }
}

/// A file that can be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On disk.
    File(PathBuf),
    /// Shipped: its path below the embedded folders.
    Shipped(String),
}

impl Origin {
    /// What messages call it.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Shipped(path) => format!("{SHIPPED_NAME}/{path}"),
        }
    }

    /// The octets, `max` at most.
    ///
    /// # Errors
    /// [`ReadError`] when there is no such regular file or it is too large.
    pub fn read(&self, max: u64) -> Result<Vec<u8>, ReadError> {
        let mut octets = Vec::new();
        self.read_pieces(max, |piece| {
            octets.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(octets)
    }

    /// The first octets, `most` or a few more; all of a shorter file.
    ///
    /// # Errors
    /// [`ReadError`] as above.
    pub fn head(&self, most: usize, max: u64) -> Result<Vec<u8>, ReadError> {
        let mut octets = Vec::new();
        let read = self.read_pieces(max, |piece| {
            octets.extend_from_slice(piece);
            if octets.len() < most { Ok(()) } else { Err(io::Error::other("enough")) }
        });
        match read {
            Err(ReadError::Io(_enough)) if octets.len() >= most => Ok(octets),
            read => read.map(|()| octets),
        }
    }

    /// Gives the octets, `max` at most, to `sink` piece by piece, in order: a list may be larger than the memory that can be
    /// spared for it.
    ///
    /// # Errors
    /// [`ReadError`] as above, or the sink's, which ends the reading.
    pub fn read_pieces(&self, max: u64, sink: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), ReadError> {
        let mut sink = sink;
        match self {
            Self::File(path) => read_file(path, max, sink),
            Self::Shipped(path) => match SHIPPED.get_file(path) {
                Some(file) => Ok(sink(file.contents())?),
                None => Err(ReadError::Missing),
            },
        }
    }
}

fn read_file(path: &Path, max: u64, mut sink: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), ReadError> {
    // Asked before opening: to open a FIFO would wait for a writer. Asked again after: it may have been replaced.
    check(&std::fs::metadata(path)?, max)?;
    let mut file = File::open(path)?;
    check(&file.metadata()?, max)?;
    let (mut piece, mut left) = (vec![0; PIECE], max);
    loop {
        let read = match file.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        left = left.checked_sub(read as u64).ok_or(ReadError::TooLarge { max })?;
        match piece.get(..read) {
            Some([]) | None => return Ok(()),
            Some(octets) => sink(octets)?,
        }
    }
}

fn check(metadata: &Metadata, max: u64) -> Result<(), ReadError> {
    if !metadata.is_file() {
        Err(ReadError::NotRegular)
    } else if metadata.len() > max {
        Err(ReadError::TooLarge { max })
    } else {
        Ok(())
    }
}

impl Blocklists {
    /// What messages call the whole.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Embedded => SHIPPED_NAME.to_owned(),
            Self::Directory(path) => path.value.display().to_string(),
        }
    }

    /// Names of the ban folders, sorted. Files beside them and hidden folders are none.
    pub(super) fn folders(&self) -> Result<Vec<String>, ReadError> {
        let mut folders = match self {
            Self::Embedded => SHIPPED.dirs().map(|folder| folder.path().display().to_string()).collect(),
            Self::Directory(path) => folders_in(&path.value)?,
        };
        folders.sort();
        Ok(folders)
    }

    /// A file of a ban folder.
    pub(super) fn file(&self, folder: &str, file: &str) -> Origin {
        match self {
            Self::Embedded => Origin::Shipped(format!("{folder}/{file}")),
            Self::Directory(path) => Origin::File(path.value.join(folder).join(file)),
        }
    }
}

fn folders_in(path: &Path) -> Result<Vec<String>, ReadError> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with('.') && path.is_dir() {
            folders.push(name);
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_and_a_large_file_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x");
        std::fs::write(&file, "12345").unwrap();
        let read = |path: &Path, max| Origin::File(path.to_owned()).read(max);
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        assert!(matches!(read(&file, 4), Err(ReadError::TooLarge { max: 4 })));
        assert!(matches!(read(directory.path(), 5), Err(ReadError::NotRegular)));
        assert!(matches!(read(Path::new("/dev/zero"), 5), Err(ReadError::NotRegular)));
    }

    #[test]
    fn a_large_file_is_read_in_pieces_and_a_sink_may_end_it() {
        let directory = tempfile::tempdir().unwrap();
        let origin = Origin::File(directory.path().join("x"));
        let octets: Vec<u8> = (0..=255).cycle().take(3 * PIECE + 5).collect();
        std::fs::write(directory.path().join("x"), &octets).unwrap();
        assert_eq!(origin.read(octets.len() as u64).unwrap(), octets);
        let mut pieces = 0;
        let ended = origin.read_pieces(u64::MAX, |piece| {
            assert!(piece.len() <= PIECE);
            pieces += 1;
            Err(io::Error::other("enough"))
        });
        assert!(matches!(ended, Err(ReadError::Io(_))));
        assert_eq!(pieces, 1);
    }

    #[test]
    fn shipped_folders_are_found_and_read() {
        let folders = Blocklists::Embedded.folders().unwrap();
        assert!(folders.is_sorted() && folders.len() == 15, "{folders:?}");
        let origin = Blocklists::Embedded.file("kaspersky", "ban.toml");
        assert_eq!(origin.name(), "<embedded>/kaspersky/ban.toml");
        assert!(!origin.read(1 << 20).unwrap().is_empty());
    }
}
