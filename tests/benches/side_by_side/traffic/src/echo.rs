//! The floor: the same traffic without any work of DNS. And the upstream: one answer to every question, at once.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};

use crate::datagrams::{Datagrams, OCTETS, enlarge};
use crate::streams;

/// Octets of a header.
const HEADER: usize = 12;
/// An A record at the name of the question, TTL one hour. Its last octet is for the upstream to fill in.
const RECORD: [u8; 16] = [0xC0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 192, 0, 2, 0];
const OPT: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];

/// Sends everything back with QR set.
///
/// # Errors
/// The operating system's.
pub(crate) fn echo(port: u16) -> io::Result<()> {
    let mark = |message: &mut [u8; OCTETS], size| {
        message[2] |= 0x80;
        size
    };
    both(port, mark, mark)
}

/// Answers every question at once. The address counts up, so that a response from a cache shows itself: it repeats.
///
/// # Errors
/// The operating system's.
pub(crate) fn upstream(port: u16) -> io::Result<()> {
    let counting = || {
        let mut count = 0;
        move |message: &mut [u8; OCTETS], size| {
            count = u8::wrapping_add(count, 1);
            answer(message, size, count).unwrap_or_default()
        }
    };
    both(port, counting(), counting())
}

/// UDP and TCP, each by a thread: of one process, so that its processor time is all of the echo's.
fn both<R: FnMut(&mut [u8; OCTETS], usize) -> usize + Send + 'static>(port: u16, udp: R, tcp: R) -> io::Result<()> {
    let listener = streams::listener(port)?;
    std::thread::spawn(move || streams::serve(&listener, tcp));
    serve(port, udp)
}

fn serve(port: u16, mut respond: impl FnMut(&mut [u8; OCTETS], usize) -> usize) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    enlarge(&socket)?;
    let mut datagrams = Datagrams::new();
    loop {
        let Ok(count) = datagrams.receive(&socket, true) else { continue };
        for (room, size) in datagrams.rooms.iter_mut().zip(&mut datagrams.sizes).take(count) {
            *size = if *size < HEADER { 0 } else { respond(room, *size) };
        }
        datagrams.answer(&socket, count);
    }
}

/// Turns a query into its response; returns the size. `None` if it is no query that a server would send here.
fn answer(message: &mut [u8; OCTETS], size: usize, last: u8) -> Option<usize> {
    let mut end = HEADER;
    while *message[..size].get(end)? > 0 {
        end += usize::from(message[end]) + 1;
    }
    end += 5;
    let address = message[..size].get(end - 4..end - 2)? == [0, 1];
    let edns = message[11];
    message[2] |= 0x84;
    message[3] = 0x80;
    message[6..HEADER].copy_from_slice(&[0, u8::from(address), 0, 0, 0, edns]);
    let mut append = |octets: &[u8]| {
        message.get_mut(end..end + octets.len())?.copy_from_slice(octets);
        end += octets.len();
        Some(end)
    };
    if address {
        append(&RECORD)?;
    }
    if edns > 0 {
        append(&OPT)?;
    }
    if address {
        message[end - 1 - usize::from(edns > 0) * OPT.len()] = last;
    }
    Some(end)
}
