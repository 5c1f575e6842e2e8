//! What is appended is read, once, in order, whatever happens in between; and what is not is counted.

use proptest::prelude::*;

use super::super::event::sample::row;
use super::*;

const ROOM: u64 = 1 << 30;

fn spool(state: &Path, size_max: u64) -> Arc<Spool> {
    Arc::new(Spool::open(state, size_max))
}

/// Appends rows of these counts, named by them.
fn append(spool: &Spool, counts: std::ops::Range<u64>) {
    spool.append(&mut counts.map(|count| row(&format!("n{count}.example"), count))).unwrap();
}

/// What a reader finds until the end: the counts of the rows, and what was lost by the way.
fn drain(reader: &mut Reader) -> (Vec<u64>, u64, u64) {
    let (mut counts, mut overflowed, mut damaged) = (Vec::new(), 0, 0);
    loop {
        let piece = reader.read().unwrap();
        overflowed += piece.overflowed;
        damaged += piece.damaged;
        if piece.rows.is_empty() && piece.overflowed + piece.damaged == 0 {
            return (counts, overflowed, damaged);
        }
        counts.extend(piece.rows.iter().map(|placed| placed.row.count));
    }
}

fn all(spool: &Arc<Spool>, from: Mark) -> (Vec<u64>, u64, u64) {
    drain(&mut Reader::new(Arc::clone(spool), from))
}

#[test]
fn a_reader_finds_every_row_in_order_and_goes_on_where_it_was_after_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let first = spool(state.path(), ROOM);
    append(&first, 1..500);
    let mut reader = Reader::new(Arc::clone(&first), Mark::default());
    let some = reader.read().unwrap();
    assert!(!some.rows.is_empty() && some.rows.len() < 499, "{}", some.rows.len());
    first.note("a", some.next).unwrap();
    let name = Arc::clone(&first.stream);
    drop((reader, first));

    let again = spool(state.path(), ROOM);
    assert_eq!((&again.stream, again.head().rows), (&name, 499));
    append(&again, 500..510);
    let rest = all(&again, again.place("a").unwrap());
    assert_eq!(rest, ((some.rows.len() as u64 + 1..510).collect(), 0, 0));
    assert_eq!(again.place("b"), None);
    again.forget_but(&["b"]);
    assert_eq!(again.place("a"), None);
}

#[test]
fn a_row_cut_by_a_kill_is_left_out_and_what_comes_then_is_read() {
    let state = tempfile::tempdir().unwrap();
    append(&spool(state.path(), ROOM), 1..4);
    let file = files(&state.path().join("spool")).remove(&0).unwrap();
    let text = fs::read(&file.path).unwrap();
    let whole: Vec<usize> = (0..text.len()).filter(|at| text[*at] == b'\n').map(|at| at + 1).collect();
    for cut in 0..text.len() {
        fs::write(&file.path, &text[..cut]).unwrap();
        let again = spool(state.path(), ROOM);
        append(&again, 7..8);
        let left = whole.iter().filter(|end| **end <= cut).count() as u64;
        assert_eq!(all(&again, Mark::default()), ((1..=left).chain([7]).collect(), 0, 0), "{cut}");
        fs::remove_dir_all(state.path().join("spool")).unwrap();
        fs::create_dir(state.path().join("spool")).unwrap();
    }
}

#[test]
fn at_the_limit_the_oldest_rows_go_and_a_reader_learns_how_many_attempts_those_were() {
    let state = tempfile::tempdir().unwrap();
    let (few, file) = (80 << 10, 10 << 10);
    let spool = spool(state.path(), few);
    let mut reader = Reader::new(Arc::clone(&spool), Mark::default());
    for piece in 0..100 {
        append(&spool, piece * 20 + 1..piece * 20 + 21);
        assert!(spool.bytes() <= few + file, "{}", spool.bytes());
    }
    let (counts, overflowed, damaged) = drain(&mut reader);
    assert!(counts.len() > 100 && counts.is_sorted(), "{}", counts.len());
    assert_eq!(counts.last(), Some(&2000));
    assert!(overflowed > 0);
    assert_eq!((counts.iter().sum::<u64>() + overflowed, damaged), ((1..=2000).sum(), 0));
}

#[test]
fn what_everybody_has_read_is_removed() {
    let state = tempfile::tempdir().unwrap();
    let spool = spool(state.path(), 80 << 10);
    (0..8).for_each(|piece| append(&spool, piece * 20 + 1..piece * 20 + 21));
    let full = spool.bytes();
    spool.trim(Mark::default());
    assert_eq!(spool.bytes(), full);
    spool.trim(spool.head());
    assert!(spool.bytes() < full);
    assert_eq!(all(&spool, spool.head()), (vec![], 0, 0));
}

#[test]
fn damage_in_the_middle_costs_the_rows_it_hit_and_they_are_counted() {
    let state = tempfile::tempdir().unwrap();
    let first = spool(state.path(), ROOM);
    append(&first, 1..10);
    let path = first.inner().files[&0].path.clone();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("n4.example", "n4\0\0xample", 1)).unwrap();
    assert_eq!(all(&first, Mark::default()), (vec![1, 2, 3, 5, 6, 7, 8, 9], 0, 4));
}

#[test]
fn damage_in_the_last_file_costs_nothing_behind_it_after_a_restart() {
    // Behind the last row of a file nobody can tell a damaged one from one for which there was no room.
    let cases = [("n4.example", vec![1, 2, 3, 5, 6, 20], 0, 4), ("n6.example", vec![1, 2, 3, 4, 5, 20], 1, 0)];
    for (damaged, left, overflowed, lost) in cases {
        let state = tempfile::tempdir().unwrap();
        let first = spool(state.path(), ROOM);
        append(&first, 1..7);
        let path = first.inner().files[&0].path.clone();
        drop(first);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen(damaged, "\0", 1)).unwrap();
        let again = spool(state.path(), ROOM);
        append(&again, 20..21);
        assert_eq!(all(&again, Mark::default()), (left, overflowed, lost), "{damaged}");
    }
}

#[test]
fn a_directory_that_takes_nothing_costs_what_could_not_be_written_and_nothing_else() {
    let state = tempfile::tempdir().unwrap();
    let spool = spool(state.path(), ROOM);
    append(&spool, 1..3);
    // Somebody cleans up, and puts a file in the way.
    let directory = state.path().join("spool");
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "").unwrap();
    let unwritten = spool.append(&mut [row("a.example", 5), row("b.example", 6)].into_iter()).unwrap_err();
    assert_eq!(unwritten.attempts, 11);
    fs::remove_file(&directory).unwrap();
    append(&spool, 9..10);
    assert_eq!(all(&spool, Mark::default()), (vec![9], 3, 0));
}

#[test]
fn a_stream_whose_files_are_gone_goes_on_behind_what_was_sent() {
    let state = tempfile::tempdir().unwrap();
    let first = spool(state.path(), ROOM);
    append(&first, 1..10);
    first.note("a", first.head()).unwrap();
    let (head, path) = (first.head(), first.inner().files[&0].path.clone());
    drop(first);
    fs::remove_file(path).unwrap();
    let again = spool(state.path(), ROOM);
    assert_eq!(again.head(), head);
    append(&again, 3..4);
    assert_eq!(all(&again, head), (vec![3], 0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_stands_in_the_files_is_read_without_a_fault(octets: Vec<u8>, at in 0..400_usize) {
        let state = tempfile::tempdir().unwrap();
        let first = spool(state.path(), ROOM);
        append(&first, 1..4);
        let path = first.inner().files[&0].path.clone();
        let mut text = fs::read(&path).unwrap();
        text.splice(at..(at + octets.len()).min(text.len()), octets);
        fs::write(&path, &text).unwrap();
        let (counts, overflowed, damaged) = all(&first, Mark::default());
        // Counts in the line itself may have changed; no row comes that was not there.
        prop_assert!(counts.len() <= 3 && overflowed == 0, "{counts:?} {overflowed} {damaged}");
        let again = spool(state.path(), ROOM);
        append(&again, 5..6);
        prop_assert_eq!(all(&again, again.head()).0, Vec::<u64>::new());
    }
}

#[test]
fn a_client_is_taken_out_of_rows_that_wait_and_everything_else_stays_as_it_was() {
    let state = tempfile::tempdir().unwrap();
    let spool = spool(state.path(), ROOM);
    append(&spool, 1..2_000);
    let mut reader = Reader::new(Arc::clone(&spool), Mark::default());
    let begun = reader.read().unwrap().rows.len();
    let odd = |row: &AttemptRow| row.count % 2 == 1;
    assert_eq!(spool.erase(&odd).unwrap(), 1_000);
    append(&spool, 2_000..2_010);
    let (counts, overflowed, damaged) = drain(&mut reader);
    assert_eq!((counts, overflowed, damaged), ((begun as u64 + 1..2_010).collect(), 0, 0));
    let mut again = Reader::new(Arc::clone(&spool), Mark::default());
    let rows = again.read().unwrap().rows;
    assert!(rows.len() > 100);
    for Placed { row, .. } in rows {
        assert_eq!((row.client.is_some(), row.device.is_some()), (!odd(&row), !odd(&row)));
        assert_eq!(row.qname, Some(format!("n{}.example", row.count)));
    }
    assert_eq!(erase_alone(state.path(), &|row: &AttemptRow| row.client.is_some()).unwrap(), 999 + 10);
}
