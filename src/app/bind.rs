//! Takes the addresses to listen on, and says who most likely holds one that is taken.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};

use tokio::net::UnixListener;

use super::Failure;
use crate::block_page::Listeners;
use crate::serve::{self, Sockets};
use crate::socket::{self, Held};

/// The port that needs a privilege and that systemd-resolved likes to hold.
const DNS_PORT: u16 = 53;

/// Takes from `held`, or binds, UDP (for `workers` threads each) and TCP on every address. An address that can't be had is an error, unless it is
/// `optional`: then it is a warning, as long as another one is left.
///
/// # Errors
/// One message that names the address, the likely reason and the way out.
pub(super) fn listeners(
    addresses: &[SocketAddr],
    workers: NonZeroUsize,
    held: &mut Held,
    optional: impl Fn(SocketAddr) -> bool,
) -> Result<(Sockets, Vec<SocketAddr>), String> {
    let mut sockets = Sockets::default();
    let mut bound = Vec::new();
    for &address in addresses {
        match one(address, workers, held, &mut sockets) {
            Ok(address) => bound.push(address),
            Err(error) if optional(address) && missing(&error) => {
                tracing::warn!(%address, %error, "A default address is not available on this machine; it is left out.");
            }
            Err(error) => return Err(explain(address, &error)),
        }
    }
    if bound.is_empty() {
        return Err("no address to listen on is available; name one with `--listen`".to_owned());
    }
    Ok((sockets, bound))
}

/// Ports tried when the system may choose one: the one it gives for TCP may be taken over UDP.
const CHOICES: usize = 16;

fn one(address: SocketAddr, workers: NonZeroUsize, held: &mut Held, sockets: &mut Sockets) -> io::Result<SocketAddr> {
    let mut tried = try_one(address, workers, held, sockets);
    for _again in 1..CHOICES {
        match &tried {
            Err(error) if address.port() == 0 && error.kind() == io::ErrorKind::AddrInUse => {
                tried = try_one(address, workers, held, sockets);
            }
            _ => break,
        }
    }
    tried
}

fn try_one(
    address: SocketAddr,
    workers: NonZeroUsize,
    held: &mut Held,
    sockets: &mut Sockets,
) -> io::Result<SocketAddr> {
    let listener = tcp(address, held)?;
    // Port 0 stands for any: UDP takes the one that TCP got.
    let address = listener.local_addr()?;
    let udp = udp(address, workers, held)?;
    sockets.tcp.push(listener);
    sockets.udp.extend(udp);
    Ok(address)
}

/// The TCP socket of an address.
pub(super) fn tcp(address: SocketAddr, held: &mut Held) -> io::Result<TcpListener> {
    held.take_tcp(address)?.map_or_else(|| socket::tcp(address), Ok)
}

/// A UDP socket for each worker. Of sockets that are held every one is read, be they more than workers: queries wait in each.
/// Where they are fewer, workers share them: one bound beside them would be lost to whoever takes them next.
fn udp(address: SocketAddr, workers: NonZeroUsize, held: &mut Held) -> io::Result<Vec<UdpSocket>> {
    let mut sockets = held.take_udp(address, serve::LOOK_UP)?;
    let found = sockets.len();
    if found == 0 {
        return socket::udp(address, workers, serve::LOOK_UP);
    }
    for further in found..workers.get() {
        sockets.push(sockets[further % found].try_clone()?);
    }
    Ok(sockets)
}

/// The one UDP socket of an address that QUIC is spoken on.
pub(super) fn quic(address: SocketAddr, held: &mut Held) -> io::Result<UdpSocket> {
    let first = held.take_udp(address, serve::LOOK_UP)?.into_iter().next();
    first.map_or_else(|| socket::plain_udp(address), Ok)
}

/// Closes sockets that were held and that nobody wants.
pub(super) fn left_over(held: Held) {
    for address in held.left() {
        tracing::warn!(%address, "A socket was passed whose address is not in the configuration; it is not read.");
    }
    drop(held);
}

/// All that another process needs to go on in this one's place.
///
/// # Errors
/// No file descriptor is left.
pub(super) fn duplicates(
    (sockets, page): (&Sockets, &Listeners),
    admin: Option<&TcpListener>,
    control: Option<&UnixListener>,
) -> Result<Vec<OwnedFd>, Failure> {
    let all =
        sockets.all().chain(page.all().map(AsFd::as_fd)).chain(admin.map(AsFd::as_fd)).chain(control.map(AsFd::as_fd));
    all.map(|socket| socket.try_clone_to_owned())
        .collect::<io::Result<_>>()
        .map_err(|error| Failure::Cannot(format!("can't duplicate a socket: {error}")))
}

/// Whether the machine does not have the address at all.
pub(super) fn missing(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own: the kernel knows no IPv6.
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// What an operator needs to know at 3 a.m.
pub(super) fn explain(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse if port == DNS_PORT => format!(
            "{address} is taken, most likely by systemd-resolved's stub listener: set `DNSStubListener=no` in \
             /etc/systemd/resolved.conf.d/embargo.conf and restart systemd-resolved, or name another address with \
             `--listen`; `ss -lnp 'sport = :{port}'` shows who holds it"
        ),
        io::ErrorKind::AddrInUse => format!(
            "{address} is taken, most likely by another server of this kind: stop it, or name another address; \
             `ss -lnp 'sport = :{port}'` shows who holds it"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "{address} needs a privilege: ports below 1024 are for root or for a process with CAP_NET_BIND_SERVICE \
             (`AmbientCapabilities=CAP_NET_BIND_SERVICE` in a systemd unit); or name a higher port"
        ),
        io::ErrorKind::AddrNotAvailable => format!("{address} is no address of this machine; `ip address` shows them"),
        _ => format!("can't listen on {address}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NonZeroUsize = NonZeroUsize::MIN;
    const THREE: NonZeroUsize = NonZeroUsize::new(3).unwrap();

    #[test]
    fn a_taken_port_is_explained() {
        let held = socket::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = held.local_addr().unwrap();
        let error = listeners(&[address], ONE, &mut Held::default(), |_address| true).unwrap_err();
        assert!(error.contains("is taken") && error.contains("ss -lnp"), "{error}");
        let error = explain("127.0.0.1:53".parse().unwrap(), &io::Error::from(io::ErrorKind::AddrInUse));
        assert!(error.contains("DNSStubListener=no"), "{error}");
    }

    #[test]
    fn udp_and_tcp_share_a_port_that_the_system_chose() {
        let (sockets, bound) =
            listeners(&["127.0.0.1:0".parse().unwrap()], THREE, &mut Held::default(), |_| false).unwrap();
        assert_eq!((sockets.udp.len(), sockets.tcp.len(), bound.len()), (3, 1, 1));
        assert!(sockets.udp.iter().all(|socket| socket.local_addr().unwrap() == bound[0]));
    }

    #[test]
    fn a_missing_default_address_is_left_out_but_a_chosen_one_is_an_error() {
        let addresses = ["127.0.0.1:0".parse().unwrap(), "192.0.2.1:0".parse().unwrap()];
        assert_eq!(listeners(&addresses, ONE, &mut Held::default(), |_| true).unwrap().1.len(), 1);
        assert!(
            listeners(&addresses, ONE, &mut Held::default(), |_| false)
                .unwrap_err()
                .contains("no address of this machine")
        );
    }

    #[test]
    fn held_sockets_are_taken_all_of_them_and_shared_where_they_are_too_few() {
        let any = "127.0.0.1:0".parse().unwrap();
        for (there, workers, read) in [(1, THREE, 3), (3, ONE, 3)] {
            let (first, bound) =
                listeners(&[any], NonZeroUsize::new(there).unwrap(), &mut Held::default(), |_| false).unwrap();
            let mut held = Held::default();
            first.udp.into_iter().map(OwnedFd::from).for_each(|socket| held.add(socket).unwrap());
            first.tcp.into_iter().map(OwnedFd::from).for_each(|socket| held.add(socket).unwrap());
            let (sockets, again) = listeners(&bound, workers, &mut held, |_| false).unwrap();
            assert_eq!((sockets.udp.len(), sockets.tcp.len(), again), (read, 1, bound));
            assert!(held.left().is_empty());
        }
    }
}
