//! Binding, with the options that must be set before the address is taken.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroUsize;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::control;

/// Octets asked of the kernel for datagrams that wait to be read; it may give less.
const RECEIVE_BUFFER: usize = 4 << 20;
/// The same for datagrams that wait to be sent. Those to a neighbour that does not answer stay in it until the system gives him up,
/// seconds later and up to 208 KiB for each, and meanwhile they keep others from being sent.
const SEND_BUFFER: usize = 8 << 20;
/// The same for a socket that hears one peer only.
const CONNECTED_RECEIVE_BUFFER: usize = 1 << 20;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Binds `count` UDP sockets to one address; the kernel spreads clients over them (`SO_REUSEPORT`). Reading and writing block
/// for at most `patience`, so that whoever reads looks up now and then. On a wildcard address each datagram tells the address
/// it was sent to.
///
/// # Errors
/// The operating system's, most often that the port is taken or privileged.
pub fn udp(address: SocketAddr, count: NonZeroUsize, patience: Duration) -> io::Result<Vec<UdpSocket>> {
    let first = unbound_udp(address, patience)?;
    first.bind(&address.into())?;
    let mut sockets = vec![UdpSocket::from(first)];
    // The port that the first one got, if the system was to choose.
    let address = sockets[0].local_addr()?;
    for _further in 1..count.get() {
        // Shared only once the first has the address alone: asked for before, the kernel would let it join the sockets of
        // another process of this user without a word, and part of the clients would end there.
        SockRef::from(&sockets[0]).set_reuse_port(true)?;
        let socket = unbound_udp(address, patience)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        sockets.push(socket.into());
    }
    Ok(sockets)
}

/// Binds a UDP socket to the address of one that died, beside it and whoever shares the address with it.
///
/// # Errors
/// As [`udp`].
pub fn udp_again(dead: &UdpSocket, address: SocketAddr, patience: Duration) -> io::Result<UdpSocket> {
    // It may hold the address for as long as an answer is owed by it; a socket that is none any more can't share either.
    let _not_shared = SockRef::from(dead).set_reuse_port(true);
    let socket = unbound_udp(address, patience)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn unbound_udp(address: SocketAddr, patience: Duration) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    only_own_family(&socket, address)?;
    set_udp(&socket, address, patience)?;
    Ok(socket)
}

/// Sets what can be set whether the socket is bound or not.
pub(super) fn set_udp(socket: &Socket, address: SocketAddr, patience: Duration) -> io::Result<()> {
    control::never_fragment(socket, address)?;
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(patience))?;
    control::buffers(socket, RECEIVE_BUFFER, SEND_BUFFER);
    if address.ip().is_unspecified() {
        control::tell_destination(socket, address)?;
    }
    Ok(())
}

/// Binds a UDP socket that somebody else reads, who sets what else he needs; it does not block.
///
/// # Errors
/// The operating system's, most often that the port is taken or privileged.
pub fn plain_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    only_own_family(&socket, address)?;
    socket.set_nonblocking(true)?;
    let _smaller = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Binds a UDP socket to `local` and connects it to `peer`: it sends there and hears nobody else, except what came before it
/// was connected. Port 0 lets the system choose, as does an unspecified address. It never blocks.
///
/// # Errors
/// The operating system's: the port is taken or forbidden, no file descriptor is left, no route leads there.
pub fn connected_udp(local: SocketAddr, peer: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(peer), Type::DGRAM, Some(Protocol::UDP))?;
    only_own_family(&socket, peer)?;
    control::never_fragment(&socket, peer)?;
    socket.set_nonblocking(true)?;
    // A smaller buffer than asked for is no fault.
    let _smaller = socket.set_recv_buffer_size(CONNECTED_RECEIVE_BUFFER);
    socket.bind(&local.into())?;
    socket.connect(&peer.into())?;
    Ok(socket.into())
}

/// Binds and listens on TCP; the socket does not block.
///
/// # Errors
/// The operating system's, most often that the port is taken or privileged.
pub fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    only_own_family(&socket, address)?;
    // A restarted server must not wait for the connections of the one before it to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// IPv4 has sockets of its own, or `[::]` and `0.0.0.0` could not both be listened on.
fn only_own_family(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() { socket.set_only_v6(true) } else { Ok(()) }
}

/// Where a client on this machine reaches a socket bound to `address`: a wildcard is reached on loopback.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    #[test]
    fn sockets_share_an_address_among_themselves_and_with_no_one_else() {
        let sockets = udp("127.0.0.1:0".parse().unwrap(), TWO, Duration::from_secs(1)).unwrap();
        let address = sockets[0].local_addr().unwrap();
        assert_eq!(sockets[1].local_addr().unwrap(), address);
        for count in [NonZeroUsize::MIN, TWO] {
            let error = udp(address, count, Duration::from_secs(1)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "another server on this address");
        }
    }

    #[test]
    fn a_connected_socket_hears_its_peer_and_no_one_else() {
        for loopback in ["127.0.0.1:0", "[::1]:0"] {
            let (peer, stranger) = (UdpSocket::bind(loopback).unwrap(), UdpSocket::bind(loopback).unwrap());
            let anywhere = |port| {
                SocketAddr::new(
                    if loopback.starts_with('[') { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() },
                    port,
                )
            };
            let socket = connected_udp(anywhere(0), peer.local_addr().unwrap()).unwrap();
            let ours = SocketAddr::new(peer.local_addr().unwrap().ip(), socket.local_addr().unwrap().port());
            stranger.send_to(b"x", ours).unwrap();
            peer.send_to(b"y", ours).unwrap();
            let mut octets = [0; 4];
            assert_eq!((socket.recv(&mut octets).unwrap(), octets[0]), (1, b'y'));
            assert_eq!(socket.recv(&mut octets).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            let taken = connected_udp(anywhere(ours.port()), peer.local_addr().unwrap()).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        }
    }
}
