//! What is not banned: the answer is Unbound's own, with its flags, records and extended errors.

use super::said::dig;
use super::server::{Server, Setup};
use super::unbound::Unbound;

const QUESTIONS: [[&str; 2]; 16] = [
    ["plain.test", "A"],
    ["plain.test", "AAAA"],
    ["plain.test", "MX"],
    ["plain.test", "TXT"],
    ["plain.test", "HTTPS"],
    ["plain.test", "SOA"],
    ["PLAIN.tEst", "A"],
    ["alias.test", "A"],
    ["none.test", "A"],
    ["cyberkaspersky.com", "A"],
    ["www.signed.test", "A"],
    ["www.signed.test", "MX"],
    ["none.signed.test", "A"],
    ["signed.test", "DNSKEY"],
    ["long.signed.test", "TXT"],
    ["www.bogus.test", "A"],
];

const VARIANTS: [&[&str]; 8] = [
    &["+noadflag"],
    &["+adflag"],
    &["+noadflag", "+dnssec"],
    &["+noadflag", "+cdflag"],
    &["+noadflag", "+dnssec", "+cdflag"],
    &["+adflag", "+cdflag"],
    &["+noadflag", "+noedns"],
    &["+adflag", "+dnssec", "+bufsize=4096"],
];

/// Extended errors but that a failure is remembered for a while (RFC 9520), which is ours to say.
fn passed_on(errors: Vec<&str>) -> Vec<&str> {
    errors.into_iter().filter(|error| !error.starts_with("13 ")).collect()
}

#[test]
fn an_unbanned_name_is_answered_as_unbound_answers_it() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).setting("upstream", "trust_ad = true").start();

    let differences = differences(&server, &unbound, &["+notcp", "+tcp"]);

    let first = differences.first().map_or("", String::as_str);
    assert!(differences.is_empty(), "{} answers differ; the first: {first}", differences.len());
}

/// Where the server answers otherwise than the Unbound that it asks, over these transports of its own.
pub(crate) fn differences(server: &Server, unbound: &Unbound, transports: &[&str]) -> Vec<String> {
    let mut differences = Vec::new();
    for question in QUESTIONS {
        for variant in VARIANTS {
            for &transport in transports {
                let words = [&question, variant, &[transport]].concat();
                let (ours, theirs) = (dig(server.dns, &words), dig(unbound.address, &words));
                let same = ours.status() == theirs.status()
                    && ours.flags() == theirs.flags()
                    && ours.edns_flags() == theirs.edns_flags()
                    && ours.question() == theirs.question()
                    && passed_on(ours.ede()) == theirs.ede()
                    && ["ANSWER", "AUTHORITY", "ADDITIONAL"]
                        .iter()
                        .all(|name| ours.section(name) == theirs.section(name));
                if !same {
                    differences.push(format!("{words:?}\nours:\n{}\nUnbound's:\n{}", ours.text, theirs.text));
                }
            }
        }
    }
    differences
}

#[test]
fn the_peer_shows_what_is_to_be_preserved() {
    // Without these the comparison above would prove nothing.
    let unbound = Unbound::start();
    let secure = dig(unbound.address, &["www.signed.test", "A", "+dnssec"]);
    assert!(secure.flags().contains("ad") && secure.text.contains("RRSIG"), "{}", secure.text);
    let bogus = dig(unbound.address, &["www.bogus.test", "A"]);
    assert_eq!(bogus.status(), "SERVFAIL");
    assert!(bogus.ede()[0].starts_with("6 (DNSSEC Bogus)"), "{}", bogus.text);
    let unchecked = dig(unbound.address, &["www.bogus.test", "A", "+cdflag"]);
    assert_eq!(unchecked.status(), "NOERROR");
    let long = dig(unbound.address, &["long.signed.test", "TXT", "+dnssec", "+notcp", "+ignore"]);
    assert!(long.flags().contains("tc"), "{}", long.text);
}

#[test]
fn a_cached_answer_ages_and_keeps_its_flags() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).setting("upstream", "trust_ad = true").start();
    let ask = || dig(server.dns, &["www.signed.test", "A", "+dnssec"]);
    let fresh = ask();
    let cached = ask();
    assert_eq!(cached.section("ANSWER"), fresh.section("ANSWER"));
    assert!(cached.flags().contains("ad"), "{}", cached.text);
    assert!(cached.ttls("ANSWER").iter().all(|ttl| (3590..=3600).contains(ttl)), "{}", cached.text);
    assert_eq!(server.metrics().sum_of("embargo_dns_responses_total", &[("outcome", "cached")]), 1);
}

#[test]
fn an_answer_too_long_for_a_datagram_is_truncated_and_whole_over_tcp() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();
    let short = dig(server.dns, &["long.signed.test", "TXT", "+dnssec", "+bufsize=1232", "+notcp", "+ignore"]);
    assert!(short.flags().contains("tc"), "{}", short.text);
    let whole = dig(server.dns, &["long.signed.test", "TXT", "+dnssec", "+bufsize=1232"]);
    assert!(!whole.flags().contains("tc"), "{}", whole.text);
    assert!(whole.section("ANSWER").iter().any(|record| record.len() > 2_000), "{}", whole.text);
}
