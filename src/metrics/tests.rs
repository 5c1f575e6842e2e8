//! The page that Prometheus reads, and the ledger in which every query ends once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;
use crate::policy::{Evidence, Mode};
use crate::time::Mono;
use crate::wire::{Transport, qtype};

/// The value of the line that begins with `series` and a space.
#[track_caller]
fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series}")).parse().unwrap()
}

/// The sum of all series of a family.
fn sum(page: &str, name: &str) -> f64 {
    page.lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

#[test]
fn every_family_has_help_a_type_and_a_name_of_that_type() {
    let metrics = Metrics::new();
    metrics.upstreams.resolve("192.0.2.1:53");
    metrics.banned.set_policy(&[(Arc::from("acme"), Mode::Observe)], &[], &[]);
    metrics.banned.set_lists(&[ListFigures { list: Arc::from("acme/rules.txt"), entries: 1, rejected_lines: 0 }]);
    let page = metrics.render();
    let types: Vec<(&str, &str)> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let names: HashSet<&str> = types.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), types.len(), "each name once");
    for (name, kind) in types {
        assert!(page.contains(&format!("# HELP {name} ")), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        assert!(name.starts_with("embargo_") || name.starts_with("process_"), "{name}");
        assert!(!name.contains("milli") && !name.ends_with("_count") && !name.ends_with("_info_total"), "{name}");
    }
}

#[test]
fn a_series_with_known_labels_is_there_before_it_is_counted() {
    let page = Metrics::new().render();
    let requests = page.lines().filter(|line| line.starts_with("embargo_dns_requests_total{")).count();
    assert_eq!(requests, Transport::ALL.len() * Family::ALL.len() * 20);
    assert!(page.contains(r#"embargo_dns_responses_total{outcome="policy",rcode="NXDOMAIN"} 0"#));
    assert!(page.contains(r#"embargo_dns_dropped_total{reason="client_gone"} 0"#));
    assert!(page.contains(r#"embargo_journal_lost_total{reason="shutdown"} 0"#));
    assert!(page.contains(r#"le="0.00025"} 0"#) && page.contains(r#"le="8.192"} 0"#));
    assert!(page.contains("embargo_build_info{version=\""));
}

#[test]
fn labels_that_join_to_the_same_text_stay_two_series() {
    let metrics = Metrics::new();
    let series = [
        Some((Arc::from("a"), Arc::from("bc"), Evidence::Installed)),
        Some((Arc::from("ab"), Arc::from("c"), Evidence::Installed)),
    ];
    let counters = metrics.banned.set_policy(&[], &series, &[]);
    counters.count(&metrics, None, 0, Did::Nxdomain);
    counters.count(&metrics, None, 0, Did::Nxdomain);
    counters.count(&metrics, None, 1, Did::Nxdomain);
    counters.count(&metrics, None, 2, Did::Nxdomain);
    let page = metrics.render();
    let labels = r#"evidence="installed",action="nxdomain",site="default"}"#;
    assert!(value(&page, &format!("embargo_attempts_total{{ban=\"a\",category=\"bc\",{labels}")).eq(&2.0));
    assert!(value(&page, &format!("embargo_attempts_total{{ban=\"ab\",category=\"c\",{labels}")).eq(&1.0));
    assert!(sum(&page, "embargo_attempts_total").eq(&3.0));
}

#[test]
fn a_hostile_label_value_stays_inside_its_quotes() {
    let metrics = Metrics::new();
    metrics.banned.set_lists(&[ListFigures { list: Arc::from("a\"} 1\nb\\"), entries: 7, rejected_lines: 0 }]);
    assert!(metrics.render().contains("embargo_list_entries{list=\"a\\\"} 1\\nb\\\\\"} 7\n"));
}

#[test]
fn attempts_are_counted_by_list_where_its_ban_is_on() {
    let metrics = Metrics::new();
    let lists = [Some(Arc::from("acme/rules.txt")), None, Some(Arc::from("acme/more.txt"))];
    let counters = metrics.banned.with_lists(AttemptCounters::default(), &lists);
    for list in [0, 0, 1, 2, 3] {
        counters.count_list(&metrics, list);
    }
    let page = metrics.render();
    assert!(value(&page, "embargo_list_hits_total{list=\"acme/rules.txt\"}").eq(&2.0));
    assert!(sum(&page, "embargo_list_hits_total").eq(&3.0));
}

#[test]
fn a_series_of_a_ban_that_is_off_is_not_on_the_page_and_counts_nothing() {
    let metrics = Metrics::new();
    let on = (Arc::from("acme"), Arc::from("update"), Evidence::Installed);
    let counters = metrics.banned.set_policy(&[], &[None, Some(on)], &[]);
    counters.count(&metrics, None, 0, Did::Nxdomain);
    counters.count(&metrics, None, 1, Did::Nxdomain);
    let page = metrics.render();
    assert!(sum(&page, "embargo_attempts_total").eq(&1.0));
    assert_eq!(page.lines().filter(|line| line.starts_with("embargo_attempts_total{")).count(), Did::ALL.len());
}

#[test]
fn gauges_of_a_ban_vanish_with_it_and_its_counters_stay() {
    let metrics = Metrics::new();
    let ban: Arc<str> = Arc::from("acme");
    let series = [Some((Arc::clone(&ban), Arc::from("update"), Evidence::Installed))];
    let figures = ClientFigures { ban: Arc::clone(&ban), evidence: Evidence::Installed, clients: [1, 2, 3] };
    metrics.banned.set_policy(&[(Arc::clone(&ban), Mode::Enforce)], &series, &[]).count(
        &metrics,
        None,
        0,
        Did::Observe,
    );
    metrics.banned.set_clients(vec![figures]);
    let page = metrics.render();
    assert!(page.contains(r#"embargo_policy_enforcement{ban="acme"} 2"#));
    assert!(page.contains(r#"embargo_clients{ban="acme",evidence="installed",window="7d"} 2"#));

    metrics.banned.set_policy(&[], &[], &[]);
    let page = metrics.render();
    assert!(!page.contains("embargo_policy_enforcement{") && !page.contains("embargo_clients{"));
    assert!(sum(&page, "embargo_attempts_total").eq(&1.0));

    metrics.banned.set_policy(&[(ban, Mode::Off)], &series, &[]);
    let page = metrics.render();
    assert!(page.contains(r#"embargo_policy_enforcement{ban="acme"} 0"#));
    assert!(page.contains(r#"embargo_clients{ban="acme",evidence="installed",window="30d"} 3"#));
}

#[test]
fn an_upstream_that_is_gone_is_not_shown_as_healthy() {
    let metrics = Metrics::new();
    let kept = metrics.upstreams.resolve("192.0.2.1:53");
    let gone = metrics.upstreams.resolve("192.0.2.2:53");
    kept.healthy.set(0);
    gone.failed(UpstreamFailure::Timeout).inc();
    metrics.upstreams.retain(&["192.0.2.1:53"]);
    let page = metrics.render();
    assert!(page.contains("embargo_upstream_healthy{upstream=\"192.0.2.1:53\"} 0"));
    assert!(!page.contains("embargo_upstream_healthy{upstream=\"192.0.2.2:53\"}"));
    assert!(page.contains("embargo_upstream_failures_total{upstream=\"192.0.2.2:53\",reason=\"timeout\"} 1"));
}

#[test]
fn a_query_that_nobody_ends_ends_as_client_gone_or_as_a_fault() {
    let metrics = Arc::new(Metrics::new());
    drop(metrics.received(Transport::Tcp, Family::V6, Mono(0)));
    let mut ledger = metrics.received(Transport::Udp, Family::V4, Mono(0));
    ledger.asked(qtype::AAAA);
    let thread = std::thread::spawn(move || {
        let _held = ledger;
        std::panic::resume_unwind(Box::new("a fault"));
    });
    assert!(thread.join().is_err());
    let page = metrics.render();
    assert!(value(&page, r#"embargo_dns_requests_total{proto="tcp",family="2",qtype="none"}"#).eq(&1.0));
    assert!(value(&page, r#"embargo_dns_requests_total{proto="udp",family="1",qtype="AAAA"}"#).eq(&1.0));
    assert!(value(&page, r#"embargo_dns_dropped_total{reason="client_gone"}"#).eq(&1.0));
    assert!(value(&page, r#"embargo_dns_dropped_total{reason="fault"}"#).eq(&1.0));
}

#[test]
fn a_response_counts_its_time_from_when_its_query_was_read() {
    let metrics = Arc::new(Metrics::new());
    metrics.received(Transport::Udp, Family::V4, Mono(100_000)).responded(Outcome::Forwarded, 0, Mono(350_000));
    let page = metrics.render();
    assert!(value(&page, r#"embargo_dns_request_duration_seconds_sum{outcome="forwarded"}"#).eq(&0.25));
    assert!(value(&page, r#"embargo_dns_request_duration_seconds_bucket{outcome="forwarded",le="0.128"}"#).eq(&0.0));
    assert!(value(&page, r#"embargo_dns_request_duration_seconds_bucket{outcome="forwarded",le="0.256"}"#).eq(&1.0));
}

#[test]
fn a_response_is_shown_in_the_same_words_as_by_the_library() {
    let metrics = Arc::new(Metrics::new());
    let upstream = metrics.upstreams.resolve("policy");
    for micros in [0, 1, 249, 250, 251, 40_000, 8_192_000, 8_192_001, 3_600_000_000] {
        metrics.received(Transport::Udp, Family::V4, Mono(7)).responded(Outcome::Policy, 3, Mono(7 + micros));
        upstream.duration.observe(std::time::Duration::from_micros(micros).as_secs_f64());
    }
    let page = metrics.render();
    let ours: Vec<String> = lines(&page, "embargo_dns_request_duration_seconds", "outcome=\"policy\"").collect();
    let theirs = lines(&page, "embargo_upstream_request_duration_seconds", "upstream=\"policy\"");
    let renamed: Vec<String> = theirs.map(|line| line.replace("upstream", "dns").replace("dns=", "outcome=")).collect();
    assert_eq!((ours.len(), &ours), (19, &renamed));
}

/// The lines of a family that hold `label`.
fn lines(page: &str, name: &'static str, label: &'static str) -> impl Iterator<Item = String> {
    page.lines().filter(move |line| line.starts_with(name) && line.contains(label)).map(str::to_owned)
}

/// Counts one query in every way there is.
fn count_one(worker: &Worker, counters: &AttemptCounters) {
    let mut ledger = worker.received(Transport::Udp, Family::V4, Mono(0));
    ledger.asked(qtype::A);
    counters.count(ledger.tally(), None, 0, Did::Nxdomain);
    ledger.tally().cache_request();
    ledger.tally().cache_hit();
    ledger.tally().journal_event();
    ledger.responded(Outcome::Cached, 0, Mono(100));
}

#[test]
fn what_workers_count_is_summed_never_goes_back_and_stays_when_they_end() {
    const FAMILIES: [&str; 5] = ["dns_requests", "dns_responses", "attempts", "cache_hits", "journal_events"];
    let metrics = Arc::new(Metrics::new());
    let series = [Some((Arc::from("acme"), Arc::from("update"), Evidence::Installed))];
    let counters = metrics.banned.set_policy(&[], &series, &[]);
    let counted = |page: &str| FAMILIES.map(|name| sum(page, &format!("embargo_{name}_total")));
    let scraped = AtomicBool::new(false);
    // Workers come, count and go while the page is read.
    let count = || {
        let mut count = 0;
        while !scraped.load(Ordering::Relaxed) || count == 0 {
            let worker = metrics.worker();
            (0..100).for_each(|_| count_one(&worker, &counters));
            // Somebody without a block of its own counts the same.
            metrics.cache_hit();
            count += 100;
        }
        count
    };
    let counts: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(count)).collect();
        let mut before = counted(&metrics.render());
        for _ in 0..50 {
            let now = counted(&metrics.render());
            assert!(before.iter().zip(&now).all(|(before, now)| before <= now), "{before:?} {now:?}");
            before = now;
        }
        scraped.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let (page, all) = (metrics.render(), f64::from(counts));
    assert_eq!(
        counted(&page).map(|sum| sum.to_string()),
        [all, all, all, all * 1.01, all].map(|all| all.round().to_string())
    );
    assert_eq!(metrics.record.events.value(), u64::from(counts));
    let time = value(&page, r#"embargo_dns_request_duration_seconds_sum{outcome="cached"}"#);
    assert!((time - all * 1e-4).abs() < 1e-6, "{time}");
}

#[test]
fn a_worker_that_panics_leaves_what_it_counted() {
    let metrics = Arc::new(Metrics::new());
    let worker = metrics.worker();
    let thread = std::thread::spawn(move || {
        let _held = worker.received(Transport::Udp, Family::V6, Mono(0));
        std::panic::resume_unwind(Box::new("a fault"));
    });
    assert!(thread.join().is_err());
    let page = metrics.render();
    assert!(value(&page, r#"embargo_dns_requests_total{proto="udp",family="2",qtype="none"}"#).eq(&1.0));
    assert!(value(&page, r#"embargo_dns_dropped_total{reason="fault"}"#).eq(&1.0));
}

#[test]
fn an_entry_that_is_kept_counts_once_and_outlives_its_worker() {
    let metrics = Arc::new(Metrics::new());
    let kept = [true, false].map(|asked| {
        let worker = metrics.worker();
        let mut ledger = worker.received(Transport::Udp, Family::V4, Mono(0));
        if asked {
            ledger.asked(qtype::A);
        }
        ledger.keep()
    });
    for mut ledger in kept {
        ledger.asked(qtype::A);
        ledger.responded(Outcome::Forwarded, 0, Mono(1));
    }
    let page = metrics.render();
    assert!(value(&page, r#"embargo_dns_requests_total{proto="udp",family="1",qtype="A"}"#).eq(&2.0));
    assert!(sum(&page, "embargo_dns_requests_total").eq(&2.0) && sum(&page, "embargo_dns_responses_total").eq(&2.0));
    assert!(sum(&page, "embargo_dns_dropped_total").eq(&0.0));
}

/// Has `unique` twice for a type that can be shared or cloned, which is then ambiguous: the test does not compile.
#[test]
fn a_block_has_one_writer() {
    trait Sole<How> {
        fn unique() {}
    }
    struct Shared;
    struct Cloned;
    impl<T: ?Sized> Sole<()> for T {}
    impl<T: ?Sized + Sync> Sole<Shared> for T {}
    impl<T: Clone> Sole<Cloned> for T {}
    <Worker as Sole<_>>::unique();
}

/// What may happen to one message.
#[derive(Clone, Debug)]
enum End {
    Responded(Outcome, u16),
    Dropped(DropReason),
    Forgotten,
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        (proptest::sample::select(Outcome::ALL.to_vec()), any::<u16>())
            .prop_map(|(how, rcode)| End::Responded(how, rcode)),
        proptest::sample::select(DropReason::ALL.to_vec()).prop_map(End::Dropped),
        Just(End::Forgotten),
    ]
}

/// Takes a message through its ledger.
fn carry<M: std::ops::Deref<Target: Tally>>(mut ledger: Ledger<M>, types: &[u16], end: &End) {
    for &qtype in types {
        ledger.asked(qtype);
    }
    match *end {
        End::Responded(outcome, rcode) => ledger.responded(outcome, rcode, Mono(1)),
        End::Dropped(reason) => ledger.dropped(reason),
        End::Forgotten => drop(ledger),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn requests_are_responses_and_dropped(
        messages in proptest::collection::vec(
            (
                proptest::sample::select(Transport::ALL.to_vec()),
                proptest::collection::vec(any::<u16>(), 0..3),
                end(),
                0..4_usize,
            ),
            0..60,
        )
    ) {
        let metrics = Arc::new(Metrics::new());
        let mut workers = vec![metrics.worker(), metrics.worker()];
        for (transport, types, end, who) in &messages {
            match workers.get(*who) {
                Some(worker) if types.len() == 1 => {
                    carry(worker.received(*transport, Family::V4, Mono(0)).keep(), types, end);
                }
                Some(worker) => carry(worker.received(*transport, Family::V4, Mono(0)), types, end),
                None => carry(metrics.received(*transport, Family::V4, Mono(0)), types, end),
            }
            if *who == 3 {
                workers.rotate_left(1);
                workers.pop();
                workers.push(metrics.worker());
            }
        }
        let page = metrics.render();
        let requests = sum(&page, "embargo_dns_requests_total");
        let ends = sum(&page, "embargo_dns_responses_total") + sum(&page, "embargo_dns_dropped_total");
        prop_assert!(requests.eq(&ends));
        prop_assert!(requests.eq(&f64::from(u32::try_from(messages.len()).unwrap())));
    }
}
