//! The cache across a restart: a file in the state directory, written at the end and from time to time, read again at the start.
//!
//! ```text
//! embargo cache 1\n    what it is, and the form of what follows
//! i64                  when it was written, in milliseconds since 1970
//! u32, octets          one answer and its length, many times; then a length of 0
//! 32 octets            SHA-256 of all before
//! ```
//! There is always a whole one. Nothing depends on it: what can't be written or read is left out, and said once. Where answers are
//! validated here, none is saved: one that was not validated, or by other keys, would look like one that was.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use crate::cache::{Cache, SAVED_MAX};
use crate::clock::Clock;
use crate::priority::{self, beside};
use crate::replace::{Replacement, sync_directory};

/// It is written so often while the server runs: what a killed one loses is younger.
const EVERY: Duration = Duration::from_secs(10 * 60);
/// Writing ends after this time with what is written by then.
const WRITING_MAX: Duration = Duration::from_secs(60);
/// The same at the end, when somebody waits for the process to be gone.
const AT_END: Duration = Duration::from_secs(3);
/// Octets of the file at most.
const FILE_MAX: u64 = 256 << 20;
/// What the file begins with.
const MAGIC: &[u8; 16] = b"embargo cache 1\n";
/// Answers between one look at the clock and the next.
const STRETCH: usize = 64;

/// Why a saved cache is left out.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    /// The disk.
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
    /// Something else, or of another version.
    #[error("it is no saved cache of this version")]
    Foreign,
    /// It is not what was written.
    #[error("it is damaged")]
    Damaged,
    /// Its answers could be of any age.
    #[error("it was written at a later time than it is now")]
    Future,
}

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("cache.saved")
}

/// Reads the file of the run before, once that has ended (`before`, where its place is taken), then writes it from time to
/// time until `stop`.
pub(super) async fn keep(parts: Arc<Parts>, before: Option<CancellationToken>, stop: CancellationToken) {
    if let Some(ended) = before {
        ended.cancelled().await;
    }
    let reader = Arc::clone(&parts);
    let read = beside(move || reader.restore_cache()).await;
    if let Err(error) = read {
        tracing::warn!(%error, "The saved cache could not be read beside the serving threads; it is left out.");
    }
    parts.restored.store(true, Ordering::Relaxed);
    while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        if !parts.validates() {
            let writer = Arc::clone(&parts);
            let _no_thread = beside(move || writer.save_cache(WRITING_MAX)).await;
        }
    }
}

impl Parts {
    /// Removes the file, since something of what it holds is not to come back with the next process. What is left in the cache is
    /// written again in its time.
    pub(super) fn forget_saved_cache(&self) {
        match fs::remove_file(file(&self.first.state_dir)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "The saved cache could not be removed; it may hold what was thrown away.");
            }
            _ => (),
        }
    }

    /// Writes the cache when the server ends, and waits for it, but not for long.
    pub(super) async fn save_cache_at_end(self: &Arc<Self>) {
        // What was not read to its end is still whole on disk.
        if !self.first.settings.cache.save || self.validates() || !self.restored.load(Ordering::Relaxed) {
            return;
        }
        let writer = Arc::clone(self);
        let (done, written) = tokio::sync::oneshot::channel();
        let write = move || {
            writer.save_cache(AT_END);
            let _nobody_waits = done.send(());
        };
        // A thread of its own, which the end of the process does not wait for: a disk may hang.
        let thread = std::thread::Builder::new().name("cache".to_owned()).spawn(write);
        if thread.is_err() || tokio::time::timeout(2 * AT_END, written).await.is_err() {
            tracing::warn!("The cache could not be written in time; the file before stays.");
        }
    }

    fn validates(&self) -> bool {
        self.loaded.load().validation.is_some()
    }

    fn save_cache(&self, within: Duration) {
        let _one_at_a_time = self.saving.lock();
        match save(&self.first.state_dir, &self.cache, &self.clock, within) {
            Ok(answers) => tracing::debug!(answers, "The cache is saved."),
            Err(error) => tracing::warn!(%error, "The cache could not be saved; DNS goes on."),
        }
    }

    fn restore_cache(&self) {
        if self.validates() {
            return;
        }
        match restore(&self.first.state_dir, &self.cache, &self.clock) {
            Ok(answers) => {
                self.metrics.cache.restored.add(answers);
                tracing::info!(answers, "Answers of the last run are in the cache again.");
            }
            Err(Unusable::Io(error)) if error.kind() == io::ErrorKind::NotFound => (),
            Err(error) => {
                let file = file(&self.first.state_dir);
                tracing::warn!(file = %file.display(), %error, "The saved cache is left out.");
            }
        }
    }
}

/// Writes what the cache holds, as far as time and space allow; says how many answers.
fn save(state_dir: &Path, cache: &Cache, clock: &Clock, within: Duration) -> io::Result<u64> {
    let (path, began) = (file(state_dir), clock.now().mono);
    let new = Replacement::begin(&path, state_dir.join("cache.saved.new"))?;
    let answers = write(new.file(), cache, clock, within)?;
    new.take_place()?;
    // Whoever throws something away meanwhile means what was written before, too.
    if cache.was_flushed_since(began) {
        fs::remove_file(&path)?;
        sync_directory(state_dir)?;
    }
    Ok(answers)
}

fn write(file: &File, cache: &Cache, clock: &Clock, within: Duration) -> io::Result<u64> {
    let mut out = Digesting { file: BufWriter::new(file), digest: Context::new(&SHA256), octets: 0 };
    let began = clock.now();
    out.put(MAGIC)?;
    out.put(&began.wall.as_millisecond().to_be_bytes())?;
    let mut answers = 0;
    for (number, saved) in cache.saved(began.mono).enumerate() {
        if number % STRETCH == 0 {
            priority::make_way();
            if clock.now().mono.since(began.mono) >= within {
                break;
            }
        }
        let size = u32::try_from(saved.len()).map_err(io::Error::other)?;
        if out.octets + u64::from(size) > FILE_MAX / 2 {
            break;
        }
        out.put(&size.to_be_bytes())?;
        out.put(&saved)?;
        answers += 1;
    }
    out.put(&0_u32.to_be_bytes())?;
    out.finish()?;
    Ok(answers)
}

/// A file that ends with the digest of all before.
struct Digesting<'f> {
    file: BufWriter<&'f File>,
    digest: Context,
    octets: u64,
}

impl Digesting<'_> {
    fn put(&mut self, octets: &[u8]) -> io::Result<()> {
        self.digest.update(octets);
        self.octets += octets.len() as u64;
        self.file.write_all(octets)
    }

    fn finish(mut self) -> io::Result<()> {
        self.file.write_all(self.digest.finish().as_ref())?;
        self.file.flush()
    }
}

/// Keeps again what was saved and may still be given; says how many answers.
fn restore(state_dir: &Path, cache: &Cache, clock: &Clock) -> Result<u64, Unusable> {
    let path = file(state_dir);
    // Asked before opening: to open a FIFO would wait for a writer.
    let metadata = fs::metadata(&path)?;
    if !metadata.is_file() || metadata.len() > FILE_MAX {
        return Err(Unusable::Foreign);
    }
    let mut file = File::open(path)?;
    verify(&mut BufReader::new(&file), metadata.len())?;
    file.rewind()?;
    let mut from = BufReader::new(&file);
    let mut head = [0; MAGIC.len()];
    from.read_exact(&mut head)?;
    let written = i64::from_be_bytes(octets(&mut from)?);
    let began = clock.now();
    // A machine without a clock of its own may wake up in the past: nobody knows how old the answers are then.
    let passed = began.wall.as_millisecond().saturating_sub(written);
    let passed = Duration::from_millis(u64::try_from(passed).map_err(|_negative| Unusable::Future)?);
    let (mut answers, mut saved) = (0, vec![0; SAVED_MAX]);
    for number in 0.. {
        if number % STRETCH == 0 {
            priority::make_way();
        }
        let size = usize::try_from(u32::from_be_bytes(octets(&mut from)?)).unwrap_or(usize::MAX);
        // Whoever empties the cache means these too.
        if size == 0 || cache.was_flushed_since(began.mono) {
            break;
        }
        let saved = saved.get_mut(..size).ok_or(Unusable::Damaged)?;
        from.read_exact(saved)?;
        let kept = cache.restore(saved, passed, began.mono).map_err(|_malformed| Unusable::Damaged)?;
        answers += u64::from(kept);
    }
    Ok(answers)
}

/// Reads the file to its end and compares.
fn verify(from: &mut impl Read, size: u64) -> Result<(), Unusable> {
    let mut head = [0; MAGIC.len()];
    let begins = from.read_exact(&mut head);
    if begins.is_err() || head != *MAGIC {
        return Err(Unusable::Foreign);
    }
    let mut digest = Context::new(&SHA256);
    digest.update(&head);
    let covered = size.checked_sub((MAGIC.len() + SHA256_OUTPUT_LEN) as u64).ok_or(Unusable::Damaged)?;
    let (mut from, mut piece) = (from.take(covered + SHA256_OUTPUT_LEN as u64), vec![0; 16 << 10]);
    let mut left = covered;
    while left > 0 {
        priority::make_way();
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        from.read_exact(&mut piece[..wanted])?;
        digest.update(&piece[..wanted]);
        left -= wanted as u64;
    }
    let mut told = [0; SHA256_OUTPUT_LEN];
    from.read_exact(&mut told)?;
    if digest.finish().as_ref() == told { Ok(()) } else { Err(Unusable::Damaged) }
}

fn octets<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut octets = [0; N];
    from.read_exact(&mut octets)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{self, KeyRef, Lookup};
    use crate::clock::Hands;
    use crate::time::{Mono, Now};
    use crate::wire::{Answer, Layout, Query, Response, qtype};

    const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";

    fn clock() -> (Clock, Hands) {
        Clock::manual(Now { wall: "2026-03-01T08:00:00Z".parse().unwrap(), mono: Mono(1) })
    }

    fn empty() -> Cache {
        Cache::new(cache::Config::new(1 << 20))
    }

    /// Holds `a.example` for 60 seconds.
    fn full(clock: &Clock) -> Cache {
        let cache = empty();
        let query = Query::read(QUESTION).unwrap();
        let response = Response::to(&query).answer(qtype::A, 60, &[192, 0, 2, 1]).finish(512);
        let answer = Answer::keep(&response, &Layout::read(&response).unwrap()).unwrap();
        cache.insert(KeyRef::of(&query).to_key(), answer, true, clock.now().mono);
        cache
    }

    fn fresh(cache: &Cache, now: Mono) -> bool {
        matches!(cache.get(&KeyRef::of(&Query::read(QUESTION).unwrap()), now), Lookup::Fresh(_))
    }

    #[test]
    fn what_is_saved_is_there_again_as_old_as_it_is_by_then() {
        let (dir, (before, hands)) = (tempfile::tempdir().unwrap(), clock());
        let cache = full(&before);
        hands.advance(Duration::from_secs(10));
        assert_eq!(save(dir.path(), &cache, &before, AT_END).unwrap(), 1);
        hands.advance(Duration::from_secs(20));
        let (after, _hands) = Clock::manual(Now { wall: before.now().wall, mono: Mono(7) });
        let cache = empty();
        assert_eq!(restore(dir.path(), &cache, &after).unwrap(), 1);
        assert!(fresh(&cache, Mono(7)) && fresh(&cache, Mono(29_999_999)) && !fresh(&cache, Mono(30_000_007)));
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["cache.saved"]);
    }

    #[test]
    fn a_file_with_any_octet_wrong_or_missing_is_left_out_as_a_whole() {
        let (dir, (clock, _hands)) = (tempfile::tempdir().unwrap(), clock());
        save(dir.path(), &full(&clock), &clock, AT_END).unwrap();
        let whole = fs::read(file(dir.path())).unwrap();
        let refused = |octets: &[u8]| {
            fs::write(file(dir.path()), octets).unwrap();
            let cache = empty();
            restore(dir.path(), &cache, &clock).is_err() && cache.is_empty()
        };
        for at in 0..whole.len() {
            let mut wrong = whole.clone();
            wrong[at] ^= 1;
            assert!(refused(&wrong) && refused(&whole[..at]), "{at}");
        }
        assert!(refused(&[&whole[..], b"x"].concat()) && refused(b"\x7fELF and so on"));
        assert!(!refused(&whole));
    }

    #[test]
    fn a_file_from_the_future_is_left_out_and_no_file_is_no_fault() {
        let (dir, (clock, _hands)) = (tempfile::tempdir().unwrap(), clock());
        let missing = restore(dir.path(), &empty(), &clock).unwrap_err();
        assert!(matches!(missing, Unusable::Io(error) if error.kind() == io::ErrorKind::NotFound));
        save(dir.path(), &full(&clock), &clock, AT_END).unwrap();
        let (earlier, _hands) = Clock::manual(Now { wall: "1970-01-01T00:00:09Z".parse().unwrap(), mono: Mono(1) });
        assert!(matches!(restore(dir.path(), &empty(), &earlier), Err(Unusable::Future)));
    }

    #[test]
    fn what_can_t_be_written_leaves_the_file_before() {
        let (dir, (clock, _hands)) = (tempfile::tempdir().unwrap(), clock());
        save(dir.path(), &full(&clock), &clock, AT_END).unwrap();
        fs::create_dir(dir.path().join("cache.saved.new")).unwrap();
        assert!(save(dir.path(), &full(&clock), &clock, AT_END).is_err());
        assert_eq!(restore(dir.path(), &empty(), &clock).unwrap(), 1);
    }

    #[test]
    fn writing_ends_in_time_with_a_whole_file() {
        let (dir, (clock, _hands)) = (tempfile::tempdir().unwrap(), clock());
        assert_eq!(save(dir.path(), &full(&clock), &clock, Duration::ZERO).unwrap(), 0);
        assert_eq!(restore(dir.path(), &empty(), &clock).unwrap(), 0);
    }
}
