//! Questions that a serving thread asks by itself, and how they go on when that is not enough.

use embargo::clock::Clock;
use embargo::upstream::{AskRef, Outside, Unsettled, Why};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

/// Silence is soon taken for silence, and borne for long.
fn nervous(upstreams: &[SocketAddr]) -> Config {
    Config { hedge: ms(40), ..config(upstreams) }
}

/// Silence is taken for silence only when it is over.
fn calm(upstreams: &[SocketAddr]) -> Config {
    Config { hedge: ms(1400), ..config(upstreams) }
}

/// A thread with one question, and what it reports of it.
struct Asked {
    first: Result<Response, Unsettled>,
    /// Ends when the question is closed.
    thread: JoinHandle<()>,
}

/// Asks on a thread as a serving thread does.
async fn ask_outside(upstreams: &Arc<Upstreams>, ask: &Ask) -> Asked {
    let (sender, first) = oneshot::channel();
    let (upstreams, ask) = (Arc::clone(upstreams), ask.clone());
    let thread = tokio::task::spawn_blocking(move || listen(&upstreams, &ask, sender));
    Asked { first: first.await.unwrap(), thread }
}

fn listen(upstreams: &Arc<Upstreams>, ask: &Ask, sender: oneshot::Sender<Result<Response, Unsettled>>) {
    let clock = Clock::system();
    let client = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
    let mut outside = Outside::new(client).unwrap();
    let mut report = |sender: oneshot::Sender<_>, end: Result<embargo::upstream::ResponseRef<'_>, Unsettled>| {
        let end = end.map(|response| Response {
            message: response.message.to_vec(),
            layout: response.layout.clone(),
            rcode: response.rcode,
            upstream: response.upstream,
        });
        sender.send(end).unwrap();
    };
    outside.ask(upstreams, AskRef::from(ask), sender, clock.now().mono).map_err(|_sender| "not taken").unwrap();
    outside.flush(clock.now().mono, &mut report);
    while let Some(expiry) = outside.next_expiry() {
        outside.wait(expiry.since(clock.now().mono)).unwrap();
        outside.receive(clock.now().mono, &mut report);
        outside.expire(clock.now().mono, &mut report);
    }
}

/// The response in the end, whoever asked.
async fn ask_both_ways(upstreams: &Arc<Upstreams>, ask: &Ask) -> (Option<Why>, Result<Response, UpstreamError>) {
    match ask_outside(upstreams, ask).await.first {
        Ok(response) => (None, Ok(response)),
        Err(tried) => (Some(tried.why()), upstreams.ask_after(ask, tried).await),
    }
}

fn start_shared(config: &Config) -> (Arc<Upstreams>, Recorder) {
    let (upstreams, recorder) = start(config);
    (Arc::new(upstreams), recorder)
}

#[tokio::test]
async fn an_answer_shows_nothing_of_the_case_it_was_asked_in() {
    let fake = FakeUpstream::start().await;
    let (upstreams, recorder) = start_shared(&calm(&[fake.address()]));
    for number in 0..8 {
        let name = format!("host{number}.department.example");
        let (why, got) = ask_both_ways(&upstreams, &question(&name)).await;
        let got = got.unwrap();
        assert_eq!((why, address(&got)), (None, Some(TRUE)));
        let shown = got.message.windows(wire(&name).len()).filter(|part| part == &wire(&name)).count();
        // The fake writes its owner names in full.
        assert_eq!(shown, 2, "the question and the owner of the record");
    }
    assert!(fake.queries().iter().any(|seen| seen.qname_wire().iter().any(u8::is_ascii_uppercase)));
    assert_eq!(recorder.count(Event::Answered(0, 0)), 8);
    assert_eq!(upstreams.status()[0].queries, 8);
}

#[tokio::test]
async fn silence_goes_on_to_the_other_upstream() {
    let (silent, alive) = (FakeUpstream::silent().await, FakeUpstream::start().await);
    let (upstreams, recorder) = start_shared(&nervous(&[silent.address(), alive.address()]));

    let asked = ask_outside(&upstreams, &question("a.example")).await;
    let tried = asked.first.unwrap_err();
    assert_eq!((tried.why(), tried.upstream()), (Why::Silent, 0));
    let got = upstreams.ask_after(&question("a.example"), tried).await.unwrap();

    assert_eq!((got.upstream, address(&got)), (1, Some(TRUE)));
    assert_eq!(silent.queries_seen(), 1);
    asked.thread.await.unwrap();
    assert_eq!(recorder.count(Event::Failed(0, FailReason::Timeout)), 1);
}

#[tokio::test]
async fn a_slow_answer_is_heard_by_those_who_went_on() {
    let slow = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let silent = FakeUpstream::silent().await;
    let (upstreams, _) = start_shared(&nervous(&[slow.local_addr().unwrap(), silent.address()]));

    let tried = ask_outside(&upstreams, &question("a.example")).await.first.unwrap_err();
    assert_eq!(tried.why(), Why::Silent);
    let mut octets = vec![0; 512];
    let (size, from) = slow.recv_from(&mut octets).await.unwrap();
    octets.truncate(size);
    let seen = Seen { octets, tcp: false, from, nth: 0 };
    slow.send_to(&reply(&seen).a(TRUE).octets(), from).await.unwrap();
    let got = upstreams.ask_after(&question("a.example"), tried).await.unwrap();

    assert_eq!((got.upstream, address(&got)), (0, Some(TRUE)));
}

#[tokio::test]
async fn a_single_silent_upstream_is_asked_again() {
    let fake = FakeUpstream::scripted(|seen| if seen.nth == 0 { Vec::new() } else { answer(seen) }).await;
    let (upstreams, _) = start_shared(&nervous(&[fake.address()]));

    let (why, got) = ask_both_ways(&upstreams, &question("a.example")).await;

    assert_eq!((why, address(&got.unwrap())), (Some(Why::Silent), Some(TRUE)));
    let [first, again] = &fake.queries()[..] else { panic!("two queries") };
    assert_ne!((first.from, first.id()), (again.from, again.id()));
}

#[tokio::test]
async fn a_rejection_is_outvoted_by_the_other_upstream_and_serves_when_there_is_none() {
    let refusing = FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).rcode(5).octets())]).await;
    let alive = FakeUpstream::start().await;
    let (upstreams, _) = start_shared(&calm(&[refusing.address(), alive.address()]));
    let (why, got) = ask_both_ways(&upstreams, &question("a.example")).await;
    assert_eq!((why, got.unwrap().upstream), (Some(Why::Rejected), 1));
    assert_eq!(upstreams.status()[0].failures, 1);

    let (alone, _) = start_shared(&calm(&[refusing.address()]));
    let before = refusing.queries_seen();
    let (_, got) = ask_both_ways(&alone, &question("a.example")).await;
    assert_eq!((got.unwrap().rcode, refusing.queries_seen()), (rcode::REFUSED, before + 1));
}

#[tokio::test]
async fn a_server_from_before_edns_is_asked_without_it() {
    let old = FakeUpstream::scripted(|seen| {
        if seen.has_edns() {
            vec![Act::Send(reply(seen).no_question().no_edns().rcode(1).octets())]
        } else {
            answer(seen)
        }
    })
    .await;
    let (upstreams, _) = start_shared(&calm(&[old.address()]));

    let (why, got) = ask_both_ways(&upstreams, &question("a.example")).await;

    assert_eq!((why, address(&got.unwrap())), (Some(Why::Rejected), Some(TRUE)));
    assert!(old.queries().iter().all(|seen| !seen.tcp));
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_over_tcp_and_counted_as_one_query() {
    let fake =
        FakeUpstream::scripted(
            |seen| {
                if seen.tcp { answer(seen) } else { vec![Act::Send(reply(seen).with(TC).octets())] }
            },
        )
        .await;
    let (upstreams, _) = start_shared(&calm(&[fake.address()]));

    let (why, got) = ask_both_ways(&upstreams, &question("a.example")).await;

    assert_eq!((why, address(&got.unwrap())), (Some(Why::Truncated), Some(TRUE)));
    assert_eq!((fake.queries_seen(), upstreams.status()[0].queries), (2, 1));
}

#[tokio::test]
async fn a_forger_who_guesses_all_but_the_case_is_passed_over_for_tcp() {
    let forger = FakeUpstream::scripted(|seen| {
        if seen.tcp {
            return answer(seen);
        }
        let mut forged = reply(seen).a(FORGED).octets();
        forged[13] ^= 0x20;
        vec![Act::Send(forged)]
    })
    .await;
    let (upstreams, recorder) = start_shared(&calm(&[forger.address()]));

    // A label of so many letters is nearly never all in one case.
    let (why, got) = ask_both_ways(&upstreams, &question(&format!("{}.example", "a".repeat(60)))).await;

    assert_eq!((why, address(&got.unwrap())), (Some(Why::Miscased), Some(TRUE)));
    assert_eq!(recorder.count(Event::Ignored(0, BadPacket::Case)), 1);
}

#[tokio::test]
async fn an_upstream_without_case_and_without_tcp_is_still_answered_from() {
    let fake = FakeUpstream::scripted(|seen| {
        if seen.tcp {
            return vec![Act::Close];
        }
        let mut octets = reply(seen).a(TRUE).octets();
        octets[12..12 + seen.qname_wire().len()].make_ascii_lowercase();
        vec![Act::Send(octets)]
    })
    .await;
    let (upstreams, _) = start_shared(&Config { retry: ms(100), ..calm(&[fake.address()]) });

    let (why, got) = ask_both_ways(&upstreams, &question(&format!("{}.example", "a".repeat(60)))).await;

    assert_eq!((why, address(&got.unwrap())), (Some(Why::Miscased), Some(TRUE)));
}

#[tokio::test]
async fn after_a_reload_a_question_goes_on_with_the_new_upstreams() {
    let (silent, alive) = (FakeUpstream::silent().await, FakeUpstream::start().await);
    let (old, _) = start_shared(&nervous(&[silent.address()]));
    let (new, _) = start_shared(&nervous(&[alive.address()]));

    let tried = ask_outside(&old, &question("a.example")).await.first.unwrap_err();
    let got = new.ask_after(&question("a.example"), tried).await.unwrap();

    assert_eq!((got.upstream, address(&got)), (0, Some(TRUE)));
}
