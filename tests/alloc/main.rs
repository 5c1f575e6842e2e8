//! Allocations by thread: none on the thread that reads a UDP socket for a query that is banned or cached, a bounded number
//! in the whole process for one that has to be asked for.
//!
//! A binary of its own, since an allocator is the whole process's. The server runs whole, with its own sockets, record and
//! cache; a query is sent only when the one before has its answer, or as a burst where the test says so.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what can't be set up fails the test there")]

mod counted;
mod reload;
mod server;

use std::sync::Barrier;

use counted::Tally;
use server::{A, HTTPS, Server, query};

/// Queries of one measurement.
const QUERIES: u64 = 2_000;
/// Queries before one: every buffer has its size, every client and rule is known.
const BEFORE: u64 = 300;
/// Queries sent before the first answer is read.
const BURST: usize = 48;
/// Bursts of one measurement.
const BURSTS: usize = 40;
/// Allocations at most, on all threads but the record's, for a query that is asked of an upstream.
const MISS_MAX: u64 = 40;
/// Allocations at most of the thread that writes the record, for repeated lookups of one name and two transactions.
const WRITER_MAX: u64 = 1_000;

/// The names under [`server::RULES`] that get an answer, one for each action.
const BANNED: [&str; 4] = ["geo.example", "A.nodata.example", "sink.example", "refuse.example"];

/// Rounds of one measurement.
const ROUNDS: usize = 6;

/// What the thread that reads the socket allocates while `round` runs: the least of some rounds. What is made once a second
/// or once a minute (memory for the record's next rows, a look at idle sockets) is no query's, and an allocation that one
/// query in a round makes is in every round.
fn on_the_reading_thread(mut round: impl FnMut()) -> u64 {
    let mut least = u64::MAX;
    for _round in 0..ROUNDS {
        let before = Tally::of("udp-0");
        round();
        least = least.min(Tally::of("udp-0").since(before));
        if least == 0 {
            break;
        }
    }
    least
}

#[test]
fn an_allocation_is_counted_for_the_thread_that_makes_it() {
    let _alone = server::alone();
    // The thread stops where it is looked at.
    let step = Barrier::new(2);
    std::thread::scope(|scope| {
        let work = || {
            let mut row = vec![7_u64];
            step.wait();
            step.wait();
            std::hint::black_box(&mut row).reserve_exact(1_000);
            drop(std::hint::black_box(vec![0_u8; 100]));
            drop(std::hint::black_box(Box::new(7_u64)));
            step.wait();
            step.wait();
        };
        std::thread::Builder::new().name("busy".to_owned()).spawn_scoped(scope, work).unwrap();
        step.wait();
        let before = Tally::of("busy");
        step.wait();
        step.wait();
        let after = Tally::of("busy");
        step.wait();
        assert_eq!(after.since(before), 3);
    });
}

#[test]
fn a_banned_query_of_a_known_client_allocates_nothing() {
    let server = Server::start();
    for (name, qtype) in BANNED.into_iter().flat_map(|name| [(name, A), (name, HTTPS)]) {
        for edns in [None, Some(512), Some(4096)] {
            let message = query(name, qtype, edns);
            (0..BEFORE).for_each(|_query| server.answered(&message));
            let allocations = on_the_reading_thread(|| (0..QUERIES).for_each(|_query| server.answered(&message)));
            assert_eq!(allocations, 0, "{QUERIES} queries for {name}, type {qtype}, EDNS {edns:?}");
        }
    }
}

#[test]
fn a_banned_query_that_is_met_with_silence_allocates_nothing_for_the_next_one_either() {
    let server = Server::start();
    let (mut silent, answered) = (query("drop.example", A, None), query("geo.example", A, None));
    // An id of its own, by which its answer would be seen.
    silent[0] ^= 1;
    let round = || {
        server.send(&silent);
        server.answered(&answered);
    };
    (0..BEFORE).for_each(|_query| round());
    let allocations = on_the_reading_thread(|| (0..QUERIES).for_each(|_query| round()));
    assert_eq!(allocations, 0, "{QUERIES} pairs of queries");
}

#[test]
fn a_cached_query_allocates_nothing() {
    let server = Server::start();
    for edns in [None, Some(512), Some(4096)] {
        for name in ["free.example", "FREE.example", "x.seen.example"] {
            let message = query(name, A, edns);
            (0..BEFORE).for_each(|_query| server.answered(&message));
            let asked = server.asked_upstream();
            let allocations = on_the_reading_thread(|| (0..QUERIES).for_each(|_query| server.answered(&message)));
            assert_eq!(allocations, 0, "{QUERIES} queries for {name}, EDNS {edns:?}");
            assert_eq!(server.asked_upstream(), asked, "from the cache");
        }
    }
}

#[test]
fn a_cached_query_whose_addresses_are_looked_at_allocates_nothing() {
    let server = Server::enforcing(&[server::RULES, server::NETWORKS].concat());
    for name in ["free.example", "geo.example"] {
        let message = query(name, A, Some(1232));
        (0..BEFORE).for_each(|_query| server.answered(&message));
        let allocations = on_the_reading_thread(|| (0..QUERIES).for_each(|_query| server.answered(&message)));
        assert_eq!(allocations, 0, "{QUERIES} queries for {name}");
    }
}

#[test]
fn a_query_with_a_cookie_allocates_nothing() {
    let server = Server::start();
    for name in ["geo.example", "free.example"] {
        let mut message = query(name, A, Some(1232));
        // The last octets are the length of the options: one COOKIE option (RFC 7873).
        message.truncate(message.len() - 2);
        message.extend(b"\0\x0c\0\x0a\0\x0812345678");
        (0..BEFORE).for_each(|_query| server.answered(&message));
        let allocations = on_the_reading_thread(|| (0..QUERIES).for_each(|_query| server.answered(&message)));
        assert_eq!(allocations, 0, "{QUERIES} queries for {name}");
    }
}

#[test]
fn a_burst_of_banned_and_cached_queries_allocates_nothing() {
    let server = Server::start();
    let names =
        ["geo.example", "free.example", "sink.example", "other.free.example", "nodata.example", "x.seen.example"];
    let messages: Vec<Vec<u8>> = names.iter().cycle().take(BURST).map(|name| query(name, A, Some(1232))).collect();
    for message in &messages {
        server.answered(message);
    }
    (0..BEFORE).for_each(|_burst| server.burst(&messages));
    let allocations = on_the_reading_thread(|| (0..BURSTS).for_each(|_burst| server.burst(&messages)));
    assert_eq!(allocations, 0, "{BURSTS} times {BURST} queries");
}

#[test]
fn what_a_miss_allocates_is_bounded_and_what_the_record_does_for_repeated_lookups_too() {
    const OTHERS: [&str; 2] = ["upstream", "journal"];
    let server = Server::start();
    let message = |number: u64| query(&format!("n{number}.miss.example"), A, Some(1232));
    (0..BEFORE).for_each(|number| server.answered(&message(number)));
    let fresh: Vec<Vec<u8>> = (BEFORE..BEFORE + QUERIES).map(message).collect();
    let (before, asked) = (Tally::of_all_but(&OTHERS), server.asked_upstream());
    for message in &fresh {
        server.answered(message);
    }
    let allocations = Tally::of_all_but(&OTHERS).since(before);
    assert!(server.asked_upstream() - asked >= fresh.len());
    assert!(allocations <= QUERIES * MISS_MAX, "{} for each of {QUERIES}", allocations / QUERIES);

    let banned = query("geo.example", A, None);
    (0..BEFORE).for_each(|_query| server.answered(&banned));
    server.flush();
    let before = Tally::of("journal");
    (0..QUERIES).for_each(|_query| server.answered(&banned));
    server.flush();
    let allocations = Tally::of("journal").since(before);
    assert!((1..=WRITER_MAX).contains(&allocations), "{allocations}");
}
