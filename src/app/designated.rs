//! To which of our encrypted endpoints clients of plain DNS may be led (RFC 9462).
//!
//! A client goes there only if the certificate is for the address that it has asked so far (§4.2), and one that finds otherwise
//! stays with plain DNS for as long as it remembers. So an endpoint is told of at those addresses alone that are served in both
//! ways and that the certificate is for.

use std::net::{IpAddr, SocketAddr};

use super::endpoint::{Endpoint, Spoken};
use crate::config::Loaded;
use crate::local::{Encrypted, Endpoint as Designated};
use crate::socket;
use crate::tls::Paper;
use crate::wire::Name;

/// The endpoints that clients are told of while `listen` is served in clear.
pub(super) fn designated(endpoints: &[Endpoint], listen: &[SocketAddr], loaded: &Loaded) -> Vec<Designated> {
    let Some(paper) = loaded.identity.as_ref().and_then(Paper::of) else { return Vec::new() };
    // A host that does not tell its addresses leads nobody from a wildcard address anywhere.
    let own = socket::own_addresses().unwrap_or_default();
    among(endpoints, listen, &paper.names, &own)
}

fn among(endpoints: &[Endpoint], listen: &[SocketAddr], names: &[String], own: &[IpAddr]) -> Vec<Designated> {
    let plain = |name: &&String| name.parse::<IpAddr>().is_err() && !name.starts_with('*');
    let Some(name) = names.iter().filter(plain).find_map(|name| Name::parse(name).ok()) else { return Vec::new() };
    let covered: Vec<IpAddr> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let mut designated: Vec<Designated> = Vec::new();
    for Endpoint { spoken, address: at } in endpoints {
        let Some(encrypted) = encrypted(spoken) else { continue };
        let leads = |address: &IpAddr| covered.contains(address) && listen.iter().any(|plain| serves(*plain, *address));
        let one = [at.ip()];
        let theirs = if at.ip().is_unspecified() { own } else { &one };
        let addresses: Vec<IpAddr> =
            theirs.iter().filter(|address| serves(*at, **address) && leads(address)).copied().collect();
        let same = designated.iter_mut().find(|known| known.encrypted == encrypted && known.port == at.port());
        match same {
            Some(known) => known.addresses.extend(addresses),
            None if addresses.is_empty() => (),
            None => designated.push(Designated { name: name.clone(), encrypted, port: at.port(), addresses }),
        }
    }
    designated
}

/// How it is called there; `None`: no client is to be sent to it.
fn encrypted(spoken: &Spoken) -> Option<Encrypted> {
    match spoken {
        Spoken::Tls => Some(Encrypted::Dot),
        Spoken::Quic => Some(Encrypted::Doq),
        Spoken::Https(path) => Some(Encrypted::Doh(path.as_ref().into())),
        Spoken::Http(_) => None,
    }
}

/// Whether who listens here is reached at `address`.
fn serves(listening: SocketAddr, address: IpAddr) -> bool {
    let ip = listening.ip();
    ip == address || ip.is_unspecified() && ip.is_ipv4() == address.is_ipv4()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["192.0.2.53", "*.example", "dns.example", "other.example", "2001:db8::53"];

    /// What is told of these, as text.
    fn check(endpoints: &[(Spoken, &str)], listen: &[&str], names: &[&str], expected: &[&str]) {
        let endpoints: Vec<Endpoint> = endpoints
            .iter()
            .map(|(spoken, address)| Endpoint { spoken: spoken.clone(), address: address.parse().unwrap() })
            .collect();
        let listen: Vec<SocketAddr> = listen.iter().map(|address| address.parse().unwrap()).collect();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let own: Vec<IpAddr> =
            ["127.0.0.1", "192.0.2.53", "192.0.2.99", "2001:db8::53"].map(|own| own.parse().unwrap()).to_vec();
        let told: Vec<String> = among(&endpoints, &listen, &names, &own)
            .iter()
            .map(|told| format!("{} {:?} {} {:?}", told.name, told.encrypted, told.port, told.addresses))
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn clients_are_led_where_the_certificate_is_for_an_address_that_is_served_in_both_ways() {
        let https = || Spoken::Https("/q".into());
        check(
            &[(Spoken::Tls, "192.0.2.53:853"), (Spoken::Quic, "192.0.2.53:8853"), (https(), "192.0.2.53:443")],
            &["192.0.2.53:53"],
            &NAMES,
            &[
                "dns.example Dot 853 [192.0.2.53]",
                "dns.example Doq 8853 [192.0.2.53]",
                "dns.example Doh(\"/q\") 443 [192.0.2.53]",
            ],
        );
        // Of its own addresses a wildcard means those alone.
        check(
            &[(Spoken::Tls, "0.0.0.0:853"), (Spoken::Tls, "[::]:853"), (Spoken::Http("/q".into()), "0.0.0.0:80")],
            &["0.0.0.0:53", "[::]:53"],
            &NAMES,
            &["dns.example Dot 853 [192.0.2.53, 2001:db8::53]"],
        );
    }

    #[test]
    fn nobody_is_led_where_the_certificate_or_plain_dns_is_not() {
        check(&[(Spoken::Tls, "192.0.2.99:853")], &["192.0.2.99:53"], &NAMES, &[]);
        check(&[(Spoken::Tls, "192.0.2.53:853")], &["127.0.0.1:53", "[::]:53"], &NAMES, &[]);
        check(&[(Spoken::Tls, "192.0.2.53:853")], &["192.0.2.53:53"], &["192.0.2.53", "*.example"], &[]);
        check(&[(Spoken::Tls, "192.0.2.53:853")], &["192.0.2.53:53"], &["dns.example"], &[]);
    }
}
