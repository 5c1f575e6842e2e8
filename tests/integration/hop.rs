//! What ends at this server and no upstream has to do with: EDNS options, cookies, its own name, and the answer to ANY.

use embargo::wire::{CLASS_CH, qtype, rcode};

use crate::harness::{Question, Response, TestServer};
use crate::upstream_fake::{Act, FakeUpstream, TC, reply};

const NSID: u16 = 3;
const SUBNET: u16 = 8;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
/// For local use (RFC 6891 §9): nobody knows it.
const UNKNOWN: u16 = 65_001;
const CLIENT_COOKIE: &[u8] = b"12345678";

/// A record that no rule speaks of, from the upstream; `many` of them in one answer.
async fn upstream(many: u8) -> FakeUpstream {
    FakeUpstream::scripted(move |seen| {
        vec![Act::Send((0..many).fold(reply(seen), |reply, last| reply.a([192, 0, 2, last])).octets())]
    })
    .await
}

/// The whole cookie that a response carries.
fn cookie(response: &Response) -> Vec<u8> {
    let cookie = response.option(COOKIE).expect("a cookie");
    assert_eq!((cookie.len(), &cookie[..8]), (24, CLIENT_COOKIE));
    cookie
}

#[tokio::test]
async fn a_lookup_with_a_good_cookie_is_verified_in_the_record_and_one_with_another_is_not() {
    let upstream = upstream(1).await;
    let server = TestServer::new().ban("v", "geo.example\nseen.example a visit observe\n").upstream(&upstream);
    let server = server.start().await;
    let asked = |name, cookie: &[u8]| Question::new(name, qtype::A).option(COOKIE, cookie);

    let whole = cookie(&server.ask(&asked("geo.example", CLIENT_COOKIE)).await);
    let mut spoilt = whole.clone();
    spoilt[23] ^= 1;
    // Banned, observed and waiting for an upstream, observed and cached.
    for name in ["geo.example", "seen.example", "seen.example"] {
        let response = server.ask(&asked(name, &whole)).await;
        assert_eq!(cookie(&response), whole, "a recent cookie is given again");
    }
    let response = server.ask(&asked("geo.example", &spoilt)).await;
    assert_eq!(response.rcode(), rcode::NXDOMAIN, "as if there were none");
    assert_ne!(cookie(&response), spoilt);

    let rows = server.attempts().await;
    let counts = |verified| -> u64 { rows.iter().filter(|row| row.verified == verified).map(|row| row.count).sum() };
    assert_eq!((counts(true), counts(false)), (3, 2), "{rows:?}");
}

#[tokio::test]
async fn a_malformed_cookie_is_formerr_with_the_question_and_asks_nobody() {
    let upstream = upstream(1).await;
    let server = TestServer::new().upstream(&upstream).start().await;
    for length in [0, 7, 9, 15, 41] {
        let question = Question::new("free.example", qtype::A).option(COOKIE, &vec![7; length]);
        let response = server.ask(&question).await;
        assert_eq!((response.rcode(), response.option(COOKIE)), (rcode::FORMERR, None), "{length}");
        assert_eq!(response.edns_payload(), Some(1232));
    }
    assert_eq!(upstream.queries_seen(), 0);
}

#[tokio::test]
async fn a_cookie_without_a_question_gets_one_and_a_wrong_one_is_told() {
    let server = TestServer::new().start().await;
    let alone = |cookie: &[u8]| {
        let size = u8::try_from(cookie.len()).unwrap();
        [b"\xAB\xCD\x01\0\0\0\0\0\0\0\0\x01\0\0\x29\x04\xD0\0\0\0\0\0", &[size + 4, 0, 10, 0, size][..], cookie]
            .concat()
    };
    let ask = async |cookie: &[u8]| {
        let octets = server.udp(&alone(cookie)).await;
        assert_eq!(octets[..12], [0xAB, 0xCD, 0x81, 0x80 | (octets[3] & 0x0F), 0, 0, 0, 0, 0, 0, 0, 1]);
        let rcode = u16::from(octets[17]) << 4 | u16::from(octets[3] & 0x0F);
        (rcode, octets[27..].to_vec())
    };
    let (code, whole) = ask(CLIENT_COOKIE).await;
    assert_eq!((code, whole.len(), &whole[..8]), (rcode::NOERROR, 24, CLIENT_COOKIE));
    assert_eq!(ask(&whole).await, (rcode::NOERROR, whole.clone()));
    let wrong = [CLIENT_COOKIE, &[1; 16]].concat();
    let (code, fresh) = ask(&wrong).await;
    assert_eq!((code, &fresh), (rcode::BADCOOKIE, &whole));
}

#[tokio::test]
async fn where_cookies_are_required_a_client_that_speaks_them_shows_ours_first() {
    let upstream = upstream(1).await;
    let server = TestServer::new().ban("v", "geo.example").setting("[cookies]\nrequired = true");
    let server = server.upstream(&upstream).start().await;
    let asked = |cookie: &[u8]| Question::new("geo.example", qtype::A).option(COOKIE, cookie);

    let first = server.ask(&asked(CLIENT_COOKIE)).await;
    assert_eq!(first.rcode(), rcode::BADCOOKIE);
    assert_eq!(server.ask(&asked(&cookie(&first))).await.rcode(), rcode::NXDOMAIN);
    assert_eq!(server.ask(&asked(CLIENT_COOKIE).tcp()).await.rcode(), rcode::NXDOMAIN);
    assert_eq!(server.query("geo.example", qtype::A).await.rcode(), rcode::NXDOMAIN, "it speaks no cookies");
    assert_eq!(server.attempts().await.iter().map(|row| row.count).sum::<u64>(), 3);
}

#[tokio::test]
async fn servers_with_one_secret_know_each_others_cookies_and_a_reload_changes_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secrets");
    let write = |lines: &str| std::fs::write(&file, lines).unwrap();
    let (old, new) = ("e5e973e5a6b2a43f48e7dc849e37bfcf\n", "445536bcd2513298075a5d379663c962\n");
    write(old);
    let setting = format!("[cookies]\nsecret_file = \"{}\"\nrequired = true", file.display());
    let start = async || TestServer::new().ban("v", "geo.example").setting(&setting).start().await;
    let (one, other) = (start().await, start().await);
    let asked = |cookie: &[u8]| Question::new("geo.example", qtype::A).option(COOKIE, cookie);

    let learned = cookie(&one.ask(&asked(CLIENT_COOKIE)).await);
    assert_eq!(other.ask(&asked(&learned)).await.rcode(), rcode::NXDOMAIN);

    write(&[new, old].concat());
    other.change_settings(&setting).await;
    let response = other.ask(&asked(&learned)).await;
    assert_eq!(response.rcode(), rcode::NXDOMAIN, "the secret before is known");
    assert_ne!(cookie(&response), learned, "and no more used");

    write(new);
    other.change_settings(&setting).await;
    assert_eq!(other.ask(&asked(&learned)).await.rcode(), rcode::BADCOOKIE);
}

#[tokio::test]
async fn no_option_of_a_client_is_passed_on_or_echoed_and_the_answer_is_cached_for_all() {
    let upstream = upstream(1).await;
    let server = TestServer::new().upstream(&upstream).start().await;
    let question = Question::new("free.example", qtype::A)
        .option(UNKNOWN, b"mac")
        .option(SUBNET, &[0, 1, 24, 0, 192, 0, 2])
        .option(NSID, b"")
        .option(KEEPALIVE, b"")
        .option(PADDING, &[0; 50])
        .option(COOKIE, CLIENT_COOKIE);
    for _miss_then_hit in 0..2 {
        let response = server.ask(&question).await;
        let codes: Vec<u16> = response.options().into_iter().map(|(code, _value)| code).collect();
        assert_eq!((response.answers().len(), codes), (1, vec![COOKIE]));
    }
    assert_eq!(upstream.queries_seen(), 1);
    let sent = upstream.queries()[0].octets.clone();
    assert_eq!(sent[sent.len() - 2..], [0, 0], "an OPT record without options");
}

#[tokio::test]
async fn keepalive_is_told_on_a_connection_only() {
    let upstream = upstream(1).await;
    let server = TestServer::new().setting("[tcp]\nidle = \"7s\"").upstream(&upstream).start().await;
    let question = Question::new("free.example", qtype::A).option(KEEPALIVE, b"");
    assert_eq!(server.ask(&question).await.option(KEEPALIVE), None);
    // Waited for over TCP, then cached.
    let other = Question::new("other.example", qtype::A).option(KEEPALIVE, b"");
    for question in [question, other] {
        assert_eq!(server.ask(&question.tcp()).await.option(KEEPALIVE), Some(vec![0, 70]));
    }
    assert_eq!(server.ask(&Question::new("free.example", qtype::A).edns(1232).tcp()).await.options(), []);
}

#[tokio::test]
async fn the_server_says_who_it_is_only_if_it_is_told_to_and_asks_no_upstream() {
    let upstream = upstream(1).await;
    let about = "[about]\nnsid = \"ns1\"\nid = \"ns1.example\"\nversion = \"9\"";
    let (silent, telling) = (TestServer::new().upstream(&upstream), TestServer::new().upstream(&upstream));
    let (silent, telling) = (silent.start().await, telling.setting(about).start().await);
    let named = Question::new("version.example", qtype::A).option(NSID, b"");
    assert_eq!(telling.ask(&named).await.option(NSID).as_deref(), Some(&b"ns1"[..]));
    assert_eq!(silent.ask(&named).await.option(NSID), None);
    let before = upstream.queries_seen();

    for (name, text) in
        [("version.bind", "9"), ("VERSION.server", "9"), ("id.server", "ns1.example"), ("hostname.bind", "ns1.example")]
    {
        let question = Question::new(name, qtype::TXT).class(CLASS_CH);
        let rows = telling.ask(&question).await.answers();
        let expected = [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        assert_eq!(rows, [(name.to_lowercase(), qtype::TXT, 0, expected)]);
        assert_eq!(silent.ask(&question).await.rcode(), rcode::REFUSED);
    }
    let other = Question::new("authors.bind", qtype::TXT).class(CLASS_CH);
    assert_eq!(telling.ask(&other).await.rcode(), rcode::REFUSED);
    assert_eq!(upstream.queries_seen(), before);

    telling.change_settings("").await;
    assert_eq!(telling.ask(&Question::new("id.server", qtype::TXT).class(CLASS_CH)).await.rcode(), rcode::REFUSED);
}

#[tokio::test]
async fn any_is_small_over_udp_whole_over_tcp_and_never_lifts_a_ban() {
    let upstream = upstream(30).await;
    let server = TestServer::new().ban("v", "geo.example\nseen.example a visit observe\n");
    let server = server.upstream(&upstream).start().await;
    let any = |name| Question::new(name, qtype::ANY);

    assert_eq!(server.ask(&any("geo.example")).await.rcode(), rcode::NXDOMAIN);
    let small = server.ask(&any("free.example")).await;
    assert_eq!(small.answers(), [("free.example".to_owned(), qtype::HINFO, 3600, b"\x07RFC8482\0".to_vec())]);
    let observed = server.ask(&any("seen.example")).await;
    assert_eq!(observed.answers()[0].2, 300, "no longer than any answer of an observed name");
    let signed = server.ask(&any("free.example").dnssec_ok()).await;
    assert_eq!((signed.flags() & TC, signed.answers().len()), (TC, 0));
    let unknown_there = server.ask(&any("free.example").no_recursion()).await;
    assert_eq!(unknown_there.rcode(), rcode::REFUSED);
    assert_eq!(upstream.queries_seen(), 0);

    assert_eq!(server.ask(&any("free.example").tcp()).await.answers().len(), 30);
    let cached = server.ask(&any("free.example").edns(1232)).await;
    assert_eq!((cached.answers().len(), upstream.queries_seen()), (30, 1), "what is known is given");
    assert_eq!(server.attempts().await.len(), 2);
}

#[tokio::test]
async fn any_is_forwarded_where_the_operator_says_so() {
    let upstream = upstream(2).await;
    let server = TestServer::new().setting("any = \"forward\"").upstream(&upstream).start().await;
    assert_eq!(server.query("free.example", qtype::ANY).await.answers().len(), 2);
}
