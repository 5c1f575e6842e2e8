//! Reverse proxies in front of DNS over HTTPS.

use embargo::wire::rcode;
use http::Request;

use super::client::{self, Http, MESSAGE_TYPE, http_1, post};
use super::{ANYBODY, NAME, WEB_PROXY, World};
use crate::harness::{Question, Response};
use crate::upstream_fake::A;

fn forwarded(hops: &str) -> Request<()> {
    let mut request = post("/dns-query", MESSAGE_TYPE);
    request.headers_mut().insert("x-forwarded-for", hops.parse().unwrap());
    request
}

/// Who is in the record.
async fn recorded(world: &World) -> Vec<String> {
    let mut clients: Vec<String> =
        world.server.attempts().await.iter().map(|row| row.client.unwrap().to_string()).collect();
    clients.sort();
    clients
}

#[tokio::test]
async fn the_client_that_a_listed_proxy_names_last_is_judged_and_recorded() {
    let world = World::new("").await;
    let proxy = Http::on(client::tcp(WEB_PROXY, world.https()).await, &world.authority.trust()).await.unwrap();
    let banned = Question::new("geo.example", A).octets();
    for (hops, expected) in [
        ("192.0.2.7", rcode::NXDOMAIN),
        ("203.0.113.9, 192.0.2.8", rcode::NXDOMAIN),
        ("192.0.2.7, 127.0.0.4, 192.0.2.9, 127.0.0.4", rcode::NXDOMAIN),
        ("192.0.2.7, 203.0.113.9", rcode::REFUSED),
        ("192.0.2.7, 127.0.0.3, 203.0.113.9", rcode::REFUSED),
    ] {
        let answer = proxy.request(forwarded(hops), &banned).await.unwrap();
        assert_eq!(Response::read(answer.body).rcode(), expected, "{hops}");
    }
    assert_eq!(recorded(&world).await, ["192.0.2.7", "192.0.2.8", "192.0.2.9"]);
}

#[tokio::test]
async fn a_proxy_that_names_nobody_is_refused_and_nothing_is_asked_in_its_own_name() {
    let world = World::new("").await;
    let proxy = Http::on(client::tcp(WEB_PROXY, world.https()).await, &world.authority.trust()).await.unwrap();
    let message = Question::new("free.example", A).octets();
    assert_eq!(proxy.post(&message).await.unwrap().status.as_u16(), 400);
    for hops in ["unknown", "192.0.2.7,", "for=192.0.2.7"] {
        assert_eq!(proxy.request(forwarded(hops), &message).await.unwrap().status.as_u16(), 400, "{hops}");
    }
    assert_eq!(world.server.metric("dns_http_faults_total", &[("reason", "unnamed")]).await, 4);
    assert_eq!(world.upstream.queries_seen(), 0);
}

#[tokio::test]
async fn nobody_else_is_believed_who_names_a_client() {
    let world = World::new("").await;
    let anybody = Http::on(client::tcp(ANYBODY, world.https()).await, &world.authority.trust()).await.unwrap();
    let answer = anybody.request(forwarded("192.0.2.7"), &Question::new("geo.example", A).octets()).await.unwrap();
    assert_eq!(Response::read(answer.body).rcode(), rcode::NXDOMAIN);
    assert_eq!(recorded(&world).await, ["127.0.0.3"]);
}

#[tokio::test]
async fn http_in_clear_is_heard_from_listed_proxies_and_from_nobody_else() {
    let world = World::new("").await;
    let message = Question::new("geo.example", A).octets();
    let head = format!(
        "POST /dns-query HTTP/1.1\r\nHost: {NAME}\r\nX-Forwarded-For: 192.0.2.7\r\nContent-Type: {MESSAGE_TYPE}\r\n\
         Content-Length: {}\r\n\r\n",
        message.len()
    );
    let (status, _head, body) = http_1(&mut client::tcp(WEB_PROXY, world.http()).await, &head, &message).await;
    assert_eq!((status, Response::read(body).rcode()), (200, rcode::NXDOMAIN));
    let mut other = client::tcp(ANYBODY, world.http()).await;
    let mut nothing = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut other, &mut nothing).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert_eq!(world.server.metric("dns_connections_cut_total", &[("reason", "clear")]).await, 1);
    assert_eq!(recorded(&world).await, ["192.0.2.7"]);
}
