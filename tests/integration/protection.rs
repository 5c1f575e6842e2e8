//! Who may ask, how much an address that proves nothing is sent, and how little of it is of use to who forges addresses.

use embargo::wire::{qtype, rcode};

use crate::harness::{Question, TestServer, sum};
use crate::upstream_fake::{Act, FakeUpstream, TC, reply};

#[tokio::test]
async fn a_client_of_another_network_is_refused_with_the_reason_over_every_transport() {
    let server = TestServer::new().ban("acme", "geo.example\n").setting("allow = [\"192.0.2.0/24\"]").start().await;
    for question in [Question::new("a.geo.example", qtype::A).edns(1232), Question::new("x.test", qtype::A).edns(1232)]
    {
        for question in [question.clone(), question.tcp()] {
            let response = server.ask(&question).await;
            assert_eq!((response.rcode(), response.ede().unwrap().0), (rcode::REFUSED, 18));
        }
    }
    let page = server.metrics().await;
    assert_eq!(
        (sum(&page, "dns_responses_total", &[("outcome", "refused")]), sum(&page, "attempts_total", &[])),
        (4, 0)
    );
}

#[tokio::test]
async fn the_networks_that_the_host_is_in_are_served_by_one_word_and_no_longer_without_it() {
    let server = TestServer::new().ban("acme", "geo.example\n").setting("allow = [\"on-link\"]").start().await;
    assert_eq!(server.query("a.geo.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
    server.change_settings("allow = [\"192.0.2.0/24\"]").await;
    assert_eq!(server.query("a.geo.example", qtype::A).await.rcode(), rcode::REFUSED);
}

#[tokio::test]
async fn a_limited_client_is_sent_to_tcp_and_still_counted_and_recorded() {
    let settings = "[rate_limit]\nresponses_per_second = 1\n";
    let server = TestServer::new().ban("acme", "geo.example\n").setting(settings).start().await;

    let mut truncated = 0;
    for _ in 0..20 {
        let response = server.query("a.geo.example", qtype::A).await;
        truncated += u64::from(response.flags() & TC != 0);
        assert!(response.flags() & TC == 0 || response.octets.len() <= 32, "no larger than the query");
    }
    let over_tcp = server.ask(&Question::new("a.geo.example", qtype::A).tcp()).await;
    assert_eq!((over_tcp.rcode(), over_tcp.flags() & TC), (rcode::NXDOMAIN, 0));

    let page = server.metrics().await;
    assert!(truncated >= 10, "{truncated}");
    assert_eq!(sum(&page, "dns_rate_limited_total", &[]), truncated);
    assert_eq!(sum(&page, "attempts_total", &[("action", "nxdomain")]), 21);
    assert_eq!(sum(&page, "dns_responses_total", &[("outcome", "policy")]), 21);
    assert_eq!(server.attempts().await.iter().map(|row| row.count).sum::<u64>(), 21);
}

#[tokio::test]
async fn a_limited_client_that_waited_for_an_upstream_is_sent_to_tcp_too() {
    let upstream = FakeUpstream::start().await;
    let settings = "[rate_limit]\nresponses_per_second = 1\n";
    let server = TestServer::new().upstream(&upstream).setting(settings).start().await;
    for number in 0..10 {
        server.query(&format!("n{number}.example"), qtype::A).await;
    }
    assert!(server.metric("dns_rate_limited_total", &[]).await >= 5);
    server.change_settings("[rate_limit]\nresponses_per_second = 1\nexempt = [\"127.0.0.1\"]\n").await;
    let before = server.metric("dns_rate_limited_total", &[]).await;
    for number in 10..20 {
        assert_eq!(server.query(&format!("n{number}.example"), qtype::A).await.flags() & TC, 0);
    }
    assert_eq!(server.metric("dns_rate_limited_total", &[]).await, before);
}

#[tokio::test]
async fn options_and_cookies_get_nobody_more_than_the_limit() {
    const COOKIE: &[u8] = &[7; 8];
    let settings = format!("[about]\nnsid = \"{}\"\n[rate_limit]\nresponses_per_second = 1\n", "n".repeat(128));
    let server = TestServer::new().ban("acme", "geo.example\n").setting(&settings).start().await;
    let question = Question::new("a.geo.example", qtype::A).option(3, b"");
    let mut longer = 0;
    for _ in 0..20 {
        let response = server.ask(&question).await;
        longer += usize::from(response.octets.len() > question.octets().len());
    }
    assert!(longer <= 5, "{longer} of 20 were larger than the query");

    // A client has to be given our part of its cookie, or it could never show it.
    let speaks = server.ask(&question.option(10, COOKIE)).await;
    assert!(speaks.flags() & TC != 0 && speaks.option(10).is_some_and(|cookie| cookie.len() == 24));

    let mut bare =
        vec![7, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 41, 4, 0xD0, 0, 0, 0, 0, 0, 16, 0, 3, 0, 0, 0, 10, 0, 8];
    bare.extend(COOKIE);
    let before = server.metric("dns_rate_limited_total", &[]).await;
    let mut longer = 0;
    for _ in 0..20 {
        longer += usize::from(server.udp(&bare).await.len() > bare.len());
    }
    assert!(longer <= 5, "{longer} of 20 were larger than the message");
    assert!(server.metric("dns_rate_limited_total", &[]).await >= before + 15);
}

/// The outcomes of one server, asked for over UDP.
const OUTCOMES: [(&str, u16); 9] = [
    ("forwarded.example", qtype::TXT),
    ("forwarded.example", qtype::TXT),
    ("small.example", qtype::A),
    ("a.geo.example", qtype::A),
    ("a.geo.example", qtype::ANY),
    ("big.own.example", qtype::TXT),
    ("x.y.z.test", qtype::A),
    ("zone.example", qtype::AXFR),
    ("refused.example", qtype::ANY),
];

#[tokio::test]
async fn no_answer_over_udp_is_larger_than_the_client_takes_or_1232_octets_and_ours_are_small() {
    let upstream = FakeUpstream::scripted(|seen| {
        let text = [&[250][..], &[b'x'; 250]].concat();
        let long = (0..4).fold(reply(seen), |reply, _record| reply.answer(qtype::TXT, &text));
        vec![Act::Send(if seen.qtype() == qtype::TXT { long } else { reply(seen).a([192, 0, 2, 1]) }.octets())]
    })
    .await;
    let text = "y".repeat(250);
    let records: Vec<String> = (0..9).map(|number| format!("\"big.own.example TXT {number}{text}\"")).collect();
    let server = TestServer::new()
        .ban("acme", "geo.example\n")
        .upstream(&upstream)
        .setting(&format!("[local]\nrecords = [{}]", records.join(", ")))
        .start()
        .await;

    let mut worst = (0.0, String::new());
    for (name, rtype) in OUTCOMES {
        for payload in [None, Some(0), Some(512), Some(1232), Some(4096), Some(65_535)] {
            let question = Question::new(name, rtype);
            let question = payload.map_or(question.clone(), |payload| question.edns(payload));
            let (query, response) = (question.octets(), server.ask(&question).await.octets);
            let limit = usize::from(payload.unwrap_or(0).clamp(512, 1232));
            assert!(response.len() <= limit, "{name} {rtype} {payload:?}: {}", response.len());
            #[expect(clippy::cast_precision_loss, reason = "a datagram is small")]
            let ratio = response.len() as f64 / query.len() as f64;
            let ours = !matches!(name, "forwarded.example" | "big.own.example");
            assert!(!ours || ratio <= 5.0, "{name} {rtype} {payload:?}: {ratio}");
            if ratio > worst.0 {
                worst = (ratio, format!("{name} {rtype}"));
            }
        }
    }
    assert!(worst.0 <= 1232.0 / 30.0, "{worst:?}");
}
