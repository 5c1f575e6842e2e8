//! Over TCP: after truncation or by configuration, one connection for all.

use super::*;

#[tokio::test]
async fn truncated_is_asked_again_over_tcp() {
    let script = |seen: &Seen| if seen.tcp { answer(seen) } else { once(reply(seen).with(TC)) };
    let fake = FakeUpstream::scripted(script).await;
    let (upstreams, _) = start(&config(&[fake.address()]));
    let signed = Ask { dnssec_ok: true, checking_disabled: true, ..question("a.example") };

    let got = upstreams.ask(&signed).await.unwrap();

    assert_eq!(address(&got), Some(TRUE));
    let [udp, tcp] = &fake.queries()[..] else { panic!("two queries") };
    assert!(!udp.tcp && tcp.tcp);
    assert_eq!(udp.octets[2..], tcp.octets[2..], "the same query but for its id");
}

#[tokio::test]
async fn more_octets_than_announced_are_asked_again_over_tcp() {
    let text = [&[199], &[b'x'; 199][..]].concat();
    let big = move |seen: &Seen| once((0..40).fold(reply(seen), |built, _| built.answer(16, &text)));
    let fake = FakeUpstream::scripted(big).await;
    let (upstreams, _) = start(&config(&[fake.address()]));

    let got = upstreams.ask(&question("a.example")).await.unwrap();

    assert!(got.message.len() > 8000);
    assert_eq!(fake.queries().iter().filter(|seen| seen.tcp).count(), 1);
}

#[tokio::test]
async fn truncated_over_tcp_too_is_an_error_and_never_an_empty_answer() {
    let fake = FakeUpstream::scripted(|seen| once(reply(seen).with(TC))).await;
    let (upstreams, recorder) = start(&config(&[fake.address()]));
    assert_eq!(upstreams.ask(&question("a.example")).await.unwrap_err(), UpstreamError::Unusable);
    assert_eq!(recorder.count(Event::Failed(0, FailReason::Unusable)), 1);
}

#[tokio::test]
async fn truncated_and_then_silence_over_tcp_is_a_timeout() {
    let script = |seen: &Seen| if seen.tcp { Vec::new() } else { once(reply(seen).with(TC)) };
    let fake = FakeUpstream::scripted(script).await;
    let (upstreams, _) = start(&hasty(&[fake.address()]));
    let error = upstreams.ask(&question("a.example")).await.unwrap_err();
    assert_eq!(error, UpstreamError::Timeout { asked: 1 });
}

#[tokio::test]
async fn another_question_over_tcp_is_not_believed() {
    let fake = FakeUpstream::scripted(|seen| once(reply(seen).question("b.example", A).a(FORGED))).await;
    let (upstreams, recorder) = start(&tcp(&[fake.address()]));
    assert_eq!(upstreams.ask(&question("a.example")).await.unwrap_err(), UpstreamError::Unusable);
    assert_eq!(recorder.count(Event::Failed(0, FailReason::Unusable)), 1);
}

#[tokio::test]
async fn questions_share_one_tcp_connection_and_each_gets_its_own_answer() {
    // Later questions are answered earlier; the last octet of the address is the question's number.
    let script = |seen: &Seen| {
        let number: u8 = seen.qname().trim_start_matches('n').split('.').next().unwrap().parse().unwrap();
        let wait = Act::Wait(ms(u64::from(50 - number)));
        vec![wait, Act::Send(reply(seen).a([192, 0, 2, number]).octets())]
    };
    let fake = FakeUpstream::scripted(script).await;
    let (upstreams, _) = start(&tcp(&[fake.address()]));

    let asks: Vec<_> = (0..50_u8).map(|number| question(&format!("n{number}.example"))).collect();
    let replies = join_all(asks.iter().map(|ask| upstreams.ask(ask))).await;

    for (number, reply) in replies.into_iter().enumerate() {
        assert_eq!(address(&reply.unwrap()), Some([192, 0, 2, u8::try_from(number).unwrap()]));
    }
    let connections: HashSet<_> = fake.queries().iter().map(|seen| seen.from).collect();
    assert_eq!(connections.len(), 1);
}

#[tokio::test]
async fn a_tcp_connection_that_the_upstream_closed_is_replaced() {
    let fake = FakeUpstream::scripted(|seen| [answer(seen), vec![Act::Close]].concat()).await;
    let (upstreams, _) = start(&tcp(&[fake.address()]));
    for number in 0..20 {
        let got = upstreams.ask(&question(&format!("n{number}.example"))).await.unwrap();
        assert_eq!(address(&got), Some(TRUE));
    }
    assert!(fake.queries().iter().map(|seen| seen.from).collect::<HashSet<_>>().len() > 1);
}

#[tokio::test]
async fn a_refused_tcp_connection_is_unreachable() {
    let (upstreams, _) = start(&tcp(&[nobody()]));
    let error = upstreams.ask(&question("a.example")).await.unwrap_err();
    assert_eq!(error, UpstreamError::Unreachable { asked: 1 });
}
