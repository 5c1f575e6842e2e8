//! Upstreams by host name: who is asked for it, when it is asked again, and what is kept meanwhile.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::upstream_fake::certificates::Authority;
use crate::upstream_fake::encrypted::Secure;

const NAME: &str = "dns.example";
const HERE: [u8; 4] = [127, 0, 0, 1];
/// Of this host too, but nobody listens there.
const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

/// An upstream and the authority that vouches for it.
async fn upstream(secure: Secure) -> (FakeUpstream, Authority) {
    let authority = Authority::new();
    (FakeUpstream::secure(secure, &authority.issue(&[NAME]), answer).await, authority)
}

/// A bootstrap server whose answers for A are these addresses, one answer after the other, the last one for ever.
async fn bootstrap(ttl: u32, answers: &'static [&'static [[u8; 4]]]) -> FakeUpstream {
    let asked = AtomicUsize::new(0);
    FakeUpstream::scripted(move |seen| {
        assert_eq!(seen.qname(), NAME);
        let built = reply(seen).ttl(ttl);
        if seen.qtype() != A {
            return once(built.soa("example"));
        }
        let nth = asked.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
        once(answers[nth].iter().fold(built, |built, address| built.a(*address)))
    })
    .await
}

/// An upstream by name at this port.
fn named(secure: Secure, port: u16, bootstrap: &FakeUpstream, authority: &Authority) -> Config {
    let spec = match secure {
        Secure::Tls => format!("tls://{NAME}:{port}"),
        Secure::Https => format!("https://{NAME}:{port}/dns-query"),
        Secure::Quic => format!("quic://{NAME}:{port}"),
    };
    let servers = Servers::from_specs(&[spec.parse().unwrap()], &[], &[]).unwrap();
    let bootstrap = Servers::new(vec![Server::plain(bootstrap.address())]).unwrap();
    Config {
        trust: authority.trust(),
        bootstrap: Some(bootstrap),
        names_apart: ms(50),
        connect_pause: ms(20),
        ..Config::new(servers)
    }
}

/// Asks until there is an answer.
async fn persistently(upstreams: &Upstreams, name: &str) -> Response {
    loop {
        if let Ok(response) = upstreams.ask(&question(name)).await {
            return response;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_name_is_resolved_by_the_bootstrap_server_and_by_nobody_else() {
    for secure in Secure::ALL {
        let (fake, authority) = upstream(secure).await;
        let bootstrap = bootstrap(300, &[&[HERE]]).await;
        let (upstreams, _) = start(&named(secure, fake.address().port(), &bootstrap, &authority));

        assert_eq!(address(&upstreams.ask(&question("a.example")).await.unwrap()), Some(TRUE), "{secure:?}");

        assert_eq!(bootstrap.queries_seen(), 2, "{secure:?}: one for IPv6 and one for IPv4");
        let shown = upstreams.status()[0].server.to_string();
        assert!(shown.starts_with(&format!("{}://{NAME}:", format!("{secure:?}").to_lowercase())), "{shown}");
    }
}

#[tokio::test]
async fn a_name_is_resolved_again_when_its_time_has_ended() {
    let (fake, authority) = upstream(Secure::Tls).await;
    let bootstrap = bootstrap(0, &[&[HERE]]).await;
    let (upstreams, _) = start(&named(Secure::Tls, fake.address().port(), &bootstrap, &authority));
    bootstrap.has_seen(6).await;
    assert_eq!(address(&upstreams.ask(&question("a.example")).await.unwrap()), Some(TRUE));
}

#[tokio::test]
async fn a_name_whose_addresses_all_fail_is_resolved_again_before_its_time() {
    let (fake, authority) = upstream(Secure::Tls).await;
    let bootstrap = bootstrap(86_400, &[&[ELSEWHERE], &[HERE]]).await;
    let (upstreams, _) = start(&named(Secure::Tls, fake.address().port(), &bootstrap, &authority));
    assert_eq!(address(&persistently(&upstreams, "a.example").await), Some(TRUE));
    assert_eq!(bootstrap.queries_seen(), 4);
}

#[tokio::test]
async fn old_addresses_are_kept_while_the_name_can_not_be_resolved() {
    let authority = Authority::new();
    let closing = |seen: &Seen| [answer(seen), vec![Act::Close]].concat();
    let fake = FakeUpstream::secure(Secure::Tls, &authority.issue(&[NAME]), closing).await;
    let bootstrap = bootstrap(0, &[&[HERE]]).await;
    let (upstreams, _) = start(&named(Secure::Tls, fake.address().port(), &bootstrap, &authority));
    assert_eq!(address(&upstreams.ask(&question("a.example")).await.unwrap()), Some(TRUE));

    bootstrap.now_does(|seen| once(reply(seen).rcode(rcode::SERVFAIL)));
    let before = bootstrap.queries_seen();
    // Two questions at a time: the first two have failed when the next are asked.
    bootstrap.has_seen(before + 4).await;

    assert_eq!(upstreams.status()[0].trouble, None, "it can still be asked");
    assert_eq!(address(&upstreams.ask(&question("b.example")).await.unwrap()), Some(TRUE));
}

#[tokio::test]
async fn a_name_that_is_resolved_at_last_is_no_trouble_any_more() {
    let (fake, authority) = upstream(Secure::Tls).await;
    let bootstrap = FakeUpstream::scripted(|seen| once(reply(seen).nxdomain("example"))).await;
    let config = named(Secure::Tls, fake.address().port(), &bootstrap, &authority);
    let (upstreams, _) = start(&Config { connect_timeout: ms(100), ..config });
    upstreams.ask(&question("a.example")).await.unwrap_err();
    assert!(upstreams.status()[0].trouble.is_some());

    bootstrap.now_does(|seen| {
        let built = reply(seen).ttl(0);
        once(if seen.qtype() == A { built.a(HERE) } else { built.soa("example") })
    });
    let before = bootstrap.queries_seen();
    // Those after the first that are answered.
    bootstrap.has_seen(before + 4).await;

    assert_eq!(upstreams.status()[0].trouble, None);
}

#[tokio::test]
async fn an_address_that_is_silent_costs_a_moment_and_the_other_one_is_used_from_then_on() {
    let (fake, authority) = upstream(Secure::Tls).await;
    let silent = (Ipv4Addr::from(ELSEWHERE), fake.address().port()).into();
    let stalled = FakeUpstream::stalled_at(silent).await;
    let bootstrap = bootstrap(300, &[&[ELSEWHERE, HERE]]).await;
    let config = named(Secure::Tls, fake.address().port(), &bootstrap, &authority);
    let (upstreams, _) = start(&Config { idle_max: Duration::ZERO, ..config });

    assert_eq!(address(&upstreams.ask(&question("a.example")).await.unwrap()), Some(TRUE));
    assert_eq!(address(&upstreams.ask(&question("b.example")).await.unwrap()), Some(TRUE));

    assert_eq!((stalled.connections(), fake.connections()), (1, 2));
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_an_error_with_a_reason() {
    let authority = Authority::new();
    let bootstrap = FakeUpstream::scripted(|seen| once(reply(seen).nxdomain("example"))).await;
    let config = Config { connect_timeout: ms(100), ..named(Secure::Tls, 853, &bootstrap, &authority) };
    let (upstreams, _) = start(&config);
    let error = upstreams.ask(&question("a.example")).await.unwrap_err();
    assert_eq!(error, UpstreamError::Unreachable { asked: 1 });
    let trouble = upstreams.status()[0].trouble.clone().unwrap();
    assert_eq!(&*trouble, "its name can't be resolved: it has no address");
}
