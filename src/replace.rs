//! Files of ours that are exchanged: after a crash at any moment the old one is there or the new one, whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file on its way, beside the one whose place it will take. Removed when dropped before that: on a full disk its room is for
/// others.
#[derive(Debug)]
pub struct Replacement {
    file: File,
    beside: Beside,
    place: PathBuf,
}

/// Where it is until then.
#[derive(Debug)]
struct Beside(Option<PathBuf>);

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What can't be removed is overwritten the next time.
            drop(fs::remove_file(path));
        }
    }
}

impl Replacement {
    /// Begins one for `place`, at `beside` in the same directory; for its owner alone: names of lists, bans and clients stand in
    /// what we write.
    ///
    /// # Errors
    /// The disk's.
    pub fn begin(place: &Path, beside: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        Ok(Self { file, beside: Beside(Some(beside)), place: place.to_path_buf() })
    }

    /// The file, to be written.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it is while it is no more than a file beside another.
    pub fn path(&self) -> &Path {
        self.beside.0.as_deref().unwrap_or(&self.place)
    }

    /// Sees to it that its octets outlast a loss of power.
    ///
    /// # Errors
    /// The disk's.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Takes the place: its octets first, then the name, which is durable only when its directory is.
    ///
    /// # Errors
    /// The disk's; what was there stays, unless only the directory could not be made durable.
    pub fn take_place(self) -> io::Result<File> {
        let Self { file, mut beside, place } = self;
        file.sync_all()?;
        if let Some(path) = &beside.0 {
            fs::rename(path, &place)?;
        }
        beside.0 = None;
        sync_directory(place.parent().unwrap_or(Path::new(".")))?;
        Ok(file)
    }
}

/// Replaces a file by these octets; meanwhile they are at `beside`.
///
/// # Errors
/// Those of [`Replacement`].
pub fn replace(place: &Path, beside: PathBuf, octets: &[u8]) -> io::Result<()> {
    let new = Replacement::begin(place, beside)?;
    new.file().write_all(octets)?;
    new.take_place().map(drop)
}

/// Sees to it that names in a directory outlast a loss of power.
///
/// # Errors
/// The disk's.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory).and_then(|directory| directory.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_the_place_of_another_as_a_whole_or_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let (place, beside) = (directory.path().join("a"), directory.path().join("a.new"));
        let files = || fs::read_dir(directory.path()).unwrap().count();
        replace(&place, beside.clone(), b"old").unwrap();
        let new = Replacement::begin(&place, beside.clone()).unwrap();
        new.file().write_all(b"half of").unwrap();
        assert_eq!((fs::read(&place).unwrap(), files()), (b"old".to_vec(), 2));
        drop(new);
        assert_eq!((fs::read(&place).unwrap(), files()), (b"old".to_vec(), 1));
        replace(&place, beside, b"new").unwrap();
        assert_eq!((fs::read(&place).unwrap(), files()), (b"new".to_vec(), 1));
    }

    #[test]
    fn what_cannot_take_the_place_leaves_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("a");
        fs::create_dir_all(place.join("full")).unwrap();
        assert!(replace(&place, directory.path().join("a.new"), b"x").is_err());
        assert!(replace(&place, directory.path().join("none/a.new"), b"x").is_err());
        assert!(place.join("full").is_dir() && fs::read_dir(directory.path()).unwrap().count() == 1);
    }
}
