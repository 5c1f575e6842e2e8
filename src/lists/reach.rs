//! The way to a server: its address, asked of our own upstreams, a connection, and TLS.
//!
//! The system's resolver is never asked, since it may be us. A name leads only to public addresses unless the operator says
//! otherwise: whoever answers for the name of a list, or redirects to another one, could else make this server speak to hosts
//! that only it can reach.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Host;

use super::error::FetchError;
use super::subscription::ListUrl;
use crate::tls::{self, Trust};
use crate::upstream::{Questions, locate};
use crate::wire::{Name, is_private, qtype};

/// Each address is tried for so long, its TLS handshake included.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// How far an operator has said that it may lead.
pub(super) struct Reach<'a> {
    /// What was written.
    pub(super) own: &'a ListUrl,
    /// Whether it may lead to an address that is not of the public internet.
    pub(super) internal: bool,
    /// Whom the server must be vouched for by.
    pub(super) trust: &'a Trust,
}

/// Connects to the host of `url`, to which what was written or a redirect of its server leads.
pub(super) async fn connect(
    questions: &dyn Questions,
    reach: &Reach<'_>,
    url: &ListUrl,
) -> Result<Box<dyn Stream>, FetchError> {
    let host = url.inner().host_str().unwrap_or_default().to_owned();
    // Both are always there in a URL of these schemes.
    let port = url.inner().port_or_known_default().unwrap_or(443);
    let (mut last, addresses) = (None, addresses(questions, reach, url, &host).await?);
    for address in addresses {
        let attempt = tokio::time::timeout(CONNECT_MAX, open(reach.trust, url, SocketAddr::new(address, port), &host));
        match attempt
            .await
            .unwrap_or_else(|_elapsed| Err(FetchError::Connect { address, error: io::ErrorKind::TimedOut.into() }))
        {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or(FetchError::Host(host)))
}

async fn addresses(
    questions: &dyn Questions,
    reach: &Reach<'_>,
    url: &ListUrl,
    host: &str,
) -> Result<Vec<IpAddr>, FetchError> {
    let own = url.inner().host() == reach.own.inner().host();
    let found = match url.inner().host() {
        Some(Host::Ipv4(address)) => vec![address.into()],
        Some(Host::Ipv6(address)) => vec![address.into()],
        Some(Host::Domain(text)) => {
            let name = Name::parse(text).map_err(|_no_name| FetchError::Host(host.to_owned()))?;
            // The names of subscriptions are ours, and no ban is about them; where they redirect to is a name like any other.
            if !own && questions.bars(&name, qtype::A) {
                return Err(FetchError::Banned(host.to_owned()));
            }
            locate(questions, &name).await.map_err(|error| FetchError::Locate { host: host.to_owned(), error })?
        }
        None => return Err(FetchError::Host(host.to_owned())),
    };
    let written = own && url.host_name().is_none();
    if reach.internal || written {
        return Ok(found);
    }
    let (inner, public): (Vec<IpAddr>, Vec<IpAddr>) = found.into_iter().partition(|address| is_private(*address));
    match inner.first() {
        Some(&address) if public.is_empty() => Err(FetchError::Internal { host: host.to_owned(), address }),
        _ => Ok(public),
    }
}

async fn open(trust: &Trust, url: &ListUrl, to: SocketAddr, host: &str) -> Result<Box<dyn Stream>, FetchError> {
    let stream = TcpStream::connect(to).await.map_err(|error| FetchError::Connect { address: to.ip(), error })?;
    if !url.is_encrypted() {
        return Ok(Box::new(stream));
    }
    let untrusted = |why: String| FetchError::Tls { host: host.to_owned(), why };
    let client = trust.client(true, &[]).map_err(|error| untrusted(error.to_string()))?;
    // An address of IPv6 stands in brackets in a URL, and without in a certificate.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let stream = client.connect(name, stream).await;
    let stream = stream.map_err(|error| untrusted(tls::explain(&error).unwrap_or_else(|| error.to_string())))?;
    Ok(Box::new(stream))
}
