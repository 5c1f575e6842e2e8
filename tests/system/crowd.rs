//! Many connections that do nothing, or next to nothing: those who ask see nothing of them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::client::{A, NOERROR, ask, next_id, query, rcode};
use super::process::SOON;
use super::server::Setup;
use super::unbound::Unbound;

/// Connections that have asked once, and stay.
const IDLE: usize = 300;
/// Connections that send a query octet by octet, each octet a while after the one before.
const SLOW: usize = 40;
/// Clients that come meanwhile.
const NEW: usize = 100;

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

fn framed(name: &str) -> Vec<u8> {
    let message = query(next_id(), &[name.as_bytes(), b"many", b"test"], A);
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), &message[..]].concat()
}

/// The rcode of the answer to one question over a connection.
fn ask_over(stream: &mut TcpStream, name: &str) -> u8 {
    let question = framed(name);
    stream.write_all(&question).unwrap();
    let mut size = [0; 2];
    stream.read_exact(&mut size).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(size))];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..2], question[2..4], "its own answer");
    rcode(&answer)
}

#[test]
fn hundreds_of_idle_connections_and_slow_senders_take_nothing_from_those_who_ask() {
    let unbound = Unbound::start();
    let room = IDLE + SLOW + NEW;
    let mut server = Setup::new(&[unbound.address])
        .setting("tcp", &format!("connections_max = {room}"))
        .setting("tcp", &format!("connections_per_client_max = {room}"))
        .setting("tcp", "idle = \"300s\"")
        .start();
    let dns = server.dns;
    let mut idle: Vec<TcpStream> = (0..IDLE).map(|_place| connect(dns)).collect();
    for (number, stream) in idle.iter_mut().enumerate() {
        assert_eq!(ask_over(stream, &format!("idle{number}")), NOERROR);
    }
    let before = server.running().resident_kib();

    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut slow: Vec<TcpStream> = (0..SLOW).map(|_place| connect(dns)).collect();
            for octet in framed("slow") {
                for stream in &mut slow {
                    // One that is too slow may be cut off.
                    drop(stream.write_all(&[octet]));
                }
                thread::sleep(Duration::from_millis(50));
                if over.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        for number in 0..NEW {
            assert_eq!(ask(dns, &format!("udp{number}.many.test"), A).unwrap(), NOERROR);
            let mut stream = connect(dns);
            for nth in 0..3 {
                assert_eq!(ask_over(&mut stream, &format!("new{number}x{nth}")), NOERROR);
            }
        }
        over.store(true, Ordering::Relaxed);
    });

    for (number, stream) in idle.iter_mut().enumerate() {
        assert_eq!(ask_over(stream, &format!("again{number}")), NOERROR, "there was room for all");
    }
    let grown = server.running().resident_kib().saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB more");
    assert_eq!(server.metrics().sum_of("embargo_dns_connections_cut_total", &[("reason", "evicted")]), 0);
    assert_eq!(server.metrics().sum("embargo_panics_total"), 0);
}
