//! Where clients are served in another way than plain DNS: what binding these addresses gives, and how it is told.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};

use super::bind;
use crate::config::Settings;
use crate::serve::{Encrypted, Sockets};
use crate::socket::Held;
use crate::tls::ServerTls;

/// An address on which DNS is spoken otherwise than in clear. Its form as text is a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// How it is spoken there.
    pub spoken: Spoken,
    /// Where.
    pub address: SocketAddr,
}

/// How DNS is spoken at an [`Endpoint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// DNS over TLS (RFC 7858).
    Tls,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spoken, address } = self;
        match spoken {
            Spoken::Tls => write!(f, "tls://{address}"),
        }
    }
}

/// Takes from `held`, or binds, them all, and adds their sockets to `sockets`. Without a certificate there are none.
///
/// # Errors
/// One message that names the address, the likely reason and the way out.
pub(super) fn bind_all(
    settings: &Settings,
    tls: Option<&ServerTls>,
    held: &mut Held,
    sockets: &mut Sockets,
) -> Result<Vec<Endpoint>, String> {
    let mut endpoints = Vec::new();
    if let Some(tls) = tls {
        let dot =
            each(&settings.encrypted.listen_tls, &Spoken::Tls, |address| bind::tcp(address, held), &mut endpoints)?;
        sockets.encrypted = Some(Encrypted { tls: tls.clone(), dot });
    }
    Ok(endpoints)
}

fn each<S: Bound>(
    addresses: &[SocketAddr],
    spoken: &Spoken,
    mut bind: impl FnMut(SocketAddr) -> io::Result<S>,
    endpoints: &mut Vec<Endpoint>,
) -> Result<Vec<S>, String> {
    let mut bound = Vec::new();
    for &address in addresses {
        let tried = bind(address).and_then(|socket| Ok((socket.address()?, socket)));
        let (address, socket) = tried.map_err(|error| bind::explain(address, &error))?;
        endpoints.push(Endpoint { spoken: spoken.clone(), address });
        bound.push(socket);
    }
    Ok(bound)
}

/// A socket with an address, of which the system may have chosen the port.
trait Bound {
    fn address(&self) -> io::Result<SocketAddr>;
}

impl Bound for TcpListener {
    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}
