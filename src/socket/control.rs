//! What travels beside a datagram: the address it was sent to, and how many the kernel threw away.

#![allow(unsafe_code, reason = "the kernel's message headers hold pointers; each block says why they are good")]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

use socket2::{SockAddr, Socket};

/// The address of ours that a datagram was sent to, and so the one its answer must come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Local {
    /// The socket's own: it is bound to one.
    #[default]
    Bound,
    /// An IPv4 address of this host.
    V4(Ipv4Addr),
    /// An IPv6 address of this host, and the interface by which a link-local one is meant (0: any).
    V6(Ipv6Addr, u32),
}

/// Room for control messages, aligned as the kernel wants their headers.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; Control::ROOM]);

impl Control {
    /// Enough for the larger of the two structures, and for time stamps, marks and the like in front of it, which a socket
    /// that was passed may have been set to tell too.
    pub(super) const ROOM: usize = 256;
    pub(super) const EMPTY: Self = Self([0; Self::ROOM]);
}

/// Has every datagram say which address it was sent to. To be called before binding to a wildcard address.
pub(super) fn tell_destination(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    let (level, option) = if address.is_ipv4() {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    };
    set_option(socket, level, option, 1)
}

/// Has no datagram sent in fragments, which a stranger could replace (RFC 9715 §3.1: DF where it can be set), and no path
/// MTU believed that a forged ICMP message claims. What we send fits nearly every path.
pub(super) fn never_fragment(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv4() {
        set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
    } else {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)
    }
}

/// Asks for so many octets of datagrams that wait, to be read and to be sent. A smaller buffer is no fault: the system's limits
/// (`net.core.rmem_max`, `wmem_max`) stand above it, unless this process may administer the network.
pub(super) fn buffers(socket: &Socket, received: usize, sent: usize) {
    let forced = |option, size: usize| {
        let size = libc::c_int::try_from(size).unwrap_or(libc::c_int::MAX);
        set_option(socket, libc::SOL_SOCKET, option, size)
    };
    let _smaller = forced(libc::SO_RCVBUFFORCE, received).or_else(|_not_allowed| socket.set_recv_buffer_size(received));
    let _smaller = forced(libc::SO_SNDBUFFORCE, sent).or_else(|_not_allowed| socket.set_send_buffer_size(sent));
}

pub(super) fn set_option(
    socket: &Socket,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: `value` lives across the call and the length given is its own.
    let set = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, ptr::from_ref(&value).cast(), length::<libc::c_int>())
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads the destination out of a received header; [`Local::Bound`] when it holds none.
pub(super) fn destination(header: &libc::msghdr) -> Local {
    // SAFETY: the header's control pointer and length are those of a live `Control` that the kernel has just filled;
    // CMSG_FIRSTHDR and CMSG_NXTHDR never leave that room, and each structure is read unaligned after its level and type
    // say what it is and its length that it is whole: where there is no more room the kernel cuts one off.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let data = libc::CMSG_DATA(message);
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) if is_whole::<libc::in_pktinfo>(&*message) => {
                    let info: libc::in_pktinfo = ptr::read_unaligned(data.cast());
                    return Local::V4(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if is_whole::<libc::in6_pktinfo>(&*message) => {
                    let info: libc::in6_pktinfo = ptr::read_unaligned(data.cast());
                    let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    let interface = if address.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
                    return Local::V6(address, interface);
                }
                _ => message = libc::CMSG_NXTHDR(header, message),
            }
        }
    }
    Local::Bound
}

/// Whether a control message holds all of a structure.
fn is_whole<T>(message: &libc::cmsghdr) -> bool {
    message.cmsg_len >= (size_of::<libc::cmsghdr>() + size_of::<T>()) as _
}

/// Writes `local` as the source of an answer into `control`, and has `header` point at it.
pub(super) fn set_source(header: &mut libc::msghdr, control: &mut Control, local: Local) {
    match local {
        Local::Bound => {
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
        }
        Local::V4(address) => {
            let spec_dst = libc::in_addr { s_addr: u32::from(address).to_be() };
            let info =
                libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: spec_dst, ipi_addr: libc::in_addr { s_addr: 0 } };
            attach(header, control, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        Local::V6(address, interface) => {
            let info =
                libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: address.octets() }, ipi6_ifindex: interface };
            attach(header, control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
    }
}

fn attach<T: Copy>(header: &mut libc::msghdr, control: &mut Control, level: libc::c_int, kind: libc::c_int, info: T) {
    let size = u32::try_from(size_of::<T>()).unwrap_or_default();
    // SAFETY: `Control` is aligned for a header and larger than CMSG_SPACE of both structures; CMSG_SPACE and CMSG_LEN
    // only calculate. The first header exists since the length given holds one, and the structure is written unaligned.
    unsafe {
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_SPACE(size) as _;
        let message = libc::CMSG_FIRSTHDR(header);
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        (*message).cmsg_len = libc::CMSG_LEN(size) as _;
        ptr::write_unaligned(libc::CMSG_DATA(message).cast(), info);
    }
}

/// Sends one datagram from `local` without waiting: a full buffer is an error, and the client asks again.
///
/// # Errors
/// The operating system's.
pub fn send_now(socket: &UdpSocket, octets: &[u8], to: SocketAddr, local: Local) -> io::Result<()> {
    let name = SockAddr::from(to);
    let mut control = Control::EMPTY;
    let mut part = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
    // SAFETY: a header of zeros is one that points at nothing; what it then points at (name, octets, control) lives until
    // the call returns, and the kernel only reads it.
    let sent = unsafe {
        let mut header: libc::msghdr = zeroed();
        header.msg_name = name.as_ptr().cast_mut().cast();
        header.msg_namelen = name.len();
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        set_source(&mut header, &mut control, local);
        libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Datagrams that the kernel threw away since the socket was made, because nobody read them in time (`SO_MEMINFO`); `None`
/// when it does not say, as of a socket that died.
pub fn thrown_away(socket: &UdpSocket) -> Option<u32> {
    /// Place of the count among the values (`SK_MEMINFO_DROPS` of `linux/sock_diag.h`).
    const DROPS: usize = 8;
    /// The option of `asm-generic/socket.h`.
    const SO_MEMINFO: libc::c_int = 55;
    let mut values = [0_u32; DROPS + 1];
    let mut size = length::<[u32; DROPS + 1]>();
    // SAFETY: the kernel writes at most `size` octets, which is the array's own size, and sets `size` to what it wrote.
    let read = unsafe {
        let into = values.as_mut_ptr().cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_MEMINFO, into, &raw mut size)
    };
    (read == 0).then_some(values[DROPS])
}

/// The size of a structure as the kernel takes it.
pub(super) fn length<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or_default()
}
