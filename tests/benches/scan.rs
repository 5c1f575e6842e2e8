//! How many lines of a log of Zeek are read, judged by the shipped lists and recorded in a second; and that memory does not
//! grow with the log.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that can't start has nothing to tell; it prints what it finds"
)]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use embargo::clock::Clock;
use embargo::config::{Settings, policy};
use embargo::identity::Holdings;
use embargo::journal::{Config, Import};
use embargo::policy::{Exemptions, Policy, Roster};
use embargo::scan::{Fields, FileScanned, Format, Progress, Rules, Scan};
use embargo::time::Mono;
use jiff::tz::TimeZone;

/// Lines of the logs that are read.
const LINES: [u32; 2] = [1_000_000, 4_000_000];

const HEAD: &str = "#separator \\x09\n#path\tdns\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\ttrans_id\trtt\tquery\tqclass\tqclass_name\tqtype\tqtype_name\trcode\trcode_name\tAA\tTC\tRD\tRA\tZ\tanswers\tTTLs\trejected\n";

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::default();
    let policy = policy(&settings, 1).policy.unwrap();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    for lines in LINES {
        let path = directory.path().join("dns.log");
        write(&path, lines);
        let octets = fs::metadata(&path).unwrap().len();
        let before = peak();
        let (clock, state) = (Clock::system(), directory.path().join(lines.to_string()));
        let (begin, done) = (clock.now().mono, scan(&path, &state, &policy, workers, &clock));
        let seconds = clock.now().mono.since(Mono(begin.0)).as_secs_f64();
        assert_eq!((done.counts.queries, done.counts.rejects), (u64::from(lines), 0));
        println!(
            "{lines} lines, {} MiB, {} attempts, {workers} workers: {seconds:.2} s, {:.2} million lines a second, peak memory {before} -> {} KiB",
            octets >> 20,
            done.attempts,
            f64::from(lines) / seconds / 1e6,
            peak()
        );
    }
}

fn scan(path: &Path, state: &Path, policy: &Policy, workers: usize, clock: &Clock) -> FileScanned {
    let (progress, now) = (Progress::default(), clock.now().wall);
    let (format, fields, zone) = (Some(Format::Zeek), Arc::new(Fields::default()), TimeZone::UTC);
    let (exemptions, roster, holdings) = (Exemptions::default(), Roster::default(), Holdings::default());
    let rules = Rules { policy, exemptions: &exemptions, roster: &roster, holdings: &holdings };
    let scan =
        Scan { rules: &rules, now, zone, year: None, day_first: None, format, fields, workers, progress: &progress };
    let mut import = Import::open(&Config::new(state), now).unwrap();
    let done = scan.file(path, &mut import).unwrap();
    import.close().unwrap();
    done
}

/// A day of a network: ten thousand clients, names of all lengths, and one query in a hundred that is an attempt.
fn write(path: &Path, lines: u32) {
    let mut log = BufWriter::new(File::create(path).unwrap());
    log.write_all(HEAD.as_bytes()).unwrap();
    for line in 0..lines {
        let (client, host) = (line.wrapping_mul(2_654_435_761) % 10_000, line.wrapping_mul(40_503) % 100_003);
        let name = match line % 100 {
            0 => "downloads.upd.kaspersky.com".to_owned(),
            part => format!("host{host}.{}example{}.org", "service.".repeat(part as usize % 3), part % 7),
        };
        let (at, port, third, last) = (1_714_000_000 + line / 46, 1_024 + line % 60_000, client >> 8, client & 255);
        writeln!(
            log,
            "{at}.{:06}\tC{line:017}\t10.1.{third}.{last}\t{port}\t192.0.2.53\t53\tudp\t{}\t0.012345\t{name}\t1\tC_INTERNET\t1\tA\t0\tNOERROR\tF\tF\tT\tT\t0\t198.51.100.7\t60.000000\tF",
            line % 1_000_000,
            line % 65_536
        )
        .unwrap();
    }
    log.into_inner().unwrap().sync_all().unwrap();
}

/// The most memory that this process has had, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}
