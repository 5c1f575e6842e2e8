//! Sockets that another process bound and holds: a service manager, or a server whose place is taken. They keep what waits in
//! them whoever reads them, so nothing is lost between two readers.

#![allow(unsafe_code, reason = "a service manager names descriptors by number; the block says why it is good")]

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::bind;

/// Sockets that nobody has taken yet. Each is known by what it is: datagrams, connections or a Unix socket, and its address.
#[derive(Debug, Default)]
pub struct Held {
    udp: Vec<(SocketAddr, OwnedFd)>,
    tcp: Vec<(SocketAddr, OwnedFd)>,
    unix: Vec<OwnedFd>,
}

impl Held {
    /// Those that the service manager passes (`sd_listen_fds(3)`): none if there is none, or none are for this
    /// process.
    ///
    /// # Errors
    /// The environment names what is not there, or what is no socket that could be listened on.
    pub fn of_service_manager() -> io::Result<Self> {
        let mut held = Self::default();
        for number in sd_notify::listen_fds()? {
            // SAFETY: the descriptor is open: just now its flags could be set. Nothing in this process closes it, as it is
            // nowhere owned: what is kept is a duplicate.
            let passed = unsafe { BorrowedFd::borrow_raw(number) };
            held.add(passed.try_clone_to_owned()?)?;
        }
        Ok(held)
    }

    /// Adds a socket.
    ///
    /// # Errors
    /// It is not bound, not listening, or none of a kind that is read here.
    pub fn add(&mut self, descriptor: OwnedFd) -> io::Result<()> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
        let socket = SockRef::from(&descriptor);
        let (domain, kind, address) = (socket.domain()?, socket.r#type()?, socket.local_addr()?);
        if kind == Type::STREAM && !socket.is_listener()? {
            return Err(wrong("a stream socket that was passed does not listen"));
        }
        match (address.as_socket(), kind) {
            (Some(address), Type::DGRAM) => self.udp.push((address, descriptor)),
            (Some(address), Type::STREAM) => self.tcp.push((address, descriptor)),
            (None, Type::STREAM) if domain == Domain::UNIX => self.unix.push(descriptor),
            _ => return Err(wrong("a socket that was passed is neither UDP nor TCP")),
        }
        Ok(())
    }

    /// Every UDP socket of this address, each set as [`super::udp`] sets those it binds.
    ///
    /// # Errors
    /// The operating system's.
    pub fn take_udp(&mut self, address: SocketAddr, patience: Duration) -> io::Result<Vec<UdpSocket>> {
        let take = |descriptor| {
            let socket = Socket::from(descriptor);
            socket.set_nonblocking(false)?;
            bind::set_udp(&socket, address, patience)?;
            Ok(socket.into())
        };
        taken(&mut self.udp, address).map(take).collect()
    }

    /// A TCP socket of this address, which does not block.
    ///
    /// # Errors
    /// The operating system's.
    pub fn take_tcp(&mut self, address: SocketAddr) -> io::Result<Option<TcpListener>> {
        let Some(descriptor) = taken(&mut self.tcp, address).next() else { return Ok(None) };
        let listener = TcpListener::from(descriptor);
        listener.set_nonblocking(true)?;
        Ok(Some(listener))
    }

    /// A Unix socket, which does not block.
    ///
    /// # Errors
    /// The operating system's.
    pub fn take_unix(&mut self) -> io::Result<Option<UnixListener>> {
        let Some(descriptor) = self.unix.pop() else { return Ok(None) };
        let listener = UnixListener::from(descriptor);
        listener.set_nonblocking(true)?;
        Ok(Some(listener))
    }

    /// The addresses of those that nobody took.
    pub fn left(&self) -> Vec<SocketAddr> {
        let mut left: Vec<_> = self.udp.iter().chain(&self.tcp).map(|(address, _)| *address).collect();
        left.sort();
        left.dedup();
        left
    }
}

fn taken(from: &mut Vec<(SocketAddr, OwnedFd)>, address: SocketAddr) -> impl Iterator<Item = OwnedFd> {
    from.extract_if(.., move |(held, _)| *held == address).map(|(_, descriptor)| descriptor)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn a_socket_is_taken_by_its_address_and_keeps_what_waits_in_it() {
        let any = "127.0.0.1:0".parse().unwrap();
        let udp = bind::udp(any, NonZeroUsize::new(2).unwrap(), PATIENCE).unwrap();
        let (tcp, other) = (bind::tcp(any).unwrap(), bind::tcp(any).unwrap());
        let (dns, stream) = (udp[0].local_addr().unwrap(), tcp.local_addr().unwrap());
        let client = UdpSocket::bind(any).unwrap();
        client.send_to(b"waits", dns).unwrap();
        let mut held = Held::default();
        let other_address = other.local_addr().unwrap();
        for socket in udp.into_iter().map(OwnedFd::from).chain([tcp, other].map(OwnedFd::from)) {
            held.add(socket).unwrap();
        }

        let taken = held.take_udp(dns, PATIENCE).unwrap();
        assert_eq!(taken.len(), 2);
        assert!(held.take_udp(dns, PATIENCE).unwrap().is_empty());
        for socket in &taken {
            socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        }
        let mut octets = [0; 16];
        let read: Vec<usize> = taken.iter().filter_map(|socket| socket.recv(&mut octets).ok()).collect();
        assert_eq!((read, &octets[..5]), (vec![5], &b"waits"[..]));
        assert_eq!(held.take_tcp(stream).unwrap().unwrap().local_addr().unwrap(), stream);
        assert!(held.take_tcp(stream).unwrap().is_none() && held.take_unix().unwrap().is_none());
        assert_eq!(held.left(), [other_address]);
    }

    #[test]
    fn what_can_not_be_listened_on_is_refused() {
        let mut held = Held::default();
        let unbound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        assert!(held.add(unbound.into()).is_err());
        let file = tempfile::tempfile().unwrap();
        assert!(held.add(file.into()).is_err());
    }
}
