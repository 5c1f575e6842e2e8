//! What is kept of upstream's answers: stale when they are slow or dead, failures for a while, popular names renewed in time.

use std::sync::Arc;
use std::time::Duration;

use embargo::app::control::{Questions, Request};
use embargo::clock::{Clock, Hands};
use embargo::time::{Mono, Now};
use embargo::wire::{qtype, rcode};
use futures_util::future::join_all;

use crate::harness::{Question, Response, RunningServer, TestServer};
use crate::upstream_fake::{Act, FakeUpstream, Seen, reply};

/// Where every test's time begins.
const MORNING: &str = "2026-03-01T08:00:00Z";
/// Longer than any TTL of these tests.
const LATER: Duration = Duration::from_secs(120);
/// TTLs of a minute, and a client that soon takes a stale answer.
const SHORT: &str = "[cache]\nttl_max = \"1m\"\nnegative_ttl_max = \"1m\"\nstale_after = \"50ms\"\n";

fn clock() -> (Clock, Hands) {
    Clock::manual(Now { wall: MORNING.parse().unwrap(), mono: Mono(1_000_000) })
}

fn address(seen: &Seen) -> Vec<Act> {
    vec![Act::Send(reply(seen).a([192, 0, 2, 1]).octets())]
}

/// Asks with EDNS, over TCP: there the time that a client waits passes by itself.
async fn ask(server: &RunningServer, name: &str) -> Response {
    server.ask(&Question::new(name, qtype::A).edns(1232).tcp()).await
}

async fn stale_answers(server: &RunningServer) -> u64 {
    server.metric("dns_responses_total", &[("outcome", "stale")]).await
}

fn asked_for(upstream: &FakeUpstream, name: &str) -> usize {
    upstream.queries().iter().filter(|seen| seen.qname().eq_ignore_ascii_case(name)).count()
}

#[tokio::test]
async fn a_silent_upstream_costs_one_client_the_stale_timer_and_the_others_nothing() {
    let (clock, hands) = clock();
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().clock(&clock).setting(SHORT).upstream(&upstream).start().await;
    ask(&server, "a.example").await;
    hands.advance(LATER);
    upstream.now_does(|_seen| Vec::new());

    let response = ask(&server, "a.example").await;

    assert_eq!((response.rcode(), response.ede_codes(), response.answers()[0].2), (rcode::NOERROR, vec![3], 30));
    // One question has three attempts at most; those who ask now cause none.
    for _client in 0..50 {
        assert_eq!(ask(&server, "A.example").await.ede_codes(), [3]);
    }
    assert!(asked_for(&upstream, "a.example") <= 4);
    assert_eq!(stale_answers(&server).await, 51);

    hands.advance(Duration::from_secs(30));
    upstream.now_does(address);
    let response = ask(&server, "a.example").await;
    assert_eq!((response.ede_codes(), response.answers()[0].2), (vec![], 60), "after its rest it is asked for again");
}

#[tokio::test]
async fn over_udp_a_stale_answer_leaves_when_its_timer_says() {
    let (clock, hands) = clock();
    let upstream = FakeUpstream::start().await;
    let settings = "[cache]\nttl_max = \"1m\"\n";
    let server = Arc::new(TestServer::new().clock(&clock).setting(settings).upstream(&upstream).start().await);
    server.query("a.example", qtype::A).await;
    hands.advance(LATER);
    upstream.now_does(|_seen| Vec::new());

    let asking = Arc::clone(&server);
    let answer = tokio::spawn(async move { asking.ask(&Question::new("a.example", qtype::A).edns(1232)).await });
    upstream.has_seen(2).await;
    assert!(!answer.is_finished(), "it waits, however fast this test is");
    hands.advance(Duration::from_millis(1800));
    assert_eq!(answer.await.unwrap().ede_codes(), [3]);
}

#[tokio::test]
async fn a_slow_answer_takes_the_place_of_the_stale_one_when_it_comes() {
    let (clock, hands) = clock();
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().clock(&clock).setting(SHORT).upstream(&upstream).start().await;
    ask(&server, "a.example").await;
    hands.advance(LATER);
    upstream.now_does(|seen| {
        vec![Act::Wait(Duration::from_millis(300)), Act::Send(reply(seen).a([192, 0, 2, 2]).octets())]
    });

    let mut response = ask(&server, "a.example").await;
    assert_eq!((response.ede_codes(), response.answers()[0].3.clone()), (vec![3], vec![192, 0, 2, 1]));
    while response.ede_codes() == [3] {
        response = ask(&server, "a.example").await;
    }
    assert_eq!((response.ede_codes(), response.answers()[0].3.clone()), (vec![], vec![192, 0, 2, 2]));
}

#[tokio::test]
async fn a_stale_negative_answer_says_so() {
    let (clock, hands) = clock();
    let upstream = FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).nxdomain("example").octets())]).await;
    let server = TestServer::new().clock(&clock).setting(SHORT).upstream(&upstream).start().await;
    ask(&server, "no.example").await;
    hands.advance(LATER);
    upstream.now_does(|seen| vec![Act::Send(reply(seen).rcode(5).octets())]);
    let response = ask(&server, "no.example").await;
    assert_eq!((response.rcode(), response.ede_codes()), (rcode::NXDOMAIN, vec![19]));
}

#[tokio::test]
async fn no_stale_answer_stands_in_for_one_that_is_known_to_be_bogus() {
    // Upstream's word is what is tried here: nothing stale may be given before it comes, however slow this machine is.
    let patient = SHORT.replace("50ms", "1900ms");
    for (code, bridged) in [(6, false), (7, false), (12, false), (5, true), (22, true)] {
        let (clock, hands) = clock();
        let upstream = FakeUpstream::start().await;
        let server = TestServer::new().clock(&clock).setting(&patient).upstream(&upstream).start().await;
        ask(&server, "a.example").await;
        hands.advance(LATER);
        upstream.now_does(move |seen| vec![Act::Send(reply(seen).rcode(2).ede(code, "").octets())]);
        let response = ask(&server, "a.example").await;
        let expected = if bridged { (rcode::NOERROR, vec![3]) } else { (rcode::SERVFAIL, vec![code]) };
        assert_eq!((response.rcode(), response.ede_codes()), expected, "{code}");

        // Nor when nobody can be asked any more.
        upstream.now_does(|_seen| Vec::new());
        hands.advance(Duration::from_secs(600));
        let response = ask(&server, "a.example").await;
        assert_eq!(response.rcode(), if bridged { rcode::NOERROR } else { rcode::SERVFAIL }, "{code}");
        upstream.now_does(address);
        // Until its zone is well again. Upstream, which was silent, may be probed first.
        let mut tries = 0..10;
        let well = async || {
            hands.advance(Duration::from_secs(600));
            ask(&server, "a.example").await.rcode() == rcode::NOERROR
        };
        while !well().await {
            assert!(tries.next().is_some(), "{code}");
        }
    }
}

#[tokio::test]
async fn a_name_that_is_banned_by_now_gets_no_stale_answer() {
    let (clock, hands) = clock();
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("v", "geo.example\n").clock(&clock).setting(SHORT).upstream(&upstream);
    let server = server.start().await;
    ask(&server, "new.example").await;
    hands.advance(LATER);
    upstream.now_does(|_seen| Vec::new());
    assert_eq!(ask(&server, "new.example").await.ede_codes(), [3]);
    let asked = upstream.queries_seen();

    server.change_ban("v", "", "new.example\n").await;
    let response = ask(&server, "new.example").await;

    assert_eq!((response.rcode(), response.ede_codes()), (rcode::NXDOMAIN, vec![15]));
    assert_eq!(server.metric("attempts_total", &[]).await, 1);
    assert!(upstream.queries_seen() <= asked + 2, "no more than what was under way");
}

#[tokio::test]
async fn a_question_that_failed_is_not_asked_again_for_a_while_and_its_reason_stays() {
    let (clock, hands) = clock();
    let upstream = FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).rcode(2).ede(6, "bogus").octets())]).await;
    let server = TestServer::new().clock(&clock).upstream(&upstream).start().await;
    let first = ask(&server, "a.example").await;
    assert_eq!((first.rcode(), first.ede_codes()), (rcode::SERVFAIL, vec![6]));

    for _query in 0..1000 {
        let response = server.ask(&Question::new("a.example", qtype::A).edns(1232)).await;
        assert_eq!((response.rcode(), response.ede()), (rcode::SERVFAIL, Some((6, "bogus".to_owned()))));
        assert_eq!(response.ede_codes(), [6, 13]);
    }
    assert_eq!(asked_for(&upstream, "a.example"), 1);
    assert_eq!(server.metric("cache_failure_hits_total", &[]).await, 1000);
    assert_eq!(server.metric("dns_responses_total", &[("outcome", "cached"), ("rcode", "SERVFAIL")]).await, 1000);

    for (seconds, asked) in [(1, 2), (1, 2), (1, 3), (3, 3), (1, 4)] {
        hands.advance(Duration::from_secs(seconds));
        ask(&server, "a.example").await;
        assert_eq!(asked_for(&upstream, "a.example"), asked, "one second, then two, then four");
    }
}

#[tokio::test]
async fn what_refused_upstreams_come_to_is_kept_too_and_an_answer_ends_it() {
    let (clock, hands) = clock();
    let upstream = FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).rcode(5).octets())]).await;
    let server = TestServer::new().clock(&clock).upstream(&upstream).start().await;
    let codes = |response: Response| (response.rcode(), response.ede_codes());
    assert_eq!(codes(ask(&server, "a.example").await), (rcode::SERVFAIL, vec![23]));
    let asked = asked_for(&upstream, "a.example");
    assert_eq!(codes(ask(&server, "a.example").await), (rcode::SERVFAIL, vec![23, 13]));
    assert_eq!(asked_for(&upstream, "a.example"), asked);

    upstream.now_does(address);
    hands.advance(Duration::from_secs(1));
    assert_eq!(codes(ask(&server, "a.example").await), (rcode::NOERROR, vec![]));
}

#[tokio::test]
async fn a_deadline_is_kept_as_a_failure_only_when_the_exchange_has_failed() {
    let (clock, _hands) = clock();
    let upstream = FakeUpstream::silent().await;
    let settings = "[upstream]\nhedge_after = \"20ms\"\ndeadline = \"100ms\"\nexchange_max = \"1s\"\n";
    let server = TestServer::new().clock(&clock).setting(settings).upstream(&upstream).start().await;
    assert_eq!(ask(&server, "a.example").await.ede_codes(), [22]);
    assert_eq!(server.metric("cache_failures", &[]).await, 0, "the exchange goes on");
    while server.metric("cache_failures", &[]).await == 0 {
        tokio::task::yield_now().await;
    }
    let asked = upstream.queries_seen();
    let question = Question::new("a.example", qtype::A).edns(1232);
    let answers = join_all((0..1000).map(|_client| server.ask(&question))).await;
    assert!(answers.iter().all(|response| response.ede_codes() == [22, 13]));
    assert_eq!(upstream.queries_seen(), asked);
}

#[tokio::test]
async fn a_popular_name_is_asked_for_again_before_it_runs_out_and_nobody_waits() {
    let (clock, hands) = clock();
    let upstream = FakeUpstream::start().await;
    let settings = "[cache]\nttl_max = \"100s\"\nprefetch_hits = 2\n";
    let server = TestServer::new().clock(&clock).setting(settings).upstream(&upstream).start().await;
    for name in ["pop.example", "pop.example", "pop.example", "rare.example"] {
        server.query(name, qtype::A).await;
    }
    hands.advance(Duration::from_secs(95));
    upstream.now_does(|seen| vec![Act::Send(reply(seen).a([192, 0, 2, 2]).octets())]);

    for name in ["pop.example", "rare.example"] {
        let response = server.query(name, qtype::A).await;
        assert_eq!(response.answers()[0].3, [192, 0, 2, 1], "{name} is given as it is kept");
    }

    let mut answers = server.query("pop.example", qtype::A).await.answers();
    while answers[0].3 == [192, 0, 2, 1] {
        answers = server.query("pop.example", qtype::A).await.answers();
    }
    assert_eq!((answers[0].2, answers[0].3.as_slice()), (100, [192, 0, 2, 2].as_slice()));
    assert_eq!((asked_for(&upstream, "pop.example"), asked_for(&upstream, "rare.example")), (2, 1));
    assert_eq!(server.metric("cache_prefetches_total", &[]).await, 1);
}

#[tokio::test]
async fn what_a_rule_speaks_of_is_never_asked_for_without_a_client() {
    let (clock, hands) = clock();
    let upstream = FakeUpstream::scripted(|seen| {
        let answer = if seen.qname() == "alias.example" { reply(seen).cname("seen.example") } else { reply(seen) };
        vec![Act::Send(answer.a([192, 0, 2, 1]).octets())]
    })
    .await;
    let rules = "seen.example web visit observe\nlater.example web visit off\n";
    let settings = "[cache]\nttl_max = \"100s\"\nprefetch_hits = 1\n";
    let server = TestServer::new().ban("v", rules).clock(&clock).setting(settings).upstream(&upstream);
    let server = server.start().await;
    let names = ["seen.example", "alias.example", "later.example", "free.example"];
    for name in [names, names].concat() {
        server.query(name, qtype::A).await;
    }
    hands.advance(Duration::from_secs(95));
    server.change_ban("v", "", "seen.example web visit observe\nlater.example\n").await;

    for name in names {
        server.query(name, qtype::A).await;
    }

    // The one that may be renewed is, and so would the others have been before it.
    upstream.has_seen(5).await;
    assert_eq!(server.metric("cache_prefetches_total", &[]).await, 1);
    assert_eq!(names.map(|name| asked_for(&upstream, name)), [1, 1, 1, 2]);
}

#[tokio::test]
async fn a_least_ttl_holds_and_nothing_is_kept_of_a_bypassed_zone() {
    let (clock, hands) = clock();
    let upstream = FakeUpstream::start().await;
    let settings = "[cache]\nttl_min = \"1d\"\nttl_max = \"2d\"\nbypass = [\"corp.example\"]\n";
    let server = TestServer::new().clock(&clock).setting(settings).upstream(&upstream).start().await;
    let ttls = async || {
        let mut ttls = Vec::new();
        for name in ["a.example", "a.corp.example"] {
            ttls.push(server.query(name, qtype::A).await.answers()[0].2);
        }
        ttls
    };
    assert_eq!(ttls().await, [86_400, 300]);
    hands.advance(Duration::from_secs(80_000));
    assert_eq!(ttls().await, [6_400, 300]);
    assert_eq!(["a.example", "a.corp.example"].map(|name| asked_for(&upstream, name)), [1, 2]);
}

#[tokio::test]
async fn what_is_flushed_is_asked_for_anew_and_the_rest_is_kept() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().upstream(&upstream).start().await;
    let names = ["example", "a.example", "b.a.example", "other.org"];
    let asked = async || {
        for name in names {
            server.query(name, qtype::A).await;
        }
        names.map(|name| asked_for(&upstream, name))
    };
    assert_eq!(asked().await, [1, 1, 1, 1]);
    let meant = Questions { name: Some("A.example".to_owned()), below: true, qtype: None };

    let kept = server.control(Request::CacheShow(meant.clone())).await;
    let rows: Vec<_> = kept["rows"].as_array().unwrap().iter().map(|row| (&row["name"], &row["state"])).collect();
    assert_eq!(rows, [(&"a.example".into(), &"fresh".into()), (&"b.a.example".into(), &"fresh".into())]);

    let flushed = server.control(Request::CacheFlush(meant.clone())).await;
    assert_eq!(flushed, serde_json::json!({"answers": 2, "failures": 0}));
    assert_eq!(asked().await, [1, 2, 2, 1]);
    let all = Questions { name: None, below: false, qtype: None };
    assert_eq!(server.control(Request::CacheFlush(all)).await["answers"], 4);
    assert_eq!(asked().await, [2, 3, 3, 2]);
    assert_eq!(server.metric("cache_flushed_total", &[]).await, 6);
}

#[tokio::test]
async fn an_answer_under_way_when_its_name_is_flushed_is_given_and_not_kept() {
    let upstream = FakeUpstream::silent().await;
    let server = Arc::new(TestServer::new().upstream(&upstream).start().await);
    let asking = Arc::clone(&server);
    let answer = tokio::spawn(async move { asking.query("a.example", qtype::A).await });
    upstream.has_seen(1).await;
    let meant = Questions { name: Some("a.example".to_owned()), below: false, qtype: Some(qtype::A) };
    server.control(Request::CacheFlush(meant.clone())).await;
    upstream.now_does(address);
    // The silent upstream is asked again in its time.
    assert_eq!(answer.await.unwrap().rcode(), rcode::NOERROR);
    let kept = server.control(Request::CacheShow(meant)).await;
    assert_eq!(kept["rows"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn answers_outlive_the_process_and_age_while_none_runs_and_policy_still_stands_before_them() {
    let (clock, hands) = clock();
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().clock(&clock).setting(SHORT).upstream(&upstream).start().await;
    for name in ["a.example", "new.example"] {
        ask(&server, name).await;
    }
    let files = server.stop().await;
    hands.advance(Duration::from_secs(20));
    let dead = FakeUpstream::silent().await;
    let rules = "new.example\n";
    let server = TestServer::after(files).ban("v", rules).clock(&clock).setting(SHORT).upstream(&dead).start().await;
    while server.metric("cache_restored_total", &[]).await < 2 {
        tokio::task::yield_now().await;
    }

    let response = ask(&server, "a.example").await;
    assert_eq!((response.answers()[0].2, response.ede_codes()), (40, vec![]));
    let response = ask(&server, "new.example").await;
    assert_eq!((response.rcode(), response.ede_codes()), (rcode::NXDOMAIN, vec![15]));
    hands.advance(LATER);
    let response = ask(&server, "a.example").await;
    assert_eq!((response.answers()[0].2, response.ede_codes()), (30, vec![3]));
}

#[tokio::test]
async fn a_damaged_file_of_the_cache_is_left_out_and_nothing_is_saved_that_shall_not_be() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().upstream(&upstream).start().await;
    server.query("a.example", qtype::A).await;
    let saved = server.state_dir().join("cache.saved");
    let files = server.stop().await;
    assert!(std::fs::metadata(&saved).unwrap().len() > 64);
    std::fs::write(&saved, "rubbish").unwrap();
    let setting = "[cache]\nsave = false\n";
    let server = TestServer::after(files).setting(setting).upstream(&upstream).start().await;
    server.query("a.example", qtype::A).await;
    let _files = server.stop().await;
    assert_eq!((upstream.queries_seen(), std::fs::read_to_string(&saved).unwrap().as_str()), (2, "rubbish"));
}

#[tokio::test]
async fn what_is_thrown_away_does_not_come_back_with_the_next_process() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().upstream(&upstream).start().await;
    server.query("a.example", qtype::A).await;
    let saved = server.state_dir().join("cache.saved");
    let files = server.stop().await;
    let server = TestServer::after(files).upstream(&upstream).start().await;
    while server.metric("cache_restored_total", &[]).await < 1 {
        tokio::task::yield_now().await;
    }
    let all = Questions { name: None, below: false, qtype: None };
    assert_eq!(server.control(Request::CacheFlush(all)).await["answers"], 1);
    // A process that is killed now, or hands over, leaves nothing of it behind.
    assert!(!saved.exists());
}
