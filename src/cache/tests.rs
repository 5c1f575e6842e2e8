//! What the cache knows of a question as time passes.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::wire::{Layout, Name, Query, Response, qtype, rcode};

pub(super) static CONFIG: LazyLock<Config> = LazyLock::new(|| Config {
    ttl_max: Duration::from_secs(3600),
    negative_ttl_max: Duration::from_secs(60),
    stale_max: Duration::from_secs(100),
    prefetch_hits: 2,
    ..Config::new(64 * 1024)
});

fn millis(moment: u64) -> Mono {
    Mono(moment * 1000)
}

pub(super) fn question(name: &str) -> Vec<u8> {
    let mut message = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    message.extend_from_slice(Name::parse(name).unwrap().wire());
    message.extend_from_slice(b"\0\x01\0\x01");
    message
}

fn keep(message: &[u8]) -> Answer {
    Answer::keep(message, &Layout::read(message).unwrap()).unwrap()
}

pub(super) fn key(name: &str) -> Key {
    KeyRef::of(&Query::read(&question(name)).unwrap()).to_key()
}

fn address(name: &str, ttl: u32) -> Answer {
    let message = question(name);
    keep(&Response::to(&Query::read(&message).unwrap()).answer(qtype::A, ttl, &[192, 0, 2, 1]).finish(512))
}

fn refusal(name: &str) -> Answer {
    let message = question(name);
    keep(&Response::to(&Query::read(&message).unwrap()).rcode(rcode::SERVFAIL).finish(512))
}

pub(super) fn servfail(name: &str, now: Mono) -> Arc<Entry> {
    Arc::new(Entry::unkept(refusal(name), false, now))
}

pub(super) fn put(cache: &Cache, name: &str, ttl: u32, now: u64) -> Arc<Entry> {
    cache.insert(key(name), address(name, ttl), true, millis(now))
}

pub(super) fn put_as(cache: &Cache, name: &str, qtype: u16, ttl: u32, now: u64) -> Arc<Entry> {
    let mut key = key(name);
    key.rest.qtype = qtype;
    cache.insert(key, address(name, ttl), true, millis(now))
}

pub(super) fn fail(cache: &Cache, name: &str, now: u64) {
    cache.fail(key(name), refusal(name), Cause::Said, millis(now));
}

pub(super) fn look(cache: &Cache, name: &str, now: u64) -> &'static str {
    let message = question(name);
    match cache.get(&KeyRef::of(&Query::read(&message).unwrap()), millis(now)) {
        Lookup::Fresh(_) => "fresh",
        Lookup::Stale(_) => "stale",
        Lookup::Resting(_) => "resting",
        Lookup::Failed(_) => "failed",
        Lookup::Miss => "miss",
    }
}

#[test]
fn an_answer_is_fresh_then_stale_then_gone() {
    let cache = Cache::new(CONFIG.clone());
    put(&cache, "a.example", 10, 5_000);
    assert_eq!(look(&cache, "A.example", 14_999), "fresh");
    assert_eq!(look(&cache, "a.example", 15_000), "stale");
    assert_eq!(look(&cache, "a.example", 114_999), "stale");
    assert_eq!(look(&cache, "a.example", 115_000), "miss");
    assert_eq!(look(&cache, "b.example", 5_000), "miss");
}

#[test]
fn ttl_0_is_not_kept_and_a_long_ttl_is_capped() {
    let cache = Cache::new(CONFIG.clone());
    put(&cache, "zero.example", 0, 0);
    put(&cache, "long.example", 1_000_000, 0);
    assert_eq!(look(&cache, "zero.example", 0), "miss");
    assert_eq!(look(&cache, "long.example", 3_599_999), "fresh");
    assert_eq!(look(&cache, "long.example", 3_600_000), "stale");
}

#[test]
fn a_negative_answer_has_a_limit_of_its_own() {
    let cache = Cache::new(CONFIG.clone());
    let message = question("no.example");
    let query = Query::read(&message).unwrap();
    let owner = Name::parse("example").unwrap();
    let answer = keep(&Response::to(&query).rcode(rcode::NXDOMAIN).soa(owner.wire(), 900).finish(512));
    cache.insert(KeyRef::of(&query).to_key(), answer, true, Mono(0));
    assert_eq!(look(&cache, "no.example", 59_999), "fresh");
    assert_eq!(look(&cache, "no.example", 60_000), "stale");
}

#[test]
fn do_and_cd_are_kept_apart() {
    let cache = Cache::new(CONFIG.clone());
    put(&cache, "a.example", 10, 0);
    let mut message = question("a.example");
    message[3] |= 0x10;
    let with_cd = Query::read(&message).unwrap();
    assert!(matches!(cache.get(&KeyRef::of(&with_cd), Mono(0)), Lookup::Miss));
}

#[test]
fn a_flood_of_names_stays_within_the_limit() {
    let cache = Cache::new(CONFIG.clone());
    for number in 0..5_000 {
        let _kept = put(&cache, &format!("n{number}.example"), 60, 0);
    }
    assert!(cache.bytes() <= CONFIG.bytes_max && cache.len() > 50, "{} octets, {} answers", cache.bytes(), cache.len());
}

#[test]
fn a_flood_of_failures_leaves_the_answers_alone_and_stays_within_the_limit() {
    let cache = Cache::new(CONFIG.clone());
    for number in 0..50 {
        put(&cache, &format!("n{number}.example"), 60, 0);
    }
    let answers = cache.len();
    for number in 0..5_000 {
        fail(&cache, &format!("f{number}.example"), 0);
    }
    assert_eq!(cache.len(), answers);
    assert!(cache.failures() > 5 && cache.bytes() <= CONFIG.bytes_max, "{} octets", cache.bytes());
}

#[test]
fn a_stale_answer_that_was_asked_for_in_vain_rests_until_its_time_is_over_or_an_upstream_recovers() {
    let cache = Cache::new(CONFIG.clone());
    put(&cache, "a.example", 10, 5_000);
    fail(&cache, "a.example", 20_000);
    assert_eq!(look(&cache, "a.example", 49_999), "resting");
    assert_eq!(look(&cache, "a.example", 50_000), "stale");
    fail(&cache, "a.example", 60_000);
    assert_eq!(look(&cache, "a.example", 60_000), "resting");
    cache.upstream_recovered(millis(60_001));
    assert_eq!(look(&cache, "a.example", 60_002), "stale");
    assert_eq!(cache.failures(), 0, "what can be given is no failure");
}

#[test]
fn an_answer_whose_successor_is_bogus_lives_to_its_ttl_and_no_longer() {
    let cache = Cache::new(CONFIG.clone());
    put(&cache, "a.example", 10, 0);
    // Asked for again before it has run out.
    cache.fail(key("a.example"), refusal("a.example"), Cause::Bogus, millis(9_500));
    assert_eq!(look(&cache, "a.example", 9_999), "fresh");
    assert_eq!(look(&cache, "a.example", 10_000), "miss", "it is asked for, and not given as stale");
    assert_eq!(cache.saved(millis(9_999)).count(), 0, "nor does the next process think better of it");
    put(&cache, "a.example", 10, 20_000);
    assert_eq!(look(&cache, "a.example", 30_000), "stale");
    cache.fail(key("a.example"), refusal("a.example"), Cause::Bogus, millis(30_000));
    assert_eq!(look(&cache, "a.example", 30_001), "failed");
}

#[test]
fn a_failure_is_kept_where_there_is_no_answer_and_an_answer_ends_it() {
    let cache = Cache::new(CONFIG.clone());
    fail(&cache, "a.example", 5_000);
    assert_eq!(look(&cache, "a.example", 5_999), "failed");
    assert_eq!(look(&cache, "a.example", 6_000), "miss");
    fail(&cache, "a.example", 6_000);
    assert_eq!(look(&cache, "a.example", 7_999), "failed", "the second in a row lasts twice as long");
    put(&cache, "a.example", 0, 7_000);
    assert_eq!(look(&cache, "a.example", 7_000), "miss", "also an answer that is not kept");
    fail(&cache, "a.example", 8_000);
    assert_eq!(look(&cache, "a.example", 9_000), "miss", "the first in a row again");
    cache.fail(key("b.example"), refusal("b.example"), Cause::Silence, millis(9_000));
    cache.upstream_recovered(millis(9_001));
    assert_eq!(look(&cache, "b.example", 9_002), "miss");
}

#[test]
fn a_popular_answer_is_due_once_in_the_last_tenth_of_its_life() {
    let cache = Cache::new(CONFIG.clone());
    let popular = put(&cache, "a.example", 100, 0);
    assert!(!popular.is_due(millis(1)) && !popular.is_due(millis(2)), "it is getting popular");
    assert!(!popular.is_due(millis(89_999)));
    assert!(popular.is_due(millis(90_000)));
    assert!(!popular.is_due(millis(90_001)), "once");
    let rare = put(&cache, "b.example", 100, 0);
    assert!(!rare.is_due(millis(95_000)) && !rare.is_due(millis(95_001)));
    let never = Cache::new(Config { prefetch_hits: 0, ..CONFIG.clone() });
    let never = put(&never, "a.example", 100, 0);
    assert!((0..10).all(|_time| !never.is_due(millis(99_000))));
}

#[test]
fn a_short_ttl_is_raised_and_counts_down_like_any_other_but_a_negative_one_is_not() {
    let cache = Cache::new(Config { ttl_min: Duration::from_secs(60), ..CONFIG.clone() });
    for ttl in [0, 5] {
        let entry = put(&cache, "short.example", ttl, 0);
        assert_eq!(look(&cache, "short.example", 59_999), "fresh");
        assert_eq!(look(&cache, "short.example", 60_000), "stale");
        assert_eq!((entry.ttl_min(millis(0)), entry.ttl_min(millis(20_000))), (60, 40));
    }
    assert_eq!(put(&cache, "long.example", 61, 0).ttl_min(millis(0)), 0);
    let message = question("no.example");
    let owner = Name::parse("example").unwrap();
    let response = Response::to(&Query::read(&message).unwrap()).rcode(rcode::NXDOMAIN).soa(owner.wire(), 5);
    cache.insert(key("no.example"), keep(&response.finish(512)), true, Mono(0));
    assert_eq!(look(&cache, "no.example", 5_000), "stale");
}

#[test]
fn nothing_is_kept_of_a_zone_that_is_bypassed() {
    let bypass = [Name::parse("corp.example").unwrap()].iter().collect();
    let cache = Cache::new(Config { bypass, ..CONFIG.clone() });
    put(&cache, "a.corp.example", 10, 0);
    fail(&cache, "b.corp.example", 0);
    put(&cache, "c.example", 10, 0);
    let known = ["a.corp.example", "b.corp.example", "c.example"].map(|name| look(&cache, name, 0));
    assert_eq!(known, ["miss", "miss", "fresh"]);
}

/// What may happen to a question.
#[derive(Clone, Copy, Debug)]
enum Event {
    Answer(u32),
    Failure,
    Recovery,
    Nothing,
}

proptest! {
    #[test]
    fn the_cache_agrees_with_a_naive_model(
        events in prop::collection::vec((0..60_000_u64, prop_oneof![
            (0..40_u32).prop_map(Event::Answer), Just(Event::Failure), Just(Event::Recovery), Just(Event::Nothing)
        ]), 1..80)
    ) {
        let cache = Cache::new(CONFIG.clone());
        let mut now = 1_000;
        // When the last kept answer ends its freshness; when asking last failed, for the answer and for the question.
        let (mut fresh_until, mut rests_from, mut failed) = (None::<u64>, None::<u64>, None::<u64>);
        for (passed, event) in events {
            now += passed;
            let usable = fresh_until.filter(|until| now < until + 100_000);
            let known = look(&cache, "a.example", now);
            match (usable, rests_from) {
                (Some(until), _) if now < until => prop_assert_eq!(known, "fresh"),
                (Some(_), Some(from)) if now < from + 30_000 => prop_assert_eq!(known, "resting"),
                (Some(_), _) => prop_assert_eq!(known, "stale"),
                (None, _) => match failed {
                    Some(at) if now < at + 1_000 => prop_assert_eq!(known, "failed"),
                    Some(at) if now < at + 300_000 => prop_assert!(["failed", "miss"].contains(&known)),
                    _ => prop_assert_eq!(known, "miss"),
                },
            }
            match event {
                Event::Answer(ttl) => {
                    put(&cache, "a.example", ttl, now);
                    failed = None;
                    if ttl > 0 {
                        (fresh_until, rests_from) = (Some(now + u64::from(ttl) * 1_000), None);
                    }
                }
                Event::Failure => {
                    fail(&cache, "a.example", now);
                    match (usable, known) {
                        (Some(_), _) => rests_from = Some(now),
                        (None, "failed") => (),
                        (None, _) => failed = Some(now),
                    }
                }
                Event::Recovery => {
                    // What fails at the same moment counts as after the recovery.
                    now += 1;
                    cache.upstream_recovered(millis(now));
                    (rests_from, failed) = (None, None);
                }
                Event::Nothing => (),
            }
        }
    }
}
