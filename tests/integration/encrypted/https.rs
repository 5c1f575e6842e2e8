//! DNS over HTTPS.

use data_encoding::BASE64URL_NOPAD;
use embargo::wire::{Transport, rcode};
use http::Request;

use super::client::{self, MESSAGE_TYPE, get, http_1, post};
use super::{ANYBODY, NAME, World};
use crate::harness::{Question, Response};
use crate::upstream_fake::{A, Act, reply};

#[tokio::test]
async fn a_query_is_answered_over_http_2_by_get_and_by_post() {
    let world = World::new("").await;
    let client = world.http_2().await;
    let message = Question::new("free.example", A).octets();
    for answer in [
        client.post(&message).await.unwrap(),
        client.request(get(&format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(&message))), &[]).await.unwrap(),
    ] {
        assert_eq!((answer.status.as_u16(), &answer.headers["content-type"]), (200, &MESSAGE_TYPE.parse().unwrap()));
        assert_eq!(answer.body[..2], message[..2], "the id is the query's");
        let response = Response::read(answer.body);
        assert_eq!(response.answers()[0].3, [192, 0, 2, 1]);
    }
    assert_eq!(world.upstream.queries_seen(), 1);
    assert_eq!(world.server.metric("dns_requests_total", &[("proto", "doh")]).await, 2);
    assert_eq!(world.server.metric("dns_responses_total", &[]).await, 2);
}

#[tokio::test]
async fn a_banned_name_is_blocked_and_recorded_as_asked_over_https_by_a_proven_address() {
    let world = World::new("").await;
    let answer = world.http_2().await.post(&Question::new("a.geo.example", A).octets()).await.unwrap();
    assert_eq!(answer.headers["cache-control"], "private, max-age=0");
    assert_eq!(Response::read(answer.body).rcode(), rcode::NXDOMAIN);
    assert_eq!(world.upstream.queries_seen(), 0);
    let attempts = world.server.attempts().await;
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].transport, attempts[0].verified), (Some(Transport::Doh), true));
}

#[tokio::test]
async fn an_answer_with_a_banned_address_is_withheld_and_recorded_as_asked_over_https() {
    let world = World::banning("answer:192.0.2.0/24\n", "").await;
    let answer = world.http_2().await.post(&Question::new("free.example", A).octets()).await.unwrap();
    assert_eq!(answer.headers["cache-control"], "private, max-age=0");
    let response = Response::read(answer.body);
    assert_eq!((response.rcode(), response.answers().len()), (rcode::NOERROR, 0));
    let attempts = world.server.attempts().await;
    assert_eq!((attempts.len(), attempts[0].transport), (1, Some(Transport::Doh)));
}

#[tokio::test]
async fn an_answer_may_be_kept_no_longer_than_its_smallest_ttl_and_a_failure_not_at_all() {
    let world = World::new("").await;
    let client = world.http_2().await;
    world.upstream.now_does(|seen| vec![Act::Send(reply(seen).a([192, 0, 2, 1]).octets())]);
    let answer = client.post(&Question::new("free.example", A).octets()).await.unwrap();
    let least = Response::read(answer.body).answers().iter().map(|row| row.2).min().unwrap();
    assert_eq!(answer.headers["cache-control"], format!("private, max-age={least}"));
    assert!(least > 0);
    world.upstream.now_does(|seen| vec![Act::Send(reply(seen).rcode(2).octets())]);
    let answer = client.post(&Question::new("bad.example", A).octets()).await.unwrap();
    assert_eq!(Response::read(answer.body).rcode(), rcode::SERVFAIL);
    assert_eq!(answer.headers["cache-control"], "private, max-age=0");
}

#[tokio::test]
async fn a_request_without_a_query_is_told_what_is_wrong_and_the_connection_goes_on() {
    let world = World::new("").await;
    let client = world.http_2().await;
    let message = Question::new("free.example", A).octets();
    let large = vec![0; 70_000];
    let put = Request::put(format!("https://{NAME}/dns-query")).body(()).unwrap();
    let head = Request::head(format!("https://{NAME}/dns-query?dns=AAAA")).body(()).unwrap();
    let bodies: [(Request<()>, &[u8], u16); 10] = [
        (get("/"), &[], 404),
        (post("/other", MESSAGE_TYPE), &message, 404),
        (put, &message, 405),
        (head, &[], 405),
        (get("/dns-query"), &[], 400),
        (get("/dns-query?dns=*"), &[], 400),
        (post("/dns-query", "text/plain"), &message, 415),
        (post("/dns-query", MESSAGE_TYPE), &[], 400),
        (post("/dns-query", MESSAGE_TYPE), &[7; 5], 400),
        (post("/dns-query", MESSAGE_TYPE), &large, 413),
    ];
    for (request, body, status) in bodies {
        let wanted = format!("{request:?}");
        let answer = client.request(request, body).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{wanted}");
        assert_eq!(answer.headers.contains_key("allow"), status == 405);
    }
    // A message longer than any query is one all the same, and answered as such.
    let long = [&message[..], &[0; 6000]].concat();
    assert_eq!(client.post(&long).await.unwrap().body[3] & 15, 1, "FORMERR");
    assert_eq!(client.post(&message).await.unwrap().status.as_u16(), 200);
    assert_eq!(world.server.metric("dns_http_faults_total", &[]).await, 10);
    assert_eq!(
        world.server.metric("dns_requests_total", &[("proto", "doh")]).await,
        3,
        "that of 5 octets was a message"
    );
}

#[tokio::test]
async fn a_client_that_knows_http_1_only_keeps_its_connection_over_queries_and_faults() {
    let world = World::new("").await;
    let tcp = client::tcp(ANYBODY, world.https()).await;
    let mut stream = client::tls(tcp, &world.authority.trust(), b"http/1.1").await.unwrap();
    let message = Question::new("free.example", A).octets();
    for _again in 0..2 {
        let size = message.len();
        let head = format!(
            "POST /dns-query HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: {MESSAGE_TYPE}\r\nContent-Length: {size}\r\n\r\n"
        );
        let (status, head, body) = http_1(&mut stream, &head, &message).await;
        assert_eq!((status, head.contains("cache-control: private, max-age=")), (200, true), "{head}");
        assert_eq!(Response::read(body).answers()[0].3, [192, 0, 2, 1]);
        let (status, ..) = http_1(&mut stream, &format!("GET /x HTTP/1.1\r\nHost: {NAME}\r\n\r\n"), &[]).await;
        assert_eq!(status, 404);
    }
}

#[tokio::test]
async fn a_banned_name_whose_action_is_silence_ends_its_stream_and_no_other() {
    let world = World::new("[ban.kaspersky]\naction = \"drop\"").await;
    let client = world.http_2().await;
    let reset = client.post(&Question::new("geo.example", A).octets()).await.unwrap_err();
    assert!(reset.is_reset(), "{reset}");
    assert_eq!(client.post(&Question::new("free.example", A).octets()).await.unwrap().status.as_u16(), 200);
    assert_eq!(world.server.metric("dns_dropped_total", &[("reason", "policy_drop")]).await, 1);
    assert_eq!(world.server.attempts().await.len(), 1);
}

#[tokio::test]
async fn another_path_is_asked_if_it_is_set() {
    let world = World::new("path = \"/a/b\"").await;
    let client = world.http_2().await;
    let message = Question::new("free.example", A).octets();
    assert_eq!(client.request(post("/a/b", MESSAGE_TYPE), &message).await.unwrap().status.as_u16(), 200);
    assert_eq!(client.post(&message).await.unwrap().status.as_u16(), 404);
}

#[tokio::test]
async fn a_handshake_that_wants_to_speak_otherwise_is_turned_away_and_counted() {
    let world = World::new("").await;
    let tcp = client::tcp(ANYBODY, world.https()).await;
    assert!(client::tls(tcp, &world.authority.trust(), b"dot").await.is_err());
    let cut = [("reason", "handshake")];
    assert_eq!(world.server.metric("dns_connections_cut_total", &cut).await, 1);
}
