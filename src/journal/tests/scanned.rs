//! Attempts of an old log are kept as long as others, counted from the scan on; what stands beside them is not.

use jiff::SignedDuration;

use super::super::import::{Import, Log, Reached};
use super::*;

#[test]
fn what_an_old_log_tells_is_kept_from_the_scan_on_and_nothing_else_of_that_age() {
    let fixture = Fixture::new();
    let hours = |hours: i64| noon().saturating_sub(SignedDuration::from_hours(hours)).unwrap();
    let mut import = Import::open(&fixture.config, noon()).unwrap();
    let tried = Tried::new("a.upd.example");
    let series = import.series(Series {
        ban: Arc::from("acme"),
        category: Arc::from("update"),
        evidence: Evidence::Installed,
        site: Arc::from("default"),
    });
    // Two of the log, and one of before it that was recorded otherwise.
    let times = [(1, 24 * 500), (2, 24 * 500 - 3), (3, 24 * 500 + 5)];
    for (number, age) in times {
        let attempt = Attempt {
            at: hours(age),
            client: client(number),
            told: None,
            series,
            qname: &tried.qname,
            qtype: qtype::A,
            pattern: tried.pattern.as_ref(),
            action: Did::Observe,
            transport: Transport::Udp,
            verified: false,
        };
        import.record(&attempt, true);
    }
    let head = (7, vec![1; 32]);
    let mut log = Log::new(("x.log".to_owned(), "bind"), head, (&[], None), vec!["acme".to_owned()]);
    let times = Some((hours(24 * 500), hours(24 * 500 - 3)));
    let reached = Reached { size: 7, digest: vec![2; 32], queries: 2, rejects: 0, times };
    import.commit(&mut log, &reached).unwrap();
    import.close().unwrap();

    let left = |days: u64| {
        fixture.hands.advance(Duration::from_secs(86_400 * days));
        let journal = fixture.start();
        // The oldest go in pieces.
        (0..30).for_each(|_tick| journal.flush(PATIENCE).unwrap());
        journal.close(PATIENCE).unwrap();
        let clients: Vec<_> = fixture.attempts().iter().filter_map(|row| row.client).collect();
        (clients, Store::open_read_only(fixture.path()).unwrap().clients(&Filter::default()).unwrap().len())
    };
    assert_eq!(left(0), (vec![client(2), client(1)], 2));
    assert_eq!(left(399), (vec![client(2), client(1)], 2));
    assert_eq!(left(2), (vec![], 0));
}
