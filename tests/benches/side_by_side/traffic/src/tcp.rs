//! Load over TCP: connections with one open query each, kept or made anew for every query.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt};

use crate::datagrams::OCTETS;
use crate::options::Options;
use crate::questions::Questions;
use crate::tally::Tally;

/// Connections looked at by one call.
const EVENTS: usize = 64;
/// A query without a response after this time is lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// Source addresses, in turn: the ports of one would all be waiting for late segments (TIME-WAIT) within a second.
const SOURCES: u8 = 64;
/// Wait in milliseconds, so that the end is not missed.
const LOOK_UP: u16 = 20;

/// Keeps `options.window` connections busy for `options.time`.
///
/// # Errors
/// The operating system's, when a connection can't be had.
pub(crate) fn load(port: u16, questions: Questions, options: &Options) -> Result<Tally, Box<dyn Error>> {
    let poll = Epoll::new(EpollCreateFlags::empty())?;
    let mut run = Run { port, questions, tally: Tally::default(), poll, source: 0, once: options.once };
    let begin = Instant::now();
    let mut connections = (0..options.window).map(|name| run.open(name, begin)).collect::<io::Result<Vec<_>>>()?;
    let mut events = [EpollEvent::empty(); EVENTS];
    let mut now = begin;
    while now < begin + options.time {
        let count = run.poll.wait(&mut events, EpollTimeout::from(LOOK_UP)).unwrap_or_default();
        now = Instant::now();
        for event in &events[..count] {
            let name = usize::try_from(event.data())?;
            run.go_on(&mut connections[name], name, now)?;
        }
        let late = |connection: &Connection| now - connection.since > PATIENCE;
        for (name, connection) in connections.iter_mut().enumerate().filter(|(_name, connection)| late(connection)) {
            run.tally.lost += 1;
            *connection = run.open(name, now)?;
        }
    }
    run.tally.time = options.time;
    Ok(run.tally)
}

struct Connection {
    stream: TcpStream,
    /// When its query was begun: for a connection of one query, when it was opened.
    since: Instant,
    /// Whether the query was sent.
    asked: bool,
    /// What has come of the response, with its length in front.
    heard: Vec<u8>,
}

struct Run {
    port: u16,
    questions: Questions,
    tally: Tally,
    poll: Epoll,
    source: u8,
    once: bool,
}

impl Run {
    /// A connection that is being made; it wakes the poll when it is there.
    fn open(&mut self, name: usize, now: Instant) -> io::Result<Connection> {
        let fd: OwnedFd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_NONBLOCK, None)?;
        setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
        self.source = (self.source + 1) % SOURCES;
        let source = SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, self.source + 1), 0);
        bind(fd.as_raw_fd(), &SockaddrIn::from(source))?;
        match connect(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port))) {
            Ok(()) | Err(Errno::EINPROGRESS) => (),
            Err(error) => return Err(error.into()),
        }
        self.poll.add(&fd, EpollEvent::new(EpollFlags::EPOLLOUT, name as u64))?;
        Ok(Connection { stream: TcpStream::from(fd), since: now, asked: false, heard: Vec::with_capacity(OCTETS) })
    }

    /// Does what a connection is ready for.
    fn go_on(&mut self, connection: &mut Connection, name: usize, now: Instant) -> io::Result<()> {
        if !connection.asked {
            let mut event = EpollEvent::new(EpollFlags::EPOLLIN, name as u64);
            self.poll.modify(&connection.stream, &mut event)?;
            return self.ask(connection, name, now);
        }
        match hear(connection) {
            Ok(Some(flags)) => {
                self.tally.answered(flags, now - connection.since);
                if self.once {
                    *connection = self.open(name, now)?;
                    Ok(())
                } else {
                    connection.since = now;
                    self.ask(connection, name, now)
                }
            }
            Ok(None) => Ok(()),
            Err(_closed) => self.again(connection, name, now),
        }
    }

    fn ask(&mut self, connection: &mut Connection, name: usize, now: Instant) -> io::Result<()> {
        let mut message = [0; OCTETS + 2];
        let size = self.questions.write(0x1234, &mut message[2..]);
        message[..2].copy_from_slice(&u16::try_from(size).unwrap_or_default().to_be_bytes());
        // It is far smaller than the empty buffer of the socket, so it goes whole or the connection is closed.
        if connection.stream.write_all(&message[..size + 2]).is_err() {
            return self.again(connection, name, now);
        }
        connection.asked = true;
        connection.heard.clear();
        self.tally.sent += 1;
        Ok(())
    }

    /// A new connection in place of one that the server closed.
    fn again(&mut self, connection: &mut Connection, name: usize, now: Instant) -> io::Result<()> {
        self.tally.closed += 1;
        *connection = self.open(name, now)?;
        Ok(())
    }
}

/// Reads what is there; the fourth octet of the response's header when it is whole.
fn hear(connection: &mut Connection) -> io::Result<Option<u8>> {
    let mut room = [0; OCTETS];
    match connection.stream.read(&mut room) {
        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
        Ok(size) => connection.heard.extend_from_slice(&room[..size]),
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
        Err(error) => return Err(error),
    }
    let whole = |heard: &[u8]| heard.len() >= 2 + usize::from(u16::from_be_bytes([heard[0], heard[1]]));
    Ok(connection.heard.get(5).copied().filter(|_flags| whole(&connection.heard)))
}
