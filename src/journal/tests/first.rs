//! What a device does for the first time, told once to whoever wants to hear of it.

use std::sync::Mutex;

use super::*;

/// Keeps what it is told: the batch, client, ban, evidence and name of each.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<(i64, String)>>);

impl Outlet for Heard {
    fn is_open(&self) -> bool {
        false
    }

    fn take(&self, _rows: &mut dyn Iterator<Item = AttemptRow>) {}

    fn take_new(&self, batch: i64, rows: &mut dyn Iterator<Item = AttemptRow>) {
        let tell = |row: AttemptRow| {
            assert_eq!(row.count, 1);
            let (client, name) = (row.client.unwrap(), row.qname.unwrap_or_default());
            (batch, format!("{client} {} {} {name}", row.ban, row.evidence.as_str()))
        };
        self.0.lock().unwrap().extend(rows.map(tell));
    }
}

impl Heard {
    /// What was told since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap()).into_iter().map(|(_batch, text)| text).collect()
    }
}

fn hearing() -> (Fixture, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let outlet = Arc::clone(&heard);
    (Fixture::new().with(|config| config.outlet = Some(outlet)), heard)
}

#[test]
fn each_device_is_told_once_for_each_ban_and_evidence_by_the_row_that_began_first() {
    let (fixture, heard) = hearing();
    let journal = fixture.start();
    let tell = |attempts: &[(Tried, u8, i64)]| {
        for (tried, number, second) in attempts {
            journal.record(&tried.by(&journal, client(*number), after(*second)));
        }
        journal.flush(PATIENCE).unwrap();
        heard.take()
    };
    let visit = || Tried { evidence: Evidence::Visit, ..Tried::new("v.upd.example") };
    let nothing = Tried { evidence: Evidence::None, ..Tried::new("s.upd.example") };
    let first = tell(&[
        (Tried::new("b.upd.example"), 7, 2),
        (Tried::new("a.upd.example"), 7, 1),
        (Tried::new("a.upd.example"), 7, 3),
        (Tried::of("other", "c.upd.example"), 7, 5),
        (visit(), 8, 4),
        (nothing, 9, 4),
    ]);
    let told = ["7 acme installed a", "8 acme visit v", "7 other installed c"];
    assert_eq!(first, told.map(|told| format!("192.0.2.{told}.upd.example")));
    let again = tell(&[(Tried::new("a.upd.example"), 7, 90_000), (visit(), 8, 90_000), (visit(), 7, 90_001)]);
    assert_eq!(again, ["192.0.2.7 acme visit v.upd.example"]);
    journal.close(PATIENCE).unwrap();
    let journal = fixture.start();
    journal.record(&Tried::new("d.upd.example").by(&journal, client(7), after(90_010)));
    journal.record(&Tried::new("d.upd.example").by(&journal, client(10), after(90_010)));
    journal.flush(PATIENCE).unwrap();
    assert_eq!(heard.take(), ["192.0.2.10 acme installed d.upd.example"]);
}

#[test]
fn a_transaction_that_has_to_be_done_again_tells_by_the_same_number() {
    let (fixture, heard) = hearing();
    let journal = fixture.start();
    journal.record(&Tried::new("a.upd.example").by(&journal, client(7), after(1)));
    let other = rusqlite::Connection::open(fixture.path().join("embargo.db")).unwrap();
    // Told before the commit, which this trigger then forbids.
    let forbid = "CREATE TRIGGER forbid BEFORE INSERT ON batches BEGIN SELECT RAISE(ABORT, 'no'); END";
    other.execute_batch(forbid).unwrap();
    for _twice in 0..2 {
        journal.flush(PATIENCE).unwrap_err();
    }
    other.execute_batch("DROP TRIGGER forbid").unwrap();
    journal.flush(PATIENCE).unwrap();
    let told = std::mem::take(&mut *heard.0.lock().unwrap());
    assert!(told.len() == 3 && told.iter().all(|again| *again == told[0]), "{told:?}");
    assert_eq!(sum(&fixture.attempts()), 1);
}
