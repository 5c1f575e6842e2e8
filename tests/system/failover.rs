//! Upstreams that fail.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{A, NOERROR, ask};
use super::process::{SOON, until};
use super::server::{Server, Setup};
use super::unbound::Unbound;

/// Asks for `count` names nobody asked for before, from four clients; returns each one's time in order of asking.
fn ask_many(server: &Server, prefix: &str, count: usize) -> Vec<Duration> {
    let next = AtomicUsize::new(0);
    let client = || {
        let mut times = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return times;
            }
            let start = Instant::now();
            let rcode = ask(server.dns, &format!("{prefix}{number}.many.test"), A);
            assert_eq!(rcode.unwrap_or_else(|error| panic!("{prefix}{number}: {error}")), NOERROR, "{prefix}{number}");
            times.push((number, start.elapsed()));
        }
    };
    let mut times: Vec<(usize, Duration)> = thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    times.sort_unstable();
    times.into_iter().map(|(_, time)| time).collect()
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

#[test]
fn with_a_silent_first_upstream_none_of_1000_queries_fails_and_the_median_stays() {
    let unbound = Unbound::start();
    // It takes every query, and never says a word.
    let silent = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let healthy = Setup::new(&[unbound.address]).start();
    let server = Setup::new(&[silent.local_addr().unwrap(), unbound.address]).start();

    let usual = median(&ask_many(&healthy, "a", 1_000));
    let times = ask_many(&server, "b", 1_000);

    let later = median(&times[500..]);
    let worst = times.iter().max().unwrap();
    assert!(*worst < Duration::from_secs(2), "every answer leaves within 2 s: {worst:?}");
    // Far below the 300 ms after which the next upstream is asked: the silent one is no longer waited for.
    assert!(later < usual * 3 + Duration::from_millis(5), "usual median {usual:?}, later {later:?}");
    let page = server.metrics();
    let name = silent.local_addr().unwrap().to_string();
    assert_eq!(page.sum_of("embargo_upstream_healthy", &[("upstream", &name)]), 0);
    assert_eq!(page.sum_of("embargo_dns_responses_total", &[("rcode", "SERVFAIL")]), 0);
}

#[test]
fn an_upstream_that_comes_back_is_used_again() {
    let mut first = Unbound::start();
    let second = Unbound::start();
    let server = Setup::new(&[first.address, second.address]).start();
    let healthy = |name: &str| server.metrics().sum_of("embargo_upstream_healthy", &[("upstream", name)]);
    let name = first.address.to_string();
    ask_many(&server, "a", 10);
    assert_eq!(healthy(&name), 1);

    first.kill();
    ask_many(&server, "b", 200);
    let mut number = 0;
    until("the dead upstream is seen to be dead", SOON, || {
        number += 1;
        ask_many(&server, &format!("c{number}x"), 4);
        (healthy(&name) == 0).then_some(())
    });

    first.restart();
    until("the upstream is seen to be back", SOON, || (healthy(&name) == 1).then_some(()));
    ask_many(&server, "d", 100);
}

#[test]
fn without_any_upstream_a_query_gets_servfail_with_a_reason_within_two_seconds() {
    let silent = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let server = Setup::new(&[silent.local_addr().unwrap()]).start();
    let start = Instant::now();
    let said = super::said::dig(server.dns, &["plain.test", "A"]);
    assert!(start.elapsed() < Duration::from_millis(2_600), "dig itself takes some time: {:?}", start.elapsed());
    assert_eq!(said.status(), "SERVFAIL", "{}", said.text);
    assert!(said.ede()[0].starts_with("22 (No Reachable Authority)"), "{}", said.text);
}
