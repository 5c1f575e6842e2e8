//! The journal as a whole: what is recorded is in the store, or counted as lost.

mod damage;
mod device;
mod first;
mod erase;
mod fold;
mod jump;
mod older;
mod privacy;
mod scanned;
mod store;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::fold::Fold;
use super::*;
use crate::clock::{Clock, Hands};
use crate::policy::{Evidence, Pattern};
use crate::time::{Mono, Now};
use crate::wire::qtype;

/// Longer than any test waits for its own journal.
const PATIENCE: Duration = Duration::from_secs(60);

/// 2026-03-01T12:00:00Z.
fn noon() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// A journal that writes only when told, in a directory of its own.
struct Fixture {
    directory: TempDir,
    config: Config,
    metrics: Arc<Metrics>,
    clock: Clock,
    hands: Hands,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (clock, hands) = Clock::manual(Now { wall: noon(), mono: Mono(0) });
        let config = Config {
            commit_interval: Duration::from_secs(3600),
            reopen_interval: Duration::ZERO,
            lock_timeout: Duration::ZERO,
            ..Config::new(directory.path())
        };
        Self { directory, config, metrics: Arc::new(Metrics::new()), clock, hands }
    }

    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    fn start(&self) -> Journal {
        Journal::start(self.config.clone(), Arc::clone(&self.metrics), self.clock.clone()).unwrap()
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn attempts(&self) -> Vec<AttemptRow> {
        attempts_in(self.path())
    }
}

fn attempts_in(path: &Path) -> Vec<AttemptRow> {
    Store::open_read_only(path).unwrap().attempts(&Filter::default()).unwrap()
}

fn sum(rows: &[AttemptRow]) -> u64 {
    rows.iter().map(|row| row.count).sum()
}

fn client(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, number))
}

/// What gives a series its number.
trait Numbers {
    fn number(&self, series: Series) -> SeriesId;
}

impl Numbers for Journal {
    fn number(&self, series: Series) -> SeriesId {
        self.series(series)
    }
}

impl Numbers for Fold {
    fn number(&self, series: Series) -> SeriesId {
        self.series.number(series)
    }
}

/// Values that an attempt borrows.
struct Tried {
    ban: Arc<str>,
    evidence: Evidence,
    pattern: Pattern,
    qname: LowerName,
}

impl Tried {
    fn new(qname: &str) -> Self {
        Self::of("acme", qname)
    }

    fn of(ban: &str, qname: &str) -> Self {
        Self {
            ban: Arc::from(ban),
            evidence: Evidence::Installed,
            pattern: Pattern::parse("*.upd.example").unwrap(),
            qname: LowerName::parse(qname).unwrap(),
        }
    }

    fn by(&self, numbers: &impl Numbers, client: IpAddr, at: Timestamp) -> Attempt<'_> {
        let (ban, evidence) = (Arc::clone(&self.ban), self.evidence);
        let series = Series { ban, category: Arc::from("update"), evidence, site: Arc::from("default") };
        Attempt {
            at,
            client,
            told: None,
            series: numbers.number(series),
            qname: &self.qname,
            qtype: qtype::A,
            pattern: self.pattern.as_ref(),
            action: Did::Nxdomain,
            transport: Transport::Udp,
            verified: false,
        }
    }
}

fn after(seconds: i64) -> Timestamp {
    noon() + jiff::SignedDuration::from_secs(seconds)
}

#[test]
fn equal_attempts_of_a_minute_are_one_row_with_first_last_and_count() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    let tried = Tried::new("a.upd.example");
    journal.record(&tried.by(&journal, client(1), after(20)));
    journal.record(&tried.by(&journal, client(1), after(10)));
    journal.flush(PATIENCE).unwrap();
    journal.record(&tried.by(&journal, "::ffff:192.0.2.1".parse().unwrap(), after(59)));
    journal.record(&tried.by(&journal, client(1), after(60)));
    journal.flush(PATIENCE).unwrap();

    let rows = fixture.attempts();
    let folded: Vec<_> = rows.iter().map(|row| (row.first, row.last, row.count)).collect();
    assert_eq!(folded, [(after(60), after(60), 1), (after(10), after(59), 3)]);
}

#[test]
fn rows_keep_the_field_names_and_words_that_others_script_against() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    let tried = Tried::new(r"\<b\>\010.upd.example");
    let attempt =
        Attempt { qtype: 65280, verified: true, transport: Transport::Tcp, ..tried.by(&journal, client(1), noon()) };
    journal.record(&attempt);
    journal.flush(PATIENCE).unwrap();

    let store = Store::open_read_only(fixture.path()).unwrap();
    let attempts = serde_json::to_string(&store.attempts(&Filter::default()).unwrap()).unwrap();
    let time = "2026-03-01T12:00:00.000Z";
    let expected =
        format!(r#"[{{"first":"{time}","last":"{time}","client":"192.0.2.1","device":null,"site":"default","#)
            + r#""qname":"\\060b\\062\\010.upd.example","qtype":"TYPE65280","ban":"acme","category":"update","#
            + r#""evidence":"installed","pattern":"*.upd.example","action":"nxdomain","transport":"tcp","#
            + r#""verified":true,"count":1}]"#;
    assert_eq!(attempts, expected);
    let clients = serde_json::to_string(&store.clients(&Filter::default()).unwrap()).unwrap();
    let expected = r#"[{"client":"192.0.2.1","device":null,"site":"default","ban":"acme","evidence":"installed","#
        .to_owned()
        + &format!(r#""first_seen":"{time}","last_seen":"{time}","count":1}}]"#);
    assert_eq!(clients, expected);
}

#[test]
fn the_seventeenth_name_of_a_client_rule_and_minute_is_counted_without_its_name() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    for number in 0..40 {
        journal.record(&Tried::new(&format!("n{number}.upd.example")).by(&journal, client(1), noon()));
        // What the writer has taken still counts towards the limit.
        if number % 10 == 0 {
            journal.flush(PATIENCE).unwrap();
        }
    }
    journal.flush(PATIENCE).unwrap();

    let rows = fixture.attempts();
    let nameless: Vec<_> = rows.iter().filter(|row| row.qname.is_none()).collect();
    assert_eq!((rows.len(), sum(&rows)), (17, 40));
    assert_eq!(nameless.iter().map(|row| row.count).collect::<Vec<_>>(), [24]);
    assert_eq!((nameless[0].client, nameless[0].qtype.as_deref()), (Some(client(1)), Some("A")));
    assert_eq!(fixture.metrics.record.overflow.value(), 24);
}

#[test]
fn types_without_end_do_not_become_rows_without_end() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    let tried = Tried::new("a.upd.example");
    for qtype in 0..5000 {
        journal.record(&Attempt { qtype, ..tried.by(&journal, client(1), noon()) });
    }
    journal.flush(PATIENCE).unwrap();

    let rows = fixture.attempts();
    assert_eq!((rows.len(), sum(&rows)), (65, 5000));
    assert_eq!(rows.iter().filter(|row| row.qtype.is_none()).count(), 1);
}

#[test]
fn rows_past_the_pace_lose_first_name_and_rule_then_the_client_never_the_count() {
    let fixture = Fixture::new().with(|config| config.rows_per_second_max = 10);
    let journal = fixture.start();
    for number in 1..=50 {
        journal.record(&Tried::new("a.upd.example").by(&journal, client(number), noon()));
    }
    journal.flush(PATIENCE).unwrap();
    journal.record(&Tried::new("a.upd.example").by(&journal, client(99), after(1)));
    journal.flush(PATIENCE).unwrap();

    let rows = fixture.attempts();
    assert_eq!(sum(&rows), 51);
    assert_eq!(rows.iter().filter(|row| row.qname.is_some()).count(), 11);
    let clients: Vec<_> = rows.iter().filter(|row| row.qname.is_none() && row.client.is_some()).collect();
    assert_eq!(clients.len(), 10);
    assert!(
        clients.iter().all(|row| (&row.pattern, &row.qtype, row.transport) == (&None, &None, Some(Transport::Udp)))
    );
    let overflow: Vec<_> = rows.iter().filter(|row| row.client.is_none()).collect();
    assert_eq!(overflow.len(), 1);
    assert_eq!((overflow[0].count, &overflow[0].pattern, overflow[0].transport), (30, &None, None));
}

#[test]
fn a_client_that_meets_more_rules_than_the_pace_has_rows_for_stays_known_with_every_attempt() {
    let fixture = Fixture::new().with(|config| config.rows_per_second_max = 100);
    let journal = fixture.start();
    for rule in 0..5000 {
        let mut tried = Tried::new(&format!("a.n{rule}.example"));
        tried.pattern = Pattern::parse(&format!("n{rule}.example")).unwrap();
        journal.record(&tried.by(&journal, client(1), noon()));
    }
    journal.flush(PATIENCE).unwrap();

    let rows = fixture.attempts();
    assert_eq!(sum(&rows), 5000);
    assert_eq!(rows.iter().filter(|row| row.pattern.is_some() && row.qname.is_some()).count(), 100);
    assert!(rows.iter().all(|row| row.client == Some(client(1))), "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row.pattern.is_none()).count(), 1);
    let known = Store::open_read_only(fixture.path()).unwrap().clients(&Filter::default()).unwrap();
    assert_eq!(known.iter().map(|row| row.count).collect::<Vec<_>>(), [5000]);
}

#[test]
fn memory_used_up_while_the_disk_is_away_loses_attempts_exactly() {
    let fixture = Fixture::new().with(|config| {
        config.state_dir.push("state");
        config.rows_in_memory_max = 10;
        config.overflow_max_rows = 2;
    });
    std::fs::write(&fixture.config.state_dir, "in the way").unwrap();
    let journal = fixture.start();
    for ban in ["a", "b", "c"] {
        for number in 1..=20 {
            journal.record(&Tried::of(ban, "a.upd.example").by(&journal, client(number), noon()));
        }
    }
    assert!(matches!(journal.flush(PATIENCE), Err(JournalError::Store(StoreError::Denied { .. }))));
    // 10 rows of `a` whole, 10 of it and 20 of `b` in overflow rows, none of `c`.
    let status = journal.status();
    assert_eq!((status.pending, status.lost), (40, 20));
    assert_eq!(fixture.metrics.record.lost(Loss::Disk).value(), 20);
    assert!(status.store_error.unwrap().contains("state"));

    std::fs::remove_file(&fixture.config.state_dir).unwrap();
    journal.flush(PATIENCE).unwrap();
    let status = journal.status();
    assert_eq!((status.pending, status.lost, status.store_error), (0, 20, None));
    assert_eq!(sum(&attempts_in(&fixture.config.state_dir)), 40);
}

#[test]
fn threads_that_record_while_the_writer_writes_lose_nothing() {
    let fixture = Fixture::new().with(|config| config.commit_interval = Duration::from_millis(1));
    let journal = fixture.start();
    thread::scope(|scope| {
        for thread in 0..4_u8 {
            let journal = &journal;
            scope.spawn(move || {
                let names: Vec<_> = (0..20).map(|name| Tried::new(&format!("n{name}.upd.example"))).collect();
                for number in 0..2000_u16 {
                    let tried = &names[usize::from(number % 20)];
                    journal.record(&tried.by(journal, client(thread / 2), after(i64::from(number / 500))));
                }
            });
        }
    });
    journal.flush(PATIENCE).unwrap();
    assert_eq!(sum(&fixture.attempts()), 8000);
    assert_eq!(fixture.metrics.record.stored.value(), 8000);
    let clients = Store::open_read_only(fixture.path()).unwrap().clients(&Filter::default()).unwrap();
    assert_eq!(clients.iter().map(|row| row.count).collect::<Vec<_>>(), [4000, 4000]);
}

#[test]
fn the_writer_writes_without_being_told() {
    let fixture = Fixture::new().with(|config| config.commit_interval = Duration::from_millis(1));
    let journal = fixture.start();
    journal.record(&Tried::new("a.upd.example").by(&journal, client(1), noon()));
    while journal.status().pending > 0 {
        thread::yield_now();
    }
    assert_eq!(sum(&fixture.attempts()), 1);
    assert_eq!(journal.status().last_commit, Some(noon()));
}

#[test]
fn close_writes_everything_and_later_attempts_are_lost_by_shutdown() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    let tried = Tried::new("a.upd.example");
    journal.record(&tried.by(&journal, client(1), noon()));
    journal.close(PATIENCE).unwrap();
    journal.record(&tried.by(&journal, client(1), noon()));
    assert_eq!(sum(&fixture.attempts()), 1);
    assert_eq!(fixture.metrics.record.lost(Loss::Shutdown).value(), 1);
    assert!(matches!(journal.flush(PATIENCE), Err(JournalError::Closed)));
    assert!(matches!(journal.close(PATIENCE), Err(JournalError::Closed)));
}

#[test]
fn a_journal_that_is_dropped_writes_everything() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    journal.record(&Tried::new("a.upd.example").by(&journal, client(1), noon()));
    let thread = journal.thread.lock().unwrap().take().unwrap();
    drop(journal);
    thread.join().unwrap();
    assert_eq!(sum(&fixture.attempts()), 1);
}

#[test]
fn clients_are_counted_in_windows_that_roll_and_survive_a_restart() {
    let fixture = Fixture::new();
    let series = [Some((Arc::from("acme"), Arc::from("update"), Evidence::Installed))];
    fixture.metrics.banned.set_policy(&[], &series, &[]);
    let tried = Tried::new("a.upd.example");
    let shown = |metrics: &Metrics| {
        let page = metrics.render();
        ["1d", "7d", "30d"].map(|window| {
            let series = format!("embargo_clients{{ban=\"acme\",evidence=\"installed\",window=\"{window}\"}} ");
            page.lines().find_map(|line| line.strip_prefix(series.as_str())).unwrap().to_owned()
        })
    };
    let journal = fixture.start();
    for (days, number) in [(0, 1), (0, 1), (4, 2), (10, 3)] {
        fixture.hands.set(Now { wall: after(days * 86_400), mono: Mono(0) });
        journal.record(&tried.by(&journal, client(number), after(days * 86_400)));
        journal.flush(PATIENCE).unwrap();
    }
    assert_eq!(shown(&fixture.metrics), ["1", "2", "3"]);
    journal.close(PATIENCE).unwrap();

    fixture.hands.set(Now { wall: after(12 * 86_400), mono: Mono(0) });
    let journal = fixture.start();
    assert_eq!(shown(&fixture.metrics), ["0", "1", "3"]);
    drop(journal);
}

#[test]
fn a_filter_narrows_by_each_of_its_fields() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    for (ban, number, evidence, seconds) in [
        ("acme", 1, Evidence::Installed, 0),
        ("acme", 2, Evidence::Visit, 60),
        ("other", 1, Evidence::Visit, 120),
        ("other", 2, Evidence::Installed, 180),
    ] {
        let tried = Tried { evidence, ..Tried::of(ban, "a.upd.example") };
        journal.record(&tried.by(&journal, client(number), after(seconds)));
    }
    journal.flush(PATIENCE).unwrap();
    let store = Store::open_read_only(fixture.path()).unwrap();
    let check = |filter: Filter, expected: &[i64]| {
        let expected: Vec<_> = expected.iter().map(|&seconds| after(seconds)).collect();
        let attempts: Vec<_> = store.attempts(&filter).unwrap().iter().map(|row| row.first).collect();
        assert_eq!(attempts, expected, "{filter:?}");
        let clients: Vec<_> = store.clients(&filter).unwrap().iter().map(|row| row.first_seen).collect();
        assert_eq!(clients, expected, "{filter:?}");
    };
    check(Filter::default(), &[180, 120, 60, 0]);
    check(Filter { ban: Some("acme".into()), ..Filter::default() }, &[60, 0]);
    check(Filter { client: Some("::ffff:192.0.2.1".parse().unwrap()), ..Filter::default() }, &[120, 0]);
    check(Filter { evidence: Some(Evidence::Visit), ..Filter::default() }, &[120, 60]);
    check(Filter { since: Some(after(120)), ..Filter::default() }, &[180, 120]);
    check(Filter { until: Some(after(60)), ..Filter::default() }, &[60, 0]);
    check(Filter { since: Some(after(61)), until: Some(after(179)), ..Filter::default() }, &[120]);
    check(Filter { limit: Some(1), ..Filter::default() }, &[180]);
    check(Filter { ban: Some("' OR 1".into()), ..Filter::default() }, &[]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_attempt_is_in_the_store_or_lost(
        attempts in proptest::collection::vec((0..3_u8, 0..40_u8, 0..150_u16, any::<bool>()), 0..400),
        rows_in_memory_max in 1..60_usize,
        overflow_max_rows in 0..3_usize,
        rows_per_second_max in 1..80_u32,
    ) {
        let fixture = Fixture::new().with(|config| {
            config.rows_in_memory_max = rows_in_memory_max;
            config.overflow_max_rows = overflow_max_rows;
            config.rows_per_second_max = rows_per_second_max;
        });
        let journal = fixture.start();
        for (number, name, second, flush) in &attempts {
            journal.record(&Tried::new(&format!("n{name}.upd.example")).by(&journal, client(*number), after(i64::from(*second))));
            if *flush && second % 16 == 0 {
                journal.flush(PATIENCE).unwrap();
            }
        }
        journal.close(PATIENCE).unwrap();
        let rows = fixture.attempts();
        let record = &fixture.metrics.record;
        prop_assert_eq!(sum(&rows), record.stored.value());
        prop_assert_eq!(attempts.len() as u64, record.stored.value() + record.lost_in_all());
        prop_assert_eq!(journal.status().pending, 0);
        // Whoever is named is named rightly: no client has more than it tried.
        for number in 0..3 {
            let tried = attempts.iter().filter(|attempt| attempt.0 == number).count() as u64;
            let named: u64 = rows.iter().filter(|row| row.client == Some(client(number))).map(|row| row.count).sum();
            prop_assert!(named <= tried);
        }
    }
}
