//! Datagrams read and written many at a time: one call of the kernel for up to [`BATCH`] of them.

#![allow(unsafe_code, reason = "the kernel's message headers hold pointers; each block says why they are good")]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

use crate::wire::{PROXY_HEADER_MAX, QUERY_MAX};

use super::control::{Control, Local, destination, length, set_source};

/// Datagrams read or written by one call at most.
pub const BATCH: usize = 64;
/// Octets of a datagram that are read: a proxy's header, and one more than a query may have, so that one that was cut off is
/// seen to be too long.
const OCTETS: usize = PROXY_HEADER_MAX + QUERY_MAX + 1;

/// Room for datagrams, filled by one call. Stays on the thread that made it.
pub struct Incoming {
    octets: Vec<[u8; OCTETS]>,
    names: Vec<libc::sockaddr_storage>,
    // These two are pointed at by `headers` and touched by the kernel only; like the others they are never grown.
    _controls: Vec<Control>,
    _parts: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    count: usize,
}

/// One datagram as it came.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'i> {
    /// Its octets.
    pub octets: &'i [u8],
    /// Who sent it.
    pub source: SocketAddr,
    /// Where it was sent to.
    pub local: Local,
}

impl Default for Incoming {
    fn default() -> Self {
        Self::new()
    }
}

impl Incoming {
    /// Empty room for a batch.
    pub fn new() -> Self {
        let mut octets = vec![[0; OCTETS]; BATCH];
        // SAFETY: an address storage of zeros is the unspecified family, which every reader checks.
        let mut names = vec![unsafe { zeroed::<libc::sockaddr_storage>() }; BATCH];
        let mut controls = vec![Control::EMPTY; BATCH];
        let mut parts: Vec<_> =
            octets.iter_mut().map(|room| libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: OCTETS }).collect();
        let headers = names.iter_mut().zip(&mut parts).zip(&mut controls).map(|((name, part), control)| {
            // SAFETY: a header of zeros points at nothing.
            let mut header: libc::mmsghdr = unsafe { zeroed() };
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            make_room(&mut header.msg_hdr);
            header
        });
        let headers = headers.collect();
        Self { octets, names, _controls: controls, _parts: parts, headers, count: 0 }
    }

    /// Waits for a datagram, as long as the socket's read timeout, and takes all that are there; returns how many.
    ///
    /// # Errors
    /// The operating system's; `WouldBlock` when nothing came in time.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.receive_by(socket, libc::MSG_WAITFORONE)
    }

    /// The same without waiting: whoever has something else to wait for must not wait here, since another thread or process that
    /// reads the same socket may have taken what came.
    ///
    /// # Errors
    /// As [`Incoming::receive`].
    pub fn receive_now(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.receive_by(socket, libc::MSG_DONTWAIT)
    }

    fn receive_by(&mut self, socket: &UdpSocket, flags: libc::c_int) -> io::Result<usize> {
        // The kernel wrote what it used over what there was room for.
        for header in &mut self.headers[..self.count] {
            make_room(&mut header.msg_hdr);
        }
        self.count = 0;
        // SAFETY: every header points at a name, a part and a control that belong to `self`, are as long as the header says
        // and stay where they are; the parts point at rows of `octets`. The kernel writes at most BATCH headers.
        let read = unsafe {
            let headers = self.headers.as_mut_ptr();
            libc::recvmmsg(socket.as_raw_fd(), headers, BATCH_LENGTH, flags, ptr::null_mut())
        };
        self.count = usize::try_from(read).map_err(|_minus_one| io::Error::last_os_error())?;
        Ok(self.count)
    }

    /// The datagram in a slot below the count that [`Incoming::receive`] returned; `None` when its source is no address
    /// of the Internet.
    pub fn datagram(&self, slot: usize) -> Option<Datagram<'_>> {
        let header = &self.headers[..self.count].get(slot)?;
        let size = usize::try_from(header.msg_len).unwrap_or(OCTETS).min(OCTETS);
        let source = address(&self.names[slot])?;
        let local = if header.msg_hdr.msg_controllen == 0 { Local::Bound } else { destination(&header.msg_hdr) };
        Some(Datagram { octets: &self.octets[slot][..size], source, local })
    }

    /// The octets of every datagram of the batch.
    pub fn all_octets(&self) -> impl Iterator<Item = &[u8]> {
        let sizes = self.headers[..self.count].iter().map(|header| usize::try_from(header.msg_len).unwrap_or(OCTETS));
        self.octets.iter().zip(sizes).map(|(octets, size)| &octets[..size.min(OCTETS)])
    }

    /// The octets of the datagram in a slot, to be changed where they stand; empty for a slot that holds none.
    pub fn octets_mut(&mut self, slot: usize) -> &mut [u8] {
        let Some(header) = self.headers[..self.count].get(slot) else { return &mut [] };
        let size = usize::try_from(header.msg_len).unwrap_or(OCTETS).min(OCTETS);
        &mut self.octets[slot][..size]
    }
}

#[expect(clippy::cast_possible_truncation, reason = "128 octets")]
const NAME_LENGTH: libc::socklen_t = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
#[expect(clippy::cast_possible_truncation, reason = "2 and 10")]
const FAMILY_V4: libc::sa_family_t = libc::AF_INET as libc::sa_family_t;
#[expect(clippy::cast_possible_truncation, reason = "2 and 10")]
const FAMILY_V6: libc::sa_family_t = libc::AF_INET6 as libc::sa_family_t;
#[expect(clippy::cast_possible_truncation, reason = "64")]
const BATCH_LENGTH: libc::c_uint = BATCH as libc::c_uint;

/// Says how much the kernel may write for one datagram.
fn make_room(header: &mut libc::msghdr) {
    header.msg_namelen = NAME_LENGTH;
    header.msg_controllen = Control::ROOM as _;
}

/// The address that the kernel wrote.
fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage, which is larger and aligned for every address, holds this one.
            let v4 = unsafe { &*ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*ptr::from_ref(name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// How datagrams are sent.
const SENDING: libc::c_int = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
/// Buffers of fewer octets are not kept for other datagrams: what every client takes (RFC 1035 §4.2.1).
const WORTH_KEEPING: usize = 512;

/// Datagrams sent many by one call. `T` is what its owner wants to know each by.
pub struct Outgoing<T> {
    /// Buffers to write into, so that none is allocated for each datagram.
    spare: Vec<Vec<u8>>,
    queued: Vec<Queued<T>>,
    names: Vec<libc::sockaddr_in6>,
    controls: Vec<Control>,
    parts: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

struct Queued<T> {
    octets: Vec<u8>,
    to: Option<SocketAddr>,
    local: Local,
    tag: T,
}

impl<T> Default for Outgoing<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Outgoing<T> {
    /// Nothing to send.
    pub fn new() -> Self {
        // SAFETY: addresses, parts and headers of zeros point at nothing; `send` fills each before the kernel sees it.
        let (names, parts, headers) = unsafe { (vec![zeroed(); BATCH], vec![zeroed(); BATCH], vec![zeroed(); BATCH]) };
        Self {
            spare: Vec::with_capacity(BATCH),
            queued: Vec::with_capacity(BATCH),
            names,
            controls: vec![Control::EMPTY; BATCH],
            parts,
            headers,
        }
    }

    /// Whether there is room for no more before the next [`Outgoing::send`].
    pub fn is_full(&self) -> bool {
        self.queued.len() >= BATCH
    }

    /// An empty buffer; given back to this value when its datagram is sent.
    pub fn spare(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back a buffer that was not used.
    pub fn give_back(&mut self, mut buffer: Vec<u8>) {
        // A small one would only push out one that has room for the next datagram.
        if self.spare.len() < BATCH && buffer.capacity() >= WORTH_KEEPING {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Queues a datagram from `local` to `to`, or to where the socket is connected.
    ///
    /// # Panics
    /// [`Outgoing::send`] does after more than [`BATCH`] of them.
    pub fn push(&mut self, octets: Vec<u8>, to: Option<SocketAddr>, local: Local, tag: T) {
        self.queued.push(Queued { octets, to, local, tag });
    }

    /// Sends what is queued and says of each whether the kernel took it. What finds the socket's buffer full is not sent: who
    /// waited would keep every client waiting, for one who is not there.
    pub fn send(&mut self, socket: &UdpSocket, mut sent: impl FnMut(T, bool)) {
        self.point_headers();
        let mut done = 0;
        let mut took = [false; BATCH];
        while done < self.queued.len() {
            let rest = &mut self.headers[done..self.queued.len()];
            let count = libc::c_uint::try_from(rest.len()).unwrap_or_default();
            // SAFETY: each of these headers was just pointed at a datagram, a name and a control that live and stay where
            // they are until this function ends; the kernel reads them only.
            let taken = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), count, SENDING) };
            let taken = usize::try_from(taken).unwrap_or(0);
            took[done..done + taken].fill(true);
            done += taken;
            if taken == 0 {
                if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                // The first one is at fault (unreachable, forbidden) or found no room: without it, then.
                done += 1;
            }
        }
        let mut queued = std::mem::take(&mut self.queued);
        for (Queued { octets, tag, .. }, taken) in queued.drain(..).zip(took) {
            self.give_back(octets);
            sent(tag, taken);
        }
        self.queued = queued;
    }

    fn point_headers(&mut self) {
        let room = self.parts.iter_mut().zip(&mut self.headers).zip(&mut self.controls).zip(&mut self.names);
        for (queued, (((part, header), control), name)) in self.queued.iter_mut().zip(room) {
            let header = &mut header.msg_hdr;
            *part = libc::iovec { iov_base: queued.octets.as_mut_ptr().cast(), iov_len: queued.octets.len() };
            header.msg_iov = part;
            header.msg_iovlen = 1;
            header.msg_namelen = queued.to.map_or(0, |to| write_address(name, to));
            header.msg_name = if queued.to.is_some() { ptr::from_mut(name).cast() } else { ptr::null_mut() };
            set_source(header, control, queued.local);
        }
    }
}

/// Writes an address as the kernel reads it; returns its length.
fn write_address(name: &mut libc::sockaddr_in6, to: SocketAddr) -> libc::socklen_t {
    match to {
        SocketAddr::V4(to) => {
            let v4 = libc::sockaddr_in {
                sin_family: FAMILY_V4,
                sin_port: to.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*to.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: an IPv4 address is smaller than the room of an IPv6 one and needs no stricter alignment.
            unsafe { ptr::from_mut(name).cast::<libc::sockaddr_in>().write(v4) };
            length::<libc::sockaddr_in>()
        }
        SocketAddr::V6(to) => {
            *name = libc::sockaddr_in6 {
                sin6_family: FAMILY_V6,
                sin6_port: to.port().to_be(),
                sin6_flowinfo: to.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: to.ip().octets() },
                sin6_scope_id: to.scope_id(),
            };
            length::<libc::sockaddr_in6>()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use socket2::SockRef;

    use super::super::control::set_option;
    use super::super::{send_now, thrown_away, udp};
    use super::*;

    fn socket(address: &str) -> UdpSocket {
        udp(address.parse().unwrap(), NonZeroUsize::MIN, Duration::from_secs(5)).unwrap().remove(0)
    }

    fn client(address: &str) -> UdpSocket {
        let client = UdpSocket::bind(address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client
    }

    #[test]
    fn many_datagrams_are_read_and_answered_at_once() {
        let server = socket("127.0.0.1:0");
        let clients: Vec<_> = (0..3).map(|_number| client("127.0.0.1:0")).collect();
        let (mut incoming, mut outgoing) = (Incoming::new(), Outgoing::new());
        for round in 0..3_u8 {
            for (number, client) in clients.iter().enumerate() {
                client.send_to(&[round, u8::try_from(number).unwrap()], server.local_addr().unwrap()).unwrap();
            }
            let mut answered = 0;
            while answered < clients.len() {
                let count = incoming.receive(&server).unwrap();
                for slot in 0..count {
                    let datagram = incoming.datagram(slot).unwrap();
                    let mut buffer = outgoing.spare();
                    buffer.extend_from_slice(datagram.octets);
                    buffer.push(0xFF);
                    outgoing.push(buffer, Some(datagram.source), datagram.local, ());
                }
                outgoing.send(&server, |(), taken| assert!(taken));
                answered += count;
            }
            for (number, client) in clients.iter().enumerate() {
                let mut buffer = [0; 16];
                let size = client.recv(&mut buffer).unwrap();
                assert_eq!(buffer[..size], [round, u8::try_from(number).unwrap(), 0xFF]);
            }
        }
        assert_eq!(thrown_away(&server), Some(0));
    }

    #[test]
    fn who_has_something_else_to_wait_for_does_not_wait_for_what_another_reader_has_taken() {
        let server = socket("127.0.0.1:0");
        server.set_read_timeout(None).unwrap();
        let client = client("127.0.0.1:0");
        client.connect(server.local_addr().unwrap()).unwrap();
        client.send(b"one").unwrap();
        let (mut first, mut second) = (Incoming::new(), Incoming::new());
        assert_eq!(first.receive(&server).unwrap(), 1);
        // Without a timeout to wait for, a read that waits would never end.
        let nothing = second.receive_now(&server).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        client.send(b"two").unwrap();
        assert_eq!(second.receive_now(&server).unwrap(), 1);
        assert_eq!(second.datagram(0).unwrap().octets, b"two");
    }

    #[test]
    fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
        for (bind, ask) in [("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "::1")] {
            let server = socket(bind);
            let port = server.local_addr().unwrap().port();
            let asked = SocketAddr::new(ask.parse().unwrap(), port);
            let client = client(if asked.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" });
            client.connect(asked).unwrap();
            let (mut incoming, mut outgoing) = (Incoming::new(), Outgoing::new());
            client.send(b"one").unwrap();
            assert_eq!(incoming.receive(&server).unwrap(), 1);
            let datagram = incoming.datagram(0).unwrap();
            let (source, local) = (datagram.source, datagram.local);
            outgoing.push(b"1".to_vec(), Some(source), local, ());
            outgoing.send(&server, |(), taken| assert!(taken));
            send_now(&server, b"2", source, local).unwrap();
            // The client is connected, so it hears only what comes from the address it asked.
            let mut buffer = [0; 16];
            for expected in [b"1", b"2"] {
                let size = client.recv(&mut buffer).unwrap();
                assert_eq!(&buffer[..size], expected);
            }
        }
    }

    #[test]
    fn the_address_asked_is_known_whatever_else_the_socket_was_set_to_tell() {
        for (bind, ask) in [("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "::1")] {
            let (server, asked) = (socket(bind), ask.parse().unwrap());
            // As whoever passes it may have left it: each time stamp stands in front of the address.
            let stamps = [(libc::SO_TIMESTAMPNS, 1), (libc::SO_TIMESTAMPING, 24)];
            for (option, value) in stamps {
                set_option(&SockRef::from(&server), libc::SOL_SOCKET, option, value).unwrap();
            }
            let client = client(if ask == "::1" { "[::1]:0" } else { "127.0.0.1:0" });
            client.send_to(b"one", SocketAddr::new(asked, server.local_addr().unwrap().port())).unwrap();
            let mut incoming = Incoming::new();
            assert_eq!(incoming.receive(&server).unwrap(), 1);
            let expected = match asked {
                IpAddr::V4(asked) => Local::V4(asked),
                IpAddr::V6(asked) => Local::V6(asked, 0),
            };
            assert_eq!(incoming.datagram(0).unwrap().local, expected);
        }
    }

    #[test]
    fn an_answer_that_can_not_be_sent_holds_up_no_other() {
        let server = socket("127.0.0.1:0");
        let (first, second) = (client("127.0.0.1:0"), client("127.0.0.1:0"));
        let (mut incoming, mut outgoing) = (Incoming::new(), Outgoing::new());
        first.send_to(b"a", server.local_addr().unwrap()).unwrap();
        second.send_to(b"b", server.local_addr().unwrap()).unwrap();
        let mut count = 0;
        let mut outcomes = Vec::new();
        while count < 2 {
            let read = incoming.receive(&server).unwrap();
            for slot in 0..read {
                let size = if incoming.datagram(slot).unwrap().octets == b"a" { 70_000 } else { 1 };
                let source = incoming.datagram(slot).unwrap().source;
                outgoing.push(vec![7; size], Some(source), Local::Bound, ());
            }
            outgoing.send(&server, |(), taken| outcomes.push(taken));
            count += read;
        }
        assert_eq!(outcomes.iter().filter(|taken| **taken).count(), 1);
        assert_eq!(second.recv(&mut [0; 4]).unwrap(), 1);
    }

    #[test]
    fn a_full_buffer_is_not_waited_for() {
        let (ours, _theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let server = UdpSocket::from(std::os::fd::OwnedFd::from(ours));
        // For ever, if it did.
        server.set_nonblocking(false).unwrap();
        server.set_write_timeout(None).unwrap();
        let mut outgoing = Outgoing::new();
        // Nobody reads the other end: only the first few find room.
        (0..BATCH).for_each(|_answer| outgoing.push(vec![7; 1 << 15], None, Local::Bound, ()));
        let mut outcomes = Vec::new();
        outgoing.send(&server, |(), taken| outcomes.push(taken));
        assert_eq!(outcomes.len(), BATCH);
        assert!(outcomes[0] && !outcomes[BATCH - 1]);
    }

    #[test]
    fn what_is_no_socket_any_more_does_not_say_how_much_was_thrown_away() {
        let dead = UdpSocket::from(std::os::fd::OwnedFd::from(tempfile::tempfile().unwrap()));
        assert_eq!(thrown_away(&dead), None);
    }

    #[test]
    fn nothing_to_read_is_no_error_but_a_time_out() {
        let server =
            udp("127.0.0.1:0".parse().unwrap(), NonZeroUsize::MIN, Duration::from_millis(1)).unwrap().remove(0);
        let error = Incoming::new().receive(&server).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
