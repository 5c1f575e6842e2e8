//! Names and packets that are meant to do harm.

use std::net::UdpSocket;
use std::time::Duration;

use super::client::{A, NXDOMAIN, ask, exchange, next_id, query, rcode};
use super::process::http_get;
use super::server::Setup;
use super::unbound::Unbound;

#[test]
fn a_hostile_name_is_escaped_on_every_face() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();
    let hostile = b"xn--\n\x1b[31m<b>\"\\\x80";
    let answer = exchange(server.dns, &query(next_id(), &[hostile, b"upd", b"kaspersky", b"com"], A)).unwrap();
    assert_eq!(rcode(&answer), NXDOMAIN);
    server.at_rest();

    let attempts = server.json(&["attempts"]);
    let shown = attempts[0]["qname"].as_str().unwrap();
    assert!(shown.starts_with(r"xn--\010\027\09131m\060b\062"), "RFC 4343 escapes: {shown}");
    assert!(shown.contains(r"\128") && shown.ends_with(".upd.kaspersky.com"), "{shown}");
    let raw = |what: &str, octets: &[u8]| {
        let text = std::str::from_utf8(octets).unwrap_or_else(|_| panic!("{what} has a raw octet"));
        let bare = text.chars().find(|character| character.is_control() && *character != '\n');
        assert_eq!(bare, None, "{what} has a raw control character");
    };
    raw("attempts", &server.command(&["attempts"]).stdout);
    raw("attempts --json", &server.command(&["attempts", "--json"]).stdout);
    raw("the log", server.log().as_bytes());
    raw("the metrics", http_get(server.admin, "/metrics").unwrap().1.as_bytes());
}

#[test]
fn broken_messages_are_counted_and_the_server_goes_on() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.connect(server.dns).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let good = query(next_id(), &[b"plain", b"test"], A);
    let mut response = good.clone();
    response[2] |= 0x80;
    let mut cut_off: Vec<Vec<u8>> = (0..good.len()).map(|length| good[..length].to_vec()).collect();
    cut_off.push(response);
    // A name that points at itself.
    let mut looped = good[..12].to_vec();
    looped.extend([0xc0, 12, 0, 1, 0, 1]);
    cut_off.push(looped);

    for message in &cut_off {
        socket.send(message).unwrap();
    }

    assert_eq!(ask(server.dns, "downloads.upd.kaspersky.com", A).unwrap(), NXDOMAIN);
    let page = server.at_rest();
    assert_eq!(
        page.sum("embargo_dns_requests_total"),
        cut_off.len() as u64 + 1,
        "every datagram is a query that was read"
    );
    assert_eq!(page.sum_of("embargo_dns_dropped_total", &[("reason", "response_bit")]), 1);
    assert_eq!(page.sum("embargo_panics_total"), 0);
    let mut buffer = [0; 1500];
    while let Ok(length) = socket.recv(&mut buffer) {
        assert!(length >= 12 && buffer[2] & 0x80 != 0, "an answer to a broken message is a response");
        assert_ne!(rcode(&buffer), 0, "and an error: {:?}", &buffer[..length]);
    }
}
