//! One version of a zone of ours, in a file: the records that an export writes, and a last line that makes it whole.
//!
//! The file is what secondaries are sent, line by line, so that a zone of millions of names takes no memory. Its serial grows when
//! the records or their TTL have changed, and only then, also across restarts: the last line remembers both.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::SignedDuration;

use super::is_newer;
use super::steps::{self, Place, Step};
use super::triggers::Triggers;
use crate::digest::Digest;
use crate::policy::{BanIndex, ExportFormat, Policy};
use crate::priority::make_way;
use crate::replace::Replacement;
use crate::time::Timestamp;
use crate::wire::{LowerName, Name};

/// What the last line begins with.
const END: &str = "; whole:";
/// What ends the name of a file that is being written.
pub(super) const NEW: &str = "new";
/// One that was not finished by then never will be.
const LEFT_OVER: SignedDuration = SignedDuration::from_hours(1);
/// Octets that hold the last line.
const END_MAX: u64 = 256;
/// Lines between two looks at whether somebody needs the processor.
const LINES_AT_ONCE: u64 = 64;

/// A version of a zone.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its serial.
    pub serial: u32,
    /// Seconds, of all records.
    pub ttl: u32,
    /// Its records.
    pub triggers: Triggers,
    /// How much of the bans no policy zone can say.
    pub unsaid: u64,
    /// How it came of the versions before, as far back as that is kept.
    pub(super) steps: Vec<Arc<Step>>,
    /// Of the records and their TTL.
    digest: String,
    /// Held open: a version that comes later is another file, and who takes this one takes it to its end.
    file: Arc<File>,
}

impl PartialEq for Published {
    fn eq(&self, other: &Self) -> bool {
        (self.serial, self.ttl, self.unsaid, &self.digest) == (other.serial, other.ttl, other.unsaid, &other.digest)
    }
}

impl Eq for Published {}

/// Writes what the `chosen` bans do at `at` as a version of the zone below `directory`, unless it is the one that is there. Says
/// whether it is another one.
///
/// # Errors
/// Those of the files. The version before stays as it is.
pub fn publish(
    directory: &Path,
    zone: &Name,
    policy: &Policy,
    at: Timestamp,
    chosen: &dyn Fn(BanIndex) -> bool,
) -> io::Result<(Published, bool)> {
    std::fs::create_dir_all(directory)?;
    let path = path(directory, zone);
    let before = Published::last(directory, zone);
    // Two processes may write it while one takes the other's place.
    let beside = path.with_extension(format!("{}.{NEW}", std::process::id()));
    remove_left_over(directory, at);
    let new = Replacement::begin(&path, beside)?;
    let mut rows = Rows::new(BufWriter::new(new.file()));
    let exported = policy.export(ExportFormat::Rpz, at, chosen, &mut rows)?;
    let (unsaid, digest) = (exported.unsaid as u64, rows.digest());
    if let Some(before) = before.as_ref().filter(|before| before.digest == digest) {
        return Ok((Published { unsaid, ..before.clone() }, false));
    }
    let serial = next_serial(before.as_ref().map(|before| before.serial), at);
    let (ttl, triggers) = (rows.ttl, rows.triggers);
    rows.finish(&end(serial, ttl, &triggers, &digest))?;
    // Durable, as the serial is that a secondary has by then.
    let file = Arc::new(new.take_place()?);
    let mut published = Published { serial, ttl, triggers, unsaid, steps: Vec::new(), digest, file };
    let place = Place { zone: &path };
    published.steps = before.map(|before| published.steps_from(before, &place)).unwrap_or_default();
    place.keep(&published.steps);
    Ok((published, true))
}

/// Removes what a process that was killed has not finished: nothing takes so long.
fn remove_left_over(directory: &Path, at: Timestamp) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let written = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        let written = written.and_then(|written| Timestamp::try_from(written).ok());
        if path.extension().is_some_and(|extension| extension == NEW)
            && written.is_some_and(|written| at.duration_since(written) > LEFT_OVER)
        {
            drop(std::fs::remove_file(path));
        }
    }
}

/// The serial after one: seconds since 1970, so that it grows even where the state directory was lost, but more in any case.
fn next_serial(before: Option<u32>, at: Timestamp) -> u32 {
    let seconds = u32::try_from(at.as_second().rem_euclid(1 << 32)).unwrap_or_default();
    match before {
        Some(before) if !is_newer(seconds, before) => before.wrapping_add(1),
        _ => seconds,
    }
}

/// The last line of a version.
fn end(serial: u32, ttl: u32, triggers: &Triggers, digest: &str) -> String {
    let counts: Vec<String> = triggers.counts.iter().map(u64::to_string).collect();
    format!("{END} {serial} {ttl} {} {digest}\n", counts.join(" "))
}

/// Where the version of a zone is.
fn path(directory: &Path, zone: &Name) -> PathBuf {
    directory.join(format!("{}.zone", file_stem(zone)))
}

/// A file name without anything that a path could mean.
fn file_stem(zone: &Name) -> String {
    let text = LowerName::from(zone).to_string();
    text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '+' }).collect()
}

impl Published {
    /// The version that was written last, if there is one.
    pub fn last(directory: &Path, zone: &Name) -> Option<Self> {
        Self::read(&path(directory, zone)).ok()
    }

    /// The version that a file holds, by its last line.
    fn read(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let size = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(size.saturating_sub(END_MAX)))?;
        let mut end = Vec::new();
        (&file).take(END_MAX).read_to_end(&mut end)?;
        let not_whole = || io::Error::new(io::ErrorKind::InvalidData, "the file has no last line");
        let text = String::from_utf8_lossy(&end);
        let line = text.strip_suffix('\n').and_then(|text| text.rsplit('\n').next()).ok_or_else(not_whole)?;
        let mut words = line.strip_prefix(END).ok_or_else(not_whole)?.split_whitespace();
        let mut number = || words.next().and_then(|word| word.parse().ok()).ok_or_else(not_whole);
        let (serial, ttl) = (number()?, number()?);
        let mut triggers = Triggers::default();
        triggers.counts.iter_mut().try_for_each(|count| number().map(|number| *count = number))?;
        let digest = words.next().ok_or_else(not_whole)?.to_owned();
        let narrow = |number: u64| u32::try_from(number).map_err(io::Error::other);
        let (serial, ttl) = (narrow(serial)?, narrow(ttl)?);
        let steps = Place { zone: path }.steps_to(serial);
        Ok(Self { serial, ttl, triggers, unsaid: 0, steps, digest, file: Arc::new(file) })
    }

    /// The steps to this version, with the one from the version before.
    fn steps_from(&self, before: Self, place: &Place<'_>) -> Vec<Arc<Step>> {
        // Another TTL is another zone, record by record.
        if before.ttl != self.ttl {
            return Vec::new();
        }
        let (old, new) = ((before.serial, before.lines()), (self.serial, self.lines()));
        match Step::write(place, old, new, self.triggers.total()) {
            Ok(Some(step)) => {
                let steps = before.steps.into_iter().chain([Arc::new(step)]).collect();
                steps::bounded(steps, self.triggers.total())
            }
            Ok(None) => Vec::new(),
            Err(error) => {
                tracing::warn!(%error, "What has changed in a zone could not be written: secondaries are sent the whole of it.");
                Vec::new()
            }
        }
    }

    /// The lines of its records.
    pub(super) fn lines(&self) -> impl Iterator<Item = io::Result<String>> + use<> {
        let lines = BufReader::new(FromStart { file: Arc::clone(&self.file), at: 0 }).lines();
        lines.take_while(|line| line.as_ref().map_or(true, |line| !line.starts_with(END)))
    }
}

/// A file read from its start, whoever reads it beside.
pub(super) struct FromStart {
    pub(super) file: Arc<File>,
    pub(super) at: u64,
}

impl Read for FromStart {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let size = self.file.read_at(octets, self.at)?;
        self.at += size as u64;
        Ok(size)
    }
}

/// The lines of an export that are records, on their way to a file.
struct Rows<W> {
    out: W,
    line: Vec<u8>,
    digest: Digest,
    ttl: u32,
    triggers: Triggers,
}

impl<W: Write> Rows<W> {
    fn new(out: W) -> Self {
        Self { out, line: Vec::new(), digest: Digest::new(), ttl: 0, triggers: Triggers::default() }
    }

    /// What comments say changes with every export, and what the zone says of itself is made anew for each message.
    fn end_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let text = std::str::from_utf8(&line).map_err(io::Error::other)?;
        if let Some(ttl) = text.strip_prefix("$TTL ") {
            self.ttl = ttl.trim().parse().map_err(io::Error::other)?;
            self.digest.add(&line);
        } else if !text.starts_with([';', '@']) {
            self.triggers.add(&line);
            self.digest.add(&line);
            self.out.write_all(&line)?;
            if self.triggers.total().is_multiple_of(LINES_AT_ONCE) {
                make_way();
            }
        }
        self.line = line;
        self.line.clear();
        Ok(())
    }

    fn digest(&self) -> String {
        self.digest.clone().finish()
    }

    fn finish(mut self, end: &str) -> io::Result<()> {
        self.out.write_all(end.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Write for Rows<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        for part in octets.split_inclusive(|octet| *octet == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.end_line()?;
            }
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_grows_whatever_the_clock_says() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        assert_eq!(next_serial(None, at(1_700_000_000)), 1_700_000_000);
        assert_eq!(next_serial(Some(1_600_000_000), at(1_700_000_000)), 1_700_000_000);
        assert_eq!(next_serial(Some(1_700_000_000), at(1_700_000_000)), 1_700_000_001);
        assert_eq!(next_serial(Some(1_700_000_005), at(1_600_000_000)), 1_700_000_006, "the clock was set back");
        assert_eq!(next_serial(Some(u32::MAX), at(i64::from(u32::MAX))), 0);
    }

    #[test]
    fn a_file_that_was_cut_is_no_version() {
        let directory = tempfile::tempdir().unwrap();
        let zone = Name::parse("rpz.example").unwrap();
        let policy = crate::policy::PolicyBuilder::new(rand::random(), Vec::new()).build(1).0;
        let (first, new) = publish(directory.path(), &zone, &policy, Timestamp::UNIX_EPOCH, &|_ban| true).unwrap();
        assert!(new);
        assert_eq!(Published::last(directory.path(), &zone), Some(Published { unsaid: 0, ..first.clone() }));
        let (again, new) = publish(directory.path(), &zone, &policy, Timestamp::MAX, &|_ban| true).unwrap();
        assert_eq!((&again, new), (&first, false), "nothing has changed but the time");
        let path = path(directory.path(), &zone);
        let whole = std::fs::read(&path).unwrap();
        for end in 0..whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            assert_eq!(Published::last(directory.path(), &zone), None, "{end}");
        }
    }

    fn policy(rules: &str) -> Policy {
        use crate::diag::Source;
        use crate::policy::{Ban, ListFormat, ListInfo, PolicyBuilder, Strictness};
        let mut builder = PolicyBuilder::new(rand::random(), Vec::new());
        let ban = builder.ban(Ban::named("v"));
        let list = builder.list(ListInfo::new("v.txt", ban, ListFormat::Rules, "00"));
        let source = Source::new("v.txt", rules);
        ListFormat::Rules.parse(&source, Strictness::Strict, &mut |rule, _line| builder.rule(list, rule).unwrap());
        builder.build(1).0
    }

    #[test]
    fn who_takes_a_version_takes_it_to_its_end_whatever_comes_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let zone = Name::parse("rpz.example").unwrap();
        let publish = |rules: &str| {
            publish(directory.path(), &zone, &policy(rules), Timestamp::UNIX_EPOCH, &|_ban| true).unwrap().0
        };
        let first = publish("=a.example\n=b.example\n");
        let mut lines = first.lines();
        assert_eq!(lines.next().unwrap().unwrap(), "a.example CNAME *.");
        let second = publish("=c.example\n");
        assert_eq!(lines.map(Result::unwrap).collect::<Vec<_>>(), ["b.example CNAME *."]);
        assert_eq!(first.lines().count(), 2);
        assert_eq!(second.lines().map(Result::unwrap).collect::<Vec<_>>(), ["c.example CNAME *."]);
    }
}
