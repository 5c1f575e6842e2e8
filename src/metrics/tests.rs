//! The page that Prometheus reads, and the ledger in which every query ends once.

use std::collections::HashSet;
use std::sync::Arc;

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
    metrics.banned.set_policy(&[(Arc::from("acme"), Mode::Observe)], &[]);
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
        (Arc::from("a"), Arc::from("bc"), Evidence::Installed),
        (Arc::from("ab"), Arc::from("c"), Evidence::Installed),
    ];
    let counters = metrics.banned.set_policy(&[], &series);
    counters.count(0, Did::Nxdomain);
    counters.count(0, Did::Nxdomain);
    counters.count(1, Did::Nxdomain);
    counters.count(2, Did::Nxdomain);
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
fn gauges_of_a_ban_vanish_with_it_and_its_counters_stay() {
    let metrics = Metrics::new();
    let ban: Arc<str> = Arc::from("acme");
    let series = [(Arc::clone(&ban), Arc::from("update"), Evidence::Installed)];
    let figures = ClientFigures { ban: Arc::clone(&ban), evidence: Evidence::Installed, clients: [1, 2, 3] };
    metrics.banned.set_policy(&[(Arc::clone(&ban), Mode::Enforce)], &series).count(0, Did::Observe);
    metrics.banned.set_clients(vec![figures]);
    let page = metrics.render();
    assert!(page.contains(r#"embargo_policy_enforcement{ban="acme"} 2"#));
    assert!(page.contains(r#"embargo_clients{ban="acme",evidence="installed",window="7d"} 2"#));

    metrics.banned.set_policy(&[], &[]);
    let page = metrics.render();
    assert!(!page.contains("embargo_policy_enforcement{") && !page.contains("embargo_clients{"));
    assert!(sum(&page, "embargo_attempts_total").eq(&1.0));

    metrics.banned.set_policy(&[(ban, Mode::Off)], &series);
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
fn a_query_that_nobody_ends_ends_as_client_gone() {
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
    assert!(value(&page, r#"embargo_dns_dropped_total{reason="client_gone"}"#).eq(&2.0));
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn requests_are_responses_and_dropped(
        messages in proptest::collection::vec(
            (proptest::sample::select(Transport::ALL.to_vec()), proptest::collection::vec(any::<u16>(), 0..3), end()),
            0..60,
        )
    ) {
        let metrics = Arc::new(Metrics::new());
        for (transport, types, end) in &messages {
            let mut ledger = metrics.received(*transport, Family::V4, Mono(0));
            for &qtype in types {
                ledger.asked(qtype);
            }
            match *end {
                End::Responded(outcome, rcode) => ledger.responded(outcome, rcode, Mono(1)),
                End::Dropped(reason) => ledger.dropped(reason),
                End::Forgotten => drop(ledger),
            }
        }
        let page = metrics.render();
        let requests = sum(&page, "embargo_dns_requests_total");
        let ends = sum(&page, "embargo_dns_responses_total") + sum(&page, "embargo_dns_dropped_total");
        prop_assert!(requests.eq(&ends));
        prop_assert!(requests.eq(&f64::from(u32::try_from(messages.len()).unwrap())));
    }
}
