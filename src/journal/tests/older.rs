//! Stores of older formats.

use rusqlite::Connection;

use super::super::database::{APPLICATION_ID, FILE, FORMAT};
use super::*;

/// Rows of the old store: more than are moved at once.
const ROWS: u32 = 25_000;

/// A store of format 1, as a server of that time left it: one attempt of every kind, and many more.
fn format_1(directory: &Path) -> Connection {
    let connection = Connection::open(directory.join(FILE)).unwrap();
    connection.execute_batch(include_str!("../schema/1.sql")).unwrap();
    connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    let noon = noon().as_millisecond();
    let minute = noon / 60_000;
    let rows = format!(
        "INSERT INTO rules VALUES (1, 'acme', 'update', 'installed', '*.upd.example'), (2, 'acme', 'update', 'visit', '');
         INSERT INTO names VALUES (1, 'a.upd.example', 0);
         INSERT INTO attempts VALUES
            ({minute}, '192.0.2.1', 1, 1, 1, 'nxdomain', 'tcp', 1, '', 'default', 3, {noon} + 4000, {noon} + 5000),
            ({minute}, '192.0.2.1', 1, 0, 28, 'nxdomain', 'udp', 0, '', 'default', 4, {noon} + 1, {noon} + 2),
            ({minute}, '', 2, 0, -1, 'observe', '', 0, '', 'branch', 5, {noon} + 59000, {noon} + 59999);
         INSERT INTO clients VALUES ('acme', 'installed', '192.0.2.1', '', 'default', 7, {noon} + 1, {noon} + 5000);
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {ROWS})
         INSERT INTO attempts SELECT {minute} - n % 7, printf('2001:db8::%x', n), 1, 1, 1, 'drop', 'udp', 0, '', 'default', 2,
            {noon} - n % 7 * 60000, {noon} - n % 7 * 60000 FROM n;"
    );
    connection.execute_batch(&rows).unwrap();
    connection
}

fn check(fixture: &Fixture) {
    let error = Store::open_read_only(fixture.path()).unwrap_err();
    assert!(matches!(error, StoreError::Older { found: 1, known: FORMAT, .. }), "{error}");
    let journal = fixture.start();
    journal.record(&Tried::new("a.upd.example").by(&journal, client(1), noon()));
    journal.flush(PATIENCE).unwrap();

    let rows = fixture.attempts();
    assert_eq!((rows.len(), sum(&rows)), (ROWS as usize + 4, u64::from(ROWS) * 2 + 13));
    let of = |client, action| {
        let rows = rows.iter().filter(|row| row.client == client && row.action == action);
        rows.cloned().collect::<Vec<_>>()
    };
    let several = &of(None, Did::Observe)[..];
    let [
        AttemptRow {
            qname: None, qtype: None, pattern: None, transport: None, evidence: Evidence::Visit, site, ..
        },
    ] = several
    else {
        panic!("{several:?}");
    };
    assert_eq!(site, "branch");
    let told = |row: &AttemptRow| (row.qname.clone(), row.pattern.clone(), row.transport, row.verified, row.count);
    let (name, pattern) = (Some("a.upd.example".to_owned()), Some("*.upd.example".to_owned()));
    let expected = [
        (name.clone(), pattern.clone(), Some(Transport::Tcp), true, 3),
        (None, pattern.clone(), Some(Transport::Udp), false, 4),
        (name, pattern, Some(Transport::Udp), false, 1),
    ];
    assert_eq!(of(Some(client(1)), Did::Nxdomain).iter().map(told).collect::<Vec<_>>(), expected);
    let clients = Store::open_read_only(fixture.path()).unwrap().clients(&Filter::default()).unwrap();
    assert_eq!(clients.iter().map(|row| (row.client, row.count)).collect::<Vec<_>>(), [(client(1), 8)]);
    let in_words = "SELECT count(*) FROM attempts_in_words WHERE pattern = '*.upd.example' AND qname LIKE '%.example'";
    let connection = Connection::open(fixture.path().join(FILE)).unwrap();
    assert_eq!(connection.query_row(in_words, [], |row| row.get(0)), Ok(ROWS + 2));
    journal.close(PATIENCE).unwrap();
}

#[test]
fn a_store_of_format_1_is_brought_to_the_newest_and_loses_nothing() {
    let fixture = Fixture::new();
    drop(format_1(fixture.path()));
    check(&fixture);
}

#[test]
fn a_move_to_a_newer_format_that_was_interrupted_goes_on() {
    let fixture = Fixture::new();
    let connection = format_1(fixture.path());
    connection.execute_batch(include_str!("../schema/2.sql")).unwrap();
    connection.execute_batch(
        "INSERT INTO series SELECT 9, 'acme', 'update', 'installed', 'default', 'drop', 'udp', 0;
         INSERT INTO attempts_2 SELECT minute, 0, client, 9, 'a.upd.example', '*.upd.example', 1, '', count, first_ms, last_ms
            FROM attempts WHERE action = 'drop' ORDER BY minute LIMIT 1000;
         DELETE FROM attempts WHERE (minute, client) IN (SELECT minute, client FROM attempts_2)",
    ).unwrap();
    drop(connection);
    check(&fixture);
}

#[test]
fn rows_of_names_that_a_damaged_store_has_lost_are_added_up() {
    let fixture = Fixture::new();
    let connection = format_1(fixture.path());
    let lost = "INSERT INTO attempts SELECT minute, client, rule, 90 + n, qtype, 'sinkhole', transport, verified, device, \
                'lost', count, first_ms + n, last_ms + n FROM attempts, (SELECT 1 AS n UNION SELECT 2) WHERE name = 1 AND transport = 'tcp'";
    assert_eq!(connection.execute(lost, []), Ok(2));
    drop(connection);
    let journal = fixture.start();
    journal.flush(PATIENCE).unwrap();

    let rows = fixture.attempts();
    let lost: Vec<_> = rows.iter().filter(|row| row.site == "lost").collect();
    let [row] = lost[..] else { panic!("{lost:?}") };
    assert_eq!((row.qname.as_deref(), row.count), (None, 6));
    assert_eq!((row.last.as_millisecond() - row.first.as_millisecond(), rows.len()), (1001, ROWS as usize + 4));
    journal.close(PATIENCE).unwrap();
}
