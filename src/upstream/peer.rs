//! How an encrypted server is authenticated, and where on it we ask: what stands behind its address.

use std::fmt;
use std::sync::Arc;

use super::spec::{Host, Protocol, SpecError};
use crate::tls::{self, Pin};

/// The path where nothing else is written; RFC 8484 uses it in its examples, and nearly every server does.
const PATH: &str = "/dns-query";
/// What begins a pin, which tells it from a name.
const PIN: &str = "sha256/";

/// What an encrypted server is known by, at least one of a name and a pin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// The name that its certificate bears: a host name, or an address.
    name: Option<Arc<str>>,
    /// SHA-256 of its key; any one of them will do.
    pins: Vec<Pin>,
    /// The path of HTTP requests; empty where there are none.
    path: Arc<str>,
}

impl Peer {
    /// Reads what stands behind the address: a path, and behind `#` a name and pins. Without a name there, the host's own
    /// counts; an address only for `https://`, where it is the URL's.
    pub(super) fn read(
        host: &Host,
        protocol: Protocol,
        path: &str,
        known_by: &str,
        written: &str,
    ) -> Result<Self, SpecError> {
        let (pins, names): (Vec<&str>, Vec<&str>) =
            known_by.split(',').filter(|part| !part.is_empty()).partition(|part| part.starts_with(PIN));
        let pins = pins.into_iter().map(str::parse).collect::<Result<Vec<Pin>, _>>()?;
        let server = || format!("{}{written}", protocol.scheme());
        let name = match (names.as_slice(), host) {
            ([name], _) => Some(peer_name(name)?),
            ([], Host::Name(name)) => Some(Arc::clone(name)),
            // It can't stand in both places that hickory puts the one name: it is in brackets in one of them.
            ([], Host::Address { ip, .. }) if protocol == Protocol::Https && ip.is_ipv6() => {
                return Err(SpecError::NamelessUrl { server: server() });
            }
            ([], Host::Address { .. }) if !pins.is_empty() => None,
            ([], Host::Address { ip, .. }) if protocol == Protocol::Https => Some(ip.to_string().into()),
            ([], Host::Address { .. }) => return Err(SpecError::Unauthenticated { server: server() }),
            _ => return Err(SpecError::PeerNames),
        };
        let path = if protocol == Protocol::Https { http_path(path)? } else { "".into() };
        Ok(Self { name, pins, path })
    }

    /// The name that its certificate bears; `None`: a pin alone counts.
    pub(super) fn name(&self) -> Option<&Arc<str>> {
        self.name.as_ref()
    }

    /// The pins of its key, of which any one will do.
    pub(super) fn pins(&self) -> &[Pin] {
        &self.pins
    }

    /// The path of HTTP requests.
    pub(super) fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// Writes what stands behind the address or name `place`, which need not be repeated.
    pub(super) fn write_behind(&self, f: &mut fmt::Formatter<'_>, place: &str) -> fmt::Result {
        f.write_str(&self.path)?;
        let goes_without_saying = |name: &str| name == place && (!self.path.is_empty() || !is_address(name));
        let name = self.name.as_deref().filter(|name| !goes_without_saying(name)).map(str::to_owned);
        let mut between = "#";
        for part in name.into_iter().chain(self.pins.iter().map(ToString::to_string)) {
            write!(f, "{between}{part}")?;
            between = ",";
        }
        Ok(())
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

fn peer_name(text: &str) -> Result<Arc<str>, SpecError> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if tls::is_server_name(&name) { Ok(name.into()) } else { Err(SpecError::PeerName { text: text.to_owned() }) }
}

/// A path with a query, as it stands in a request; the form of RFC 8484 with a variable means a POST without it.
fn http_path(text: &str) -> Result<Arc<str>, SpecError> {
    let path = text.strip_suffix("{?dns}").unwrap_or(text);
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    if !path.bytes().all(fits) {
        return Err(SpecError::Path { path: text.to_owned() });
    }
    Ok(if path.is_empty() { PATH.into() } else { path.into() })
}
