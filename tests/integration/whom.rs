//! What a ban does to some clients and not to others, and from a moment on.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use embargo::clock::Clock;
use embargo::metrics::Did;
use embargo::policy::Share;
use embargo::time::{Mono, Now};
use embargo::wire::{qtype, rcode};
use tokio::net::UdpSocket;

use crate::harness::{Question, Response, RunningServer, TestServer, receive};
use crate::upstream_fake::FakeUpstream;

const GROUPS: &str = r#"
[[group]]
id = "berlin"
kind = "site"
networks = ["127.0.1.0/24"]

[[group]]
id = "lab"
networks = ["127.0.1.128/25", "127.0.2.0/24"]

[[ban.vendor.for]]
groups = ["lab"]
mode = "off"

[[ban.vendor.for]]
groups = ["berlin"]
mode = "observe"
"#;

/// Asks from an address of this host.
pub(crate) async fn ask_from(server: &RunningServer, client: [u8; 4], question: &Question) -> Response {
    let socket = UdpSocket::bind(SocketAddr::new(IpAddr::from(client), 0)).await.unwrap();
    socket.connect(server.address()).await.unwrap();
    socket.send(&question.octets()).await.unwrap();
    Response::read(receive(&socket).await)
}

#[tokio::test]
async fn a_ban_does_to_each_client_what_its_groups_say_and_the_record_has_the_site() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("vendor", "a.example").upstream(&upstream).setting(GROUPS).start().await;
    let question = Question::new("x.a.example", qtype::A);
    let rcode_for = async |client| ask_from(&server, client, &question).await.rcode();

    assert_eq!(rcode_for([127, 0, 0, 1]).await, rcode::NXDOMAIN);
    assert_eq!(rcode_for([127, 0, 1, 7]).await, rcode::NOERROR);
    assert_eq!(rcode_for([127, 0, 1, 200]).await, rcode::NOERROR);
    assert_eq!(rcode_for([127, 0, 2, 7]).await, rcode::NOERROR);
    // What one client may see is cached, and still hidden from another.
    assert_eq!(rcode_for([127, 0, 0, 2]).await, rcode::NXDOMAIN);
    assert_eq!(upstream.queries_seen(), 1);

    let attempts = async |site, action| server.metric("attempts_total", &[("site", site), ("action", action)]).await;
    assert_eq!(attempts("default", "nxdomain").await, 2);
    assert_eq!(attempts("berlin", "observe").await, 1);
    assert_eq!(server.metric("attempts_total", &[]).await, 3, "the lab is left alone");
    let mut recorded: Vec<_> =
        server.attempts().await.into_iter().map(|row| (row.client, row.site, row.action)).collect();
    recorded.sort_by_key(|(client, ..)| *client);
    let row = |client: [u8; 4], site: &str, did| (Some(IpAddr::from(client)), site.to_owned(), did);
    let blocked = |client| row(client, "default", Did::Nxdomain);
    let expected = [blocked([127, 0, 0, 1]), blocked([127, 0, 0, 2]), row([127, 0, 1, 7], "berlin", Did::Observe)];
    assert_eq!(recorded, expected);
}

#[tokio::test]
async fn a_change_of_groups_takes_effect_by_a_reload() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("vendor", "a.example").upstream(&upstream).start().await;
    let question = Question::new("x.a.example", qtype::A);
    assert_eq!(ask_from(&server, [127, 0, 2, 7], &question).await.rcode(), rcode::NXDOMAIN);
    server.change_settings(GROUPS).await;
    assert_eq!(ask_from(&server, [127, 0, 2, 7], &question).await.rcode(), rcode::NOERROR);
}

#[tokio::test]
async fn a_ban_that_observes_until_a_date_enforces_from_that_second_on_without_a_reload() {
    let upstream = FakeUpstream::start().await;
    let (clock, hands) = Clock::manual(Now { wall: "2027-01-31T23:59:50Z".parse().unwrap(), mono: Mono(1_000_000) });
    let server = TestServer::new()
        .clock(&clock)
        .ban_with("vendor", "enforce_from = 2027-02-01\n", "a.example")
        .upstream(&upstream)
        .start()
        .await;

    let before = server.query("a.example", qtype::A).await;
    assert_eq!((before.rcode(), before.answers()[0].2), (rcode::NOERROR, 10), "no answer outlives the date");
    hands.advance(Duration::from_millis(9_999));
    assert_eq!(server.query("a.example", qtype::A).await.rcode(), rcode::NOERROR);
    hands.advance(Duration::from_millis(1));
    assert_eq!(server.query("a.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
}

#[tokio::test]
async fn hours_open_and_close_by_the_clock_of_their_zone() {
    let upstream = FakeUpstream::start().await;
    // A Monday, 07:59 in Berlin.
    let (clock, hands) = Clock::manual(Now { wall: "2027-02-01T06:59:00Z".parse().unwrap(), mono: Mono(1_000_000) });
    let hours = "[ban.vendor]\nschedule = [\"mon-fri 08:00-18:00\"]\ntime_zone = \"Europe/Berlin\"\n";
    let server =
        TestServer::new().clock(&clock).ban("vendor", "a.example").upstream(&upstream).setting(hours).start().await;
    for (minutes, expected) in
        [(0, rcode::NOERROR), (1, rcode::NXDOMAIN), (10 * 60 - 1, rcode::NXDOMAIN), (1, rcode::NOERROR)]
    {
        hands.advance(Duration::from_secs(minutes * 60));
        assert_eq!(server.query("a.example", qtype::A).await.rcode(), expected, "{}", clock.now().wall);
    }
}

#[tokio::test]
async fn a_rollout_blocks_the_same_clients_on_every_server() {
    let upstream = FakeUpstream::start().await;
    let quarter = "[ban.vendor]\nrollout = 25\n";
    let start =
        async || TestServer::new().ban("vendor", "a.example").upstream(&upstream).setting(quarter).start().await;
    let (one, other) = (start().await, start().await);
    let (share, question) = (Share::new(25).unwrap(), Question::new("a.example", qtype::A));
    let mut blocked = 0;
    for last in 1..=100 {
        let client = [127, 0, 3, last];
        let rcode = ask_from(&one, client, &question).await.rcode();
        assert_eq!(ask_from(&other, client, &question).await.rcode(), rcode, "{client:?}");
        let expected = if share.holds("vendor", client.into()) { rcode::NXDOMAIN } else { rcode::NOERROR };
        assert_eq!(rcode, expected, "{client:?}");
        blocked += u32::from(rcode == rcode::NXDOMAIN);
    }
    assert!((10..45).contains(&blocked), "{blocked}");
}
