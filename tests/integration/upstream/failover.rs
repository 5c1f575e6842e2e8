//! Several upstreams: who is asked when, who is passed over, and what is said when nobody answers.

use super::*;

#[tokio::test]
async fn a_lost_datagram_is_asked_again_from_another_port() {
    let fake = FakeUpstream::scripted(|seen| if seen.nth == 0 { Vec::new() } else { answer(seen) }).await;
    let (upstreams, _) = start(&hasty(&[fake.address()]));

    let got = upstreams.ask(&question("a.example")).await.unwrap();

    assert_eq!(address(&got), Some(TRUE));
    let [lost, heard] = &fake.queries()[..] else { panic!("two queries") };
    assert_ne!((lost.from, lost.id()), (heard.from, heard.id()));
}

#[tokio::test]
async fn an_answer_after_patience_is_counted_as_late_and_still_used() {
    let fake = FakeUpstream::scripted(|seen| [vec![Act::Wait(ms(350))], answer(seen)].concat()).await;
    let (upstreams, recorder) = start(&Config { exchange_max: Duration::from_secs(10), ..hasty(&[fake.address()]) });

    let got = upstreams.ask(&question("a.example")).await.unwrap();

    assert_eq!(address(&got), Some(TRUE));
    assert!(recorder.count(Event::Failed(0, FailReason::Timeout)) >= 1);
}

#[tokio::test]
async fn a_silent_first_upstream_fails_no_question_and_is_soon_passed_over() {
    let (dead, alive) = (FakeUpstream::silent().await, FakeUpstream::start().await);
    let servers = [dead.address(), alive.address()];
    let (upstreams, recorder) = start(&Config { hedge: ms(150), ..hasty(&servers) });

    for number in 0..3 {
        let got = upstreams.ask(&question(&format!("n{number}.example"))).await.unwrap();
        assert_eq!(got.upstream, 1);
    }
    recorder.has_seen(Event::Health(0, false), 1).await;
    for number in 3..100 {
        let name = format!("n{number}.example");
        assert_eq!(upstreams.ask(&question(&name)).await.unwrap().upstream, 1);
    }

    // After it is known to be dead it gets a query only where the other one took longer than the hedge.
    let saw = |name: &str| dead.queries().iter().any(|seen| seen.qname_wire() == wire(name));
    let still_asked = (3..100).filter(|number| saw(&format!("n{number}.example"))).count();
    assert!(still_asked < 20, "{still_asked}");
    assert!(!upstreams.status()[0].healthy && upstreams.status()[1].healthy);
}

#[tokio::test]
async fn the_next_upstream_is_asked_while_the_first_stays_open() {
    let slow = FakeUpstream::scripted(|seen| [vec![Act::Wait(ms(120))], answer(seen)].concat()).await;
    let silent = FakeUpstream::silent().await;
    let (upstreams, _) = start(&hasty(&[slow.address(), silent.address()]));

    let got = upstreams.ask(&question("a.example")).await.unwrap();

    assert_eq!((got.upstream, address(&got)), (0, Some(TRUE)));
    assert!(silent.queries_seen() >= 1);
}

#[tokio::test]
async fn all_silent_is_a_timeout_and_all_gone_is_unreachable() {
    let (one, two) = (FakeUpstream::silent().await, FakeUpstream::silent().await);
    let (upstreams, _) = start(&hasty(&[one.address(), two.address()]));
    let error = upstreams.ask(&question("a.example")).await.unwrap_err();
    assert_eq!(error, UpstreamError::Timeout { asked: 2 });

    let (upstreams, recorder) = start(&hasty(&[nobody(), nobody()]));
    let error = upstreams.ask(&question("a.example")).await.unwrap_err();
    assert_eq!(error, UpstreamError::Unreachable { asked: 2 });
    assert!(recorder.count(Event::Failed(1, FailReason::Unreachable)) >= 1);
}

#[tokio::test]
async fn an_unreachable_first_upstream_is_passed_over_at_once() {
    let alive = FakeUpstream::start().await;
    // A hedge so long that only the network's own word can be the reason.
    let (upstreams, _) = start(&Config { hedge: Duration::from_secs(60), ..config(&[nobody(), alive.address()]) });
    assert_eq!(upstreams.ask(&question("a.example")).await.unwrap().upstream, 1);
}

#[tokio::test]
async fn a_probe_finds_out_that_an_upstream_is_back() {
    let (first, second) = (FakeUpstream::silent().await, FakeUpstream::start().await);
    let (upstreams, recorder) = start(&hasty(&[first.address(), second.address()]));
    for number in 0..3 {
        upstreams.ask(&question(&format!("n{number}.example"))).await.unwrap();
    }
    recorder.has_seen(Event::Health(0, false), 1).await;

    first.now_does(answer);
    recorder.has_seen(Event::Health(0, true), 2).await;

    assert_eq!(upstreams.ask(&question("a.example")).await.unwrap().upstream, 0);
    assert!(first.queries().iter().any(|seen| seen.qname().is_empty()), "the probe asks for the root");
}

#[tokio::test]
async fn the_only_upstream_is_asked_even_when_it_is_ill() {
    let fake = FakeUpstream::silent().await;
    let (upstreams, recorder) = start(&Config { probe_interval: Duration::from_secs(600), ..hasty(&[fake.address()]) });
    for number in 0..3 {
        upstreams.ask(&question(&format!("n{number}.example"))).await.unwrap_err();
    }
    recorder.has_seen(Event::Health(0, false), 1).await;

    fake.now_does(answer);

    assert_eq!(address(&upstreams.ask(&question("a.example")).await.unwrap()), Some(TRUE));
    assert!(upstreams.status()[0].healthy, "one good answer is enough");
}

#[tokio::test]
async fn an_rcode_that_is_no_answer_asks_the_next_at_once() {
    for code in [1, 2, 4, 5, 9] {
        let first = FakeUpstream::scripted(move |seen| once(reply(seen).rcode(code))).await;
        let second = FakeUpstream::start().await;
        let servers = [first.address(), second.address()];
        let (upstreams, _) = start(&Config { hedge: Duration::from_secs(60), ..config(&servers) });
        let got = upstreams.ask(&question("a.example")).await.unwrap();
        assert_eq!((got.upstream, got.rcode), (1, rcode::NOERROR), "{code}");
    }
}

#[tokio::test]
async fn the_failure_is_returned_when_nobody_answers_and_servfail_says_more_than_refused() {
    let first = FakeUpstream::scripted(|seen| once(reply(seen).rcode(2).ede(22, "nobody there"))).await;
    let second = FakeUpstream::scripted(|seen| once(reply(seen).rcode(5))).await;
    let (upstreams, _) = start(&config(&[first.address(), second.address()]));

    let got = upstreams.ask(&question("a.example")).await.unwrap();

    assert_eq!((got.rcode, got.upstream), (rcode::SERVFAIL, 0));
    assert_eq!(got.extended_errors().collect::<Vec<_>>(), [22]);
    assert_eq!(second.queries_seen(), 1);
}

#[tokio::test]
async fn failed_validation_is_final() {
    let first = FakeUpstream::scripted(|seen| once(reply(seen).rcode(2).ede(6, "bogus"))).await;
    let second = FakeUpstream::start().await;
    let (upstreams, _) = start(&config(&[first.address(), second.address()]));

    let got = upstreams.ask(&question("a.example")).await.unwrap();

    assert_eq!(got.rcode, rcode::SERVFAIL);
    assert_eq!(second.queries_seen(), 0);
}

#[tokio::test]
async fn servfail_ails_an_upstream_only_over_many_names_that_another_answers() {
    let broken = FakeUpstream::scripted(|seen| once(reply(seen).rcode(2))).await;
    let good = FakeUpstream::start().await;
    let (upstreams, _) = start(&config(&[broken.address(), good.address()]));
    for number in 0..7 {
        upstreams.ask(&question(&format!("n{number}.example"))).await.unwrap();
        upstreams.ask(&question("same.example")).await.unwrap();
    }
    assert!(!upstreams.status()[0].healthy, "eight names");

    let (upstreams, _) = start(&config(&[broken.address(), broken.address()]));
    for number in 0..50 {
        upstreams.ask(&question(&format!("n{number}.example"))).await.unwrap();
    }
    assert!(upstreams.status().iter().all(|status| status.healthy), "nobody answers these names");
}

#[tokio::test]
async fn a_slow_first_upstream_is_soon_asked_after_the_others_and_first_again_when_it_is_quick() {
    let slow = FakeUpstream::scripted(|seen| [vec![Act::Wait(ms(150))], answer(seen)].concat()).await;
    let quick = FakeUpstream::start().await;
    let (upstreams, recorder) = start(&hasty(&[slow.address(), quick.address()]));
    for number in 0..8 {
        assert_eq!(upstreams.ask(&question(&format!("n{number}.example"))).await.unwrap().upstream, 1);
    }
    recorder.has_seen(Event::Health(0, false), 1).await;
    assert_eq!(recorder.count(Event::Failed(0, FailReason::Timeout)), 0, "it answers, but late");
    let before = slow.queries_seen();
    for number in 8..30 {
        assert_eq!(upstreams.ask(&question(&format!("n{number}.example"))).await.unwrap().upstream, 1);
    }
    let named = |seen: &&Seen| seen.qname().starts_with('n');
    let asked = slow.queries().iter().skip(before).filter(named).count();
    assert!(asked < 8, "{asked}");

    slow.now_does(answer);
    recorder.has_seen(Event::Health(0, true), 2).await;
    assert_eq!(upstreams.ask(&question("a.example")).await.unwrap().upstream, 0);
}

#[tokio::test]
async fn a_lame_or_refusing_upstream_is_passed_over_after_many_names_and_nxdomain_is_no_fault() {
    let lame = FakeUpstream::scripted(|seen| once(reply(seen).referral("example"))).await;
    let refusing = FakeUpstream::scripted(|seen| once(reply(seen).rcode(5))).await;
    let good = FakeUpstream::start().await;
    let (upstreams, recorder) = start(&config(&[lame.address(), refusing.address(), good.address()]));
    for number in 0..8 {
        let got = upstreams.ask(&question(&format!("n{number}.example"))).await.unwrap();
        assert_eq!((got.upstream, address(&got)), (2, Some(TRUE)));
    }
    assert_eq!([0, 1].map(|index| recorder.count(Event::Health(index, false))), [1, 1]);
    assert_eq!(recorder.count(Event::Failed(0, FailReason::Unusable)), 8);

    let denying = FakeUpstream::scripted(|seen| once(reply(seen).nxdomain("example"))).await;
    let bogus = FakeUpstream::scripted(|seen| once(reply(seen).rcode(2).ede(6, "bogus"))).await;
    for upstream in [denying, bogus] {
        let (upstreams, recorder) = start(&config(&[upstream.address(), good.address()]));
        for number in 0..20 {
            assert_eq!(upstreams.ask(&question(&format!("n{number}.example"))).await.unwrap().upstream, 0);
        }
        assert_eq!(recorder.count(Event::Health(0, false)), 0);
    }
}

#[tokio::test]
async fn a_full_upstream_is_skipped_and_all_full_is_an_error() {
    let (full, other) = (FakeUpstream::silent().await, FakeUpstream::start().await);
    let one = NonZeroUsize::MIN;
    let (upstreams, recorder) = start(&Config { in_flight_max: one, ..config(&[full.address()]) });
    let upstreams = Arc::new(upstreams);
    let holding = Arc::clone(&upstreams);
    let held = tokio::spawn(async move { holding.ask(&question("held.example")).await });
    full.has_seen(1).await;

    assert_eq!(upstreams.ask(&question("a.example")).await.unwrap_err(), UpstreamError::Busy);
    assert_eq!(recorder.count(Event::Failed(0, FailReason::Busy)), 1);
    assert_eq!((upstreams.status()[0].in_flight, upstreams.status()[0].queries), (1, 1));

    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());
    assert_eq!(upstreams.status()[0].in_flight, 0, "a dropped question gives its right back");

    let servers = [full.address(), other.address()];
    let (upstreams, _) = start(&Config { in_flight_max: one, hedge: Duration::from_secs(60), ..config(&servers) });
    let upstreams = Arc::new(upstreams);
    let holding = Arc::clone(&upstreams);
    let held = tokio::spawn(async move { holding.ask(&question("held.example")).await });
    full.has_seen(2).await;
    assert_eq!(upstreams.ask(&question("a.example")).await.unwrap().upstream, 1);
    held.abort();
}

#[tokio::test]
async fn silence_never_holds_more_attempts_open_than_the_limits_allow() {
    let fake = FakeUpstream::silent().await;
    let limits = Config { in_flight_max: NonZeroUsize::new(8).unwrap(), late_max: 4, ..hasty(&[fake.address()]) };
    let (upstreams, recorder) = start(&limits);
    let asks: Vec<_> = (0..100).map(|number| question(&format!("n{number}.example"))).collect();
    let asking = join_all(asks.iter().map(|ask| upstreams.ask(ask)));
    let watching = async {
        recorder.has_seen(Event::Failed(0, FailReason::Timeout), 8).await;
        assert!(upstreams.status()[0].in_flight <= 12, "{}", upstreams.status()[0].in_flight);
    };
    let (replies, ()) = tokio::join!(asking, watching);
    assert!(replies.iter().all(Result::is_err));
    assert_eq!(upstreams.status()[0].in_flight, 0);
}
