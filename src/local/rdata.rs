//! The data of a record from its presentation form to the wire.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::{Name, qtype, svc_param};

/// Octets of a character-string at most (RFC 1035 §3.3).
const STRING_MAX: usize = 255;

/// The data on the wire; `None`: the text is no value of this type.
pub(super) fn read(rtype: u16, text: &str) -> Option<Vec<u8>> {
    if let Some(generic) = text.strip_prefix(r"\#") {
        return unknown(generic).filter(|rdata| has_size(rtype, rdata.len()));
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match (rtype, words.as_slice()) {
        (qtype::A, [address]) => Some(address.parse::<Ipv4Addr>().ok()?.octets().into()),
        (qtype::AAAA, [address]) => Some(address.parse::<Ipv6Addr>().ok()?.octets().into()),
        (qtype::CNAME | qtype::PTR, [target]) => name(target),
        (qtype::MX, [preference, host]) => Some([numbers(&[preference])?, name(host)?].concat()),
        (qtype::SRV, [priority, weight, port, host]) => {
            Some([numbers(&[priority, weight, port])?, name(host)?].concat())
        }
        (qtype::SVCB | qtype::HTTPS, [priority, target, parameters @ ..]) => {
            let parameters = parameters.iter().map(|written| parameter(written)).collect::<Option<Vec<_>>>()?;
            // A client takes a record with one twice for broken (RFC 9460 §2.2).
            let keys: HashSet<u16> = parameters.iter().map(|(key, _value)| *key).collect();
            let each_once = keys.len() == parameters.len();
            each_once.then_some(service(priority.parse().ok()?, &name(target)?, parameters))
        }
        (qtype::TXT, [_, ..]) => strings(text),
        _ => None,
    }
}

/// How a value of this type looks, for who wrote another.
pub(super) fn form(rtype: u16) -> &'static str {
    match rtype {
        qtype::A => "an IPv4 address",
        qtype::AAAA => "an IPv6 address",
        qtype::CNAME | qtype::PTR => "one name",
        qtype::MX => "a preference and a name: 10 mail.example",
        qtype::SRV => "priority, weight, port and a name: 0 5 5060 sip.example",
        qtype::TXT => "text, or strings in quotes",
        qtype::SVCB | qtype::HTTPS => {
            "priority, target and parameters: 1 . alpn=h2 port=8443 ipv4hint=192.0.2.1, or \\# LENGTH HEX"
        }
        _ => "\\# LENGTH HEX (RFC 3597)",
    }
}

fn name(text: &str) -> Option<Vec<u8>> {
    Name::parse(text).ok().map(|name| name.wire().to_vec())
}

fn numbers(words: &[&str]) -> Option<Vec<u8>> {
    let octets = words.iter().map(|word| word.parse::<u16>().ok().map(u16::to_be_bytes));
    octets.collect::<Option<Vec<_>>>().map(|octets| octets.concat())
}

/// `LENGTH HEX`, the digits in groups as one likes (RFC 3597 §5).
fn unknown(text: &str) -> Option<Vec<u8>> {
    let mut words = text.split_ascii_whitespace();
    let length = words.next()?.parse::<u16>().ok()?;
    let digits: Vec<u8> = words.flat_map(str::bytes).collect();
    let octets = data_encoding::HEXLOWER_PERMISSIVE.decode(&digits).ok()?;
    (octets.len() == usize::from(length)).then_some(octets)
}

/// Whether data of a type that has one size has it.
fn has_size(rtype: u16, size: usize) -> bool {
    match rtype {
        qtype::A => size == 4,
        qtype::AAAA => size == 16,
        qtype::SVCB | qtype::HTTPS => size >= 3,
        _ => true,
    }
}

/// Character-strings in quotes, or the whole text as one; a long one is cut into several.
fn strings(text: &str) -> Option<Vec<u8>> {
    let mut found = Vec::new();
    if text.starts_with('"') {
        let mut rest = text.bytes().peekable();
        while rest.next_if(u8::is_ascii_whitespace).is_some() || rest.peek().is_some() {
            if rest.peek().is_none_or(u8::is_ascii_whitespace) {
                continue;
            }
            found.push(quoted(&mut rest)?);
        }
    } else {
        found.push(text.as_bytes().to_vec());
    }
    let mut rdata = Vec::new();
    for string in &found {
        let pieces = if string.is_empty() { vec![&string[..]] } else { string.chunks(STRING_MAX).collect() };
        for piece in pieces {
            rdata.push(u8::try_from(piece.len()).ok()?);
            rdata.extend_from_slice(piece);
        }
    }
    Some(rdata)
}

/// One string in quotes, with `\X` and `\DDD`.
fn quoted(octets: &mut impl Iterator<Item = u8>) -> Option<Vec<u8>> {
    octets.next().filter(|octet| *octet == b'"')?;
    let mut string = Vec::new();
    loop {
        match octets.next()? {
            b'"' => return Some(string),
            b'\\' => match octets.next()? {
                first @ b'0'..=b'9' => {
                    let digits = [first, octets.next()?, octets.next()?];
                    string.push(std::str::from_utf8(&digits).ok()?.parse().ok()?);
                }
                escaped => string.push(escaped),
            },
            octet => string.push(octet),
        }
    }
}

/// The data of an SVCB or HTTPS record; parameters stand in the order of their keys (RFC 9460 §2.2).
pub(super) fn service(priority: u16, target: &[u8], mut parameters: Vec<(u16, Vec<u8>)>) -> Vec<u8> {
    parameters.sort();
    let mut rdata = [&priority.to_be_bytes(), target].concat();
    for (key, value) in parameters {
        rdata.extend_from_slice(&key.to_be_bytes());
        rdata.extend_from_slice(&u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        rdata.extend_from_slice(&value);
    }
    rdata
}

/// `key=value` of RFC 9460 §7 and RFC 9461 §5.
fn parameter(text: &str) -> Option<(u16, Vec<u8>)> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let value = value.trim_matches('"');
    let addresses = || value.split(',').map(|word| word.parse::<IpAddr>().ok()).collect::<Option<Vec<_>>>();
    match key {
        "alpn" => {
            let mut octets = Vec::new();
            for id in value.split(',') {
                octets.push(u8::try_from(id.len()).ok().filter(|size| *size > 0)?);
                octets.extend_from_slice(id.as_bytes());
            }
            Some((svc_param::ALPN, octets))
        }
        "no-default-alpn" if value.is_empty() => Some((svc_param::NO_DEFAULT_ALPN, Vec::new())),
        "port" => Some((svc_param::PORT, numbers(&[value])?)),
        "ipv4hint" => {
            let hint = |address: IpAddr| if let IpAddr::V4(v4) = address { Some(v4.octets()) } else { None };
            Some((svc_param::IPV4HINT, addresses()?.into_iter().map(hint).collect::<Option<Vec<_>>>()?.concat()))
        }
        "ipv6hint" => {
            let hint = |address: IpAddr| if let IpAddr::V6(v6) = address { Some(v6.octets()) } else { None };
            Some((svc_param::IPV6HINT, addresses()?.into_iter().map(hint).collect::<Option<Vec<_>>>()?.concat()))
        }
        "dohpath" => Some((svc_param::DOHPATH, value.as_bytes().to_vec())),
        _ => None,
    }
}
