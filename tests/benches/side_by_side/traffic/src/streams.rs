//! Answers over TCP: one loop over all connections, each message answered as it comes.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::datagrams::OCTETS;

/// Connections looked at by one call.
const EVENTS: usize = 64;
/// Octets of one read at most.
const READ: usize = 4096;
/// What the listener is called among the connections, which are called by their descriptors.
const LISTENER: u64 = u64::MAX;

/// A listener that does not block.
///
/// # Errors
/// The operating system's.
pub(crate) fn listener(port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Lets `respond` turn each message into its response, as over UDP.
///
/// # Errors
/// The operating system's.
pub(crate) fn serve(
    listener: &TcpListener,
    mut respond: impl FnMut(&mut [u8; OCTETS], usize) -> usize,
) -> io::Result<()> {
    let poll = Epoll::new(EpollCreateFlags::empty())?;
    poll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut events = [EpollEvent::empty(); EVENTS];
    loop {
        let count = poll.wait(&mut events, EpollTimeout::NONE).unwrap_or_default();
        for event in &events[..count] {
            if event.data() == LISTENER {
                while let Ok((stream, _peer)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let name = u64::from(stream.as_raw_fd().unsigned_abs());
                    poll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, name))?;
                    connections.insert(name, Connection { stream, heard: Vec::with_capacity(READ) });
                }
            } else if connections.get_mut(&event.data()).is_some_and(|one| one.go_on(&mut respond).is_none()) {
                // Closing takes it out of the poll too.
                connections.remove(&event.data());
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// What was read and not answered yet.
    heard: Vec<u8>,
}

impl Connection {
    /// Reads once and answers what is whole; `None` when the connection is at its end.
    fn go_on(&mut self, respond: &mut impl FnMut(&mut [u8; OCTETS], usize) -> usize) -> Option<()> {
        let mut room = [0; READ];
        let size = self.stream.read(&mut room).ok().filter(|size| *size > 0)?;
        self.heard.extend_from_slice(&room[..size]);
        let (mut done, mut said) = (0, Vec::with_capacity(READ));
        while let Some((head, rest)) = self.heard[done..].split_first_chunk() {
            let size = usize::from(u16::from_be_bytes(*head));
            let Some(message) = rest.get(..size) else { break };
            let mut room = [0; OCTETS];
            room.get_mut(..size)?.copy_from_slice(message);
            let size_out = respond(&mut room, size);
            said.extend_from_slice(&u16::try_from(size_out).ok()?.to_be_bytes());
            said.extend_from_slice(&room[..size_out]);
            done += 2 + size;
        }
        self.heard.drain(..done);
        self.stream.write_all(&said).ok()
    }
}
