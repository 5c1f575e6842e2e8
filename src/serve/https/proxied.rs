//! For whom a reverse proxy speaks: `X-Forwarded-For`, to which each proxy on the way appends from whom it has the request.
//!
//! The header is worth no more than the last proxy that wrote it: what stands to the left of the first hop that is no listed
//! proxy was written by whoever sent the request there, and is not looked at. `Forwarded` (RFC 7239) is not read: a proxy that
//! writes one of the two headers hands on the other as its client wrote it.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::HeaderName;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client: the last hop that is no proxy of ours, or the first of all if each is one. `None`: no header, or one that does
/// not say it.
pub(super) fn client(headers: &HeaderMap, is_proxy: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let mut found = None;
    // Several fields are one list (RFC 9110 §5.3), and its end is what the nearest proxy has written.
    for field in headers.get_all(FORWARDED_FOR).iter().collect::<Vec<_>>().into_iter().rev() {
        for hop in field.to_str().ok()?.rsplit(',') {
            let hop = address(hop.trim())?;
            if !is_proxy(hop) {
                return Some(hop);
            }
            found = Some(hop);
        }
    }
    found
}

/// An address, with a port as some proxies write it.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().or_else(|_other| hop.parse().map(|hop: SocketAddr| hop.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[&str], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(FORWARDED_FOR, field.parse().unwrap());
        }
        let is_proxy = |hop: IpAddr| hop.to_string().starts_with("198.51.100.");
        assert_eq!(client(&headers, is_proxy), expected.map(|address| address.parse().unwrap()), "{fields:?}");
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_no_proxy_whatever_stands_before_it() {
        check(&["192.0.2.1"], Some("192.0.2.1"));
        check(&["203.0.113.9, 192.0.2.1"], Some("192.0.2.1"));
        check(&["203.0.113.9,192.0.2.1 , 198.51.100.7"], Some("192.0.2.1"));
        check(&["nonsense, 127.0.0.1, 192.0.2.1, 198.51.100.7,198.51.100.8"], Some("192.0.2.1"));
        check(&["198.51.100.9, 198.51.100.7"], Some("198.51.100.9"));
    }

    #[test]
    fn several_fields_are_one_list() {
        check(&["203.0.113.9", "192.0.2.1, 198.51.100.7", "198.51.100.8"], Some("192.0.2.1"));
    }

    #[test]
    fn addresses_are_read_with_ports_and_in_brackets() {
        check(&["192.0.2.1:4711"], Some("192.0.2.1"));
        check(&["2001:db8::1"], Some("2001:db8::1"));
        check(&["[2001:db8::1]"], Some("2001:db8::1"));
        check(&["[2001:db8::1]:4711"], Some("2001:db8::1"));
        check(&["::ffff:192.0.2.1"], Some("192.0.2.1"));
    }

    #[test]
    fn a_proxy_that_does_not_say_for_whom_it_speaks_names_nobody() {
        check(&[], None);
        for field in ["", "unknown", "_hidden", "192.0.2.1,", "192.0.2.1, unknown", "dns.example", "192.0.2.1;for=1"] {
            check(&[field], None);
        }
        check(&["192.0.2.1", ""], None);
    }
}
