//! What an operator writes to name an upstream: a server by address or host name, perhaps with a scheme, a port, a path and
//! what it is known by, or `system`.
//!
//! ```text
//! 192.0.2.53     192.0.2.53:5353     [2001:db8::53]:53     fe80::1%eth0     tcp://192.0.2.53
//! tls://192.0.2.53#dns.example                     the name in its certificate
//! tls://192.0.2.53#sha256/n4bQgYhM…=,sha256/…=     the pins of its key, one to be rolled over to (RFC 7858 §4.2)
//! tls://dns.example     https://dns.example/dns-query     quic://dns.example:8853
//! https://192.0.2.53/dns-query#dns.example         asked at this address, as that name
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use super::peer::Peer;
use crate::tls::PinError;
use crate::wire::Name;

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Over UDP, and over TCP when the answer is truncated (RFC 1035 §4.2).
    Plain,
    /// Over TCP only (RFC 7766).
    Tcp,
    /// Over TLS (RFC 7858).
    Tls,
    /// Over HTTP/2 (RFC 8484).
    Https,
    /// Over QUIC (RFC 9250).
    Quic,
}

/// An upstream as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamSpec {
    /// `system`: the servers that the host itself uses.
    System,
    /// One server.
    Server {
        /// Where it is.
        host: Host,
        /// Its port.
        port: u16,
        /// How it is asked.
        protocol: Protocol,
        /// How it is authenticated, if it is asked over an encrypted transport.
        peer: Option<Peer>,
    },
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// By address.
    Address {
        /// Its address.
        ip: IpAddr,
        /// The interface of a link-local address: a name, or an index in decimal (RFC 4007 §11).
        zone: Option<Box<str>>,
    },
    /// By host name, in lower case and without the last dot.
    Name(Arc<str>),
}

/// Why a text names no upstream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Nothing is written.
    #[error("upstream is empty; {ACCEPTED}")]
    Empty,
    /// A transport that is not spoken.
    #[error("`{scheme}://` upstreams are not supported; {ACCEPTED}")]
    NotSpoken {
        /// The scheme as written.
        scheme: String,
    },
    /// A scheme that is none of DNS.
    #[error("unknown scheme `{scheme}`; {ACCEPTED}")]
    Scheme {
        /// The scheme as written.
        scheme: String,
    },
    /// A port that is no number from 1 to 65535.
    #[error("`{port}` is no port; write a number from 1 to 65535")]
    Port {
        /// The port as written.
        port: String,
    },
    /// A host name without encryption, or something else that is no address.
    #[error("`{text}` is no IP address (a host name needs `tls://`, `https://` or `quic://` in front); {ACCEPTED}")]
    Address {
        /// What stands in the address's place.
        text: String,
    },
    /// Neither an address nor a host name.
    #[error("`{text}` is neither an IP address nor a host name; {ACCEPTED}")]
    Host {
        /// What stands in their place.
        text: String,
    },
    /// An address that is no single host's: `0.0.0.0`, `::`, multicast, broadcast.
    #[error("{ip} is not the address of a server")]
    NoHost {
        /// The address.
        ip: IpAddr,
    },
    /// What only an encrypted server has.
    #[error("nothing behind `#` can be checked without encryption; write `tls://`, `https://` or `quic://` in front")]
    NotEncrypted,
    /// Encrypted for whom? Anybody could answer (RFC 8310 §5).
    #[error(
        "it is not said what this server is known by: write the name in its certificate, \
         `{server}#dns.example`, or the pin of its key, `{server}#sha256/…`"
    )]
    Unauthenticated {
        /// The server as written.
        server: String,
    },
    /// The host of an HTTP request must be a name there, whatever else the server is known by.
    #[error("an IPv6 address over `https://` needs the name in its certificate behind it: `{server}#dns.example`")]
    NamelessUrl {
        /// The server as written, without what stands behind `#`.
        server: String,
    },
    /// What stands behind `#` is no host name.
    #[error("`{text}` is no name that a certificate can bear")]
    PeerName {
        /// The text.
        text: String,
    },
    /// More than one name behind `#`.
    #[error("only one name can stand behind `#`")]
    PeerNames,
    /// What stands behind `#` is no pin.
    #[error("{0}")]
    Pin(#[from] PinError),
    /// No path of an HTTP request.
    #[error("`{path}` is no path; write for example `/dns-query`")]
    Path {
        /// The path as written.
        path: String,
    },
    /// A link-local address over QUIC.
    #[error("a link-local address can't be asked over QUIC")]
    QuicZone,
}

/// The end of every message about syntax.
const ACCEPTED: &str = "write `9.9.9.9`, `9.9.9.9:5353`, `2620:fe::fe`, `[2620:fe::fe]:53`, one of these behind `udp://` or `tcp://`, `tls://9.9.9.9#dns.quad9.net`, `https://dns.quad9.net/dns-query`, `quic://` likewise, or `system`";

impl Protocol {
    /// What stands in front of a server that is asked so.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Tcp => "tcp://",
            Self::Tls => "tls://",
            Self::Https => "https://",
            Self::Quic => "quic://",
        }
    }

    /// Whether nobody on the way can read or change what is said.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Quic)
    }

    /// The port where nothing else is written (RFC 1035 §4.2, RFC 7858 §3.1, RFC 9250 §4.1.1).
    fn port(self) -> u16 {
        match self {
            Self::Plain | Self::Tcp => 53,
            Self::Tls | Self::Quic => 853,
            Self::Https => 443,
        }
    }
}

impl UpstreamSpec {
    /// Whether it is written by a host name, which must be resolved.
    pub fn is_by_name(&self) -> bool {
        matches!(self, Self::Server { host: Host::Name(_), .. })
    }
}

impl FromStr for UpstreamSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SpecError::Empty);
        }
        if text == "system" {
            return Ok(Self::System);
        }
        let (protocol, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (protocol(scheme)?, rest),
            None => (Protocol::Plain, text),
        };
        if protocol.is_encrypted() { encrypted(rest, protocol) } else { clear(rest, protocol) }
    }
}

fn protocol(scheme: &str) -> Result<Protocol, SpecError> {
    match scheme {
        "udp" => Ok(Protocol::Plain),
        "tcp" => Ok(Protocol::Tcp),
        "tls" => Ok(Protocol::Tls),
        "https" => Ok(Protocol::Https),
        "quic" => Ok(Protocol::Quic),
        "h3" | "sdns" => Err(SpecError::NotSpoken { scheme: scheme.to_owned() }),
        _ => Err(SpecError::Scheme { scheme: scheme.to_owned() }),
    }
}

fn clear(text: &str, protocol: Protocol) -> Result<UpstreamSpec, SpecError> {
    if text.contains('#') {
        return Err(SpecError::NotEncrypted);
    }
    let (host, port) = split_port(text.strip_suffix('/').unwrap_or(text), protocol)?;
    let (ip, zone) = host_address(host)?;
    Ok(UpstreamSpec::Server { host: single(ip, zone)?, port, protocol, peer: None })
}

fn encrypted(text: &str, protocol: Protocol) -> Result<UpstreamSpec, SpecError> {
    let (place, known_by) = text.split_once('#').unwrap_or((text, ""));
    let (authority, path) = match (place.find('/'), protocol) {
        (Some(at), Protocol::Https) => place.split_at(at),
        _ => (place.strip_suffix('/').unwrap_or(place), ""),
    };
    let (written, port) = split_port(authority, protocol)?;
    let host = match host_address(written) {
        Ok((ip, zone)) => single(ip, zone)?,
        Err(_no_address) => Host::Name(host_name(written)?),
    };
    if protocol == Protocol::Quic && matches!(host, Host::Address { zone: Some(_), .. }) {
        return Err(SpecError::QuicZone);
    }
    let peer = Peer::read(&host, protocol, path, known_by, place)?;
    Ok(UpstreamSpec::Server { host, port, protocol, peer: Some(peer) })
}

/// The address, if it can be that of one host.
fn single(ip: IpAddr, zone: Option<Box<str>>) -> Result<Host, SpecError> {
    let broadcast = ip == IpAddr::from([255; 4]);
    if ip.is_unspecified() || ip.is_multicast() || broadcast {
        return Err(SpecError::NoHost { ip });
    }
    Ok(Host::Address { ip, zone })
}

/// A name that a server can have: letters, digits, `-` and dots. One whose last label is a number is a mistyped address.
fn host_name(text: &str) -> Result<Arc<str>, SpecError> {
    let wrong = || SpecError::Host { text: text.to_owned() };
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit());
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    if numeric || !plain || Name::parse(&name).is_err() || !crate::tls::is_server_name(&name) {
        return Err(wrong());
    }
    Ok(name.into())
}

/// Splits off `:port`, which an IPv6 address can carry only behind brackets.
fn split_port(text: &str, protocol: Protocol) -> Result<(&str, u16), SpecError> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or_else(|| SpecError::Address { text: text.to_owned() })?;
        return match after.strip_prefix(':') {
            Some(digits) => Ok((host, port(digits)?)),
            None if after.is_empty() => Ok((host, protocol.port())),
            None => Err(SpecError::Address { text: text.to_owned() }),
        };
    }
    match text.split_once(':') {
        Some((host, digits)) if !digits.contains(':') => Ok((host, port(digits)?)),
        _ => Ok((text, protocol.port())),
    }
}

fn port(digits: &str) -> Result<u16, SpecError> {
    let number = if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().unwrap_or(0) } else { 0 };
    if number == 0 { Err(SpecError::Port { port: digits.to_owned() }) } else { Ok(number) }
}

/// Reads an address with an optional `%zone`, which only link-local IPv6 addresses need.
pub(super) fn host_address(text: &str) -> Result<(IpAddr, Option<Box<str>>), SpecError> {
    let wrong = || SpecError::Address { text: text.to_owned() };
    match text.split_once('%') {
        None => Ok((text.parse().map_err(|_no_address| wrong())?, None)),
        Some((_address, "")) => Err(wrong()),
        Some((address, zone)) => {
            let ip: Ipv6Addr = address.parse().map_err(|_no_address| wrong())?;
            Ok((ip.into(), Some(zone.into())))
        }
    }
}

impl fmt::Display for UpstreamSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Server { host, port, protocol, peer } = self else {
            return f.write_str("system");
        };
        let place = match host {
            Host::Address { ip: IpAddr::V4(ip), .. } => format!("{ip}"),
            Host::Address { ip: IpAddr::V6(ip), zone: None } => format!("[{ip}]"),
            Host::Address { ip: IpAddr::V6(ip), zone: Some(zone) } => format!("[{ip}%{zone}]"),
            Host::Name(name) => name.to_string(),
        };
        write_server(f, *protocol, &place, *port, peer.as_ref())
    }
}

/// Writes a server as an operator does; `place` is its address, in brackets if it holds colons, or its name. A port that goes
/// without saying is left out where a scheme says so.
pub(super) fn write_server(
    f: &mut fmt::Formatter<'_>,
    protocol: Protocol,
    place: &str,
    port: u16,
    peer: Option<&Peer>,
) -> fmt::Result {
    write!(f, "{}{place}", protocol.scheme())?;
    if !protocol.is_encrypted() || port != protocol.port() {
        write!(f, ":{port}")?;
    }
    peer.map_or(Ok(()), |peer| peer.write_behind(f, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let spec = UpstreamSpec::from_str(text).unwrap();
        assert_eq!(spec.to_string(), expected);
        assert_eq!(UpstreamSpec::from_str(expected).unwrap(), spec, "the printed form reads back");
    }

    #[track_caller]
    fn check_error(text: &str, beginning: &str) {
        let message = UpstreamSpec::from_str(text).unwrap_err().to_string();
        assert!(message.starts_with(beginning), "{text}: {message}");
    }

    #[test]
    fn addresses_ports_schemes_and_zones_are_read() {
        check("192.0.2.53", "192.0.2.53:53");
        check(" 192.0.2.53:5353 ", "192.0.2.53:5353");
        check("2001:db8::53", "[2001:db8::53]:53");
        check("[2001:db8::53]", "[2001:db8::53]:53");
        check("[2001:db8::53]:5353", "[2001:db8::53]:5353");
        check("fe80::1%eth0", "[fe80::1%eth0]:53");
        check("[fe80::1%2]:5353", "[fe80::1%2]:5353");
        check("udp://192.0.2.53", "192.0.2.53:53");
        check("tcp://[2001:db8::53]:5353/", "tcp://[2001:db8::53]:5353");
        check("system", "system");
    }

    #[test]
    fn every_mistake_is_named() {
        check_error("", "upstream is empty; write");
        check_error("h3://192.0.2.53", "`h3://` upstreams are not supported");
        check_error("ftp://192.0.2.53", "unknown scheme `ftp`; write");
        check_error("dns.example", "`dns.example` is no IP address");
        check_error("dns.example:53", "`dns.example` is no IP address");
        check_error("192.0.2.53:0", "`0` is no port");
        check_error("192.0.2.53:+53", "`+53` is no port");
        check_error("192.0.2.53:65536", "`65536` is no port");
        check_error("192.0.2.53:", "`` is no port");
        check_error("[2001:db8::53", "`[2001:db8::53` is no IP address");
        check_error("[2001:db8::53]x", "`[2001:db8::53]x` is no IP address");
        check_error("fe80::1%", "`fe80::1%` is no IP address");
        check_error("192.0.2.53%eth0", "`192.0.2.53%eth0` is no IP address");
        check_error("0.0.0.0", "0.0.0.0 is not the address of a server");
        check_error("[ff02::fb]:53", "ff02::fb is not the address of a server");
        check_error("255.255.255.255", "255.255.255.255 is not the address of a server");
        check_error("tls://0.0.0.0#dns.example", "0.0.0.0 is not the address of a server");
        check_error("192.0.2.53#dns.example", "nothing behind `#` can be checked without encryption");
    }

    #[test]
    fn encrypted_servers_are_read() {
        check("tls://192.0.2.53#dns.example", "tls://192.0.2.53#dns.example");
        check("tls://192.0.2.53:853#DNS.example.", "tls://192.0.2.53#dns.example");
        check("tls://[2001:db8::53]:8853#dns.example", "tls://[2001:db8::53]:8853#dns.example");
        check("tls://2001:db8::53#dns.example", "tls://[2001:db8::53]#dns.example");
        check("tls://fe80::1%eth0#dns.example", "tls://[fe80::1%eth0]#dns.example");
        check("tls://192.0.2.53#192.0.2.53", "tls://192.0.2.53#192.0.2.53");
        check("tls://Dns.Example/", "tls://dns.example");
        check("tls://dns.example:8853#other.example", "tls://dns.example:8853#other.example");
        check("quic://dns.example", "quic://dns.example");
        check("https://dns.example", "https://dns.example/dns-query");
        check("https://dns.example/", "https://dns.example/");
        check("https://dns.example:8443/a/b?c=d", "https://dns.example:8443/a/b?c=d");
        check("https://dns.example/dns-query{?dns}", "https://dns.example/dns-query");
        check("https://192.0.2.53/dns-query", "https://192.0.2.53/dns-query");
        check("https://192.0.2.53/dns-query#dns.example", "https://192.0.2.53/dns-query#dns.example");
        check("https://[2001:db8::53]/q#dns.example", "https://[2001:db8::53]/q#dns.example");
        let (one, two) = (format!("sha256/{}=", "A".repeat(43)), format!("sha256/{}A=", "B/+".repeat(14)));
        check(&format!("tls://192.0.2.53#{one}"), &format!("tls://192.0.2.53#{one}"));
        check(
            &format!("quic://192.0.2.53#{two},dns.example,{one}"),
            &format!("quic://192.0.2.53#dns.example,{two},{one}"),
        );
    }

    #[test]
    fn every_mistake_about_encrypted_servers_is_named() {
        check_error(
            "tls://192.0.2.53",
            "it is not said what this server is known by: write the name in its certificate, `tls://192.0.2.53#dns.example`",
        );
        check_error("quic://[2001:db8::53]:853", "it is not said what this server is known by");
        let nameless = "an IPv6 address over `https://` needs the name in its certificate behind it: \
                        `https://[2001:db8::53]/q#dns.example`";
        check_error("https://[2001:db8::53]/q", nameless);
        check_error(&format!("https://[2001:db8::53]/q#sha256/{}=", "A".repeat(43)), nameless);
        check_error("tls://192.0.2.53#", "it is not said what this server is known by");
        check_error("tls://192.0.2.53#dns..example", "`dns..example` is no name that a certificate can bear");
        check_error("tls://192.0.2.53#a.example,b.example", "only one name");
        check_error("tls://192.0.2.53#sha256/AAAA", "`sha256/AAAA` is no pin");
        check_error("tls://192.0.2", "`192.0.2` is neither an IP address nor a host name");
        check_error("tls://", "`` is neither an IP address nor a host name");
        check_error("tls://-.example", "`-.example` is neither");
        check_error("tls://user@dns.example", "`user@dns.example` is neither");
        check_error("tls://dns.example:0", "`0` is no port");
        check_error("tls://dns.example/path", "`dns.example/path` is neither");
        check_error("https://dns.example/a b", "`/a b` is no path");
        check_error("quic://[fe80::1%eth0]#dns.example", "a link-local address can't");
    }
}
