//! The threads of a scan: one reads, several judge, one records in the order of the log.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::binary::Capture;
use super::cut::{CHUNK, Chunk, Cutter};
use super::detect;
use super::format::Format;
use super::judge::{Counts, FAULTS_MAX, FaultAt, Found, Judged, judge};
use super::known::{Known, Unknown, look_up};
use super::rules::Rules;
use super::source::{Packing, Progress, Source};
use super::text::{Context, Fields};
use super::times::Times;
use crate::journal::{Attempt, Import, ImportError, Log, Reached, Scanned, Series, SeriesId, StoreError};
use crate::metrics::DEFAULT_SITE;
use crate::policy::{BanIndex, Evidence, Mode, PatternKind, PatternRef, Policy, SiteIndex};
use crate::priority::yield_to_serving;
use crate::time::Timestamp;
use crate::wire::{LowerName, Transport};

/// The category of connections to the fallback resolvers of a ban's product.
pub const FALLBACK: &str = "fallback_resolver";
/// Beside the bans for which a log was read: who was active in it.
const ACTIVE: &str = "";
/// Rows that wait at most before they are written: a server that writes the same store waits no longer than that takes.
const ROWS_MAX: usize = 5_000;
/// Clients and hours that wait at most.
const ACTIVE_MAX: usize = 50_000;
/// Chunks that may pass between two transactions when little is found.
const CHUNKS_MAX: u64 = 64;
/// Time between two looks whether a thread has panicked.
const LOOK: Duration = Duration::from_millis(500);

/// How logs are scanned.
#[derive(Debug)]
pub struct Scan<'s> {
    /// What their queries are judged by.
    pub rules: &'s Rules<'s>,
    /// Now.
    pub now: Timestamp,
    /// The zone of times without one.
    pub zone: TimeZone,
    /// The year of the first line, for times without one.
    pub year: Option<i16>,
    /// Their format; `None`: each tells its own.
    pub format: Option<Format>,
    /// Whether dates that do not tell have the day first, or the month; `None`: such a log is not read.
    pub day_first: Option<bool>,
    /// What fields of JSON are called.
    pub fields: Arc<Fields>,
    /// Threads that judge.
    pub workers: usize,
    /// How far reading is.
    pub progress: &'s Progress,
}

/// Whether a log was known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was not.
    New,
    /// It had been read up to there.
    Continued(u64),
    /// All of it had been read.
    Known,
    /// One that begins alike and is longer has been read; nothing of this one is recorded.
    Shorter(String),
}

/// What became of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileScanned {
    /// Its format.
    pub format: Format,
    /// How it is packed.
    pub packing: Packing,
    /// Whether it was known.
    pub standing: Standing,
    /// What is new in it.
    pub counts: Counts,
    /// Attempts that were recorded.
    pub attempts: u64,
    /// The first faults.
    pub faults: Vec<FaultAt>,
    /// Octets of a last line that has no end yet.
    pub unfinished: usize,
    /// Why it ends before its end.
    pub broken: Option<String>,
}

/// Why a log was not read to its end. What was recorded of it stays, and the next scan goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// It can't be read.
    #[error("can't be read: {0}")]
    Read(#[from] io::Error),
    /// Nothing is in it.
    #[error("it is empty")]
    Empty,
    /// Characters of two octets.
    #[error("it is UTF-16; `iconv -f UTF-16 -t UTF-8` makes of it what can be read")]
    Wide,
    /// No format fits.
    #[error("no query is in its first lines, by the rules of any format; name one with --format to see what is wrong")]
    Format,
    /// The day or the month may be first.
    #[error("its dates do not tell whether the day or the month is first; say --date-order day-first or month-first")]
    DateOrder,
    /// The record can't be written.
    #[error(transparent)]
    Import(#[from] ImportError),
}

impl From<StoreError> for ScanError {
    fn from(error: StoreError) -> Self {
        Self::Import(error.into())
    }
}

impl From<Unknown> for ScanError {
    fn from(error: Unknown) -> Self {
        match error {
            Unknown::Store(error) => error.into(),
            Unknown::Read(error) => error.into(),
        }
    }
}

impl Scan<'_> {
    /// Reads one log into the record.
    ///
    /// # Errors
    /// [`ScanError`] when it could not be read to its end.
    pub fn file(&self, path: &Path, import: &mut Import) -> Result<FileScanned, ScanError> {
        let mut source = Source::open(path, self.progress)?;
        let mut head = Vec::with_capacity(CHUNK);
        let ended = source.fill(&mut head, CHUNK)?;
        if head.is_empty() {
            return Err(source.broken.map_or(ScanError::Empty, ScanError::Read));
        }
        if head.starts_with(&[0xFF, 0xFE]) || head.starts_with(&[0xFE, 0xFF]) {
            return Err(ScanError::Wide);
        }
        let mut times = Times::new(self.zone.clone(), self.now, source.written);
        times.year = self.year;
        let format = self.format.or_else(|| detect::format(&head, &times, &self.fields)).ok_or(ScanError::Format)?;
        let context = Context { fields: Arc::clone(&self.fields), ..Context::new(format, times) };
        let mut context = detect::about(&head, context);
        if format == Format::Windows {
            let told = self.day_first.or_else(|| detect::day_first(&head));
            context.times.day_first = told.ok_or(ScanError::DateOrder)?;
        }
        let Known { head: by, alike, same, longer } = look_up(import, path, &head)?;
        let mut done = FileScanned::new(format, source.packing);
        if let Some(longer) = longer {
            done.standing = Standing::Shorter(longer.name);
            return Ok(done);
        }
        let bans: Vec<String> = self.bans().collect();
        let floor = same.as_ref().map_or(0, |same| floor(same, &bans));
        let log = Log::new((path.display().to_string(), format.as_str()), by, (&alike, same.clone()), bans);
        let cutter = Cutter::new(source, (head, ended), context, floor);
        let recorder = Recorder::new(self, import, log, (done, floor));
        self.run(cutter, floor, recorder).map(|done| done.stand(same, floor))
    }

    /// The bans that have a say about something, and what stands for who was active.
    fn bans(&self) -> impl Iterator<Item = String> {
        let on = self.rules.policy.bans().iter().filter(|ban| ban.ceiling() != Mode::Off);
        on.map(|ban| ban.id.to_string()).chain([ACTIVE.to_owned()])
    }

    fn run(
        &self,
        mut cutter: Cutter<'_>,
        floor: u64,
        mut recorder: Recorder<'_, '_>,
    ) -> Result<FileScanned, ScanError> {
        let workers = if cutter.context.format.is_parallel() { self.workers.max(1) } else { 1 };
        let buffers = 2 * workers + 2;
        let (give, taken) = sync_channel::<Chunk>(buffers);
        let (tell, told) = sync_channel::<Judged<'_>>(buffers);
        let (spare, spares) = sync_channel::<Vec<u8>>(buffers);
        for _each in 0..buffers {
            spare.try_send(Vec::new()).unwrap_or_default();
        }
        let (taken, fallen) = (Arc::new(Mutex::new(taken)), AtomicBool::new(false));
        let (read, done) = thread::scope(|scope| {
            for _each in 0..workers {
                let (taken, tell) = (Arc::clone(&taken), tell.clone());
                let fallen = Fallen(&fallen);
                scope.spawn(move || {
                    let _told = fallen;
                    self.work(&taken, &tell);
                });
            }
            // The last sender of each channel must go with the thread that uses it, or nobody would ever hear its end.
            drop((taken, tell));
            let recording = scope.spawn(move || {
                yield_to_serving();
                // Both ends go with this thread: then nobody reads on for nothing.
                let (told, spare) = (told, spare);
                recorder.all(&told, &spare).map(|()| recorder.done)
            });
            let spares = Spares { spares, fallen: &fallen };
            let read = read(&mut cutter, floor, &spares, &give);
            drop((give, spares));
            (read, recording.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let mut done = done?;
        read?;
        done.unfinished = cutter.unfinished;
        let rubbish = cutter.is_broken.then(|| format!("no frame or packet begins at octet {}", cutter.at));
        done.broken = cutter.source.broken.map(|error| error.to_string()).or(rubbish);
        Ok(done)
    }

    /// Judges chunks until there are no more.
    fn work<'p>(&'p self, taken: &Mutex<Receiver<Chunk>>, tell: &SyncSender<Judged<'p>>) {
        // A server may answer clients on the same host.
        yield_to_serving();
        let mut capture = Capture::default();
        loop {
            let chunk = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(chunk) = chunk else { return };
            // Whoever records has stopped.
            if tell.send(judge(chunk, self.rules, self.now, &mut capture)).is_err() {
                return;
            }
        }
    }
}

/// From where a log has to be read: for some ban it was read no further.
fn floor(same: &Scanned, bans: &[String]) -> u64 {
    bans.iter().map(|ban| same.bans.get(ban).copied().unwrap_or(0)).min().unwrap_or(same.size)
}

/// Cuts a log into chunks until it ends or nobody wants them.
fn read(cutter: &mut Cutter<'_>, floor: u64, spares: &Spares<'_>, give: &SyncSender<Chunk>) -> io::Result<()> {
    let (mut passed, mut spare) = (0, None);
    // Without memory there is nobody who records any more.
    while let Some(octets) = spare.take().or_else(|| spares.next()) {
        let Some(mut chunk) = cutter.next(octets)? else { break };
        if cutter.at <= floor && cutter.context.format.is_parallel() {
            passed += memchr::memchr_iter(b'\n', &chunk.octets).count() as u64;
            cutter.pass_over();
            spare = Some(chunk.octets);
            continue;
        }
        chunk.lines_before = std::mem::take(&mut passed);
        if give.send(chunk).is_err() {
            break;
        }
    }
    Ok(())
}

/// Says that a thread has panicked: what it was to judge will never come, and whoever waits for it must not for ever.
struct Fallen<'f>(&'f AtomicBool);

impl Drop for Fallen<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Memory for chunks, as long as all threads do their work.
struct Spares<'f> {
    spares: Receiver<Vec<u8>>,
    fallen: &'f AtomicBool,
}

impl Spares<'_> {
    fn next(&self) -> Option<Vec<u8>> {
        while !self.fallen.load(Ordering::Relaxed) {
            match self.spares.recv_timeout(LOOK) {
                Ok(octets) => return Some(octets),
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        None
    }
}

/// Whoever records.
struct Recorder<'s, 'i> {
    scan: &'s Scan<'s>,
    import: &'i mut Import,
    log: Log,
    /// Octets that were read for each ban of the policy before.
    covered: Vec<u64>,
    /// By site, the one of clients that are of none first, and series.
    series: HashMap<(Option<u16>, BanIndex, Option<usize>), SeriesId>,
    done: FileScanned,
    /// What is before has been counted.
    floor: u64,
    lines: u64,
    since: Counts,
    chunks: u64,
}

impl<'s, 'i> Recorder<'s, 'i> {
    fn new(scan: &'s Scan<'s>, import: &'i mut Import, log: Log, (done, floor): (FileScanned, u64)) -> Self {
        let before = |ban: &str| log.known.as_ref().and_then(|known| known.bans.get(ban).copied()).unwrap_or(0);
        let covered = scan.rules.policy.bans().iter().map(|ban| before(&ban.id)).collect();
        let (series, since) = (HashMap::new(), Counts::default());
        Self { scan, import, log, covered, series, done, floor, lines: 0, since, chunks: 0 }
    }

    /// Records what is found, chunk by chunk in their order, and gives their memory back.
    fn all(&mut self, told: &Receiver<Judged<'_>>, spare: &SyncSender<Vec<u8>>) -> Result<(), ImportError> {
        let (mut early, mut next, mut last) = (BTreeMap::new(), 0, None);
        while let Ok(judged) = told.recv() {
            early.insert(judged.chunk.number, judged);
            while let Some(judged) = early.remove(&next) {
                next += 1;
                self.take(&judged);
                let Chunk { octets, digest, start, .. } = judged.chunk;
                let reached = (start + octets.len() as u64, digest);
                // Nobody reads any more: then it is not needed.
                spare.try_send(octets).unwrap_or_default();
                if self.is_enough() {
                    self.commit(reached)?;
                    last = None;
                } else {
                    last = Some(reached);
                }
            }
        }
        last.map_or(Ok(()), |reached| self.commit(reached))
    }

    /// Whether what waits is to be written.
    fn is_enough(&self) -> bool {
        let (rows, active) = (self.import.waiting(), self.import.waiting_active());
        rows >= ROWS_MAX || active >= ACTIVE_MAX || self.chunks >= CHUNKS_MAX
    }

    fn take(&mut self, judged: &Judged<'_>) {
        self.lines += judged.chunk.lines_before;
        if judged.chunk.start + judged.chunk.octets.len() as u64 <= self.floor {
            self.lines += judged.counts.lines;
            return;
        }
        for fault in &judged.faults {
            if self.done.faults.len() < FAULTS_MAX {
                self.done.faults.push(FaultAt { line: self.lines + fault.line, ..fault.clone() });
            }
        }
        self.lines += judged.counts.lines;
        self.since.add(&judged.counts);
        self.done.counts.add(&judged.counts);
        self.chunks += 1;
        // Twice is once: whom an earlier reading has noted is noted again.
        let policy = self.scan.rules.policy;
        for (&(client, ref device, _hour), &at) in &judged.active {
            let number = || policy.who().of(client).site().map(|SiteIndex(number)| number);
            let told = device.as_ref().and_then(|device| self.import.told(device));
            self.import.note_active((client, told), at, || site_of(policy, number()));
        }
        for found in &judged.found {
            if judged.chunk.start + found.at as u64 >= self.covered[found.ban.0] {
                self.record(found, &judged.names);
            }
        }
    }

    fn record(&mut self, found: &Found<'_>, names: &[u8]) {
        let Ok((qname, _end)) = LowerName::read(names, found.name.start) else { return };
        let attempt = Attempt {
            at: found.when,
            client: found.client,
            told: found.device.as_ref().and_then(|device| self.import.told(device)),
            series: self.series(found),
            qname: &qname,
            qtype: found.qtype,
            pattern: if found.series.is_some() { found.pattern } else { exactly(&qname) },
            action: found.did,
            transport: found.transport.unwrap_or(Transport::Udp),
            verified: found.verified,
        };
        self.import.record(&attempt, found.transport.is_some());
        self.done.attempts += 1;
    }

    fn series(&mut self, found: &Found<'_>) -> SeriesId {
        let (policy, import) = (self.scan.rules.policy, &*self.import);
        let number = found.site.map(|SiteIndex(number)| number);
        *self.series.entry((number, found.ban, found.series)).or_insert_with(|| {
            let site = site_of(policy, number);
            let Some(of) = found.series.map(|series| &policy.series()[series]) else {
                // Anybody may ask these: it proves nothing of what is installed.
                let (ban, category) = (Arc::clone(&policy.bans()[found.ban.0].id), Arc::from(FALLBACK));
                return import.series(Series { ban, category, evidence: Evidence::None, site });
            };
            let (ban, category) = (Arc::clone(&of.ban), Arc::clone(&of.category));
            import.series(Series { ban, category, evidence: of.evidence, site })
        })
    }

    fn commit(&mut self, (size, digest): (u64, Vec<u8>)) -> Result<(), ImportError> {
        let Counts { queries, rejects, times, .. } = std::mem::take(&mut self.since);
        self.chunks = 0;
        self.import.commit(&mut self.log, &Reached { size, digest, queries, rejects, times })
    }
}

fn site_of(policy: &Policy, number: Option<u16>) -> Arc<str> {
    let site = number.and_then(|number| policy.who().sites().nth(number.into()));
    site.map_or_else(|| Arc::from(DEFAULT_SITE), |site| Arc::clone(&site.id))
}

/// The pattern that a name alone matches.
fn exactly(name: &LowerName) -> PatternRef<'_> {
    PatternRef { wire: name.wire(), kind: PatternKind::Exact, allow: false }
}

impl FileScanned {
    fn new(format: Format, packing: Packing) -> Self {
        let (standing, counts) = (Standing::New, Counts::default());
        Self { format, packing, standing, counts, attempts: 0, faults: Vec::new(), unfinished: 0, broken: None }
    }

    /// The same with what was known of it.
    fn stand(self, same: Option<Scanned>, floor: u64) -> Self {
        let standing = match same {
            None => Standing::New,
            Some(same) if self.counts.lines == 0 && floor >= same.size => Standing::Known,
            Some(_) => Standing::Continued(floor),
        };
        Self { standing, ..self }
    }
}
