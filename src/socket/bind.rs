//! Binding, with the options that must be set before the address is taken.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::control;

/// Octets asked of the kernel for datagrams that wait to be read; it may give less.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Binds one UDP socket of several that may `share` an address; the kernel spreads clients over them (`SO_REUSEPORT`).
/// Reading and writing block for at most `patience`, so that whoever reads looks up now and then. On a wildcard address
/// each datagram tells the address it was sent to.
///
/// # Errors
/// The operating system's, most often that the port is taken or privileged.
pub fn udp(address: SocketAddr, share: bool, patience: Duration) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    only_own_family(&socket, address)?;
    socket.set_reuse_port(share)?;
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(patience))?;
    // A smaller buffer than asked for is no fault: the kernel's own limit stands above it.
    let _smaller = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    if address.ip().is_unspecified() {
        control::tell_destination(&socket, address)?;
    }
    socket.bind(&address.into())?;
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
