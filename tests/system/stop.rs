//! Stopping: what was read is answered and recorded, and the exit is a good one.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::client::{A, NXDOMAIN, next_id, query, rcode};
use super::figures::count;
use super::process::{SOON, until};
use super::server::Setup;
use super::unbound::Unbound;

/// An upstream that answers every query with an empty NOERROR, each after this time.
fn slow_upstream(after: Duration) -> SocketAddr {
    let socket = Arc::new(UdpSocket::bind(("127.0.0.1", 0)).unwrap());
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 1500];
        // The thread ends with the tests; nobody waits for it.
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let mut message = buffer[..length].to_vec();
            let socket = Arc::clone(&socket);
            thread::spawn(move || {
                thread::sleep(after);
                message[2] |= 0x80;
                message[3] = 0x80;
                drop(socket.send_to(&message, from));
            });
        }
    });
    address
}

#[test]
fn a_stop_answers_what_is_in_flight() {
    let upstream = slow_upstream(Duration::from_millis(900));
    let mut server = Setup::new(&[upstream]).start();
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.connect(server.dns).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    for number in 0..200 {
        let label = format!("n{number}");
        socket.send(&query(next_id(), &[label.as_bytes(), b"many", b"test"], A)).unwrap();
    }
    let read = || server.metrics().sum_of("embargo_dns_requests_total", &[("qtype", "A")]) >= 200;
    until("all queries are read", SOON, || read().then_some(()));

    let status = server.stop();

    assert_eq!(status.code(), Some(0));
    let mut buffer = [0; 1500];
    for nth in 0..200 {
        let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("answer {nth} of 200: {error}"));
        assert!(length > 12 && rcode(&buffer) == 0, "answer {nth}: {:?}", &buffer[..length]);
    }
}

#[test]
fn a_stop_under_load_records_every_answer_that_left() {
    let unbound = Unbound::start();
    let mut server = Setup::new(&[unbound.address]).start();
    let socket = Arc::new(UdpSocket::bind(("127.0.0.1", 0)).unwrap());
    socket.connect(server.dns).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let sender = Arc::clone(&socket);
    let sending = thread::spawn(move || {
        // Sends until the port is closed: loopback reports that at once. At most 10,000 a second.
        let sent = (0..200_000_u32).take_while(|number| {
            if number % 20 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
            let label = format!("n{}", number % 300);
            sender.send(&query(next_id(), &[label.as_bytes(), b"upd", b"kaspersky", b"com"], A)).is_ok()
        });
        sent.count() as u64
    });
    let answering = thread::spawn(move || {
        let mut buffer = [0; 1500];
        let mut answered = 0_u64;
        while socket.recv(&mut buffer).is_ok() {
            assert_eq!(rcode(&buffer), NXDOMAIN);
            answered += 1;
        }
        answered
    });
    until("the load is on", SOON, || (server.metrics().sum("embargo_attempts_total") > 3_000).then_some(()));

    let status = server.stop();

    assert_eq!(status.code(), Some(0));
    let (sent, answered) = (sending.join().unwrap(), answering.join().unwrap());
    let recorded = count(&server.json(&["attempts"]), &[]);
    assert!(answered > 3_000 && answered <= recorded, "{answered} answered, {recorded} recorded, {sent} sent");
    assert!(recorded <= sent + 1, "{recorded} recorded, {sent} sent");
}
