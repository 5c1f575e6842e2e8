//! A file of lines that is set aside before it grows too large or too old: `attempts.jsonl`, `attempts.jsonl.1`, `….2`, the
//! newest first. Whoever moves or removes it, as logrotate does, need tell nobody: the next lines go to a new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use super::config::FileSink;
use crate::time::Timestamp;

/// The file, open or not.
#[derive(Debug)]
pub(super) struct Files {
    config: FileSink,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode.
    identity: (u64, u64),
    bytes: u64,
    /// When its first line was written.
    began: Timestamp,
}

impl Files {
    pub(super) fn new(config: FileSink) -> Self {
        Self { config, open: None }
    }

    /// Appends whole lines, all or none of them. Blocks.
    pub(super) fn write(&mut self, lines: &[u8], now: Timestamp) -> io::Result<()> {
        self.look()?;
        if self.is_due(lines.len() as u64, now) {
            self.set_aside()?;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => self.open(now)?,
        };
        let open = self.open.insert(open);
        if open.bytes == 0 {
            open.began = now;
        }
        if let Err(error) = open.file.write_all(lines) {
            // Part of them may stand there: they come again.
            open.file.set_len(open.bytes).unwrap_or_default();
            self.open = None;
            return Err(error);
        }
        open.bytes += lines.len() as u64;
        Ok(())
    }

    /// Lets go of a file that is no longer the one of this name, and sees how long it is: somebody may have cut it.
    fn look(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        match fs::metadata(&self.config.path) {
            Ok(found) if (found.dev(), found.ino()) == open.identity => open.bytes = found.len(),
            Ok(_other) => self.open = None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.open = None,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn is_due(&self, more: u64, now: Timestamp) -> bool {
        let Some(open) = self.open.as_ref().filter(|open| open.bytes > 0) else { return false };
        let age = now.duration_since(open.began);
        let is_old = self.config.rotate_after.is_some_and(|after| age.unsigned_abs() >= after && age.is_positive());
        is_old || open.bytes + more > self.config.rotate_bytes
    }

    /// The file becomes the first of those set aside; the last of them goes.
    fn set_aside(&mut self) -> io::Result<()> {
        self.open = None;
        let path = |number: u32| self.numbered(number);
        if self.config.keep == 0 {
            return fs::remove_file(&self.config.path);
        }
        for number in (1..self.config.keep).rev() {
            match fs::rename(path(number), path(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _moved => (),
            }
        }
        fs::rename(&self.config.path, path(1))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.config.path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    /// Who may read it beside its owner is for the group of the directory to say: clients and what they asked stand in it.
    fn open(&self, now: Timestamp) -> io::Result<Open> {
        let file = OpenOptions::new().create(true).append(true).mode(0o640).open(&self.config.path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        // That of its last line for one that is there: nobody notes when a file began.
        let began = found.modified().ok().and_then(|at| Timestamp::try_from(at).ok()).filter(|_at| found.len() > 0);
        let (identity, bytes) = ((found.dev(), found.ino()), found.len());
        Ok(Open { file, identity, bytes, began: began.unwrap_or(now) })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::fields::Fields;
    use super::*;

    fn files(directory: &Path, rotate_after: Option<u64>, keep: u32) -> Files {
        let path = directory.join("a.jsonl");
        let rotate_after = rotate_after.map(Duration::from_secs);
        Files::new(FileSink { path, fields: Fields::Plain, rotate_bytes: 10, rotate_after, keep })
    }

    fn now(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What stands in each file of the directory.
    fn found(directory: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let mut found: Vec<_> = entries
            .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()))
            .collect();
        found.sort();
        found
    }

    fn check(directory: &Path, expected: &[(&str, &str)]) {
        let found = found(directory);
        let found: Vec<_> = found.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_is_set_aside_before_it_grows_too_large_and_the_last_goes() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = files(directory.path(), None, 2);
        for lines in ["1\n2\n3\n", "4\n5\n", "6\n", "7777777\n", "8\n", "a line longer than a file\n"] {
            files.write(lines.as_bytes(), now(0)).unwrap();
        }
        check(
            directory.path(),
            &[("a.jsonl", "a line longer than a file\n"), ("a.jsonl.1", "8\n"), ("a.jsonl.2", "6\n7777777\n")],
        );
    }

    #[test]
    fn a_file_is_set_aside_when_it_is_old_and_none_is_kept_if_none_shall_be() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = files(directory.path(), Some(60), 0);
        for (lines, second) in [("1\n", 0), ("2\n", 59), ("3\n", 61)] {
            files.write(lines.as_bytes(), now(second)).unwrap();
        }
        check(directory.path(), &[("a.jsonl", "3\n")]);
    }

    #[test]
    fn lines_go_to_a_new_file_when_somebody_moves_the_old_one_or_cuts_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jsonl");
        let mut files = files(directory.path(), None, 2);
        files.write(b"1\n", now(0)).unwrap();
        fs::rename(&path, directory.path().join("moved")).unwrap();
        files.write(b"2\n", now(0)).unwrap();
        fs::remove_file(&path).unwrap();
        files.write(b"3\n", now(0)).unwrap();
        OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        files.write(b"4\n", now(0)).unwrap();
        check(directory.path(), &[("a.jsonl", "4\n"), ("moved", "1\n")]);
    }

    #[test]
    fn a_disk_without_room_leaves_whole_lines_and_takes_them_once_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jsonl");
        let mut full = files(directory.path(), None, 2);
        full.config.path = PathBuf::from("/dev/full");
        // No regular file: it is not even opened.
        assert!(full.write(b"1\n", now(0)).is_err());
        fs::create_dir(&path).unwrap();
        let mut files = files(directory.path(), None, 2);
        assert!(files.write(b"1\n", now(0)).is_err());
        fs::remove_dir(&path).unwrap();
        files.write(b"1\n", now(0)).unwrap();
        check(directory.path(), &[("a.jsonl", "1\n")]);
    }
}
