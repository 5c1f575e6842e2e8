//! Takes the addresses to listen on, and says who most likely holds one that is taken.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use crate::serve::{self, Sockets};
use crate::socket;

/// The port that needs a privilege and that systemd-resolved likes to hold.
const DNS_PORT: u16 = 53;

/// Binds UDP (`workers` sockets each) and TCP on every address. An address that can't be had is an error, unless it is
/// `optional`: then it is a warning, as long as another one is left.
///
/// # Errors
/// One message that names the address, the likely reason and the way out.
pub(super) fn listeners(
    addresses: &[SocketAddr],
    workers: NonZeroUsize,
    optional: impl Fn(SocketAddr) -> bool,
) -> Result<(Sockets, Vec<SocketAddr>), String> {
    let mut sockets = Sockets::default();
    let mut bound = Vec::new();
    for &address in addresses {
        match one(address, workers, &mut sockets) {
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

fn one(address: SocketAddr, workers: NonZeroUsize, sockets: &mut Sockets) -> io::Result<SocketAddr> {
    let mut tried = try_one(address, workers, sockets);
    for _again in 1..CHOICES {
        match &tried {
            Err(error) if address.port() == 0 && error.kind() == io::ErrorKind::AddrInUse => {
                tried = try_one(address, workers, sockets);
            }
            _ => break,
        }
    }
    tried
}

fn try_one(address: SocketAddr, workers: NonZeroUsize, sockets: &mut Sockets) -> io::Result<SocketAddr> {
    let listener = socket::tcp(address)?;
    // Port 0 stands for any: UDP takes the one that TCP got.
    let address = listener.local_addr()?;
    let udp = socket::udp(address, workers, serve::LOOK_UP)?;
    sockets.tcp.push(listener);
    sockets.udp.extend(udp);
    Ok(address)
}

/// Whether the machine does not have the address at all.
fn missing(error: &io::Error) -> bool {
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

    #[test]
    fn a_taken_port_is_explained() {
        let held = socket::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = held.local_addr().unwrap();
        let error = listeners(&[address], ONE, |_address| true).unwrap_err();
        assert!(error.contains("is taken") && error.contains("ss -lnp"), "{error}");
        let error = explain("127.0.0.1:53".parse().unwrap(), &io::Error::from(io::ErrorKind::AddrInUse));
        assert!(error.contains("DNSStubListener=no"), "{error}");
    }

    #[test]
    fn udp_and_tcp_share_a_port_that_the_system_chose() {
        let (sockets, bound) =
            listeners(&["127.0.0.1:0".parse().unwrap()], NonZeroUsize::new(3).unwrap(), |_| false).unwrap();
        assert_eq!((sockets.udp.len(), sockets.tcp.len(), bound.len()), (3, 1, 1));
        assert!(sockets.udp.iter().all(|socket| socket.local_addr().unwrap() == bound[0]));
    }

    #[test]
    fn a_missing_default_address_is_left_out_but_a_chosen_one_is_an_error() {
        let addresses = ["127.0.0.1:0".parse().unwrap(), "192.0.2.1:0".parse().unwrap()];
        assert_eq!(listeners(&addresses, ONE, |_| true).unwrap().1.len(), 1);
        assert!(listeners(&addresses, ONE, |_| false).unwrap_err().contains("no address of this machine"));
    }
}
