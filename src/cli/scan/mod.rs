//! `embargo scan`: logs and captures of others, read into the record.

#[cfg(test)]
mod tests;
mod text;

use std::io::IsTerminal;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::console::Console;
use super::failure::{Failure, write_lines};
use super::flags::one_of;
use super::{EXIT_CODES, exempt, known, record};
use crate::app::{journal_config, privacy_wanted};
use crate::config::{self, Loaded, PolicyLoad};
use crate::diag::shown;
use crate::journal::{self, Import, Privacy};
use crate::policy::{Exemptions, Policy};
use crate::scan::{FaultAt, Fields, FileScanned, Format, PARTS, Packing, Progress, Rules, Scan as Scanning, Standing};
use crate::time::{Timestamp, rfc3339};

/// Time between two looks at how far reading is.
const LOOK: Duration = Duration::from_millis(100);

/// Read query logs and captures of other servers into the record
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Scan {
    /// Logs and captures, packed by gzip or Zstandard or not
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Their format; by default each one's first lines tell
    #[arg(long, value_name = "FORMAT", value_parser = one_of(Format::ALL, Format::as_str))]
    format: Option<Format>,
    /// The zone of times that name none, for example Europe/Berlin; by default `time_zone` of the configuration
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// The year of the first line, where times have none; by default the latest in which the file was not yet written
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(i16).range(2000..=9998))]
    year: Option<i16>,
    /// What is first in dates as 05/06/2026 that Windows writes, where no date of the log tells: day-first or month-first
    #[arg(long, value_name = "ORDER", value_parser = date_order)]
    date_order: Option<bool>,
    /// What a field of JSON lines is called: time, client, name, type or transport, and its name, as name=dns.qname
    #[arg(long, value_name = "PART=NAME", value_parser = field)]
    field: Vec<(String, String)>,
    /// State directory whose record takes what is found; made if it is not there
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the ban folders, instead of the configured ones
    #[arg(long, value_name = "DIR")]
    blocklists: Option<PathBuf>,
    #[arg(long, help = JSON_HELP)]
    json: bool,
}

const JSON_HELP: &str = "One JSON object of {files, queries, attempts, rejects}; a file {file, format, packing, standing, read_from, \
                         lines, queries, attempts, rejects, first, last, faults, unfinished, error}, a fault {line, reason, \
                         excerpt}; standing is new, continued, known, shorter or failed";

const EXAMPLES: &str = "\
Examples:
  embargo scan /var/log/named/query.log*
  embargo scan --state-dir ./2024 --time-zone Europe/Berlin --year 2024 dnsmasq.log.*.gz
  embargo clients --state-dir ./2024 --evidence installed";

const NOTES: &str = "\
Each query is judged by the bans and exemptions as they are now, whatever their dates, and recorded at the time of the log with \
the action observe: what the other server did about it is not known unless the log says so. Addresses belong to sites as the \
configuration has it, and to the devices that held them then as the record has it. Every client of a query counts as active on \
its day. Where an answer led is not looked at, and a ban that is off is not looked for.

A log is known by its content, not by its name: reading it again, renamed or packed, adds nothing; one that has grown is read on; a \
ban that was not there before is looked for from the beginning. The same traffic in two logs, of two servers or in two formats, \
counts twice.

A server may run with the same state directory: both write by turns. How long it keeps attempts and clients (`keep` of the \
configuration) counts, for the time that a log tells of, from the scan on.";

/// What came of it. Its JSON is an interface: names and order stay.
#[derive(Debug, Serialize)]
struct Scanned {
    files: Vec<FileRow>,
    queries: u64,
    attempts: u64,
    rejects: u64,
}

/// What came of a file.
#[derive(Debug, Serialize)]
struct FileRow {
    file: String,
    format: Option<&'static str>,
    packing: Option<&'static str>,
    standing: &'static str,
    read_from: u64,
    lines: u64,
    queries: u64,
    attempts: u64,
    rejects: u64,
    first: Option<String>,
    last: Option<String>,
    faults: Vec<FaultRow>,
    unfinished: usize,
    error: Option<String>,
    /// The first query, to see whether a server would keep it.
    #[serde(skip)]
    oldest: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct FaultRow {
    line: u64,
    reason: String,
    excerpt: String,
}

impl Scan {
    /// Reads the files one by one and tells what was found.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let zone = self.time_zone.as_deref().map(zone).transpose()?;
        let (loaded, policy, told) = self.load(console)?;
        write_lines(&told, console.err)?;
        let devices = Arc::new(known::said(&loaded.settings, &loaded.state_dir, console)?);
        let privacy = Self::privacy(&loaded, console)?;
        let config = journal::Config { devices: Arc::clone(&devices), privacy, ..journal_config(&loaded) };
        let mut import = Import::open(&config, console.now).map_err(record::unread)?;
        let exempt = exempt::all(&loaded.settings, Some(&loaded.state_dir), console.now, console)?;
        let exempt: Vec<_> = exempt.into_iter().map(|(exemption, _terms)| exemption).collect();
        // When the record is open: then it is known who held which address.
        let (holdings, roster) = devices.holdings(known::named(&loaded.settings, &exempt));
        let roster = policy.with_groups(roster);
        let exemptions = Exemptions::with_devices(&exempt, &policy, &roster);
        let rules = Rules { policy: &policy, exemptions: &exemptions, roster: &roster, holdings: &holdings };
        let progress = Progress::default();
        let scan = Scanning {
            rules: &rules,
            now: console.now,
            zone: zone.unwrap_or_else(|| loaded.settings.time_zone.clone()),
            year: self.year,
            format: self.format,
            day_first: self.date_order,
            fields: self.fields(),
            workers: thread::available_parallelism().map_or(1, usize::from),
            progress: &progress,
        };
        let work = || self.files.iter().map(|path| FileRow::of(path, &scan, &mut import)).collect::<Vec<_>>();
        let files = showing(self.size(), &progress, work);
        import.close().map_err(record::unread)?;
        let scanned = Scanned::new(files);
        if self.json {
            console.json(&scanned)?;
        } else {
            write!(console.out, "{}", text::render(console.look, &scanned))?;
            write_lines(&text::notes(&scanned, &loaded, console.now), console.err)?;
        }
        if scanned.files.iter().any(|file| file.error.is_some()) { Err(Failure::Unhealthy) } else { Ok(()) }
    }

    fn load(&self, console: &Console<'_>) -> Result<(Loaded, Policy, Vec<String>), Failure> {
        let args = config::Args {
            config: self.config.clone(),
            blocklists: self.blocklists.clone(),
            state_dir: self.state_dir.clone(),
            ..config::Args::default()
        };
        let loaded = config::load(&args, &console.environment).map_err(Failure::Mistakes)?;
        let PolicyLoad { policy, diagnostics, .. } = config::policy(&loaded.settings, 1);
        let told = diagnostics.iter().map(ToString::to_string).collect();
        policy.map(|policy| (loaded, policy, told)).ok_or(Failure::Mistakes(diagnostics))
    }

    /// How much of clients is recorded; that there is no key for pseudonyms is told.
    fn privacy(loaded: &Loaded, console: &mut Console<'_>) -> Result<Arc<Privacy>, Failure> {
        let wanted = privacy_wanted(loaded);
        if let Some(error) = wanted.trouble {
            let told = shown(&error.to_string());
            writeln!(console.err, "embargo: of clients that should have pseudonyms only counts are recorded: {told}")?;
        }
        Ok(wanted.privacy)
    }

    fn fields(&self) -> Arc<Fields> {
        let mut fields = Fields::default();
        self.field.iter().for_each(|(part, name)| fields.set(part, name));
        Arc::new(fields)
    }

    /// Octets of all files on the disk.
    fn size(&self) -> u64 {
        self.files.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
    }
}

/// Why a text names no field.
#[derive(Debug, thiserror::Error)]
enum FieldError {
    #[error("write a part, `=` and the name of its field")]
    Form,
    #[error("unknown part `{0}`; known: {known}", known = PARTS.join(", "))]
    Part(String),
}

fn field(text: &str) -> Result<(String, String), FieldError> {
    let (part, name) = text.split_once('=').ok_or(FieldError::Form)?;
    if !PARTS.contains(&part) {
        return Err(FieldError::Part(part.to_owned()));
    }
    Ok((part.to_owned(), name.to_owned()))
}

#[derive(Debug, thiserror::Error)]
#[error("write day-first or month-first")]
struct OrderError;

/// Whether the day is first.
fn date_order(text: &str) -> Result<bool, OrderError> {
    match text {
        "day-first" => Ok(true),
        "month-first" => Ok(false),
        _ => Err(OrderError),
    }
}

fn zone(name: &str) -> Result<TimeZone, Failure> {
    TimeZone::get(name).map_err(|error| Failure::usage(format!("--time-zone: {error}")))
}

impl Scanned {
    fn new(files: Vec<FileRow>) -> Self {
        let sum = |of: fn(&FileRow) -> u64| files.iter().map(of).sum();
        let (queries, attempts, rejects) =
            (sum(|file| file.queries), sum(|file| file.attempts), sum(|file| file.rejects));
        Self { files, queries, attempts, rejects }
    }
}

impl FileRow {
    fn of(path: &std::path::Path, scan: &Scanning<'_>, import: &mut Import) -> Self {
        let file = path.display().to_string();
        match scan.file(path, import) {
            Ok(done) => Self::done(file, done),
            Err(error) => Self { file, standing: "failed", error: Some(error.to_string()), ..Self::none() },
        }
    }

    fn done(file: String, done: FileScanned) -> Self {
        let packing = match done.packing {
            Packing::None => None,
            Packing::Gzip => Some("gzip"),
            Packing::Zstd => Some("zstd"),
        };
        let (standing, read_from, error) = match done.standing {
            Standing::New => ("new", 0, None),
            Standing::Continued(from) => ("continued", from, None),
            Standing::Known => ("known", 0, None),
            Standing::Shorter(longer) => {
                let why =
                    format!("it begins as {longer}, which was read further than this goes; nothing of it is recorded");
                ("shorter", 0, Some(why))
            }
        };
        let broken = done.broken.map(|why| format!("it breaks off ({why}); what is before that is recorded"));
        let fault = |FaultAt { line, fault, excerpt }| FaultRow { line, reason: fault.to_string(), excerpt };
        let (first, last) = done.counts.times.unzip();
        Self {
            file,
            format: Some(done.format.as_str()),
            packing,
            standing,
            read_from,
            lines: done.counts.lines,
            queries: done.counts.queries,
            attempts: done.attempts,
            rejects: done.counts.rejects,
            first: first.map(rfc3339),
            last: last.map(rfc3339),
            faults: done.faults.into_iter().map(fault).collect(),
            unfinished: done.unfinished,
            error: error.or(broken),
            oldest: first,
        }
    }

    fn none() -> Self {
        Self {
            file: String::new(),
            format: None,
            packing: None,
            standing: "",
            read_from: 0,
            lines: 0,
            queries: 0,
            attempts: 0,
            rejects: 0,
            first: None,
            last: None,
            faults: Vec::new(),
            unfinished: 0,
            error: None,
            oldest: None,
        }
    }
}

/// Does the work, and shows on a terminal how far it is.
fn showing<T: Send>(size: u64, progress: &Progress, work: impl FnOnce() -> T + Send) -> T {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    thread::scope(|scope| {
        let working = scope.spawn(work);
        let style = ProgressStyle::with_template("{wide_bar} {bytes:>10} of {total_bytes:>10}, {eta} left");
        let bar = ProgressBar::new(size).with_style(style.unwrap_or_else(|_never_wrong| ProgressStyle::default_bar()));
        while !working.is_finished() {
            bar.set_position(progress.read());
            thread::sleep(LOOK);
        }
        bar.finish_and_clear();
        working.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}
