//! An upstream that lies, and no other: what the client hears of it. Every row of the table of lies, at the whole server.

use futures_util::future::join_all;

use embargo::wire::rcode;

use crate::harness::{Question, Response, TestServer};
use crate::upstream_fake::{A, Act, FakeUpstream, QR, Seen, TC, reply};

const TRUE: [u8; 4] = [192, 0, 2, 1];
const FORGED: [u8; 4] = [203, 0, 113, 66];
const AAAA: u16 = 28;
const TXT: u16 = 16;

/// What the client has to be told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    /// SERVFAIL, and why.
    Failure,
    /// The true address.
    Truth,
    /// No record: a failure, or that there is none.
    Nothing,
}

type Script = fn(&Seen) -> Vec<Act>;

/// The answer with an address, changed octet by octet behind the question.
fn changed(seen: &Seen, change: fn(&mut Vec<u8>, usize)) -> Vec<Act> {
    let (mut octets, end) = (reply(seen).a(FORGED).no_edns().octets(), 12 + seen.question().len());
    change(&mut octets, end);
    vec![Act::Send(octets)]
}

fn sent(built: crate::upstream_fake::Reply) -> Vec<Act> {
    vec![Act::Send(built.octets())]
}

/// One row for each line of the table.
fn rows() -> Vec<(&'static str, Script, Told)> {
    use Told::{Failure, Nothing, Truth};
    vec![
        ("wrong id", |s| vec![Act::Send(reply(s).a(FORGED).id(s.id() ^ 1).octets()); 20], Failure),
        ("wrong question", |s| sent(reply(s).a(FORGED).question("b.example", A)), Failure),
        ("empty question", |s| sent(reply(s).a(FORGED).no_question()), Failure),
        ("wrong source", |s| vec![Act::SendFromElsewhere(reply(s).a(FORGED).octets())], Failure),
        ("truncated, whole over TCP", |s| sent(if s.tcp { reply(s).a(TRUE) } else { reply(s).with(TC) }), Truth),
        ("truncated, silent over TCP", |s| if s.tcp { Vec::new() } else { sent(reply(s).with(TC)) }, Failure),
        ("truncated over TCP too", |s| sent(reply(s).with(TC)), Failure),
        ("random octets", |s| vec![Act::Send([&s.octets[..2], &[0xA5; 198]].concat())], Failure),
        ("four octets", |s| vec![Act::Send(reply(s).octets()[..4].to_vec())], Failure),
        ("no octets", |_| vec![Act::Send(Vec::new())], Failure),
        (
            "a pointer to itself",
            |s| changed(s, |o, end| o[end..end + 2].copy_from_slice(&[0xC0, u8::try_from(end).unwrap()])),
            Failure,
        ),
        ("a count of 65535", |s| changed(s, |o, _| o[6..8].fill(0xFF)), Failure),
        ("a record longer than the message", |s| changed(s, |o, _| o.truncate(o.len() - 2)), Failure),
        (
            "60,000 octets in a datagram",
            |s| sent(if s.tcp { reply(s).a(TRUE) } else { (0..220).fold(reply(s), |r, _| r.answer(TXT, &[254; 255])) }),
            Truth,
        ),
        (
            "slow",
            |s| [vec![Act::Wait(std::time::Duration::from_millis(1_500))], sent(reply(s).a(TRUE))].concat(),
            Truth,
        ),
        ("dead", |_| Vec::new(), Failure),
        ("good, then forged", |s| [sent(reply(s).a(TRUE)), sent(reply(s).a(FORGED))].concat(), Truth),
        ("a query", |s| sent(reply(s).a(FORGED).without(QR)), Failure),
        ("another opcode", |s| sent(reply(s).a(FORGED).opcode(4)), Failure),
        ("an address of another family", |s| sent(reply(s).answer(AAAA, &[0; 16])), Nothing),
        ("another owner", |s| sent(reply(s).at("bank.example").a(FORGED)), Nothing),
        ("an alias of itself", |s| sent(reply(s).cname(&s.qname())), Failure),
        ("FORMERR", |s| sent(reply(s).rcode(1)), Failure),
        ("NOTIMP", |s| sent(reply(s).rcode(4)), Failure),
        ("REFUSED", |s| sent(reply(s).rcode(5)), Failure),
        ("NOTAUTH", |s| sent(reply(s).rcode(9)), Failure),
    ]
}

fn told(response: &Response) -> Told {
    let addresses: Vec<_> = response.answers().into_iter().map(|row| row.3).collect();
    match (response.rcode(), &addresses[..]) {
        (rcode::NOERROR, [address]) if *address == TRUE => Told::Truth,
        (rcode::SERVFAIL, []) if response.ede().is_some() => Told::Failure,
        (rcode::NOERROR | rcode::SERVFAIL, []) => Told::Nothing,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn of_each_lie_that_stands_alone_the_client_hears_in_time_and_of_nothing_forged() {
    let checks = rows().into_iter().map(|(label, script, expected)| async move {
        let upstream = FakeUpstream::scripted(script).await;
        let server = TestServer::new().upstream(&upstream).setting("workers = 1").start().await;
        let heard = told(&server.ask(&Question::new("a.example", A).edns(1232)).await);
        assert!(heard == expected || (expected == Told::Nothing && heard == Told::Failure), "{label}: {heard:?}");
        // What was heard once is not remembered as anything else.
        upstream.now_does(|seen| sent(reply(seen).a(TRUE)));
        assert_eq!(told(&server.ask(&Question::new("b.example", A).edns(1232)).await), Told::Truth, "{label}");
    });
    join_all(checks).await;
}

#[tokio::test]
async fn a_ttl_with_its_top_bit_set_is_none() {
    let upstream = FakeUpstream::scripted(|seen| {
        changed(seen, |octets, end| {
            let address = octets.len() - 4;
            octets[address..].copy_from_slice(&TRUE);
            // TTL, before the length and the four octets of the address.
            assert!(address - 6 > end);
            octets[address - 6..address - 2].fill(0xFF);
        })
    })
    .await;
    let server = TestServer::new().upstream(&upstream).start().await;
    for asked in 1..=2 {
        assert_eq!(server.query("a.example", A).await.answers()[0].2, 0, "RFC 2181 section 8");
        assert_eq!(upstream.queries_seen(), asked, "it is not cached");
    }
}

#[tokio::test]
async fn a_banned_name_is_found_wherever_it_stands_in_a_chain() {
    let upstream = FakeUpstream::scripted(|seen| {
        let depth: usize = seen.qname().trim_start_matches('d').split('.').next().unwrap().parse().unwrap();
        let chain = (0..depth).fold(reply(seen), |reply, nth| reply.cname(&format!("n{nth}.example")));
        sent(chain.cname("x.geo.example").a(FORGED))
    })
    .await;
    let server = TestServer::new().ban("kaspersky", "geo.example").upstream(&upstream).start().await;
    for depth in [0, 1, 5, 10, 40] {
        let response = server.ask(&Question::new(&format!("d{depth}.example"), A).edns(4096).tcp()).await;
        let forged = response.answers().iter().any(|row| row.3 == FORGED);
        assert!(!forged && [rcode::NXDOMAIN, rcode::SERVFAIL].contains(&response.rcode()), "{depth}: {response:?}");
    }
}

#[tokio::test]
async fn none_of_the_types_lifts_a_ban_and_none_reaches_the_upstream() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("kaspersky", "geo.example").upstream(&upstream).start().await;
    for qtype in (1..=65).chain([99, 249, 250, 255, 256, 257, 32_768, 65_280, 65_535]) {
        for question in [Question::new("a.geo.example", qtype), Question::new("A.gEo.example", qtype).tcp()] {
            let response = server.ask(&question).await;
            // OPT, zone transfers and the like are no types of records to ask for.
            let expected = [rcode::NXDOMAIN, rcode::FORMERR, rcode::NOTIMP, rcode::REFUSED];
            assert!(response.answers().is_empty() && expected.contains(&response.rcode()), "{qtype}: {response:?}");
        }
    }
    assert_eq!(upstream.queries_seen(), 0);
}

#[tokio::test]
async fn odd_labels_are_compared_label_by_label() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("kaspersky", "geo.example").upstream(&upstream).start().await;
    let long = format!("{}.geo.example", "x".repeat(63));
    let longest = format!("{0}.{0}.{0}.{1}.geo.example", "y".repeat(59), "z".repeat(58));
    for banned in [
        "\\000.geo.example",
        "_x.geo.example",
        "a\\.b.geo.example",
        "xn--a.geo.example",
        "*.geo.example",
        &long,
        &longest,
    ] {
        assert_eq!(server.query(banned, A).await.rcode(), rcode::NXDOMAIN, "{banned}");
    }
    assert_eq!(upstream.queries_seen(), 0);
    for other in ["a\\.geo.example", "geo\\.example", "geo.example.org", "xgeo.example", "geo\\000.example", "example"]
    {
        assert_eq!(server.query(other, A).await.rcode(), rcode::NOERROR, "{other}");
    }
    assert_eq!(upstream.queries_seen(), 6);
}
