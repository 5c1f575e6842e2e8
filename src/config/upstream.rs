//! How an upstream is written: `system`, `192.0.2.1`, `192.0.2.1:5353`, `[2001:db8::1]:53`, `udp://…` or `tcp://…`.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::settings::UpstreamServer;
use super::unreadable::Unreadable;
use crate::wire::Transport;

/// The port of plain DNS.
const PORT: u16 = 53;

impl FromStr for UpstreamServer {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        if text == "system" {
            return Ok(Self::System);
        }
        let (transport, rest) = match text.split_once("://") {
            None => (Transport::Udp, text),
            Some(("udp", rest)) => (Transport::Udp, rest),
            Some(("tcp", rest)) => (Transport::Tcp, rest),
            Some((scheme, _rest)) => return Err(Unreadable::Transport { scheme: scheme.to_owned() }),
        };
        match address(rest) {
            Some(address) if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() => {
                Err(Unreadable::NobodyThere)
            }
            Some(address) => Ok(Self::At { transport, address }),
            None => Err(Unreadable::NoUpstream),
        }
    }
}

fn address(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = || bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, PORT));
    text.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(Transport, &str)>) {
        let expected =
            expected.map(|(transport, address)| UpstreamServer::At { transport, address: address.parse().unwrap() });
        assert_eq!(text.parse::<UpstreamServer>().ok(), expected, "{text}");
    }

    #[test]
    fn addresses_take_port_53_and_udp_unless_they_say_otherwise() {
        check("192.0.2.1", Some((Transport::Udp, "192.0.2.1:53")));
        check("192.0.2.1:5353", Some((Transport::Udp, "192.0.2.1:5353")));
        check("2001:db8::1", Some((Transport::Udp, "[2001:db8::1]:53")));
        check("[2001:db8::1]", Some((Transport::Udp, "[2001:db8::1]:53")));
        check("tcp://[2001:db8::1]:5353", Some((Transport::Tcp, "[2001:db8::1]:5353")));
        assert_eq!("system".parse(), Ok(UpstreamServer::System));
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in
            ["", "resolver.example", "tls://192.0.2.1", "192.0.2.1:0", "0.0.0.0", "192.0.2.1:99999", "[192.0.2.1"]
        {
            check(text, None);
        }
    }
}
