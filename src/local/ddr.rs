//! Discovery of designated resolvers (RFC 9462): how a client that knows only our address finds our encrypted endpoints.
//!
//! Who makes an [`Endpoint`] sees to it that its certificate covers the addresses: a client checks that before it goes there
//! (RFC 9462 §4.2), and one that finds otherwise stays with plain DNS for as long as it remembers.

use std::net::IpAddr;

use super::rdata::service;
use super::record::address;
use crate::wire::{Name, Response, qtype, svc_param};

/// TTL of the records, in seconds: an endpoint that is taken away is not asked for much longer.
pub(super) const TTL: u32 = 300;

/// An encrypted endpoint of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The name that its certificate is for, beside the addresses.
    pub name: Name,
    /// What is spoken there.
    pub encrypted: Encrypted,
    /// Where.
    pub port: u16,
    /// Addresses of ours that the certificate covers.
    pub addresses: Vec<IpAddr>,
}

/// A transport that is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encrypted {
    /// DNS over QUIC (RFC 9250).
    Doq,
    /// DNS over HTTP/2 (RFC 8484), with the path of its URI template: `/dns-query`.
    Doh(Box<str>),
    /// DNS over TLS (RFC 7858).
    Dot,
}

impl Encrypted {
    /// The word for it in ALPN (RFC 9461 §5, RFC 9250 §4.1, RFC 7301).
    fn alpn(&self) -> &'static [u8] {
        match self {
            Self::Doq => b"doq",
            Self::Doh(_) => b"h2",
            Self::Dot => b"dot",
        }
    }

    /// The port that is meant when none is named (RFC 9461 §4.2).
    fn port(&self) -> u16 {
        match self {
            Self::Doq | Self::Dot => 853,
            Self::Doh(_) => 443,
        }
    }
}

/// Answers `_dns.resolver.arpa` SVCB: the endpoints in the order in which they stand, their addresses beside them.
pub(super) fn respond<'t>(mut response: Response<'t>, endpoints: &[Endpoint]) -> Response<'t> {
    for (endpoint, priority) in endpoints.iter().zip(1..) {
        response = response.answer(qtype::SVCB, TTL, &service(priority, endpoint.name.wire(), parameters_of(endpoint)));
    }
    let mut told = Vec::new();
    for endpoint in endpoints {
        for of_ours in &endpoint.addresses {
            if !told.contains(&(&endpoint.name, of_ours)) {
                told.push((&endpoint.name, of_ours));
                let (rtype, rdata) = address(*of_ours);
                response = response.additional_at(endpoint.name.wire(), rtype, TTL, &rdata);
            }
        }
    }
    response
}

/// Its parameters, by key.
pub(super) fn parameters_of(endpoint: &Endpoint) -> Vec<(u16, Vec<u8>)> {
    let alpn = endpoint.encrypted.alpn();
    let counted = [&[u8::try_from(alpn.len()).unwrap_or_default()], alpn].concat();
    let mut parameters = vec![(svc_param::ALPN, counted)];
    if endpoint.port != endpoint.encrypted.port() {
        parameters.push((svc_param::PORT, endpoint.port.to_be_bytes().to_vec()));
    }
    let families =
        [(svc_param::IPV4HINT, IpAddr::is_ipv4 as fn(&IpAddr) -> bool), (svc_param::IPV6HINT, IpAddr::is_ipv6)];
    for (key, of_family) in families {
        let hints: Vec<u8> =
            endpoint.addresses.iter().filter(|address| of_family(address)).flat_map(|ip| address(*ip).1).collect();
        if !hints.is_empty() {
            parameters.push((key, hints));
        }
    }
    if let Encrypted::Doh(path) = &endpoint.encrypted {
        parameters.push((svc_param::DOHPATH, format!("{path}{{?dns}}").into_bytes()));
    }
    parameters
}
