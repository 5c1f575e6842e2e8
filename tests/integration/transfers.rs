//! Zones of others, from a primary that does as the test says: whole, in changes, cut, forged, foreign, without end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use embargo::app::control::Request;
use embargo::clock::Clock;
use embargo::transfer::{Came, Fault, Held, Transferred, fetch};
use embargo::wire::tsig::{Algorithm, Key, Signer, check_query};
use embargo::wire::{LowerName, Name, be16, qtype, rcode};
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use crate::harness::{Question, RunningServer, TestServer, receive};
use crate::upstream_fake::FakeUpstream;

const ZONE: &str = "rpz.test";
/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the primary does with a query.
enum Does {
    /// Sends these messages, without header and question: each is its answers.
    Sends(Vec<Vec<Record>>),
    /// The same, and closes in the middle of the last.
    Cuts(Vec<Vec<Record>>),
    /// Answers with this code.
    Says(u8),
    /// Sends these octets.
    Raves(Vec<u8>),
    /// Says nothing.
    Waits,
}

/// What it does with queries of a type.
type Deed = fn(u16) -> Does;

/// A record: owner, type, data.
type Record = (String, u16, Vec<u8>);

/// How responses are signed.
#[derive(Clone)]
enum Signs {
    Nothing,
    /// All by this key.
    All(Key),
    /// By this key, all but the last.
    ButTheLast(Key),
}

/// A primary: its address, and what it was asked, by type.
struct Primary {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<u16>>>,
}

fn soa(serial: u32) -> Record {
    let mut data = b"\x02ns\0\x04host\0".to_vec();
    for number in [serial, 3600, 600, 86400, 60] {
        data.extend(number.to_be_bytes());
    }
    (ZONE.to_owned(), qtype::SOA, data)
}

fn rule(owner: &str) -> Record {
    (format!("{owner}.{ZONE}"), qtype::CNAME, vec![0])
}

fn rules<const N: usize>(owners: [&str; N]) -> Vec<Record> {
    owners.map(rule).to_vec()
}

/// The whole zone in one message.
fn whole<const N: usize>(serial: u32, owners: [&str; N]) -> Does {
    Does::Sends(vec![[vec![soa(serial)], rules(owners), vec![soa(serial)]].concat()])
}

impl Primary {
    /// Starts one that signs so and does this; each query is a connection's first and only one.
    fn start(signs: Signs, does: impl Fn(u16) -> Does + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&asked);
        // It ends with the process of the tests.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                // Who gives up early is right to.
                let _gone = serve(&mut stream, &signs, &does, &seen);
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<u16> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    stream: &mut TcpStream,
    signs: &Signs,
    does: &impl Fn(u16) -> Does,
    seen: &Mutex<Vec<u16>>,
) -> std::io::Result<()> {
    let mut size = [0; 2];
    stream.read_exact(&mut size)?;
    let mut query = vec![0; usize::from(u16::from_be_bytes(size))];
    stream.read_exact(&mut query)?;
    let end = LowerName::read(&query, 12).unwrap().1;
    let asked = be16(&query, end).unwrap();
    seen.lock().unwrap().push(asked);
    let (messages, cuts) = match does(asked) {
        Does::Sends(messages) => (messages, false),
        Does::Cuts(messages) => (messages, true),
        Does::Says(code) => {
            let mut answer = query[..end + 4].to_vec();
            (answer[2], answer[3]) = (0x80, code);
            answer[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
            return frame(stream, &answer);
        }
        Does::Raves(octets) => return stream.write_all(&octets),
        Does::Waits => return stream.read_exact(&mut size),
    };
    let (key, but_the_last) = match signs {
        Signs::Nothing => (None, false),
        Signs::All(key) => (Some(key), false),
        Signs::ButTheLast(key) => (Some(key), true),
    };
    let mut signer = key.map(|key| {
        Signer::of_response(
            key,
            check_query(&query, key, now()).unwrap_or_else(|_forged| {
                // A liar does not look at what it was asked by.
                let mut own = query[..end + 4].to_vec();
                own[10..12].copy_from_slice(&[0, 0]);
                let mut signer = Signer::of_query(key);
                signer.sign(&mut own, now());
                signer.mac()
            }),
        )
    });
    let count = messages.len();
    for (number, records) in messages.into_iter().enumerate() {
        let mut message = query[..end + 4].to_vec();
        (message[2], message[3]) = (0x84, 0);
        message[4..12].copy_from_slice(&[0, 1, 0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0]);
        for (owner, rtype, data) in records {
            message.extend(Name::parse(&owner).unwrap().wire());
            message.extend(rtype.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 60]);
            message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            message.extend(data);
        }
        let last = number + 1 == count;
        if let Some(signer) = signer.as_mut().filter(|_signer| !(last && but_the_last)) {
            signer.sign(&mut message, now());
        }
        if last && cuts {
            stream.write_all(&u16::try_from(message.len()).unwrap().to_be_bytes())?;
            return stream.write_all(&message[..message.len() / 2]);
        }
        frame(stream, &message)?;
    }
    // The other side closes when it has enough.
    stream.read_exact(&mut size)
}

fn frame(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    stream.write_all(&u16::try_from(message.len()).unwrap().to_be_bytes())?;
    stream.write_all(message)
}

fn now() -> u64 {
    u64::try_from(Clock::system().now().wall.as_second()).unwrap()
}

fn key(secret: &[u8]) -> Key {
    Key::new(Name::parse("k.test").unwrap(), Algorithm::Sha256, secret)
}

/// Asks one primary, and says what came, as the lines of the file behind the first.
struct Secondary {
    wanted: Transferred,
    held: Option<(TempDir, PathBuf)>,
}

impl Secondary {
    fn new() -> Self {
        let wanted = Transferred {
            zone: Name::parse(ZONE).unwrap(),
            primaries: Vec::new(),
            tls: None,
            key: None,
            size_max_bytes: 1 << 20,
            time_max: Duration::from_secs(20),
        };
        Self { wanted, held: None }
    }

    /// With a version that came before.
    fn holding(self, serial: u32, lines: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list.txt");
        std::fs::write(&path, format!("@ SOA ns. host. {serial} 3600 600 86400 60\n{lines}")).unwrap();
        Self { held: Some((directory, path)), ..self }
    }

    fn with_key(mut self) -> Self {
        self.wanted.key = Some(Arc::new(key(b"sixteen octets!!")));
        self
    }

    fn fetch(&self, primary: &Primary) -> Result<(Came, String), Fault> {
        let held = self.held.as_ref().map(|(_directory, path)| Held::read(path).unwrap());
        let (came, file) =
            fetch(&self.wanted, primary.address, held.as_ref(), &Clock::system(), || Ok(Vec::<u8>::new()))?;
        let text = String::from_utf8(file.unwrap_or_default()).unwrap();
        Ok((came, text.split_once('\n').map(|(_soa, rest)| rest.to_owned()).unwrap_or_default()))
    }
}

#[test]
fn a_whole_zone_comes_in_as_many_messages_as_it_likes_and_what_is_no_rule_is_left_out() {
    let messages = vec![
        vec![soa(7), (ZONE.to_owned(), qtype::NS, b"\x02ns\0".to_vec())],
        rules(["A.example", "*.a.example"]),
        vec![
            ("b.example.rpz.test".to_owned(), qtype::A, vec![192, 0, 2, 1]),
            ("a.other.test".to_owned(), qtype::A, vec![192, 0, 2, 2]),
        ],
        vec![("t.rpz.test".to_owned(), qtype::TXT, b"\x01x".to_vec()), soa(7)],
    ];
    let primary = Primary::start(Signs::Nothing, move |asked| {
        if asked == qtype::SOA { Does::Sends(vec![vec![soa(7)]]) } else { Does::Sends(messages.clone()) }
    });

    let (came, lines) = Secondary::new().fetch(&primary).unwrap();

    assert!(matches!(came, Came::Whole { soa, instead: None } if soa.serial == 7));
    assert_eq!(lines, "a.example CNAME .\n*.a.example CNAME .\nb.example A 192.0.2.1\nt TYPE16 \\# 2 0178\n");
    assert_eq!(primary.asked(), [qtype::SOA, qtype::AXFR]);
}

#[test]
fn what_is_the_newest_is_not_fetched_again_and_a_primary_that_goes_back_is_told_of() {
    let primary = Primary::start(Signs::Nothing, |_asked| Does::Sends(vec![vec![soa(7)]]));
    let (came, _lines) = Secondary::new().holding(7, "").fetch(&primary).unwrap();
    assert!(matches!(came, Came::Current(_)));
    let back = Secondary::new().holding(8, "").fetch(&primary);
    assert!(matches!(back, Err(Fault::Older { held: 8, .. })), "{back:?}");
    assert_eq!(primary.asked(), [qtype::SOA, qtype::SOA]);
}

#[test]
fn changes_are_taken_from_version_to_version() {
    let changes = vec![
        vec![soa(9), soa(7), rule("old.example"), soa(8), rule("short-lived.example")],
        vec![rule("new.example"), soa(8), rule("short-lived.example"), soa(9), rule("newer.example"), soa(9)],
    ];
    let primary = Primary::start(Signs::Nothing, move |asked| {
        if asked == qtype::SOA { Does::Sends(vec![vec![soa(9)]]) } else { Does::Sends(changes.clone()) }
    });

    let held = Secondary::new().holding(7, "old.example CNAME .\nstays.example CNAME .\n");
    let (came, lines) = held.fetch(&primary).unwrap();

    assert!(matches!(came, Came::Changed { soa, added: 2, deleted: 1 } if soa.serial == 9));
    assert_eq!(lines, "stays.example CNAME .\nnew.example CNAME .\nnewer.example CNAME .\n");
    assert_eq!(primary.asked(), [qtype::SOA, qtype::IXFR]);
}

/// What is answered to IXFR leads to AXFR, and the zone comes by that.
#[track_caller]
fn check_fallback(ixfr: impl Fn() -> Does + Send + 'static) {
    let primary = Primary::start(Signs::Nothing, move |asked| match asked {
        qtype::SOA => Does::Sends(vec![vec![soa(9)]]),
        qtype::IXFR => ixfr(),
        _ => whole(9, ["a.example"]),
    });
    let (came, lines) = Secondary::new().holding(7, "stays.example CNAME .\n").fetch(&primary).unwrap();
    assert!(matches!(came, Came::Whole { instead: Some(_), .. }), "{came:?}");
    assert_eq!(lines, "a.example CNAME .\n");
    assert_eq!(primary.asked(), [qtype::SOA, qtype::IXFR, qtype::AXFR]);
}

#[test]
fn changes_that_do_not_fit_are_no_reason_to_do_without_the_zone() {
    let changes = |records: Vec<Record>| move || Does::Sends(vec![records.clone()]);
    check_fallback(changes(vec![soa(9), soa(7), rule("not-there.example"), soa(9), soa(9)]));
    check_fallback(changes(vec![soa(9), soa(7), soa(9), rule("stays.example"), soa(9)]));
    check_fallback(changes(vec![soa(9), soa(6), soa(9), soa(9)]));
    check_fallback(changes(vec![soa(9), soa(7), soa(8), soa(7), soa(9), soa(9)]));
    check_fallback(changes(vec![soa(9)]));
    check_fallback(|| Does::Says(4));
    check_fallback(|| Does::Says(5));
}

#[test]
fn a_whole_zone_in_answer_to_changes_is_taken_as_it_is() {
    let primary = Primary::start(Signs::Nothing, |asked| {
        if asked == qtype::SOA { Does::Sends(vec![vec![soa(9)]]) } else { whole(9, ["a.example"]) }
    });
    let (came, lines) = Secondary::new().holding(7, "stays.example CNAME .\n").fetch(&primary).unwrap();
    assert!(matches!(came, Came::Whole { instead: None, .. }), "{came:?}");
    assert_eq!(lines, "a.example CNAME .\n");
    assert_eq!(primary.asked(), [qtype::SOA, qtype::IXFR]);
}

/// A primary whose zone is not to be had, by what it does with AXFR.
#[track_caller]
fn check_fault(does: impl Fn() -> Does + Send + 'static, is: impl Fn(&Fault) -> bool) {
    let primary =
        Primary::start(
            Signs::Nothing,
            move |asked| {
                if asked == qtype::SOA { Does::Sends(vec![vec![soa(9)]]) } else { does() }
            },
        );
    let mut secondary = Secondary::new();
    secondary.wanted.time_max = Duration::from_secs(2);
    secondary.wanted.size_max_bytes = 100;
    let fault = secondary.fetch(&primary).unwrap_err();
    assert!(is(&fault), "{fault:?}");
}

#[test]
fn a_zone_that_is_cut_late_refused_or_none_comes_to_nothing() {
    let begun = || vec![vec![soa(9)], rules(["a.example", "b.example"]), rules(["c.example"])];
    check_fault(move || Does::Cuts(begun()), |fault| matches!(fault, Fault::Cut { records: 3 }));
    check_fault(|| Does::Says(5), |fault| matches!(fault, Fault::Rcode(5)));
    check_fault(|| Does::Waits, |fault| matches!(fault, Fault::Slow { .. }));
    check_fault(
        || Does::Raves(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        |fault| matches!(fault, Fault::Cut { .. }),
    );
    check_fault(|| Does::Raves(vec![0, 3, 1, 2, 3]), |fault| matches!(fault, Fault::Malformed(_)));
    check_fault(|| Does::Raves([vec![0, 40], vec![0xFF; 40]].concat()), |fault| matches!(fault, Fault::Foreign(_)));
    check_fault(|| Does::Sends(vec![rules(["a.example"])]), |fault| matches!(fault, Fault::Foreign(_)));
    check_fault(
        || Does::Sends(vec![vec![soa(9), rule("a.example"), soa(9), rule("b.example")]]),
        |fault| matches!(fault, Fault::Foreign(_)),
    );
    let other = ("other.test".to_owned(), qtype::SOA, soa(9).2);
    check_fault(move || Does::Sends(vec![vec![other.clone()]]), |fault| matches!(fault, Fault::Foreign(_)));
    let many = || Does::Sends(vec![[vec![soa(9)], rules(["a.example"; 40]), vec![soa(9)]].concat()]);
    check_fault(many, |fault| matches!(fault, Fault::TooLarge));
}

#[test]
fn with_a_key_only_what_is_signed_by_it_to_the_end_counts() {
    let zone = |asked| {
        if asked == qtype::SOA {
            return Does::Sends(vec![vec![soa(9)]]);
        }
        Does::Sends(vec![vec![soa(9)], rules(["a.example"]), vec![soa(9)]])
    };
    let fetch = |signs: Signs| Secondary::new().with_key().fetch(&Primary::start(signs, zone));
    let (own, other) = (key(b"sixteen octets!!"), key(b"another secret!!"));
    assert_eq!(fetch(Signs::All(own.clone())).unwrap().1, "a.example CNAME .\n");
    for signs in [Signs::Nothing, Signs::All(other), Signs::ButTheLast(own)] {
        let fault = fetch(signs).unwrap_err();
        assert!(matches!(fault, Fault::Signature(_)), "{fault:?}");
    }
}

/// Looks until it is so.
async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let looks = async { while !is().await {} };
    tokio::time::timeout(PATIENCE, looks).await.unwrap_or_else(|_elapsed| panic!("not in time: {what}"));
}

/// Gives notice of the zone from this address of loopback; the code of the answer.
async fn give_notice(server: &RunningServer, from: &str, zone: &str) -> u16 {
    let socket = UdpSocket::bind((from, 0)).await.unwrap();
    socket.connect(server.address()).await.unwrap();
    let mut notice = Question::new(zone, qtype::SOA).octets();
    notice[2] = 4 << 3 | 4;
    socket.send(&notice).await.unwrap();
    u16::from(receive(&socket).await[3] & 0x0F)
}

fn partner(primary: SocketAddr) -> String {
    format!("[[list]]\nid = \"partner\"\nzone = \"{ZONE}\"\nprimaries = [\"{primary}\"]\ntime_max = \"5s\"")
}

#[tokio::test]
async fn a_zone_is_enforced_follows_notices_survives_faults_and_a_start_without_its_primary() {
    let does: Arc<Mutex<Deed>> = Arc::new(Mutex::new(|asked| match asked {
        qtype::SOA => Does::Sends(vec![vec![soa(1)]]),
        _ => whole(1, ["a.example", "*.a.example"]),
    }));
    let doing = Arc::clone(&does);
    let primary = Primary::start(Signs::Nothing, move |asked| (*doing.lock().unwrap())(asked));
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().upstream(&upstream).setting(&partner(primary.address)).start().await;
    let is_banned =
        async |server: &RunningServer, name: &str| server.query(name, qtype::A).await.rcode() == rcode::NXDOMAIN;
    until("the zone is enforced", async || is_banned(&server, "a.example").await).await;

    *does.lock().unwrap() = |asked| match asked {
        qtype::SOA => Does::Sends(vec![vec![soa(2)]]),
        _ => Does::Cuts(vec![vec![soa(2), soa(1)], rules(["a.example"])]),
    };
    assert_eq!(give_notice(&server, "127.0.0.1", ZONE).await, rcode::NOERROR);
    let cut = [("direction", "in"), ("result", "cut")];
    until("the transfer is cut", async || server.metric("zone_transfers_total", &cut).await == 1).await;
    assert!(is_banned(&server, "a.example").await, "the policy stays");
    let status = server.control(Request::Lists).await;
    assert!(status[0]["error"].as_str().unwrap().contains("cut after"), "{status}");

    *does.lock().unwrap() = |asked| match asked {
        qtype::SOA => Does::Sends(vec![vec![soa(2)]]),
        _ => Does::Sends(vec![
            [
                vec![soa(2), soa(1), rule("a.example"), rule("*.a.example"), soa(2)],
                rules(["b.example", "*.b.example"]),
                vec![soa(2)],
            ]
            .concat(),
        ]),
    };
    assert_eq!(give_notice(&server, "127.0.0.2", ZONE).await, rcode::REFUSED, "a stranger");
    assert_eq!(give_notice(&server, "127.0.0.1", "other.test").await, rcode::NOTAUTH, "a strange zone");
    assert_eq!(server.metric("zone_notices_total", &[("direction", "in"), ("result", "refused")]).await, 1);
    assert_eq!(server.metric("zone_strange_notices_total", &[]).await, 1);
    assert_eq!(give_notice(&server, "127.0.0.1", ZONE).await, rcode::NOERROR);
    until("the change is in force", async || is_banned(&server, "b.example").await).await;
    assert!(!is_banned(&server, "a.example").await);
    assert_eq!(server.metric("zone_transfers_total", &[("direction", "in"), ("result", "ixfr")]).await, 1);
    // Told once it is in force.
    let serial = async || server.metric("zone_serial", &[("direction", "in")]).await == 2;
    until("the serial is shown", serial).await;
    assert_eq!(server.metric("zone_records", &[("direction", "in"), ("trigger", "wildcard")]).await, 1);
    assert_eq!(server.metric("zone_expired", &[]).await, 0);

    // Three weeks later, without a primary: it stays in force, and is said to be too old.
    *does.lock().unwrap() = |_asked| Does::Raves(Vec::new());
    let directory = server.stop().await;
    let (clock, hands) = Clock::manual(Clock::system().now());
    hands.advance(Duration::from_secs(21 * 24 * 60 * 60));
    let server =
        TestServer::after(directory).clock(&clock).upstream(&upstream).setting(&partner(primary.address)).start().await;
    assert!(is_banned(&server, "b.example").await);
    until("its age is told", async || server.metric("zone_expired", &[]).await == 1).await;
    let zone = &server.control(Request::Status).await["zones"][0];
    assert_eq!(
        (&zone["serial"], &zone["expired"], &zone["triggers"]["qname"]),
        (&2.into(), &true.into(), &1.into()),
        "{zone}"
    );
}

#[tokio::test]
async fn whoever_gives_notice_all_the_time_has_the_primary_asked_no_more_often_than_once_a_second() {
    let primary = Primary::start(Signs::Nothing, |asked| match asked {
        qtype::SOA => Does::Sends(vec![vec![soa(1)]]),
        _ => whole(1, ["a.example"]),
    });
    let server = TestServer::new().setting(&partner(primary.address)).start().await;
    let shown = async || server.metric("zone_serial", &[("direction", "in")]).await == 1;
    until("the zone is there", shown).await;
    let (asked, begun) = (primary.asked().len(), Instant::now());
    for _ in 0..50 {
        assert_eq!(give_notice(&server, "127.0.0.1", ZONE).await, rcode::NOERROR);
    }
    let current = [("direction", "in"), ("result", "current")];
    until("it was looked", async || server.metric("zone_transfers_total", &current).await > 0).await;
    let looks = primary.asked().len() - asked;
    assert!(looks <= 1 + usize::try_from(begun.elapsed().as_secs()).unwrap(), "{looks} looks");
    assert_eq!(server.metric("zone_notices_total", &[("direction", "in"), ("result", "heard")]).await, 50);
}
