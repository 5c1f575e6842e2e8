//! The properties of `tests/fuzz` held for its seeds, and for seeds with some octets changed: what the fuzzer looks for by
//! the million is tried a little in every run of the tests.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::tidy::root;

#[path = "../fuzz/properties/front.rs"]
mod front;
#[path = "../fuzz/properties/layout.rs"]
mod layout;
#[path = "../fuzz/properties/list.rs"]
mod list;
#[path = "../fuzz/properties/name.rs"]
mod name;
#[path = "../fuzz/properties/query.rs"]
mod query;

/// Holds a property for each seed of a target, and for `changed` messages made of them.
fn check(target: &str, changed: u32, property: fn(&[u8])) {
    let folder = root().join("tests/fuzz/seeds").join(target);
    let seeds: Vec<Vec<u8>> =
        fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert!(seeds.len() > 4);
    for seed in &seeds {
        property(seed);
    }
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    // Not made smaller: each try would print a panic. The fuzzer does that better.
    let config = Config { cases: changed, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let octets = prop::collection::vec((any::<Index>(), any::<u8>()), 0..5);
    let change = (any::<Index>(), octets, any::<Index>(), prop::collection::vec(any::<u8>(), 0..8));
    let held = runner.run(&change, |(seed, octets, cut, behind)| {
        let mut message = seed.get(&seeds).clone();
        for (at, octet) in octets {
            if !message.is_empty() {
                let at = at.index(message.len());
                message[at] = octet;
            }
        }
        if !behind.is_empty() {
            message.truncate(cut.index(message.len() + 1).max(message.len() / 2));
            message.extend(behind);
        }
        let held = catch_unwind(AssertUnwindSafe(|| property(&message)));
        prop_assert!(held.is_ok(), "{target}: {message:02x?}");
        Ok(())
    });
    held.unwrap();
}

#[test]
fn queries_are_read_as_hickory_reads_them() {
    check("query", 20_000, query::check);
}

#[test]
fn kept_responses_are_given_whole_and_within_their_limit() {
    check("layout", 10_000, layout::check);
}

#[test]
fn names_are_read_and_printed_the_same() {
    check("name", 10_000, name::check);
}

#[test]
fn every_line_of_a_list_is_a_rule_or_explained() {
    check("list", 1_000, list::check);
}

#[test]
fn listeners_answer_as_the_one_handler() {
    check("front", 2_000, front::check);
}
