//! The block page, as browsers and products meet it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use embargo::app::control::Request;
use embargo::journal::{ConnectedRow, Filter, Store};
use embargo::tls::Trust;
use embargo::wire::rcode;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::harness::{RunningServer, TestServer};
use crate::upstream_fake::A;
use crate::upstream_fake::certificates::Authority;

/// Longer than any answer may take; only a fault lets a test wait for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Type HTTPS (RFC 9460).
const HTTPS: u16 = 65;

const PAGE: &str = "allow = [\"127.0.0.1\", \"127.0.0.2\"]\n[block_page]\nhttp = [\"127.0.0.1:0\"]\n\
                    https = [\"127.0.0.1:0\"]\n";
const BAN: &str = "action = \"sinkhole\"\nenforce_from = 2024-09-29\ncontact = \"it@example.org\"\n\
                   alternatives = \"Another one\"\n[page.de]\ntext = \"Eigener Satz.\"\n";

async fn server(settings: &str) -> RunningServer {
    let server = TestServer::new().ban_with("acme", BAN, "*.upd.acme.example update installed\nacme.example\n");
    server.setting(settings).start().await
}

async fn connect(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    socket.connect(to).await.unwrap()
}

/// Everything that is answered to these octets, until the end.
async fn say(to: SocketAddr, octets: &[u8]) -> String {
    let mut stream = connect([127, 0, 0, 1], to).await;
    stream.write_all(octets).await.unwrap();
    read_out(&mut stream).await
}

async fn read_out(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
    drop(read);
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get(server: &RunningServer, host: &str, fields: &str) -> String {
    let request = format!("GET /any/path?x=1 HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    say(server.block_page().http[0], request.as_bytes()).await
}

async fn connected(server: &RunningServer) -> Vec<ConnectedRow> {
    server.control(Request::Flush).await;
    Store::open_read_only(&server.state_dir()).unwrap().connected(&Filter::default()).unwrap()
}

async fn ended(server: &RunningServer, result: &str) -> u64 {
    server.metric("block_page_connections_total", &[("result", result)]).await
}

/// Looks until so many connections have ended so.
async fn waits_for(server: &RunningServer, result: &str, count: u64) {
    let seen = async { while ended(server, result).await < count {} };
    tokio::time::timeout(PATIENCE, seen).await.unwrap_or_else(|_elapsed| panic!("{count} {result}"));
}

/// A handshake by this name, trusting so, and what comes of a request then.
async fn https(server: &RunningServer, name: &str, trust: &Trust) -> io::Result<String> {
    let config = Arc::new(trust.client(true, &[]).unwrap().into_inner());
    let stream = connect([127, 0, 0, 1], server.block_page().https[0]).await;
    let name_there = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = TlsConnector::from(config).connect(name_there, stream).await?;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n").as_bytes()).await?;
    Ok(read_out(&mut stream).await)
}

fn alert(result: io::Result<String>) -> AlertDescription {
    let error = result.unwrap_err().into_inner().unwrap();
    match error.downcast_ref::<Error>() {
        Some(Error::AlertReceived(alert)) => *alert,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_follows_an_answer_of_ours_is_told_what_is_banned_and_is_on_record() {
    let server = server(PAGE).await;
    let answer = server.query("www.acme.example", A).await;
    assert_eq!((answer.rcode(), answer.answers().len()), (rcode::NOERROR, 1), "the page's own address");
    let other_ways = server.query("www.acme.example", HTTPS).await;
    assert_eq!((other_ways.rcode(), other_ways.answers().len()), (rcode::NOERROR, 0), "no hint of another way");

    let page = get(&server, "WWW.acme.example:80", "").await;
    for text in ["HTTP/1.1 403 ", "www.acme.example", "2024-09-29", "it@example.org", "Another one", "lang=\"en\""] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let german = get(&server, "x.upd.acme.example", "Accept-Language: de-CH, en;q=0.3\r\n").await;
    assert!(german.contains("lang=\"de\"") && german.contains("Eigener Satz."), "{german}");
    let posted = b"POST http://www.acme.example/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    assert!(say(server.block_page().http[0], posted).await.contains("403 "));

    let rows = connected(&server).await;
    let told = |row: &ConnectedRow| (row.client, row.name.clone(), row.said.as_str(), row.count);
    let client: IpAddr = [127, 0, 0, 1].into();
    let mut told: Vec<_> = rows.iter().map(told).collect();
    told.sort();
    let expected = [("www.acme.example", 2), ("x.upd.acme.example", 1)];
    assert_eq!(told, expected.map(|(name, count)| (client, name.to_owned(), "host", count)));
    assert_eq!(ended(&server, "page").await, 3);
    server.stop().await;
}

#[tokio::test]
async fn who_comes_by_another_name_or_by_none_learns_nothing_and_is_not_recorded() {
    let server = server(PAGE).await;
    for host in ["www.example.org", "192.0.2.1", "<script>alert(1)</script>"] {
        let page = get(&server, host, "").await;
        assert!(page.contains("404 ") && !page.contains("acme") && !page.contains("<script"), "{page}");
    }
    let broken = say(server.block_page().http[0], b"\x16\x03\x01\0\x01\0\r\n\r\n").await;
    assert!(!broken.contains("acme"), "{broken}");
    let mut stranger = connect([127, 0, 0, 9], server.block_page().http[0]).await;
    drop(stranger.write_all(b"GET / HTTP/1.1\r\nHost: www.acme.example\r\n\r\n").await);
    assert_eq!(read_out(&mut stranger).await, "", "it is not served");
    assert!(connected(&server).await.is_empty());
    for (result, count) in [("not_banned", 1), ("no_name", 2), ("broken", 1), ("not_served", 1), ("page", 0)] {
        assert_eq!(ended(&server, result).await, count, "{result}");
    }
    server.stop().await;
}

#[tokio::test]
async fn over_https_a_name_is_read_and_turned_away_unless_there_is_a_certificate_for_it() {
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = server(PAGE).await;
    assert_eq!(
        alert(https(&server, "a.upd.acme.example", &authority.trust()).await),
        AlertDescription::UnrecognisedName
    );
    assert_eq!(alert(https(&server, "www.example.org", &authority.trust()).await), AlertDescription::UnrecognisedName);
    assert_eq!(alert(https(&server, "192.0.2.1", &authority.trust()).await), AlertDescription::UnrecognisedName);
    let rows = connected(&server).await;
    let told: Vec<_> = rows.iter().map(|row| (&*row.name, row.said.as_str(), row.evidence.as_str())).collect();
    assert_eq!(told, [("a.upd.acme.example", "sni", "installed")]);
    for (result, count) in [("alert", 1), ("not_banned", 1), ("no_name", 1)] {
        assert_eq!(ended(&server, result).await, count, "{result}");
    }

    let made = authority.issue(&["www.acme.example"]);
    let (chain, key) = (files.path().join("chain.pem"), files.path().join("key.pem"));
    std::fs::write(&chain, &made.pem).unwrap();
    std::fs::write(&key, made.key.serialize_pem()).unwrap();
    let with = format!("{PAGE}certificate = {chain:?}\nkey = {key:?}\n");
    server.change_settings(&with).await;
    let page = https(&server, "www.acme.example", &authority.trust()).await.unwrap();
    assert!(page.contains("403 ") && page.contains("www.acme.example"), "{page}");
    let other = https(&server, "a.upd.acme.example", &authority.trust()).await;
    assert_eq!(alert(other), AlertDescription::UnrecognisedName, "it is for another name");
    assert_eq!((ended(&server, "certificate").await, connected(&server).await.len()), (1, 2));
    server.stop().await;
}

#[tokio::test]
async fn who_connects_is_shown_as_connected_and_a_renewed_certificate_to_whoever_comes_next() {
    let (old, new, files) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    let (chain, key) = (files.path().join("chain.pem"), files.path().join("key.pem"));
    let write = |authority: &Authority| {
        let made = authority.issue(&["a.upd.acme.example"]);
        std::fs::write(&chain, &made.pem).unwrap();
        std::fs::write(&key, made.key.serialize_pem()).unwrap();
    };
    write(&old);
    let server = server(&format!("{PAGE}certificate = {chain:?}\nkey = {key:?}\n")).await;
    assert_eq!(server.query("a.upd.acme.example", A).await.answers().len(), 1);
    let page = https(&server, "a.upd.acme.example", &old.trust()).await.unwrap();
    assert!(page.contains("403 ") && page.contains("a.upd.acme.example"), "{page}");

    write(&new);
    server.reload().await;
    https(&server, "a.upd.acme.example", &old.trust()).await.unwrap_err();
    https(&server, "a.upd.acme.example", &new.trust()).await.unwrap();

    assert_eq!(connected(&server).await.iter().map(|row| row.count).sum::<u64>(), 3);
    let (_status, devices) = server.http("/devices?ban=acme").await;
    assert!(devices.contains(">Connected</th>") && devices.contains("<td>yes</td>"), "{devices}");
    let (_status, only) = server.http("/devices?ban=acme&class=connected").await;
    assert!(only.contains("/devices/0\">127.0.0.1<"), "{only}");
    let (_status, device) = server.http("/devices/0").await;
    assert!(device.contains("Connections to the block page") && device.contains("<td>TLS greeting</td>"), "{device}");
    server.stop().await;
}

#[tokio::test]
async fn silent_connections_leave_room_for_others_and_dns_is_answered_beside_them() {
    let server = server(&format!("{PAGE}connections_max = 16\n")).await;
    let mut silent = Vec::new();
    for _each in 0..8 {
        silent.push(connect([127, 0, 0, 2], server.block_page().http[0]).await);
        silent.push(connect([127, 0, 0, 2], server.block_page().https[0]).await);
    }
    // All but one of one client's are beyond its part.
    waits_for(&server, "refused", 15).await;
    assert!(get(&server, "www.acme.example", "").await.contains("403 "), "there is room for another client");
    assert_eq!(server.query("www.acme.example", A).await.answers().len(), 1);
    drop(silent);
    server.stop().await;
}
