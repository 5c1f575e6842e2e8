//! Where clients are served in another way than plain DNS: what binding these addresses gives, and how it is told.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use super::bind;
use crate::config::Settings;
use crate::serve::{Encrypted, Sockets};
use crate::socket::Held;
use crate::tls::ServerTls;

/// An address on which DNS is spoken in another way. Its form as text is a URL.
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
    /// DNS over QUIC (RFC 9250).
    Quic,
    /// DNS over HTTPS at this path (RFC 8484).
    Https(Arc<str>),
    /// The same in clear, for reverse proxies alone; no client is to be sent there.
    Http(Arc<str>),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spoken, address } = self;
        match spoken {
            Spoken::Tls => write!(f, "tls://{address}"),
            Spoken::Quic => write!(f, "quic://{address}"),
            Spoken::Https(path) => write!(f, "https://{address}{path}"),
            Spoken::Http(path) => write!(f, "http://{address}{path}"),
        }
    }
}

/// Takes from `held`, or binds, them all, and adds their sockets to `sockets`. Without a certificate there are none but
/// those for proxies.
///
/// # Errors
/// One message that names the address, the likely reason and the way out.
pub(super) fn bind_all(
    settings: &Settings,
    tls: Option<&ServerTls>,
    held: &mut Held,
    sockets: &mut Sockets,
) -> Result<Vec<Endpoint>, String> {
    let (wanted, mut endpoints) = (&settings.encrypted, Vec::new());
    let path: Arc<str> = wanted.https_path.as_str().into();
    let mut tcp =
        |addresses: &[SocketAddr], spoken| each(addresses, &spoken, |address| bind::tcp(address, held), &mut endpoints);
    sockets.http = tcp(&wanted.listen_http, Spoken::Http(Arc::clone(&path)))?;
    if let Some(tls) = tls {
        sockets.encrypted = Some(Encrypted {
            tls: tls.clone(),
            dot: tcp(&wanted.listen_tls, Spoken::Tls)?,
            https: tcp(&wanted.listen_https, Spoken::Https(Arc::clone(&path)))?,
            quic: each(&wanted.listen_quic, &Spoken::Quic, |address| bind::quic(address, held), &mut endpoints)?,
        });
    }
    sockets.path = path;
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

impl Bound for UdpSocket {
    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}
