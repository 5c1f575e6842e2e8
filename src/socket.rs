//! Sockets bound as a DNS server needs them: options that must be set before the address is taken.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Octets asked of the kernel for datagrams that wait to be read; it may give less.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Binds one UDP socket of `count` that share an address; the kernel spreads clients over them (`SO_REUSEPORT`).
///
/// # Errors
/// The operating system's, most often that the port is taken or privileged.
pub fn udp(address: SocketAddr, share: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    prepare(&socket, address)?;
    socket.set_reuse_port(share)?;
    // A smaller buffer than asked for is no fault: the kernel's own limit stands above it.
    let _smaller = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Binds and listens on TCP.
///
/// # Errors
/// The operating system's, most often that the port is taken or privileged.
pub fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    prepare(&socket, address)?;
    // A restarted server must not wait for the connections of the one before it to be forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn prepare(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        // IPv4 has sockets of its own, or `[::]` and `0.0.0.0` could not both be listened on.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)
}
