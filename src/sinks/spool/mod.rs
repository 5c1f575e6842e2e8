//! Rows on the disk until every sink has sent them: one stream, written once, which each sink reads at its own pace.
//!
//! ```text
//! <state>/spool/<rows>-<attempts>.log   lines, named by what lies before the first; the oldest files go first
//! <state>/spool/<sink>.at               how far a sink has come
//! <state>/spool/stream                  the stream's name, by which its rows are told from those of all others
//! ```
//! Lines say what lies before them, so that whoever finds some missing knows how many attempts those were. A line that was
//! being written when the process was killed is cut off when the spool is opened. It is written without waiting for the disk:
//! a loss of power may take what the operating system had not written yet.

mod erase;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::event::{LINE_MAX, Mark, Placed};
use crate::journal::AttemptRow;
use crate::priority::make_way;
use crate::replace::replace;

/// Octets that are written at once.
const PIECE: usize = 64 << 10;
/// Octets of a file at most, but for the last piece; less in a small spool.
const FILE_MAX: u64 = 8 << 20;
/// Files that a full spool has at least.
const FILES_MIN: u64 = 8;

/// The stream of rows.
#[derive(Debug)]
pub(super) struct Spool {
    directory: PathBuf,
    /// Its name.
    pub(super) stream: Arc<str>,
    inner: Mutex<Inner>,
    head: watch::Sender<Mark>,
}

#[derive(Debug)]
struct Inner {
    /// The file that is written, at its end.
    file: Option<File>,
    /// Every file, by the rows before its first line.
    files: BTreeMap<u64, SpoolFile>,
    size_max: u64,
}

#[derive(Debug)]
struct SpoolFile {
    path: PathBuf,
    bytes: u64,
}

/// Rows that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(super) struct Unwritten {
    /// How many attempts they stand for.
    pub(super) attempts: u64,
    /// Why.
    pub(super) error: io::Error,
}

/// What was read: rows, a gap, or the end of the stream.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// None: a gap or the end.
    pub(super) rows: Vec<Placed>,
    /// Behind the last of them, or behind the gap.
    pub(super) next: Mark,
    /// Attempts in the gap that went to make room.
    pub(super) overflowed: u64,
    /// Attempts in the gap that could not be read.
    pub(super) damaged: u64,
}

/// Reads the stream for one sink.
#[derive(Debug)]
pub(super) struct Reader {
    spool: Arc<Spool>,
    next: Mark,
    /// The file that is being read, by the rows before its first line, and how far.
    at: Option<(u64, File, u64)>,
}

impl Spool {
    /// Opens the spool of this state directory. What can't be opened now is tried again when there is something to write.
    pub(super) fn open(state_dir: &Path, size_max: u64) -> Self {
        let directory = state_dir.join("spool");
        let mut inner = Inner { file: None, files: files(&directory), size_max };
        // Never behind what was sent once, or rows to come would have the names of those.
        let head = inner.recover().unwrap_or_default().max(furthest(&directory));
        let stream = stream(&directory);
        Self { directory, stream, inner: Mutex::new(inner), head: watch::channel(head).0 }
    }

    /// The end of the stream.
    pub(super) fn head(&self) -> Mark {
        *self.head.borrow()
    }

    /// Tells whenever the stream has grown.
    pub(super) fn grows(&self) -> watch::Receiver<Mark> {
        self.head.subscribe()
    }

    /// Takes no more octets than this from now on.
    pub(super) fn limit(&self, size_max: u64) {
        self.inner().size_max = size_max;
    }

    /// Octets of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.inner().bytes()
    }

    /// Appends rows; the oldest go where there is no room for all.
    pub(super) fn append(&self, rows: &mut dyn Iterator<Item = AttemptRow>) -> Result<(), Unwritten> {
        let mut inner = self.inner();
        let (mut head, mut lines, mut lost) = (self.head(), Vec::new(), None::<Unwritten>);
        let mut end = head;
        let mut rows = rows.peekable();
        while let Some(row) = rows.next() {
            let next = end.past(&row);
            Placed { before: end, row }.write(&mut lines);
            end = next;
            if lines.len() < PIECE && rows.peek().is_some() {
                continue;
            }
            make_way();
            match inner.write(&self.directory, head, &lines) {
                Ok(()) => {
                    head = end;
                    self.head.send_replace(head);
                }
                Err(error) => {
                    let attempts = end.attempts - head.attempts;
                    lost.get_or_insert(Unwritten { attempts: 0, error }).attempts += attempts;
                    // Nothing lies before the next that is not in the stream.
                    end = head;
                }
            }
            lines.clear();
        }
        lost.map_or(Ok(()), Err)
    }

    /// Removes what everybody has read who is at `unread` or further.
    pub(super) fn trim(&self, unread: Mark) {
        self.inner().trim(unread.rows);
    }

    /// Takes client and device out of the rows that are `meant`, where they stand; how many. What it counts and where it is stays.
    pub(super) fn erase(&self, meant: &dyn Fn(&AttemptRow) -> bool) -> io::Result<u64> {
        // Nobody appends or reads meanwhile.
        let inner = self.inner();
        inner.files.values().try_fold(0, |erased, file| Ok(erased + erase::in_file(&file.path, meant)?))
    }

    /// How far the sink of this id had come; `None`: it is new.
    pub(super) fn place(&self, sink: &str) -> Option<Mark> {
        place(&self.directory.join(format!("{sink}.at")))
    }

    /// Notes how far the sink of this id has come: whole or not at all.
    pub(super) fn note(&self, sink: &str, at: Mark) -> io::Result<()> {
        make_directory(&self.directory)?;
        let path = self.directory.join(format!("{sink}.at"));
        let beside = self.directory.join(format!("{sink}.new"));
        replace(&path, beside, format!("{} {}\n", at.rows, at.attempts).as_bytes())
    }

    /// Forgets how far sinks have come that are none of these.
    pub(super) fn forget_but(&self, sinks: &[&str]) {
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_place = path.extension().is_some_and(|ending| ending == "at");
            if is_place && !sinks.iter().any(|sink| path.file_stem().is_some_and(|stem| stem == *sink)) {
                fs::remove_file(path).unwrap_or_default();
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Cuts off the end of what is no whole line, and finds the end of the stream; `None`: there is nothing. A whole line that
    /// can't be read is a row that is lost, and costs none of those behind it.
    fn recover(&mut self) -> Option<Mark> {
        let (_rows, last) = self.files.last_key_value()?;
        let mut end = before(&last.path)?;
        let path = last.path.clone();
        let mut text = Vec::new();
        File::open(&path).and_then(|mut file| file.read_to_end(&mut text)).unwrap_or_default();
        let whole = text.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        for line in text[..whole].split_inclusive(|octet| *octet == b'\n') {
            end = match line.strip_suffix(b"\n").and_then(Placed::read) {
                Some(placed) => placed.before.past(&placed.row),
                // Its number is not given out again; of its attempts there was at least one.
                None => Mark { rows: end.rows + 1, attempts: end.attempts + 1 },
            };
        }
        let whole = whole as u64;
        if whole < text.len() as u64 {
            let file = OpenOptions::new().write(true).open(&path);
            file.and_then(|file| file.set_len(whole)).unwrap_or_default();
        }
        if let Some(mut last) = self.files.last_entry() {
            last.get_mut().bytes = whole;
        }
        Some(end)
    }

    fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }

    /// Writes whole lines, of which the first has this before it, or none of them.
    fn write(&mut self, directory: &Path, before: Mark, lines: &[u8]) -> io::Result<()> {
        let file_max = FILE_MAX.min(self.size_max / FILES_MIN);
        let is_full = self.files.last_key_value().is_none_or(|(_rows, last)| last.bytes >= file_max);
        if is_full || self.file.is_none() {
            self.file = None;
            self.next_file(directory, before)?;
        }
        let (Some(file), Some(mut last)) = (&mut self.file, self.files.last_entry()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let written = file.write_all(lines).and_then(|()| {
            // Somebody who cleans up the directory takes the file from under us.
            if last.get().path.exists() { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
        });
        if let Err(error) = written {
            file.set_len(last.get().bytes).unwrap_or_default();
            // Opened anew the next time, in a file of its own: who knows what is in this one.
            self.file = None;
            return Err(error);
        }
        last.get_mut().bytes += lines.len() as u64;
        self.make_room();
        Ok(())
    }

    fn next_file(&mut self, directory: &Path, before: Mark) -> io::Result<()> {
        make_directory(directory)?;
        let path = directory.join(format!("{:020}-{:020}.log", before.rows, before.attempts));
        // One of this name holds nothing: its lines would lie before.
        let mut options = OpenOptions::new();
        let file = options.create(true).write(true).truncate(true).mode(0o600).open(&path)?;
        self.files.insert(before.rows, SpoolFile { path, bytes: 0 });
        self.file = Some(file);
        Ok(())
    }

    /// Removes the oldest files until what is left fits.
    fn make_room(&mut self) {
        while self.files.len() > 1 && self.bytes() > self.size_max {
            if let Some((_rows, oldest)) = self.files.pop_first() {
                fs::remove_file(oldest.path).unwrap_or_default();
            }
        }
    }

    /// Removes files of which every row is before this one.
    fn trim(&mut self, unread: u64) {
        while self.files.keys().nth(1).is_some_and(|second| *second <= unread)
            && let Some((_rows, read)) = self.files.pop_first()
        {
            fs::remove_file(read.path).unwrap_or_default();
        }
    }

    /// The file that holds this row, or the next that there is.
    fn holding(&self, row: u64) -> Option<(u64, &Path)> {
        let at_or_before = self.files.range(..=row).next_back();
        let found = at_or_before.or_else(|| self.files.first_key_value())?;
        Some((*found.0, &found.1.path))
    }

    /// The file behind this one.
    fn behind(&self, file: u64) -> Option<(u64, &Path)> {
        self.files.range(file + 1..).next().map(|(rows, file)| (*rows, file.path.as_path()))
    }
}

impl Reader {
    /// Reads what lies behind `from`.
    pub(super) fn new(spool: Arc<Spool>, from: Mark) -> Self {
        // What was lost with the end of the stream, as by a loss of power, is nothing to wait for.
        let next = from.min(spool.head());
        Self { spool, next, at: None }
    }

    /// What it has read lies before this.
    pub(super) fn place(&self) -> Mark {
        self.next
    }

    /// Goes back to what lies behind `from`.
    pub(super) fn go_back(&mut self, from: Mark) {
        (self.next, self.at) = (from, None);
    }

    /// The next rows, as many as fit into some octets; a gap comes alone. Blocks.
    pub(super) fn read(&mut self) -> io::Result<Piece> {
        let head = self.spool.head();
        while self.next.rows < head.rows {
            let Some(lines) = self.lines(self.next.rows)? else {
                // The rest of the stream is gone from the disk.
                let damaged = head.attempts - self.next.attempts;
                self.next = head;
                return Ok(Piece { next: head, damaged, ..Piece::default() });
            };
            if let Some(piece) = self.piece(&lines, head) {
                self.next = piece.next;
                return Ok(piece);
            }
        }
        Ok(Piece { next: self.next, ..Piece::default() })
    }

    /// What stands in these lines behind what was read before: rows up to a gap, or the gap; `None`: nothing.
    fn piece(&mut self, lines: &[u8], head: Mark) -> Option<Piece> {
        let mut piece = Piece { next: self.next, ..Piece::default() };
        let mut passed = 0;
        for line in lines.split_inclusive(|octet| *octet == b'\n') {
            let place = passed;
            passed += line.len() as u64;
            let Some(placed) = Placed::read(line.strip_suffix(b"\n").unwrap_or(line)) else { continue };
            let before = placed.before;
            if before.rows < piece.next.rows {
                continue;
            }
            if before.rows >= head.rows {
                break;
            }
            if before.rows > piece.next.rows {
                // Read once more, by itself or behind the rows before it.
                if let Some((_first, _file, offset)) = &mut self.at {
                    *offset = (*offset - lines.len() as u64) + place;
                }
                if piece.rows.is_empty() {
                    let missed = before.attempts.saturating_sub(piece.next.attempts);
                    let is_first = self.at.as_ref().is_some_and(|(first, ..)| *first == before.rows);
                    *(if is_first { &mut piece.overflowed } else { &mut piece.damaged }) = missed;
                    piece.next = before;
                }
                return Some(piece);
            }
            piece.next = before.past(&placed.row);
            piece.rows.push(placed);
        }
        (!piece.rows.is_empty()).then_some(piece)
    }

    /// Some whole lines of the file that holds this row; of the one behind it where that is read to its end. `None`: there is none.
    fn lines(&mut self, row: u64) -> io::Result<Option<Vec<u8>>> {
        loop {
            if self.at.is_none() {
                let Some(opened) = self.open(|inner| inner.holding(row))? else { return Ok(None) };
                self.at = Some(opened);
            }
            let Some((first, file, offset)) = &mut self.at else { return Ok(None) };
            // Held until it is read: a line is not erased meanwhile.
            let inner = self.spool.inner();
            let end = inner.files.get(first).map_or(u64::MAX, |file| file.bytes);
            let room = usize::try_from(end.saturating_sub(*offset)).unwrap_or(usize::MAX).min(PIECE + LINE_MAX);
            let mut octets = vec![0; room];
            let read = file.read_at(&mut octets, *offset)?;
            drop(inner);
            octets.truncate(read);
            let whole = octets.iter().rposition(|octet| *octet == b'\n').map_or(0, |end| end + 1);
            // No line is so long: what stands there is none.
            let whole = if whole == 0 && read > LINE_MAX { read } else { whole };
            if whole > 0 {
                octets.truncate(whole);
                *offset += whole as u64;
                return Ok(Some(octets));
            }
            let first = *first;
            let Some(behind) = self.open(|inner| inner.behind(first))? else { return Ok(None) };
            self.at = Some(behind);
        }
    }

    fn open(&self, which: impl Fn(&Inner) -> Option<(u64, &Path)>) -> io::Result<Option<(u64, File, u64)>> {
        // Under the lock: it is not removed between being found and being opened.
        let mut inner = self.spool.inner();
        loop {
            let Some((first, path)) = which(&inner) else { return Ok(None) };
            match File::open(path) {
                Ok(file) => return Ok(Some((first, file, 0))),
                // Somebody else has removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => drop(inner.files.remove(&first)),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Takes client and device out of the rows that are `meant` in the spool of a state directory that no server uses.
pub(super) fn erase_alone(state_dir: &Path, meant: &dyn Fn(&AttemptRow) -> bool) -> io::Result<u64> {
    let files = files(&state_dir.join("spool"));
    files.values().try_fold(0, |erased, file| Ok(erased + erase::in_file(&file.path, meant)?))
}

/// The rows in the spool of a state directory that are `meant`, whether a server uses it or not.
pub(super) fn waiting_in(state_dir: &Path, meant: &dyn Fn(&AttemptRow) -> bool) -> io::Result<Vec<AttemptRow>> {
    let mut rows = Vec::new();
    for file in files(&state_dir.join("spool")).values() {
        rows.extend(erase::waiting_in(&file.path, meant)?);
    }
    Ok(rows)
}

/// The files of a spool.
fn files(directory: &Path) -> BTreeMap<u64, SpoolFile> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let file = |path: PathBuf| {
        let bytes = fs::metadata(&path).ok()?.len();
        Some((before(&path)?.rows, SpoolFile { path, bytes }))
    };
    entries.filter_map(|entry| file(entry.path())).collect()
}

/// What lies before the first line of a file, by its name.
fn before(path: &Path) -> Option<Mark> {
    let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
    let (rows, attempts) = name.split_once('-')?;
    Some(Mark { rows: rows.parse().ok()?, attempts: attempts.parse().ok()? })
}

/// The furthest that any sink has come.
fn furthest(directory: &Path) -> Mark {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let places = entries.filter(|path| path.extension().is_some_and(|ending| ending == "at"));
    places.filter_map(|path| place(&path)).max().unwrap_or_default()
}

fn place(path: &Path) -> Option<Mark> {
    let text = fs::read_to_string(path).ok()?;
    let (rows, attempts) = text.trim_end().split_once(' ')?;
    Some(Mark { rows: rows.parse().ok()?, attempts: attempts.parse().ok()? })
}

/// The name of the stream: the same as long as the directory is there.
fn stream(directory: &Path) -> Arc<str> {
    let path = directory.join("stream");
    let known = fs::read_to_string(&path).ok().map(|text| text.trim_end().to_owned());
    let is_name = |text: &String| text.len() == 16 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    known.filter(is_name).map_or_else(
        || {
            let name = format!("{:016x}", rand::random::<u64>());
            // One that can't be kept is good for this process.
            make_directory(directory).and_then(|()| write_new(&path, name.as_bytes())).unwrap_or_default();
            name.into()
        },
        Arc::from,
    )
}

fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() { Ok(()) } else { DirBuilder::new().recursive(true).mode(0o700).create(directory) }
}

/// Writes a file that only its owner may read.
fn write_new(path: &Path, octets: &[u8]) -> io::Result<()> {
    OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?.write_all(octets)
}

#[cfg(test)]
mod tests;
