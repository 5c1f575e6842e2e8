//! Over TLS, HTTP/2 and QUIC: the right answer from the right server, and none from anybody else.

use embargo::tls::{Identity, Trust};

use futures_util::StreamExt;

use super::*;
use crate::upstream_fake::certificates::{Authority, Certificate};
use crate::upstream_fake::encrypted::Secure;

const NAME: &str = "dns.example";
/// Questions one after the other. It has been tried with 65,535, which takes ten seconds.
const QUESTIONS: u16 = 3_000;

fn servers(specs: &[String]) -> Servers {
    let specs: Vec<_> = specs.iter().map(|spec| spec.parse().unwrap()).collect();
    Servers::from_specs(&specs, &[], &[]).unwrap()
}

/// These upstreams, known by what this authority vouches for.
fn believing(authority: &Authority, specs: &[String]) -> Config {
    Config { trust: authority.trust(), ..Config::new(servers(specs)) }
}

/// Asks an upstream that must not be believed, and after it one over UDP that may.
async fn refused(secure: Secure, certificate: &Certificate, known_by: &str, trust: Trust) -> Arc<str> {
    let false_one = FakeUpstream::secure(secure, certificate, |seen| once(reply(seen).a(FORGED))).await;
    let true_one = FakeUpstream::start().await;
    let specs = [secure.spec(false_one.address(), known_by), true_one.address().to_string()];
    let (upstreams, recorder) = start(&Config { trust, ..Config::new(servers(&specs)) });

    let got = upstreams.ask(&question("a.example")).await.unwrap();

    assert_eq!((address(&got), got.upstream), (Some(TRUE), 1), "{secure:?}");
    assert_eq!(false_one.queries_seen(), 0, "{secure:?}");
    recorder.has_seen(Event::Failed(0, FailReason::Tls), 1).await;
    upstreams.status()[0].trouble.clone().unwrap()
}

#[tokio::test]
async fn the_right_answer_comes_over_every_encrypted_transport() {
    let authority = Authority::new();
    for secure in Secure::ALL {
        let fake = FakeUpstream::secure(secure, &authority.issue(&[NAME]), answer).await;
        let spec = secure.spec(fake.address(), NAME);
        let (upstreams, _) = start(&believing(&authority, std::slice::from_ref(&spec)));

        let got = upstreams.ask(&Ask { dnssec_ok: true, ..question("a.example") }).await.unwrap();

        assert_eq!(address(&got), Some(TRUE), "{secure:?}");
        let seen = &fake.queries()[0];
        assert_eq!(seen.octets.len() % 128, 0, "{secure:?} is padded");
        assert!(seen.dnssec_ok() && seen.qname() == "a.example", "{secure:?}");
        assert!(secure == Secure::Tls || seen.id() == 0, "{secure:?}");
        let status = &upstreams.status()[0];
        assert_eq!((status.server.to_string(), status.trouble.as_deref()), (spec, None));
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_and_the_next_upstream_answers() {
    let authority = Authority::new();
    for secure in Secure::ALL {
        let certificate = authority.issue(&["other.example"]);
        let why = refused(secure, &certificate, NAME, authority.trust()).await;
        assert!(why.contains("other.example"), "{secure:?}: {why}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_the_next_upstream_answers() {
    let authority = Authority::new();
    for secure in Secure::ALL {
        let why = refused(secure, &authority.issue_expired(&[NAME]), NAME, authority.trust()).await;
        assert!(why.contains("expired"), "{secure:?}: {why}");
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused_and_the_next_upstream_answers() {
    for secure in Secure::ALL {
        let certificate = Authority::new().issue(&[NAME]);
        let others = refused(secure, &certificate, NAME, Authority::new().trust()).await;
        let shipped = refused(secure, &certificate, NAME, Trust::default()).await;
        assert!(others.contains("no authority") || others.contains("UnknownIssuer"), "{secure:?}: {others}");
        assert_eq!(others, shipped);
    }
}

#[tokio::test]
async fn a_key_that_is_not_pinned_is_refused_and_the_next_upstream_answers() {
    let authority = Authority::new();
    let (certificate, pin) = (authority.issue(&[NAME]), authority.issue(&[NAME]).pin());
    for secure in Secure::ALL {
        // Also when the name is right: both must agree.
        for known_by in [pin.clone(), format!("{NAME},{pin}")] {
            let why = refused(secure, &certificate, &known_by, authority.trust()).await;
            assert!(why.contains(&certificate.pin()), "{secure:?}: {why}");
        }
    }
}

#[tokio::test]
async fn a_pinned_key_is_believed_whoever_has_signed_it_and_any_pin_will_do() {
    let (authority, other) = (Authority::new(), Authority::new().issue(&[NAME]).pin());
    let certificate = authority.issue_expired(&["other.example"]);
    let known_by = format!("{other},{}", certificate.pin());
    for secure in Secure::ALL {
        let fake = FakeUpstream::secure(secure, &certificate, answer).await;
        let (upstreams, _) = start(&Config::new(servers(&[secure.spec(fake.address(), &known_by)])));
        assert_eq!(address(&upstreams.ask(&question("a.example")).await.unwrap()), Some(TRUE), "{secure:?}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_without_one_the_next_upstream_answers() {
    let authority = Authority::new();
    let ours = authority.issue(&["client.example"]);
    let identity = Identity::from_pem(ours.pem.as_bytes(), ours.key.serialize_pem().as_bytes()).unwrap();
    for secure in Secure::ALL {
        let certificate = authority.issue(&[NAME]);
        let fake = FakeUpstream::secure_for(secure, &certificate, Some(&authority), answer).await;
        let specs = [secure.spec(fake.address(), NAME)];
        let trust = authority.trust().showing(identity.clone());
        let (upstreams, _) = start(&Config { trust, ..Config::new(servers(&specs)) });
        assert_eq!(address(&upstreams.ask(&question("a.example")).await.unwrap()), Some(TRUE), "{secure:?}");

        let (upstreams, recorder) = start(&believing(&authority, &specs));
        upstreams.ask(&question("b.example")).await.unwrap_err();
        let failed = |reason| recorder.count(Event::Failed(0, reason));
        assert!(failed(FailReason::Tls) + failed(FailReason::Closed) > 0, "{secure:?}");
        assert_eq!(fake.queries_seen(), 1, "{secure:?}");
    }
}

#[tokio::test]
async fn another_question_is_not_believed_over_an_encrypted_transport_either() {
    let authority = Authority::new();
    for secure in Secure::ALL {
        let lie = |seen: &Seen| once(reply(seen).question("b.example", A).a(FORGED));
        let fake = FakeUpstream::secure(secure, &authority.issue(&[NAME]), lie).await;
        let (upstreams, recorder) = start(&believing(&authority, &[secure.spec(fake.address(), NAME)]));
        assert_eq!(upstreams.ask(&question("a.example")).await.unwrap_err(), UpstreamError::Unusable, "{secure:?}");
        assert_eq!(recorder.count(Event::Failed(0, FailReason::Unusable)), 1, "{secure:?}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_before_its_answer_is_replaced_once_and_then_the_next_upstream_answers() {
    let authority = Authority::new();
    for secure in Secure::ALL {
        let fake = FakeUpstream::secure(secure, &authority.issue(&[NAME]), |_seen| vec![Act::Close]).await;
        let true_one = FakeUpstream::start().await;
        let specs = [secure.spec(fake.address(), NAME), true_one.address().to_string()];
        let (upstreams, recorder) = start(&believing(&authority, &specs));

        assert_eq!(upstreams.ask(&question("a.example")).await.unwrap().upstream, 1, "{secure:?}");

        recorder.has_seen(Event::Failed(0, FailReason::Closed), 1).await;
        assert_eq!((fake.connections(), fake.queries_seen()), (2, 2), "{secure:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_closes_after_each_answer_is_asked_again_without_loss() {
    let authority = Authority::new();
    for secure in Secure::ALL {
        let script = |seen: &Seen| [answer(seen), vec![Act::Close]].concat();
        let fake = FakeUpstream::secure(secure, &authority.issue(&[NAME]), script).await;
        let (upstreams, _) = start(&believing(&authority, &[secure.spec(fake.address(), NAME)]));
        for number in 0..20 {
            let got = upstreams.ask(&question(&format!("n{number}.example"))).await.unwrap();
            assert_eq!(address(&got), Some(TRUE), "{secure:?}");
        }
    }
}

#[tokio::test]
async fn a_handshake_that_stalls_costs_no_more_than_the_hedge() {
    let (stalled, true_one) = (FakeUpstream::stalled().await, FakeUpstream::start().await);
    for secure in [Secure::Tls, Secure::Https] {
        let specs = [secure.spec(stalled.address(), NAME), true_one.address().to_string()];
        let config = Config { connect_timeout: ms(150), servers: servers(&specs), ..hasty(&[true_one.address()]) };
        let (upstreams, recorder) = start(&config);

        assert_eq!(upstreams.ask(&question("a.example")).await.unwrap().upstream, 1, "{secure:?}");

        recorder.has_seen(Event::Failed(0, FailReason::Timeout), 1).await;
    }
}

#[tokio::test]
async fn an_http_error_is_no_answer_and_its_status_is_told() {
    let authority = Authority::new();
    let fake = FakeUpstream::secure(Secure::Https, &authority.issue(&[NAME]), |_seen| vec![Act::Status(403)]).await;
    let (upstreams, _) = start(&believing(&authority, &[Secure::Https.spec(fake.address(), NAME)]));
    assert_eq!(upstreams.ask(&question("a.example")).await.unwrap_err(), UpstreamError::Unusable);
    let trouble = upstreams.status()[0].trouble.clone().unwrap();
    assert!(trouble.contains("403"), "{trouble}");
}

/// Names and answers with a number, the same in both.
fn numbered(number: u16) -> Ask {
    question(&format!("n{number}.example"))
}

fn by_number(seen: &Seen) -> Vec<Act> {
    let number: u16 = seen.qname().trim_start_matches('n').split('.').next().unwrap().parse().unwrap();
    let [high, low] = number.to_be_bytes();
    once(reply(seen).a([192, 0, high, low]))
}

#[track_caller]
fn check_number(response: &Response, number: u16) {
    let [high, low] = number.to_be_bytes();
    assert_eq!(address(response), Some([192, 0, high, low]), "{number}");
}

#[tokio::test]
async fn questions_without_end_over_one_connection_get_each_its_own_answer() {
    // A hundred are open at any time, and answers overtake each other.
    let script = |seen: &Seen| {
        let wait = Act::Wait(Duration::from_micros(u64::from(seen.octets[13] % 7) * 300));
        [vec![wait], by_number(seen)].concat()
    };
    let authority = Authority::new();
    for secure in Secure::ALL {
        let fake = FakeUpstream::secure(secure, &authority.issue(&[NAME]), script).await;
        let (upstreams, _) = start(&believing(&authority, &[secure.spec(fake.address(), NAME)]));
        let asked = futures_util::stream::iter(0..QUESTIONS).map(|number| {
            let upstreams = &upstreams;
            async move { check_number(&upstreams.ask(&numbered(number)).await.unwrap(), number) }
        });
        asked.buffer_unordered(100).count().await;
        assert_eq!((fake.queries_seen(), fake.connections()), (usize::from(QUESTIONS), 1), "{secure:?}");
    }
}

#[tokio::test]
async fn a_thousand_questions_at_the_start_share_a_few_connections_and_each_gets_its_own_answer() {
    let authority = Authority::new();
    for secure in Secure::ALL {
        let fake = FakeUpstream::secure(secure, &authority.issue(&[NAME]), by_number).await;
        let (upstreams, _) = start(&believing(&authority, &[secure.spec(fake.address(), NAME)]));

        let asks: Vec<_> = (0..1000).map(numbered).collect();
        let replies = join_all(asks.iter().map(|ask| upstreams.ask(ask))).await;

        for (number, reply) in (0_u16..).zip(replies) {
            check_number(&reply.unwrap(), number);
        }
        assert!(fake.connections() <= 8, "{secure:?}: {} connections", fake.connections());
    }
}
