//! The simplest of clients: one question in a datagram, octet by octet, and the time until its answer.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

pub(crate) const A: u16 = 1;

pub(crate) const NOERROR: u8 = 0;
pub(crate) const NXDOMAIN: u8 = 3;

/// Longer than the server may take for any answer (2 s).
const PATIENCE: Duration = Duration::from_secs(4);

/// The rcode of the answer to one question.
pub(crate) fn ask(server: SocketAddr, name: &str, qtype: u16) -> io::Result<u8> {
    let labels: Vec<&[u8]> = name.split('.').map(str::as_bytes).collect();
    exchange(server, &query(next_id(), &labels, qtype)).map(|answer| rcode(&answer))
}

/// A number no other query of this process has had of late.
pub(crate) fn next_id() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A query with RD for a name of these labels.
pub(crate) fn query(id: u16, labels: &[&[u8]], qtype: u16) -> Vec<u8> {
    let mut message = Vec::with_capacity(512);
    for word in [id, 0x0100, 1, 0, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    for label in labels {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(*label);
    }
    message.push(0);
    message.extend(qtype.to_be_bytes());
    message.extend([0, 1]);
    message
}

/// The low four bits of the rcode.
pub(crate) fn rcode(message: &[u8]) -> u8 {
    message[3] & 0x0f
}

/// Sends a message and waits for the one with the same id.
pub(crate) fn exchange(server: SocketAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(message)?;
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer)?;
        if length >= 12 && buffer[..2] == message[..2] {
            return Ok(buffer[..length].to_vec());
        }
    }
}
