//! A banned name: the same answer whatever is asked and however, and the upstream hears nothing of it.

use super::figures::count;
use super::said::{Said, dig, kdig};
use super::server::Setup;
use super::unbound::Unbound;

const TYPES: [&str; 7] = ["A", "AAAA", "HTTPS", "SVCB", "MX", "TXT", "ANY"];
const TRANSPORTS: [&str; 2] = ["+notcp", "+tcp"];
const VARIANTS: [&[&str]; 5] = [&[], &["+dnssec"], &["+cdflag"], &["+dnssec", "+cdflag", "+adflag"], &["+norecurse"]];
const ODD: &str = "dOWNLOADS.uPd.KasperSKY.cOm";

#[track_caller]
fn check(said: &Said, words: &[&str]) {
    let text = &said.text;
    assert_eq!(said.status(), "NXDOMAIN", "{text}");
    assert_eq!(said.question(), format!("{ODD}."), "the question comes back as it was asked: {text}");
    assert!(said.section("ANSWER").is_empty(), "{text}");
    let authority = said.section("AUTHORITY");
    let soa = authority.first().unwrap_or_else(|| panic!("no SOA: {text}"));
    assert!(authority.len() == 1 && soa.to_lowercase().contains("kaspersky.com. in soa"), "{text}");
    assert!(said.ttls("AUTHORITY")[0] <= 30, "caches may keep it for the ban's TTL only: {text}");
    assert_eq!(said.ede().len(), 1, "{text}");
    assert!(said.ede()[0].starts_with("15 (Blocked): (Kaspersky"), "{text}");

    let flags = said.flags();
    let asked = |word: &str| words.contains(&word);
    assert!(flags.contains("ra") && !flags.contains("aa") && !flags.contains("ad"), "{text}");
    assert_eq!(flags.contains("cd"), asked("+cdflag"), "{text}");
    assert_eq!(flags.contains("rd"), !asked("+norecurse"), "{text}");
    assert_eq!(said.edns_flags().contains("do"), asked("+dnssec"), "{text}");
}

#[test]
fn a_banned_name_is_nxdomain_for_every_type_transport_and_flag() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();

    for qtype in TYPES {
        for transport in TRANSPORTS {
            for variant in VARIANTS {
                let words = [&[ODD, qtype, transport], variant].concat();
                check(&dig(server.dns, &words), &words);
            }
        }
    }

    let each = (TRANSPORTS.len() * VARIANTS.len()) as u64;
    let page = server.at_rest();
    assert_eq!(page.sum_of("embargo_dns_responses_total", &[("outcome", "policy")]), each * TYPES.len() as u64);
    assert_eq!(page.sum("embargo_upstream_request_duration_seconds_count"), 0, "the upstream was never asked");
    let attempts = server.json(&["attempts"]);
    for qtype in TYPES {
        let fields = [("qname", "downloads.upd.kaspersky.com"), ("qtype", qtype), ("evidence", "installed")];
        assert_eq!(count(&attempts, &fields), each, "{qtype}: {attempts}");
    }
    assert_eq!(count(&attempts, &[("transport", "tcp")]), each / 2 * TYPES.len() as u64);
}

#[test]
fn kdig_sees_the_same_block() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();
    for transport in ["+notcp", "+tcp"] {
        let text = kdig(server.dns, &["downloads.upd.kaspersky.com", "AAAA", transport, "+edns", "+dnssec"]);
        assert!(text.contains("status: NXDOMAIN"), "{text}");
        assert!(text.contains("EDE: 15 (Blocked): 'Kaspersky"), "{text}");
        assert!(text.contains("SOA"), "{text}");
    }
}

#[test]
fn an_alias_of_a_banned_name_is_blocked_where_it_leads_there_fresh_and_cached() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();
    for round in ["fresh", "cached"] {
        let said = dig(server.dns, &["led.test", "A"]);
        let text = &said.text;
        assert_eq!(said.status(), "NXDOMAIN", "{round}: {text}");
        let alias = "led.test. IN CNAME downloads.upd.kaspersky.com.".to_owned();
        assert_eq!(said.section("ANSWER"), [alias].into(), "{round}: {text}");
        assert!(said.ede()[0].starts_with("15 (Blocked)"), "{round}: {text}");
    }
    server.at_rest();
    let attempts = server.json(&["attempts"]);
    assert_eq!(count(&attempts, &[("qname", "led.test"), ("evidence", "ambiguous")]), 2, "{attempts}");
    assert_eq!(count(&attempts, &[("evidence", "installed")]), 0, "an alias proves no product: {attempts}");
}
