//! What is sent to an upstream, and what of its response reaches the caller.

use super::*;

#[tokio::test]
async fn the_query_carries_the_clients_question_and_nothing_else_of_the_client() {
    let fake = FakeUpstream::start().await;
    let (upstreams, _) = start(&config(&[fake.address()]));
    let signed = Ask { dnssec_ok: true, checking_disabled: true, ..question("a.example") };

    upstreams.ask(&question("a.example")).await.unwrap();
    upstreams.ask(&signed).await.unwrap();

    let [plain, signed] = &fake.queries()[..] else { panic!("two queries") };
    assert_eq!((plain.qname(), plain.qtype(), plain.flags()), ("a.example".to_owned(), A, RD | AD));
    assert_eq!(plain.additional(), b"\0\0\x29\x04\xD0\0\0\0\0\0\0");
    assert!(!plain.dnssec_ok());
    assert_eq!(signed.flags(), RD | AD | CD);
    assert_eq!(signed.additional(), b"\0\0\x29\x04\xD0\0\0\x80\0\0\0");
    assert!(signed.dnssec_ok());
}

#[tokio::test]
async fn the_response_is_handed_on_octet_by_octet() {
    let built = |seen: &Seen| {
        reply(seen).with(AD).cname("b.example").cname("c.example").a(TRUE).soa("example").ede(3, "stale").octets()
    };
    let fake = FakeUpstream::scripted(move |seen| vec![Act::Send(built(seen))]).await;
    let (upstreams, recorder) = start(&config(&[fake.address()]));

    let got = upstreams.ask(&question("a.example")).await.unwrap();

    assert_eq!(got.message, built(&fake.queries()[0]));
    assert_eq!((got.rcode, got.upstream, address(&got)), (rcode::NOERROR, 0, Some(TRUE)));
    assert_eq!(got.extended_errors().collect::<Vec<_>>(), [3]);
    assert_eq!(recorder.count(Event::Answered(0, rcode::NOERROR)), 1);
}

#[tokio::test]
async fn nxdomain_is_an_answer_and_nobody_else_is_asked() {
    let first = FakeUpstream::scripted(|seen| once(reply(seen).nxdomain("example"))).await;
    let second = FakeUpstream::start().await;
    let (upstreams, _) = start(&config(&[first.address(), second.address()]));

    let got = upstreams.ask(&question("a.example")).await.unwrap();

    assert_eq!((got.rcode, got.layout.records.len()), (rcode::NXDOMAIN, 2));
    assert_eq!(second.queries_seen(), 0);
}

#[tokio::test]
async fn every_attempt_has_a_port_and_an_id_of_its_own() {
    let fake = FakeUpstream::start().await;
    let (upstreams, _) = start(&config(&[fake.address()]));
    for number in 0..200 {
        upstreams.ask(&question(&format!("n{number}.example"))).await.unwrap();
    }
    let queries = fake.queries();
    let ports: HashSet<_> = queries.iter().map(|seen| seen.from.port()).collect();
    let ids: HashSet<_> = queries.iter().map(Seen::id).collect();
    // 200 draws from 28,232 ports and 65,536 ids: fewer than 190 different ones has odds below one in a million.
    assert!(ports.len() >= 190, "{} ports", ports.len());
    assert!(ids.len() >= 190, "{} ids", ids.len());
}

#[tokio::test]
async fn a_server_from_before_edns_is_asked_again_without_it() {
    for bare in [true, false] {
        let script = move |seen: &Seen| {
            let refusal = reply(seen).no_edns().rcode(1);
            let refusal = if bare { refusal.no_question() } else { refusal };
            if seen.has_edns() { once(refusal) } else { answer(seen) }
        };
        let fake = FakeUpstream::scripted(script).await;
        let (upstreams, _) = start(&config(&[fake.address()]));

        let got = upstreams.ask(&question("a.example")).await.unwrap();

        assert_eq!((got.rcode, address(&got)), (rcode::NOERROR, Some(TRUE)), "bare: {bare}");
        assert_eq!(fake.queries().iter().map(Seen::has_edns).collect::<Vec<_>>(), [true, false]);
    }
}

#[tokio::test]
async fn dropping_the_upstreams_ends_their_tasks() {
    let (dead, alive) = (FakeUpstream::silent().await, FakeUpstream::start().await);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let (upstreams, _) = start(&config(&[dead.address(), alive.address()]));
    upstreams.ask(&question("a.example")).await.unwrap();
    assert!(tasks() > before, "one probes, one listens for the silent upstream");

    drop(upstreams);

    while tasks() > before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn status_tells_how_each_upstream_is_doing() {
    let fake = FakeUpstream::start().await;
    let (upstreams, _) = start(&config(&[fake.address()]));
    assert_eq!(upstreams.status()[0].srtt_ms, None);
    for number in 0..5 {
        upstreams.ask(&question(&format!("n{number}.example"))).await.unwrap();
    }
    let status = &upstreams.status()[0];
    assert_eq!((status.server.address(), status.queries, status.failures), (Some(fake.address()), 5, 0));
    assert!(status.healthy && status.srtt_ms.is_some_and(|mean| mean > 0.0));
    let flags = fake.queries()[0].flags();
    assert_eq!(flags & (QR | RA), 0);
}
