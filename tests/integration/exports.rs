//! Our bans as zones for other resolvers: who may have them, signed as another implementation signs, new versions told of.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use embargo::app::control;
use embargo::wire::tsig::{Algorithm, Key, Signer, Verifier};
use embargo::wire::{LowerName, Name, Section, be16, be32, qtype, rcode, read_record};
use hickory_server::proto::op::Message;
use hickory_server::proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_server::proto::rr::{Name as HickoryName, TSigner};
use tokio::net::{TcpStream, UdpSocket};

use crate::harness::{Question, RunningServer, TestServer, read_frame, write_frame};
use crate::upstream_fake::FakeUpstream;

const SECRET: &[u8] = b"a secret of thirty-two octets!!!";
const KEY_FILE: &str = "key \"transfer.example\" {\n\talgorithm hmac-sha256;\n\tsecret \"YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBvY3RldHMhISE=\";\n};\n";
/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Names that make a zone of several messages.
const MANY: usize = 2_000;

fn many() -> String {
    (0..MANY).map(|number| format!("n{number}.example\n")).collect::<Vec<_>>().concat()
}

fn key() -> Key {
    Key::new(Name::parse("transfer.example").unwrap(), Algorithm::Sha256, SECRET)
}

/// A file with the key, which vanishes with the test.
fn key_file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEY_FILE).unwrap();
    file
}

/// What another implementation signs by the same key.
fn hickory_signer() -> TSigner {
    let name = HickoryName::from_ascii("transfer.example.").unwrap();
    TSigner::new(SECRET.to_vec(), TsigAlgorithm::HmacSha256, name, 300).unwrap()
}

fn now() -> u64 {
    u64::try_from(embargo::clock::Clock::system().now().wall.as_second()).unwrap()
}

fn question(qtype: u16) -> Vec<u8> {
    Question::new("rpz.test", qtype).octets()
}

/// Asks for the zone and reads messages until the SOA record has come twice. What was signed is checked.
async fn transfer(server: SocketAddr, mut query: Vec<u8>, key: Option<&Key>) -> Vec<Vec<u8>> {
    let mut verifier = key.map(|key| {
        let mut signer = Signer::of_query(key);
        signer.sign(&mut query, now());
        Verifier::of_response(key, &signer.mac())
    });
    let mut stream = TcpStream::connect(server).await.unwrap();
    write_frame(&mut stream, &query).await;
    let (mut messages, mut ends) = (Vec::new(), 0);
    while ends < 2 {
        let message = read_frame(&mut stream).await.expect("the whole zone");
        assert_eq!(u16::from(message[3] & 0xF), rcode::NOERROR);
        if let Some(verifier) = &mut verifier {
            verifier.check(&message, now()).unwrap();
        }
        ends += records(&message).iter().filter(|record| record.starts_with("rpz.test 6 ")).count();
        messages.push(message);
    }
    assert!(verifier.is_none_or(|verifier| verifier.is_settled()));
    messages
}

/// The answers as `owner type data`, the data in hexadecimal, but for aliases.
fn records(message: &[u8]) -> Vec<String> {
    let mut at = LowerName::read(message, 12).unwrap().1 + 4;
    let mut found = Vec::new();
    for _ in 0..be16(message, 6).unwrap() {
        let record = read_record(message, at, Section::Answer).unwrap();
        at = record.rdata.end;
        let owner = LowerName::read_compressed(message, record.start).unwrap().0;
        let data = if record.rtype == qtype::CNAME {
            LowerName::read_compressed(message, record.rdata.start).unwrap().0.to_string()
        } else {
            format!("{:02x?}", &message[record.rdata.clone()])
        };
        found.push(format!("{owner} {} {data}", record.rtype));
    }
    found
}

fn serial(message: &[u8]) -> u32 {
    let at = LowerName::read(message, 12).unwrap().1 + 4;
    be32(message, read_record(message, at, Section::Answer).unwrap().rdata.end - 20).unwrap()
}

/// Waits until the server has told of a version, and answers; returns its serial.
async fn told(secondary: &UdpSocket) -> u32 {
    let mut notice = vec![0; 1024];
    let (size, from) = secondary.recv_from(&mut notice).await.unwrap();
    notice.truncate(size);
    assert_eq!(notice[2] & 0x78, 4 << 3, "NOTIFY");
    let serial = serial(&notice);
    let mut answer = question(qtype::SOA);
    answer[..2].copy_from_slice(&notice[..2]);
    answer[2] = 0x80 | 4 << 3;
    secondary.send_to(&answer, from).await.unwrap();
    serial
}

/// A server that tells `secondary` of its zone, for whoever is on this host.
async fn serving(rules: &str, settings: &str, secondary: &UdpSocket) -> RunningServer {
    let address = secondary.local_addr().unwrap();
    let settings = format!("[[export]]\nzone = \"rpz.test\"\nbans = [\"v\"]\nnotify = [\"{address}\"]\n{settings}");
    TestServer::new().ban("v", rules).setting(&settings).start().await
}

async fn secondary() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test]
async fn a_zone_of_many_messages_has_every_name_once_and_nothing_else() {
    let rules = many();
    let secondary = secondary().await;
    let server = serving(&rules, "allow = [\"127.0.0.0/8\"]", &secondary).await;
    told(&secondary).await;

    let messages = transfer(server.address(), question(qtype::AXFR), None).await;

    assert!(messages.len() > 2 && messages.iter().all(|message| message.len() <= 16_384), "{}", messages.len());
    let all: Vec<String> = messages.iter().flat_map(|message| records(message)).collect();
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len() - 1, "only the SOA record stands there twice");
    for number in 0..MANY {
        for owner in ["", "*."] {
            assert!(distinct.contains(&format!("{owner}n{number}.example.rpz.test 5 .")), "{number}");
        }
    }
    assert_eq!(server.metric("zone_transfers_total", &[("direction", "out"), ("result", "axfr")]).await, 1);
    assert_eq!(server.metric("zone_records", &[("zone", "rpz.test"), ("trigger", "qname")]).await, MANY as u64);
    assert_eq!(server.metric("dns_responses_total", &[("outcome", "local")]).await, 1, "one query, one outcome");
}

#[tokio::test]
async fn only_who_has_the_key_and_comes_from_where_it_may_gets_the_zone() {
    let (file, secondary) = (key_file(), secondary().await);
    let lines = format!("key_file = \"{}\"", file.path().display());
    let server = serving("geo.example\n", &lines, &secondary).await;
    // The first is signed by the key of the zone too.
    told(&secondary).await;
    let refused = async |query: Vec<u8>| u16::from(server.tcp(&query).await[3] & 0xF);

    assert_eq!(refused(question(qtype::AXFR)).await, rcode::REFUSED, "unsigned");
    assert_eq!(refused(question(qtype::SOA)).await, rcode::REFUSED, "its serial is nobody's business either");
    let mut forged = question(qtype::AXFR);
    let other = Key::new(Name::parse("transfer.example").unwrap(), Algorithm::Sha256, b"some other secret");
    Signer::of_query(&other).sign(&mut forged, now());
    assert_eq!(refused(forged).await, rcode::NOTAUTH);
    let mut late = question(qtype::AXFR);
    Signer::of_query(&key()).sign(&mut late, now() - 1000);
    assert_eq!(refused(late).await, rcode::NOTAUTH);
    let mut datagram = question(qtype::AXFR);
    Signer::of_query(&key()).sign(&mut datagram, now());
    assert_eq!(u16::from(server.udp(&datagram).await[3] & 0xF), rcode::REFUSED, "over UDP there are no transfers");
    assert_eq!(server.metric("zone_transfers_total", &[("result", "refused")]).await, 4, "a look is no transfer");

    transfer(server.address(), question(qtype::AXFR), Some(&key())).await;
    let address = secondary.local_addr().unwrap();
    let elsewhere = format!("[[export]]\nzone = \"rpz.test\"\nallow = [\"192.0.2.0/24\"]\nnotify = [\"{address}\"]");
    server.change_settings(&elsewhere).await;
    told(&secondary).await;
    assert_eq!(refused(question(qtype::AXFR)).await, rcode::REFUSED, "another network");
    server.change_settings("").await;
    let gone = async { while server.metrics().await.contains("embargo_zone_serial{") {} };
    tokio::time::timeout(PATIENCE, gone).await.expect("a zone that is gone is not shown");
}

#[tokio::test]
async fn another_implementation_takes_our_signatures_and_we_take_its() {
    let (file, secondary) = (key_file(), secondary().await);
    let rules = many();
    let lines = format!("key_file = \"{}\"", file.path().display());
    let server = serving(&rules, &lines, &secondary).await;
    told(&secondary).await;

    let mut query = Message::from_vec(&question(qtype::AXFR)).unwrap();
    let mut verifier = query.finalize(&hickory_signer(), now()).unwrap().unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    write_frame(&mut stream, &query.to_vec().unwrap()).await;
    let (mut ends, mut messages) = (0, 0);
    while ends < 2 {
        let message = read_frame(&mut stream).await.expect("the whole zone");
        let response = verifier.verify(&message).unwrap();
        ends += response.answers.iter().filter(|record| u16::from(record.record_type()) == qtype::SOA).count();
        messages += 1;
    }
    assert!(messages > 2, "{messages}");
}

#[tokio::test]
async fn the_serial_grows_when_the_bans_change_and_only_then_across_restarts_too() {
    let secondary = secondary().await;
    let server = serving("geo.example\n", "allow = [\"127.0.0.1\"]", &secondary).await;
    let first = told(&secondary).await;
    let address = secondary.local_addr().unwrap();
    let settings =
        format!("[[export]]\nzone = \"rpz.test\"\nbans = [\"v\"]\nnotify = [\"{address}\"]\nallow = [\"127.0.0.1\"]");

    server.change_ban("v", "", "# A comment is no change.\ngeo.example\n").await;
    server.change_ban("v", "", "geo.example\nnew.example\n").await;
    let second = told(&secondary).await;
    assert!(second > first);
    let zone = transfer(server.address(), question(qtype::AXFR), None).await;
    assert_eq!(serial(&zone[0]), second);
    assert!(records(&zone[0]).contains(&"*.new.example.rpz.test 5 .".to_owned()), "{:?}", records(&zone[0]));

    let directory = server.stop().await;
    let server = TestServer::after(directory).setting(&settings).start().await;
    assert_eq!(told(&secondary).await, second, "nothing has changed");

    // Who has this version is told so by the SOA record alone, and over UDP so is everybody.
    let ixfr = |held: u32| {
        let mut query = question(qtype::IXFR);
        query[9] = 1;
        query.extend(b"\xC0\x0C\0\x06\0\x01\0\0\0\0\0\x16\0\0");
        query.extend(held.to_be_bytes());
        query.extend([0; 16]);
        query
    };
    let answer = server.tcp(&ixfr(second)).await;
    assert_eq!((be16(&answer, 6).unwrap(), serial(&answer)), (1, second));
    assert_eq!(be16(&server.udp(&ixfr(first)).await, 6).unwrap(), 1);
    // Who has the one before is told what has changed, and who has any other all of it.
    let changes = records(&transfer(server.address(), ixfr(first), None).await[0]);
    let soas: Vec<_> = changes.iter().map(|record| record.starts_with("rpz.test 6 ")).collect();
    assert_eq!(soas, [true, true, true, false, false, true], "{changes:?}");
    assert_eq!((&changes[0], &changes[0]), (&changes[2], &changes[5]), "{changes:?}");
    assert_eq!(changes[3..5], ["new.example.rpz.test 5 .", "*.new.example.rpz.test 5 ."]);
    let whole = records(&transfer(server.address(), ixfr(first.wrapping_sub(1)), None).await[0]);
    assert!(whole[1].starts_with("rpz.test 2 ") && whole.contains(&"geo.example.rpz.test 5 .".to_owned()), "{whole:?}");
    let ends = async |result| server.metric("zone_transfers_total", &[("direction", "out"), ("result", result)]).await;
    assert_eq!((ends("ixfr").await, ends("axfr").await), (1, 1));
}

#[tokio::test]
async fn a_zone_is_for_its_secondaries_also_where_they_are_no_clients_and_never_goes_upstream() {
    let secondary = secondary().await;
    let server = serving("geo.example\n", "allow = [\"127.0.0.1\"]", &secondary).await;
    told(&secondary).await;
    let address = secondary.local_addr().unwrap();
    let settings = format!(
        "allow = [\"192.0.2.0/24\"]\n[[export]]\nzone = \"rpz.test\"\nbans = [\"v\"]\nnotify = [\"{address}\"]\nallow = [\"127.0.0.1\"]"
    );
    server.change_settings(&settings).await;

    assert_eq!(server.query("www.example", qtype::A).await.rcode(), rcode::REFUSED);
    transfer(server.address(), question(qtype::AXFR), None).await;
    let answer = server.udp(&question(qtype::SOA)).await;
    assert!(answer[2] & 0x04 != 0, "AA");
}

#[tokio::test]
async fn a_server_that_transfers_our_zone_does_as_we_do() {
    let (file, secondary) = (key_file(), secondary().await);
    let rules = many() + "geo.example\n!free.geo.example\n=exact.example\nseen.example update installed observe\n";
    let key_line = format!("key_file = \"{}\"", file.path().display());
    let primary = serving(&rules, &key_line, &secondary).await;
    told(&secondary).await;
    let upstream = FakeUpstream::start().await;
    let list =
        format!("[[list]]\nid = \"theirs\"\nzone = \"rpz.test\"\nprimaries = [\"{}\"]\n{key_line}", primary.address());
    let other = TestServer::new().upstream(&upstream).setting(&list).start().await;
    let came = async { while other.metric("list_entries", &[]).await < MANY as u64 {} };
    tokio::time::timeout(PATIENCE, came).await.expect("the zone");

    for (name, code) in [
        ("n7.example", rcode::NXDOMAIN),
        ("a.n1999.example", rcode::NXDOMAIN),
        ("geo.example", rcode::NOERROR),
        ("a.geo.example", rcode::NXDOMAIN),
        ("free.geo.example", rcode::NOERROR),
        ("a.free.geo.example", rcode::NOERROR),
        ("a.exact.example", rcode::NOERROR),
        ("seen.example", rcode::NOERROR),
        ("other.example", rcode::NOERROR),
    ] {
        let ours = primary.query(name, qtype::A).await;
        let theirs = other.query(name, qtype::A).await;
        assert_eq!(theirs.rcode(), code, "{name}");
        // Without an upstream, what is let through here fails.
        let passes = ours.rcode() == rcode::SERVFAIL;
        assert_eq!(passes, !theirs.answers().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_secondary_that_missed_some_versions_is_sent_what_has_changed_and_does_as_we_do() {
    let (file, secondary) = (key_file(), secondary().await);
    let key_line = format!("key_file = \"{}\"", file.path().display());
    let primary = serving(&(many() + "geo.example\n"), &key_line, &secondary).await;
    let first = told(&secondary).await;
    let upstream = FakeUpstream::start().await;
    let list =
        format!("[[list]]\nid = \"theirs\"\nzone = \"rpz.test\"\nprimaries = [\"{}\"]\n{key_line}", primary.address());
    let other = TestServer::new().upstream(&upstream).setting(&list).start().await;
    let has = async |least: u64| while other.metric("list_entries", &[]).await < least {};
    tokio::time::timeout(PATIENCE, has(MANY as u64)).await.expect("the zone");

    let mut newest = first;
    for rules in ["!free.geo.example\n", "!free.geo.example\n=alone.example\n", "=alone.example\ngeo.test.example\n"] {
        primary.change_ban("v", "", &format!("{}geo.example\n{rules}", many())).await;
        // A version may be told of twice, when the first notice was not answered in time.
        let before = newest;
        while newest <= before {
            newest = told(&secondary).await;
        }
    }
    assert!(newest > first);
    other.control(control::Request::ListsFetch { ids: Vec::new(), any_size: false }).await;

    let ends = async |server: &RunningServer, direction, result| {
        server.metric("zone_transfers_total", &[("direction", direction), ("result", result)]).await
    };
    assert_eq!((ends(&other, "in", "axfr").await, ends(&other, "in", "ixfr").await), (1, 1));
    assert_eq!(ends(&primary, "out", "ixfr").await, 1);
    for (name, code) in [
        ("n1999.example", rcode::NXDOMAIN),
        ("a.free.geo.example", rcode::NXDOMAIN),
        ("alone.example", rcode::NOERROR),
        ("x.geo.test.example", rcode::NXDOMAIN),
        ("a.alone.example", rcode::NOERROR),
    ] {
        let (ours, theirs) = (primary.query(name, qtype::A).await, other.query(name, qtype::A).await);
        assert_eq!(theirs.rcode(), code, "{name}");
        assert_eq!(ours.rcode() == rcode::SERVFAIL, !theirs.answers().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_zone_changes_at_the_second_when_a_ban_begins_to_enforce() {
    let secondary = secondary().await;
    let address = secondary.local_addr().unwrap();
    let export =
        format!("[[export]]\nzone = \"rpz.test\"\nbans = [\"v\"]\nnotify = [\"{address}\"]\nallow = [\"127.0.0.1\"]");
    let from = embargo::clock::Clock::system().now().wall + Duration::from_secs(3);
    let server = TestServer::new()
        .ban_with("v", &format!("enforce_from = {from}"), "geo.example\n")
        .setting(&export)
        .start()
        .await;
    let observing = told(&secondary).await;
    assert!(!records(&transfer(server.address(), question(qtype::AXFR), None).await[0]).join(" ").contains("geo"));

    let enforcing = told(&secondary).await;

    assert!(enforcing > observing);
    assert!(embargo::clock::Clock::system().now().wall >= from);
    let zone = transfer(server.address(), question(qtype::AXFR), None).await;
    assert!(records(&zone[0]).contains(&"geo.example.rpz.test 5 .".to_owned()));
}
