//! What other resolvers tell: attempts of their clients, each once, with the time that they say and what was done.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use embargo::clock::Clock;
use embargo::dnstap::{
    Control, Dnstap, Frame, Kind, Message, Policy, PolicyAction, SocketProtocol, read_frame, write_control, write_data,
};
use embargo::journal::{AttemptRow, Did, Sign, Store, What};
use embargo::time::{Day, Timestamp};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::harness::{RunningServer, TestServer};

/// Longer than anything takes here; only a fault lets a test wait for it.
const PATIENCE: Duration = Duration::from_secs(30);
const CLIENT: &str = "192.0.2.77";

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looks = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            // A look that needs no waiting leaves nobody else a turn.
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looks).await.unwrap_or_else(|_elapsed| panic!("not in time: {what}"))
}

fn now() -> Timestamp {
    Clock::system().now().wall
}

async fn server(settings: &str) -> RunningServer {
    TestServer::new().ban("vendor", "a.example").setting(settings).start().await
}

fn at_socket(path: &Path) -> String {
    format!("[[intake]]\nid = \"tap\"\nsocket = \"{}\"\n", path.display())
}

async fn messages(server: &RunningServer, outcome: &str) -> u64 {
    server.metric("intake_messages_total", &[("outcome", outcome)]).await
}

/// A query or a response, as it is on the wire.
fn wire(id: u8, name: &str, flags: [u8; 2]) -> Vec<u8> {
    let mut message = vec![0x12, id, flags[0], flags[1], 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(b"\0\0\x01\0\x01");
    message
}

const QUERY: [u8; 2] = [0x01, 0x00];
/// As Unbound answers from a response policy zone.
const NXDOMAIN_BY_POLICY: [u8; 2] = [0x85, 0x83];
const NOERROR: [u8; 2] = [0x81, 0x80];

fn about(kind: Kind, at: Timestamp) -> Message<'static> {
    Message {
        kind,
        protocol: Some(SocketProtocol::Udp),
        query_address: Some(CLIENT.parse().unwrap()),
        query_port: Some(4000),
        query_time: Some(at),
        ..Message::default()
    }
}

/// A sender.
struct Sender<S>(S);

async fn at(socket: &Path) -> Sender<UnixStream> {
    until("it listens", async || UnixStream::connect(socket).await.ok().map(Sender)).await
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sender<S> {
    async fn say(&mut self, control: Control) {
        let mut octets = Vec::new();
        write_control(control, &mut octets);
        self.0.write_all(&octets).await.unwrap();
    }

    async fn hears(&mut self) -> Option<Control> {
        let mut octets = Vec::new();
        loop {
            if let Some((Frame::Control(control, _types), _length)) = read_frame(&octets).unwrap() {
                return Some(control);
            }
            // A connection that was cut has told as much.
            let read = tokio::time::timeout(PATIENCE, self.0.read_buf(&mut octets)).await.unwrap();
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn begin(mut self) -> Self {
        self.say(Control::Ready).await;
        assert_eq!(self.hears().await, Some(Control::Accept));
        self.say(Control::Start).await;
        self
    }

    async fn tell(&mut self, message: Message<'_>) {
        let (mut data, mut frame) = (Vec::new(), Vec::new());
        Dnstap { message, ..Dnstap::default() }.write(&mut data);
        write_data(&data, &mut frame);
        self.0.write_all(&frame).await.unwrap();
    }

    async fn query(&mut self, id: u8, name: &str, at: Timestamp) {
        let query = wire(id, name, QUERY);
        self.tell(Message { query_message: Some(&query), ..about(Kind::ClientQuery, at) }).await;
    }

    async fn response(&mut self, id: u8, name: &str, flags: [u8; 2], at: Timestamp) {
        let response = wire(id, name, flags);
        self.tell(Message { response_message: Some(&response), ..about(Kind::ClientResponse, at) }).await;
    }
}

/// Names, what was done, and how often.
fn told(rows: &[AttemptRow]) -> Vec<(String, Did, u64)> {
    let mut told: Vec<_> = rows.iter().map(|row| (row.qname.clone().unwrap(), row.action, row.count)).collect();
    told.sort();
    told
}

async fn recorded(server: &RunningServer, count: u64) -> Vec<AttemptRow> {
    until("it is recorded", async || {
        let rows = server.attempts().await;
        (rows.iter().map(|row| row.count).sum::<u64>() >= count).then_some(rows)
    })
    .await
}

#[tokio::test]
async fn queries_and_their_responses_are_one_attempt_with_what_the_response_shows() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("tap.sock");
    let server = server(&at_socket(&socket)).await;
    let asked = Timestamp::from_second(now().as_second() - 60).unwrap();
    let mut sender = at(&socket).await.begin().await;
    sender.query(1, "one.a.example", asked).await;
    sender.query(2, "two.a.example", asked).await;
    sender.query(3, "free.example", asked).await;
    sender.response(2, "two.a.example", NOERROR, asked).await;
    sender.response(1, "one.a.example", NXDOMAIN_BY_POLICY, asked).await;
    sender.response(3, "free.example", NOERROR, asked).await;
    // Of this one only the response is told, and of the last only the query.
    sender.response(4, "three.a.example", NXDOMAIN_BY_POLICY, asked).await;
    sender.query(5, "four.a.example", asked).await;
    let rows = recorded(&server, 4).await;
    let expected = [
        ("four.a.example", Did::Observe),
        ("one.a.example", Did::Nxdomain),
        ("three.a.example", Did::Nxdomain),
        ("two.a.example", Did::Observe),
    ];
    assert_eq!(told(&rows), expected.map(|(name, did)| (name.to_owned(), did, 1)));
    for row in &rows {
        assert_eq!((row.first, row.client), (asked, Some(CLIENT.parse::<IpAddr>().unwrap())));
    }
    let outcomes = [("attempt", 4), ("paired", 2), ("clean", 2), ("malformed", 0), ("unready", 0)];
    for (outcome, count) in outcomes {
        assert_eq!(messages(&server, outcome).await, count, "{outcome}");
    }
    assert_eq!(server.metric("attempts_total", &[("ban", "vendor")]).await, 4);
    // Nothing was asked here.
    assert_eq!(server.metric("dns_queries_total", &[]).await, 0);
}

#[tokio::test]
async fn who_asks_another_resolver_for_anything_is_on_record_as_active() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("tap.sock");
    let server = server(&at_socket(&socket)).await;
    let mut sender = at(&socket).await.begin().await;
    sender.query(1, "free.example", now()).await;
    until("it is taken", async || (messages(&server, "clean").await == 1).then_some(())).await;
    let directory = server.stop().await;
    let store = Store::open_read_only(&directory.path().join("state")).unwrap();
    let presence = store.presence().unwrap();
    let active = Sign { ban: "", evidence: None, what: What::Active };
    let sets = presence.sets(active, 0, &(Day(0)..=Day(i32::MAX))).unwrap();
    let devices = presence.devices(sets.iter().flat_map(|(_day, bits)| bits.iter())).unwrap();
    assert_eq!(devices.into_iter().map(|row| row.device).collect::<Vec<_>>(), [CLIENT]);
}

#[tokio::test]
async fn a_policy_that_the_sender_names_is_believed_and_others_messages_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("tap.sock");
    let server = server(&at_socket(&socket)).await;
    let at_once = now();
    // A sender that just starts, without a word before.
    let mut sender = at(&socket).await;
    sender.say(Control::Start).await;
    let query = wire(1, "x.a.example", QUERY);
    let policy = Policy { action: Some(PolicyAction::Drop), ..Policy::default() };
    let told_so = Message { query_message: Some(&query), policy: Some(policy), ..about(Kind::ClientQuery, at_once) };
    sender.tell(told_so).await;
    sender.tell(Message { query_message: Some(&query), ..about(Kind::Other(3), at_once) }).await;
    sender.tell(about(Kind::ClientQuery, at_once)).await;
    let rows = recorded(&server, 1).await;
    assert_eq!(told(&rows), [("x.a.example".to_owned(), Did::Drop, 1)]);
    until("all is told", async || (messages(&server, "malformed").await == 1).then_some(())).await;
    assert_eq!(messages(&server, "passed_over").await, 1);
}

#[tokio::test]
async fn what_waits_for_a_response_is_recorded_when_the_sender_ends_or_the_server_does() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("tap.sock");
    let server = server(&at_socket(&socket)).await;
    let mut first = at(&socket).await.begin().await;
    first.query(1, "one.a.example", now()).await;
    first.say(Control::Stop).await;
    assert_eq!(first.hears().await, Some(Control::Finish));
    recorded(&server, 1).await;
    let mut second = at(&socket).await.begin().await;
    second.query(2, "two.a.example", now()).await;
    until("it is taken", async || (messages(&server, "attempt").await == 2).then_some(())).await;
    let directory = server.stop().await;
    assert!(!socket.exists());
    let again = TestServer::after(directory).ban("vendor", "a.example").start().await;
    assert_eq!(told(&again.attempts().await).len(), 2);
}

#[tokio::test]
async fn strangers_and_those_who_speak_something_else_are_refused_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("tap.sock");
    let settings = at_socket(&socket) + "connections_max = 1\nmessages_per_second_max = 1\n";
    let server = server(&settings).await;
    let refused = async |reason: &str, count: u64| {
        until("it is refused", async || {
            (server.metric("intake_refused_total", &[("reason", reason)]).await == count).then_some(())
        })
        .await;
    };
    // Data, another content, and rubbish.
    for said in
        [&b"\0\0\0\x01x"[..], b"\0\0\0\0\0\0\0\x10\0\0\0\x02\0\0\0\x01\0\0\0\x04pcap", b"GET / HTTP/1.1\r\n\r\n"]
    {
        let mut stranger = at(&socket).await;
        stranger.0.write_all(said).await.unwrap();
        assert_eq!(stranger.hears().await, None);
        until("its place is free", async || (server.metric("intake_connections", &[]).await == 0).then_some(())).await;
    }
    refused("protocol", 3).await;

    let mut sender = at(&socket).await.begin().await;
    let mut other = at(&socket).await;
    assert_eq!(other.hears().await, None);
    refused("places", 1).await;
    // One message each second is taken at most; with so many, some are beyond.
    for id in 0..50 {
        sender.query(id, "one.a.example", now()).await;
    }
    until("they are told", async || {
        let (taken, limited) = (messages(&server, "attempt").await, messages(&server, "limited").await);
        (taken + limited == 50 && taken > 0 && limited > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn over_tcp_only_those_may_tell_who_are_named_and_a_reload_says_who() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = |from: &str| format!("[[intake]]\nid = \"tcp\"\nlisten = \"{address}\"\nfrom = [\"{from}\"]\n");
    let server = server(&settings("192.0.2.0/24")).await;
    let connect = async |address: SocketAddr| {
        until("it listens", async || TcpStream::connect(address).await.ok().map(Sender)).await
    };
    let mut stranger = connect(address).await;
    assert_eq!(stranger.hears().await, None);
    assert_eq!(server.metric("intake_refused_total", &[("reason", "address")]).await, 1);
    server.change_settings(&settings("127.0.0.0/8")).await;
    let mut sender = connect(address).await.begin().await;
    sender.query(1, "one.a.example", now()).await;
    recorded(&server, 1).await;
    // An intake that is gone cuts its senders.
    server.change_settings("").await;
    assert_eq!(sender.hears().await, None);
}
