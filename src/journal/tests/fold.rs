//! The fold against a naive count.

use std::collections::BTreeMap;

use super::super::asked::address;
use super::super::batch::Batch;
use super::super::pending::Pending;
use super::*;

/// What tells one attempt from another: client, name, type, transport, minute.
type Told = (u8, u8, u16, bool, i64);

/// The same as a row tells it.
type Counted = (IpAddr, Vec<u8>, Option<u16>, bool, u32);

/// Attempts as a fold and as a naive count sees them; few enough of a client that no limit is met.
fn some() -> impl Strategy<Value = Vec<Told>> {
    proptest::collection::vec((0..9_u8, 0..8_u8, 1..4_u16, any::<bool>(), 0..3_i64), 0..600)
}

fn record(fold: &Fold, &(number, name, qtype, tcp, minute): &Told) {
    let tried = Tried::new(&format!("n{name}.upd.example"));
    let transport = if tcp { Transport::Tcp } else { Transport::Udp };
    fold.add(&Attempt { qtype, transport, ..tried.by(fold, client(number), after(minute * 60)) });
}

/// The counts in a batch.
fn counts(batch: &Batch) -> BTreeMap<Counted, u64> {
    let mut counts = BTreeMap::new();
    for part in &batch.parts {
        for row in part.rows() {
            assert_eq!(part.pattern(row).to_string(), "*.upd.example");
            let tcp = row.form().transport == Some(Transport::Tcp);
            let key = (address(row.client), part.name(row).to_vec(), row.qtype(), tcp, row.minute());
            *counts.entry(key).or_insert(0) += row.tally.count;
        }
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn threads_that_fold_beside_a_drain_count_what_a_naive_count_says(attempts in some(), threads in 1..5_usize) {
        let fold = Fold::new(&Config::new(""));
        let mut batch = Batch::default();
        thread::scope(|scope| {
            for thread in 0..threads {
                let (fold, attempts) = (&fold, &attempts);
                scope.spawn(move || attempts.iter().skip(thread).step_by(threads).for_each(|told| record(fold, told)));
            }
            for _ in 0..3 {
                fold.drain(after(60), usize::MAX, &mut batch);
            }
        });
        fold.drain(after(60), usize::MAX, &mut batch);

        let mut naive = BTreeMap::new();
        for &(number, name, qtype, tcp, minute) in &attempts {
            let name = LowerName::parse(&format!("n{name}.upd.example")).unwrap().wire().to_vec();
            let minute = u32::try_from(after(minute * 60).as_second() / 60).unwrap();
            *naive.entry((client(number), name, Some(qtype), tcp, minute)).or_insert(0) += 1;
        }
        prop_assert_eq!(counts(&batch), naive);
        prop_assert_eq!(batch.attempts(), attempts.len() as u64);
        prop_assert_eq!(fold.waiting(), 0);
    }
}

#[test]
fn a_line_that_the_writer_has_taken_is_known_past_the_pace_and_forgotten_when_the_minute_ends() {
    let fold = Fold::new(&Config { rows_per_second_max: 1, ..Config::new("") });
    let mut batch = Batch::default();
    let tried = Tried::new("a.upd.example");
    let mut rows = |fold: &Fold, now| {
        batch.clear();
        fold.drain(now, usize::MAX, &mut batch);
        let whole = |part: &Pending| part.rows().iter().filter(|row| !part.name(row).is_empty()).count();
        (batch.parts.iter().map(whole).sum::<usize>(), batch.len())
    };
    for number in 1..=3 {
        fold.add(&tried.by(&fold, client(number), noon()));
    }
    // The first in full, the second without its name, the third in an overflow row.
    assert_eq!(rows(&fold, noon()), (1, 3));
    for number in [3, 2, 1, 1] {
        fold.add(&tried.by(&fold, client(number), noon()));
    }
    assert_eq!(rows(&fold, after(60)), (1, 3));
    fold.add(&tried.by(&fold, client(9), noon()));
    fold.add(&tried.by(&fold, client(1), noon()));
    assert_eq!(rows(&fold, after(60)), (0, 1));
}

#[test]
fn what_a_short_drain_leaves_is_counted_on_and_comes_first_the_next_time() {
    let fold = Fold::new(&Config::new(""));
    let tried = Tried::new("a.upd.example");
    let everybody = || (0..250).for_each(|number| assert!(fold.add(&tried.by(&fold, client(number), noon()))));
    let (mut drains, mut rows, mut attempts) = (0, 0, 0);
    everybody();
    everybody();
    while fold.waiting() > 0 {
        let mut batch = Batch::default();
        fold.drain(noon(), 40, &mut batch);
        assert!((40..100).contains(&batch.len()) || fold.waiting() == 0, "{} rows", batch.len());
        (drains, rows, attempts) = (drains + 1, rows + batch.len(), attempts + batch.attempts());
    }
    assert!(drains > 2);
    assert_eq!((rows, attempts), (250, 500), "each of them once, with both attempts");
}
