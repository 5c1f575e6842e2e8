//! What an operator writes to name an upstream: an address, perhaps with a port and a scheme, or `system`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The port of DNS over UDP and TCP (RFC 1035 §4.2).
const PORT: u16 = 53;

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Over UDP, and over TCP when the answer is truncated (RFC 1035 §4.2).
    Plain,
    /// Over TCP only (RFC 7766).
    Tcp,
}

/// An upstream as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamSpec {
    /// `system`: the servers that the host itself uses.
    System,
    /// One server by address.
    Server {
        /// Its address.
        ip: IpAddr,
        /// The interface of a link-local address: a name, or an index in decimal (RFC 4007 §11).
        zone: Option<Box<str>>,
        /// Its port.
        port: u16,
        /// How it is asked.
        protocol: Protocol,
    },
}

/// Why a text names no upstream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Nothing is written.
    #[error("upstream is empty; {ACCEPTED}")]
    Empty,
    /// An encrypted transport that this version does not speak.
    #[error("`{scheme}://` upstreams are not supported yet; {ACCEPTED}")]
    NotYet {
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
    /// A host name, or something else that is no address.
    #[error("`{text}` is no IP address (a name can't be resolved before there is an upstream); {ACCEPTED}")]
    Address {
        /// What stands in the address's place.
        text: String,
    },
    /// An address that is no single host's: `0.0.0.0`, `::`, multicast, broadcast.
    #[error("{ip} is not the address of a server")]
    NoHost {
        /// The address.
        ip: IpAddr,
    },
}

/// The end of every message about syntax.
const ACCEPTED: &str = "write `9.9.9.9`, `9.9.9.9:5353`, `2620:fe::fe`, `[2620:fe::fe]:53`, one of these behind `udp://` or `tcp://`, or `system`";

impl Protocol {
    /// What stands in front of an address that is asked so.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Tcp => "tcp://",
        }
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
        server(rest.strip_suffix('/').unwrap_or(rest), protocol)
    }
}

fn protocol(scheme: &str) -> Result<Protocol, SpecError> {
    match scheme {
        "udp" => Ok(Protocol::Plain),
        "tcp" => Ok(Protocol::Tcp),
        "tls" | "https" | "h3" | "quic" | "sdns" => Err(SpecError::NotYet { scheme: scheme.to_owned() }),
        _ => Err(SpecError::Scheme { scheme: scheme.to_owned() }),
    }
}

fn server(text: &str, protocol: Protocol) -> Result<UpstreamSpec, SpecError> {
    let (host, port) = split_port(text)?;
    let (ip, zone) = host_address(host)?;
    let broadcast = ip == IpAddr::from([255; 4]);
    if ip.is_unspecified() || ip.is_multicast() || broadcast {
        return Err(SpecError::NoHost { ip });
    }
    Ok(UpstreamSpec::Server { ip, zone, port, protocol })
}

/// Splits off `:port`, which an IPv6 address can carry only behind brackets.
fn split_port(text: &str) -> Result<(&str, u16), SpecError> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or_else(|| SpecError::Address { text: text.to_owned() })?;
        return match after.strip_prefix(':') {
            Some(digits) => Ok((host, port(digits)?)),
            None if after.is_empty() => Ok((host, PORT)),
            None => Err(SpecError::Address { text: text.to_owned() }),
        };
    }
    match text.split_once(':') {
        Some((host, digits)) if !digits.contains(':') => Ok((host, port(digits)?)),
        _ => Ok((text, PORT)),
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
        let Self::Server { ip, zone, port, protocol } = self else {
            return f.write_str("system");
        };
        let scheme = protocol.scheme();
        match (ip, zone) {
            (IpAddr::V4(ip), _) => write!(f, "{scheme}{ip}:{port}"),
            (IpAddr::V6(ip), None) => write!(f, "{scheme}[{ip}]:{port}"),
            (IpAddr::V6(ip), Some(zone)) => write!(f, "{scheme}[{ip}%{zone}]:{port}"),
        }
    }
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
        check_error("tls://192.0.2.53", "`tls://` upstreams are not supported yet");
        check_error("https://dns.example/dns-query", "`https://` upstreams are not supported yet");
        check_error("quic://192.0.2.53", "`quic://` upstreams are not supported yet");
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
    }
}
