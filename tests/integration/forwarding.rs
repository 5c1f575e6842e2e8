//! Names that nobody banned: faithfully forwarded, cached, and answered in time whatever the upstreams do.

use std::sync::Arc;
use std::time::Duration;

use embargo::wire::{qtype, rcode};
use futures_util::future::join_all;
use tokio::net::TcpStream;

use crate::harness::{Question, TestServer, read_frame, write_frame};
use crate::upstream_fake::{AD, Act, CD, FakeUpstream, TC, reply};

#[tokio::test]
async fn flags_and_extended_errors_pass_as_they_should() {
    let upstream = FakeUpstream::scripted(|seen| {
        vec![Act::Send(reply(seen).a([192, 0, 2, 1]).with(AD).ede(22, "upstream says").octets())]
    })
    .await;
    let server = TestServer::new().upstream(&upstream).setting("[upstream]\ntrust_ad = true\n").start().await;

    let response = server.ask(&Question::new("OK.example", qtype::A).dnssec_ok().checking_disabled()).await;

    assert_eq!(response.flags() & (AD | CD), AD | CD);
    assert_eq!(response.ede(), Some((22, "upstream says".to_owned())));
    assert_eq!(response.edns_payload(), Some(1232));
    let seen = &upstream.queries()[0];
    assert!(seen.dnssec_ok() && seen.flags() & CD != 0, "DO and CD reach the upstream");
    let plain = server.query("ok.example", qtype::A).await;
    assert_eq!((plain.flags() & AD, plain.edns_payload(), plain.ede()), (0, None, None));
}

#[tokio::test]
async fn nobody_is_believed_to_have_validated_unless_the_operator_says_so() {
    let upstream =
        FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).a([192, 0, 2, 1]).with(AD).octets())]).await;
    let server = TestServer::new().upstream(&upstream).start().await;
    for _fresh_then_cached in 0..2 {
        let response = server.ask(&Question::new("ok.example", qtype::A).dnssec_ok()).await;
        assert_eq!((response.rcode(), response.flags() & AD), (rcode::NOERROR, 0));
    }
}

#[tokio::test]
async fn the_case_of_the_question_is_echoed_also_from_the_cache() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().upstream(&upstream).start().await;
    for name in ["CaSe.ExAmPlE", "cAsE.eXaMpLe", "case.example"] {
        let question = Question::new(name, qtype::A);
        let response = server.ask(&question).await;
        assert_eq!(response.question(), &question.octets()[12..]);
        assert_eq!(response.octets[..2], question.octets()[..2]);
    }
    assert_eq!(upstream.queries_seen(), 1);
    assert_eq!(server.metric("dns_responses_total", &[("outcome", "cached")]).await, 2);
}

#[tokio::test]
async fn equal_questions_that_wait_together_are_asked_once() {
    let upstream = FakeUpstream::silent().await;
    let server = Arc::new(TestServer::new().upstream(&upstream).start().await);
    let asking: Vec<_> = (0..50)
        .map(|_number| {
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.query("one.example", qtype::A).await.rcode() })
        })
        .collect();
    upstream.has_seen(1).await;
    upstream.now_does(|seen| vec![Act::Send(reply(seen).a([192, 0, 2, 1]).octets())]);
    // The silent upstream is asked again in its time, and that answer serves everybody.
    let codes = join_all(asking).await;
    assert!(codes.into_iter().all(|code| code.unwrap() == rcode::NOERROR));
    assert!(upstream.queries_seen() <= 3, "{} queries", upstream.queries_seen());
}

#[tokio::test]
async fn a_negative_answer_is_cached_under_its_soa() {
    let upstream = FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).nxdomain("example").octets())]).await;
    let server = TestServer::new().upstream(&upstream).start().await;
    for _twice in 0..2 {
        let response = server.query("no.example", qtype::A).await;
        assert_eq!((response.rcode(), response.soa().is_some()), (rcode::NXDOMAIN, true));
    }
    assert_eq!(upstream.queries_seen(), 1);
}

#[tokio::test]
async fn silence_of_all_upstreams_is_servfail_with_the_reason_within_the_deadline() {
    let upstream = FakeUpstream::silent().await;
    let server = TestServer::new().upstream(&upstream).setting("[upstream]\ndeadline = \"500ms\"\n").start().await;
    let response = server.ask(&Question::new("a.example", qtype::A).edns(1232)).await;
    assert_eq!((response.rcode(), response.ede().map(|ede| ede.0)), (rcode::SERVFAIL, Some(22)));
}

#[tokio::test]
async fn servfail_of_an_upstream_is_passed_on_with_its_reason() {
    let upstream = FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).rcode(2).ede(6, "bogus").octets())]).await;
    let server = TestServer::new().upstream(&upstream).start().await;
    let response = server.ask(&Question::new("bogus.example", qtype::A).edns(1232)).await;
    assert_eq!((response.rcode(), response.ede()), (rcode::SERVFAIL, Some((6, "bogus".to_owned()))));
}

#[tokio::test]
async fn refused_by_an_upstream_is_our_failure_not_the_clients() {
    let upstream = FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).rcode(5).octets())]).await;
    let server = TestServer::new().upstream(&upstream).start().await;
    assert_eq!(server.query("a.example", qtype::A).await.rcode(), rcode::SERVFAIL);
}

#[tokio::test]
async fn a_large_answer_is_truncated_over_udp_and_whole_over_tcp() {
    let upstream = FakeUpstream::scripted(|seen| {
        let full = (0..60_u8).fold(reply(seen), |reply, last| reply.a([192, 0, 2, last]));
        vec![Act::Send(full.octets())]
    })
    .await;
    let server = TestServer::new().upstream(&upstream).start().await;
    let small = server.query("big.example", qtype::A).await;
    assert!(small.octets.len() <= 512 && small.flags() & TC != 0 && small.answers().is_empty());
    let huge = server.ask(&Question::new("big.example", qtype::A).edns(65_535)).await;
    assert!(huge.octets.len() <= 1232, "{} octets", huge.octets.len());
    let whole = server.ask(&Question::new("big.example", qtype::A).tcp()).await;
    assert_eq!((whole.answers().len(), whole.flags() & TC), (60, 0));
}

#[tokio::test]
async fn an_answer_too_large_for_a_datagram_is_fetched_over_tcp() {
    let upstream = FakeUpstream::scripted(|seen| {
        let whole = reply(seen).a([192, 0, 2, 1]);
        vec![Act::Send(if seen.tcp { whole.octets() } else { reply(seen).with(TC).octets() })]
    })
    .await;
    let server = TestServer::new().upstream(&upstream).start().await;
    assert_eq!(server.query("a.example", qtype::A).await.answers().len(), 1);
}

#[tokio::test]
async fn an_unknown_type_and_class_pass_unchanged() {
    let upstream =
        FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).answer(65_280, &[0xC0, 0x0C, 0xFF, 0x00]).octets())])
            .await;
    let server = TestServer::new().upstream(&upstream).start().await;
    let rows = server.query("a.example", 65_280).await.answers();
    assert_eq!((rows[0].1, rows[0].3.as_slice()), (65_280, [0xC0, 0x0C, 0xFF, 0x00].as_slice()));
}

#[tokio::test]
async fn what_is_not_forwarded_is_refused_and_says_why() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().upstream(&upstream).start().await;
    let refused = [
        (Question::new("a.example", qtype::A).edns(1232).no_recursion(), 20),
        (Question::new("a.example", qtype::AXFR).edns(1232), 18),
        (Question::new("version.bind", qtype::TXT).edns(1232).class(3), 18),
    ];
    for (question, code) in refused {
        let response = server.ask(&question).await;
        assert_eq!((response.rcode(), response.ede().map(|ede| ede.0)), (rcode::REFUSED, Some(code)), "{question:?}");
    }
    assert_eq!(upstream.queries_seen(), 0);
}

#[tokio::test]
async fn a_cached_answer_is_given_without_recursion_too() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().upstream(&upstream).start().await;
    server.query("a.example", qtype::A).await;
    let response = server.ask(&Question::new("a.example", qtype::A).no_recursion()).await;
    assert_eq!((response.rcode(), response.answers().len()), (rcode::NOERROR, 1));
}

#[tokio::test]
async fn a_client_outside_the_served_networks_is_refused_and_learns_nothing() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new()
        .ban("v", "geo.example")
        .setting("allow = [\"192.0.2.0/24\"]")
        .upstream(&upstream)
        .start()
        .await;
    for name in ["geo.example", "a.example"] {
        let response = server.ask(&Question::new(name, qtype::A).edns(1232)).await;
        assert_eq!((response.rcode(), response.ede().map(|ede| ede.0)), (rcode::REFUSED, Some(18)));
    }
    assert_eq!((upstream.queries_seen(), server.metric("attempts_total", &[]).await), (0, 0));
}

#[tokio::test]
async fn a_dead_first_upstream_fails_nobody() {
    let (dead, alive) = (FakeUpstream::silent().await, FakeUpstream::start().await);
    let server = Arc::new(TestServer::new().upstream(&dead).upstream(&alive).start().await);
    let asking = (0..100).map(|number| {
        let server = Arc::clone(&server);
        async move { server.query(&format!("n{number}.example"), qtype::A).await.rcode() }
    });
    assert!(join_all(asking).await.into_iter().all(|code| code == rcode::NOERROR));
}

#[tokio::test]
async fn tcp_answers_come_in_the_order_in_which_they_are_ready() {
    let upstream = FakeUpstream::scripted(|seen| {
        let slow = if seen.qname().starts_with("slow") { Duration::from_millis(250) } else { Duration::ZERO };
        vec![Act::Wait(slow), Act::Send(reply(seen).a([192, 0, 2, 1]).octets())]
    })
    .await;
    let server = TestServer::new().ban("v", "geo.example").upstream(&upstream).start().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    for name in ["slow.example", "geo.example", "fast.example"] {
        write_frame(&mut stream, &Question::new(name, qtype::A).octets()).await;
    }
    let mut order = Vec::new();
    for _three in 0..3 {
        order.push(read_frame(&mut stream).await.unwrap()[13]);
    }
    assert_eq!(order, [b'g', b'f', b's']);
}

#[tokio::test]
async fn an_expired_answer_is_given_when_no_upstream_answers() {
    let upstream = FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).a([192, 0, 2, 1]).octets())]).await;
    let settings = "[cache]\nttl_max = \"1s\"\n[upstream]\ndeadline = \"500ms\"\n";
    let server = TestServer::new().upstream(&upstream).setting(settings).start().await;
    server.query("a.example", qtype::A).await;
    upstream.now_does(|_seen| Vec::new());
    // Fresh until its second is over, then stale: the outcome says which, so no test has to sleep.
    let mut response = server.ask(&Question::new("a.example", qtype::A).edns(1232)).await;
    while response.ede().is_none() {
        response = server.ask(&Question::new("a.example", qtype::A).edns(1232)).await;
    }
    assert_eq!((response.ede().map(|ede| ede.0), response.answers()[0].2), (Some(3), 30));
    assert_eq!(server.metric("dns_responses_total", &[("outcome", "stale")]).await, 1);
    let cached = server.metric("dns_responses_total", &[("outcome", "cached")]).await;
    assert_eq!(server.metric("cache_hits_total", &[]).await, cached + 1, "a hit is fresh or stale");
}

#[tokio::test]
async fn a_server_asked_over_udp_and_the_same_over_tcp_are_counted_apart() {
    let setting = "[upstream]\nservers = [\"192.0.2.53\", \"tcp://192.0.2.53\"]";
    let server = TestServer::new().setting(setting).start().await;
    for upstream in ["192.0.2.53:53", "tcp://192.0.2.53:53"] {
        assert_eq!(server.metric("upstream_healthy", &[("upstream", upstream)]).await, 1, "{upstream}");
    }
}
