//! Banned names: what a client gets, whatever it asks and however, and what is recorded of it.

use embargo::wire::{qtype, rcode};

use crate::harness::{Question, TestServer};
use crate::upstream_fake::{AD, Act, CD, FakeUpstream, RA, RD, reply};

const TYPES: [u16; 12] = [
    qtype::A,
    qtype::AAAA,
    qtype::HTTPS,
    qtype::SVCB,
    qtype::MX,
    qtype::TXT,
    qtype::ANY,
    qtype::NS,
    qtype::SOA,
    qtype::PTR,
    qtype::AXFR,
    65_280,
];

#[tokio::test]
async fn banned_name_gets_nxdomain_and_upstream_is_never_asked() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("kaspersky", "geo.example").upstream(&upstream).start().await;

    let response = server.ask(&Question::new("a.geo.example", qtype::A).edns(1232)).await;

    assert_eq!(response.rcode(), rcode::NXDOMAIN);
    assert_eq!(response.soa(), Some(("geo.example".to_owned(), 30)));
    assert_eq!(response.ede(), Some((15, "kaspersky is blocked by policy of this network".to_owned())));
    assert_eq!(response.flags() & (RA | RD | AD | 0x0400), RA | RD);
    assert_eq!(upstream.queries_seen(), 0);
    assert_eq!(server.metric("attempts_total", &[("ban", "kaspersky"), ("action", "nxdomain")]).await, 1);
}

#[tokio::test]
async fn no_type_flag_class_transport_or_case_lifts_a_ban() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("kaspersky", "geo.example").upstream(&upstream).start().await;
    let mut asked = 0;
    for qtype in TYPES {
        let plain = Question::new("A.gEo.eXaMpLe", qtype);
        let variants = [
            plain.clone(),
            plain.clone().tcp(),
            plain.clone().dnssec_ok(),
            plain.clone().checking_disabled(),
            plain.clone().no_recursion(),
            plain.clone().class(3),
            plain.clone().class(255),
            plain.clone().dnssec_ok().checking_disabled().tcp(),
        ];
        for question in variants {
            let response = server.ask(&question).await;
            assert_eq!(response.rcode(), rcode::NXDOMAIN, "{question:?}");
            assert!(response.answers().is_empty(), "{question:?}");
            assert_eq!(response.question(), &question.octets()[12..12 + response.question().len()]);
            asked += 1;
        }
    }
    assert_eq!(upstream.queries_seen(), 0);
    assert_eq!(server.metric("attempts_total", &[]).await, asked);
    assert_eq!(server.attempts().await.iter().map(|row| row.count).sum::<u64>(), asked);
}

#[tokio::test]
async fn of_another_class_a_ban_tells_no_record_of_the_internet() {
    let rules = "nx.example\nsink.example a installed sinkhole\nnodata.example a installed nodata\n";
    let declared = "sinkhole = [\"192.0.2.80\"]\n";
    let server = TestServer::new().ban_with("kaspersky", declared, rules).start().await;
    for (name, rcode) in [("nx.example", 3), ("sink.example", 0), ("nodata.example", 0)] {
        let question = Question::new(name, qtype::A);
        let [chaos, internet, any] = [question.clone().class(3), question.clone(), question.class(255)];
        let response = server.ask(&chaos).await;
        assert_eq!((response.rcode(), response.answers().len(), response.authorities().len()), (rcode, 0, 0), "{name}");
        for question in [internet, any] {
            let response = server.ask(&question).await;
            let records = response.answers().len() + response.authorities().len();
            assert_eq!((response.rcode(), records), (rcode, 1), "{question:?}");
        }
    }
}

#[tokio::test]
async fn cd_is_copied_into_a_blocked_answer_and_ad_is_not() {
    let server = TestServer::new().ban("kaspersky", "geo.example").upstream(&FakeUpstream::start().await).start().await;
    let response = server.ask(&Question::new("geo.example", qtype::A).dnssec_ok().checking_disabled()).await;
    assert_eq!(response.flags() & (CD | AD), CD);
}

#[tokio::test]
async fn a_name_that_only_looks_alike_is_forwarded() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("kaspersky", "geo.example").upstream(&upstream).start().await;
    for name in ["mygeo.example", "geo.example.org", r"a\.geo.example", "geo.example.geo2.example"] {
        assert_eq!(server.query(name, qtype::A).await.rcode(), rcode::NOERROR, "{name}");
    }
    assert_eq!(server.metric("attempts_total", &[]).await, 0);
}

#[tokio::test]
async fn an_observed_name_is_answered_recorded_and_its_ttl_is_capped() {
    let upstream = FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).a([192, 0, 2, 1]).octets())]).await;
    let rules = "geo.example\nwww.geo.example web visit\n";
    let server = TestServer::new().ban("kaspersky", rules).upstream(&upstream).start().await;

    let response = server.query("www.geo.example", qtype::A).await;

    assert_eq!((response.rcode(), response.answers().len()), (rcode::NOERROR, 1));
    assert!(response.answers()[0].2 <= 300);
    let rows = server.attempts().await;
    let row = &rows[0];
    assert_eq!((rows.len(), row.count, row.evidence.as_str(), row.action.as_str()), (1, 1, "visit", "observe"));
    assert_eq!(server.clients().await[0].count, 1);
}

#[tokio::test]
async fn an_ancestor_of_an_allowed_name_gets_nodata_so_that_caches_do_not_deny_it() {
    let upstream = FakeUpstream::start().await;
    let rules = "geo.example\n!ok.geo.example\n";
    let server = TestServer::new().ban("kaspersky", rules).upstream(&upstream).start().await;
    let apex = server.query("geo.example", qtype::A).await;
    assert_eq!((apex.rcode(), apex.soa().is_some()), (rcode::NOERROR, true));
    assert_eq!(server.query("other.geo.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
    assert_eq!(server.query("ok.geo.example", qtype::A).await.answers().len(), 1);
    assert_eq!(upstream.queries_seen(), 1);
}

#[tokio::test]
async fn each_action_answers_in_its_own_way() {
    let upstream = FakeUpstream::start().await;
    let sinkhole = "action = \"sinkhole\"\nsinkhole = [\"192.0.2.9\", \"2001:db8::9\"]\n";
    let rules =
        "no.example c ambiguous nodata\nref.example c ambiguous refuse\nsink.example\ngone.example c ambiguous drop\n";
    let server = TestServer::new().ban_with("v", sinkhole, rules).upstream(&upstream).start().await;

    let nodata = server.query("no.example", qtype::A).await;
    assert_eq!((nodata.rcode(), nodata.answers().len(), nodata.soa().is_some()), (rcode::NOERROR, 0, true));
    assert_eq!(server.query("ref.example", qtype::A).await.rcode(), rcode::REFUSED);
    let address = |rows: Vec<crate::harness::Row>| rows.into_iter().map(|row| (row.1, row.3)).collect::<Vec<_>>();
    let v4 = (qtype::A, vec![192, 0, 2, 9]);
    let mut octets = vec![0x20, 0x01, 0x0d, 0xb8];
    octets.extend([0; 11]);
    octets.push(9);
    let v6 = (qtype::AAAA, octets);
    assert_eq!(address(server.query("a.sink.example", qtype::A).await.answers()), std::slice::from_ref(&v4));
    assert_eq!(address(server.query("sink.example", qtype::AAAA).await.answers()), std::slice::from_ref(&v6));
    assert_eq!(address(server.query("sink.example", qtype::ANY).await.answers()), [v4, v6]);
    for qtype in [qtype::HTTPS, qtype::MX, qtype::TXT] {
        let response = server.query("sink.example", qtype).await;
        assert_eq!((response.rcode(), response.answers().len(), response.soa().is_some()), (rcode::NOERROR, 0, true));
    }
    server.udp_silence(&Question::new("gone.example", qtype::A).octets()).await;
    assert_eq!(server.metric("dns_dropped_total", &[("reason", "policy_drop")]).await, 1);
    assert_eq!(upstream.queries_seen(), 0);
}

#[tokio::test]
async fn dropping_on_a_stream_closes_it() {
    let server = TestServer::new()
        .ban_with("v", "action = \"drop\"\n", "gone.example")
        .upstream(&FakeUpstream::start().await)
        .start()
        .await;
    let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    crate::harness::write_frame(&mut stream, &Question::new("gone.example", qtype::A).octets()).await;
    assert_eq!(crate::harness::read_frame(&mut stream).await, None);
}

#[tokio::test]
async fn ds_at_a_banned_name_below_a_public_suffix_is_the_parents_business() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("v", "vendor.com").upstream(&upstream).start().await;
    assert_eq!(server.query("vendor.com", qtype::DS).await.rcode(), rcode::NOERROR);
    assert_eq!(server.query("a.vendor.com", qtype::DS).await.rcode(), rcode::NXDOMAIN);
    assert_eq!((upstream.queries_seen(), server.metric("attempts_total", &[]).await), (1, 1));
}

#[tokio::test]
async fn a_cname_that_leads_to_a_banned_name_is_cut_there_fresh_and_cached() {
    let upstream =
        FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).cname("a.geo.example").a([192, 0, 2, 1]).octets())])
            .await;
    let server = TestServer::new().ban("v", "geo.example update installed").upstream(&upstream).start().await;
    for _fresh_then_cached in 0..2 {
        let response = server.ask(&Question::new("innocent.example", qtype::A).edns(1232)).await;
        assert_eq!(response.rcode(), rcode::NXDOMAIN);
        let links = response.answers();
        assert_eq!((links.len(), links[0].0.as_str(), links[0].1), (1, "innocent.example", qtype::CNAME));
        assert_eq!(response.soa().map(|soa| soa.0), Some("geo.example".to_owned()));
        assert_eq!(response.ede().map(|ede| ede.0), Some(15));
    }
    assert_eq!(upstream.queries_seen(), 1);
    let rows = server.attempts().await;
    assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 2);
    // The client asked for another name, so the lookup proves no installation.
    assert!(
        rows.iter().all(|row| row.evidence.as_str() == "ambiguous" && row.pattern.as_deref() == Some("geo.example"))
    );
    assert_eq!(server.metric("attempts_total", &[("evidence", "ambiguous"), ("category", "update")]).await, 2);
}

#[tokio::test]
async fn an_https_record_that_leads_to_a_banned_name_is_withheld() {
    let upstream = FakeUpstream::scripted(|seen| {
        let mut rdata = vec![0, 0];
        rdata.extend(crate::upstream_fake::wire("a.geo.example"));
        vec![Act::Send(reply(seen).answer(qtype::HTTPS, &rdata).octets())]
    })
    .await;
    let server = TestServer::new().ban("v", "geo.example").upstream(&upstream).start().await;
    let response = server.query("innocent.example", qtype::HTTPS).await;
    assert_eq!((response.rcode(), response.answers().len(), response.soa().is_some()), (rcode::NOERROR, 0, true));
    assert_eq!(server.metric("attempts_total", &[]).await, 1);
}

#[tokio::test]
async fn a_hostile_name_is_inert_in_record_and_metrics() {
    let server = TestServer::new().ban("v", "geo.example").upstream(&FakeUpstream::start().await).start().await;
    let mut message = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(b"\x10xn--a\n\x1b[31m<b>\"'");
    message.extend_from_slice(b"\x03geo\x07example\0\0\x01\0\x01");
    message[12] = u8::try_from(b"xn--a\n\x1b[31m<b>\"'".len()).unwrap();
    assert_eq!(server.udp(&message).await[3] & 15, 3);
    let name = server.attempts().await[0].qname.clone().unwrap();
    assert_eq!(name, r"xn--a\010\027\09131m\060b\062\034\039.geo.example");
    assert!(!server.metrics().await.contains("xn--a"));
}
