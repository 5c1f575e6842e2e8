//! What has to be asked for gets the same octets by the short way of a listener's thread and by the one handler.

use embargo::wire::{qtype, rcode};

use crate::harness::{Question, RunningServer, TestServer};
use crate::upstream_fake::{A, Act, FakeUpstream, Seen, TC, reply};

/// What the upstream says, by the first label.
const KINDS: [&str; 11] =
    ["one", "chain", "led", "seen", "hosted", "none", "never", "failed", "refused", "many", "explained"];
const RULES: &str =
    "geo.example telemetry installed\nseen.example a visit observe\nanswer:198.51.100.0/24 a ambiguous\n";

/// Says the same to the same question, whoever asks.
fn says(seen: &Seen) -> Vec<Act> {
    let answer = reply(seen);
    let name = seen.qname().to_ascii_lowercase();
    let answer = match name.split('.').next().unwrap() {
        "chain" => answer.cname("Two.chain.example").ttl(30).cname("end.example").a([192, 0, 2, 2]),
        "led" => answer.cname("x.GEO.example").a([192, 0, 2, 3]),
        "seen" => answer.cname("x.seen.example").a([192, 0, 2, 3]),
        "hosted" => answer.a([198, 51, 100, 9]),
        "none" => answer.soa("example"),
        "never" => answer.nxdomain("example"),
        "failed" => answer.rcode(rcode::SERVFAIL),
        "refused" => answer.rcode(rcode::REFUSED),
        "many" => (0..90).fold(answer, |answer, last| answer.a([192, 0, 2, last])),
        "explained" => answer.a([192, 0, 2, 4]).ede(22, "upstream says"),
        _ => answer.a([192, 0, 2, 1]),
    };
    vec![Act::Send(answer.octets())]
}

/// Every kind, in ways that the octets of an answer depend on. No name twice: nothing is to come from the cache.
fn questions() -> Vec<Question> {
    let ask = |way: usize, kind: &str| {
        let question = Question::new(&format!("{kind}.Way{way}.example"), A);
        match way {
            0 => question,
            1 => question.edns(512),
            2 => question.edns(4096),
            3 => question.dnssec_ok(),
            4 => question.dnssec_ok().checking_disabled(),
            5 => question.checking_disabled(),
            6 => question.option(65_333, b"nobody knows it"),
            7 => question.option(3, b""),
            8 => question.option(12, &[0; 9]),
            _ => question.class(qtype::ANY),
        }
    };
    (0..10).flat_map(|way| KINDS.map(|kind| ask(way, kind))).collect()
}

async fn server(upstream: &FakeUpstream) -> RunningServer {
    TestServer::new().ban("vendor", RULES).upstream(upstream).start().await
}

#[tokio::test]
async fn a_miss_is_answered_and_counted_over_udp_as_the_one_handler_does_it() {
    let upstream = FakeUpstream::scripted(says).await;
    let (short, whole) = (server(&upstream).await, server(&upstream).await);
    let mut truncated = 0;
    for question in questions() {
        let message = question.octets();
        let (datagram, framed) = (short.udp(&message).await, whole.tcp(&message).await);
        if u16::from_be_bytes([datagram[2], datagram[3]]) & TC != 0 {
            // Where it does not fit, and nowhere else.
            assert!(framed.len() > 512, "{question:?}");
            truncated += 1;
        } else {
            assert_eq!(datagram, framed, "{question:?}");
        }
    }
    assert_eq!(truncated, 10, "`many`, whatever a client takes: it is more than one packet carries");
    // What leads to a banned name or address proves little; what leads to an observed one is told as it is.
    for (evidence, count) in [("ambiguous", 20), ("visit", 10)] {
        for world in [&short, &whole] {
            assert_eq!(world.metric("attempts_total", &[("evidence", evidence)]).await, count, "{evidence}");
        }
    }
    let asked = u64::try_from(questions().len()).unwrap();
    for outcome in ["cached", "local"] {
        assert_eq!(short.metric("dns_responses_total", &[("outcome", outcome)]).await, 0, "{outcome}");
    }
    for world in [&short, &whole] {
        assert_eq!(world.metric("dns_responses_total", &[]).await, asked);
    }
}
