//! From what was written to the servers that are meant: `system` read from `resolv.conf`, interface names as indexes, each
//! server once, and never ourselves.

use std::collections::HashSet;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Server;
use super::server::Place;
use super::source::is_local;
use super::spec::{Host, UpstreamSpec, host_address};

/// Octets of a `resolv.conf` that are read at most.
const RESOLV_CONF_MAX: u64 = 64 * 1024;
/// Upstreams at most. More only multiply queries: after the second hedge nobody waits any longer.
const SERVERS_MAX: usize = 16;

/// The servers to forward to: at least one, each once, in the order in which they are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers(Vec<Server>);

/// Why specifications give no servers.
#[derive(Debug, thiserror::Error)]
pub enum ServersError {
    /// Nothing is configured.
    #[error("no upstream is configured")]
    None,
    /// More than 16.
    #[error("{count} upstreams are configured; at most {SERVERS_MAX} are used")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A link-local address names an interface that does not exist.
    #[error("there is no network interface `{zone}`")]
    Zone {
        /// The name behind the `%`.
        zone: String,
    },
    /// A server that is this server: queries would circle.
    #[error("{address} is an address that this server listens on; it would ask itself")]
    Own {
        /// The address.
        address: SocketAddr,
    },
    /// The host's own servers are not known.
    #[error("`system`: can't read {}: {error}; name the upstreams instead", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// The host's own servers are none, or only this server.
    #[error("`system`: {} names no server but this one; name the upstreams instead", path.display())]
    NoSystemServer {
        /// The file.
        path: PathBuf,
    },
}

impl ServersError {
    /// Whether the network is at fault, and the servers may be known a moment later.
    pub fn is_of_network(&self) -> bool {
        matches!(self, Self::Unreadable { .. } | Self::NoSystemServer { .. })
    }
}

impl Servers {
    /// These servers, each once.
    ///
    /// # Errors
    /// [`ServersError`] when there are none or too many.
    pub fn new(servers: Vec<Server>) -> Result<Self, ServersError> {
        let mut met = HashSet::new();
        let unique: Vec<_> = servers.into_iter().filter(|server| met.insert(server.clone())).collect();
        match unique.len() {
            0 => Err(ServersError::None),
            count if count > SERVERS_MAX => Err(ServersError::TooMany { count }),
            _ => Ok(Self(unique)),
        }
    }

    /// The servers that specifications mean. Reads `resolv_conf` for `system`, first to last until one names a server; leaves
    /// out of it what is in `listening`, the addresses that this server itself answers on.
    ///
    /// # Errors
    /// [`ServersError`] naming the first specification that gives no server.
    pub fn from_specs(
        specs: &[UpstreamSpec],
        listening: &[SocketAddr],
        resolv_conf: &[PathBuf],
    ) -> Result<Self, ServersError> {
        let mut servers = Vec::new();
        for spec in specs {
            match spec {
                UpstreamSpec::System => servers.extend(system(listening, resolv_conf)?),
                UpstreamSpec::Server { host, port, protocol, peer } => {
                    let place = match host {
                        Host::Address { ip, zone } => Place::Address(scoped(*ip, zone.as_deref(), *port)?),
                        Host::Name(name) => Place::Host { name: Arc::clone(name), port: *port },
                    };
                    if let Place::Address(address) = place
                        && is_own(address, listening, &is_local)
                    {
                        return Err(ServersError::Own { address });
                    }
                    servers.push(Server::new(place, *protocol, peer.clone()));
                }
            }
        }
        Self::new(servers)
    }

    /// In the order in which they are asked.
    pub fn as_slice(&self) -> &[Server] {
        &self.0
    }
}

/// The name servers in the text of a `resolv.conf` (resolv.conf(5)): address and zone, in order; lines that name none are
/// passed over, as the C library does.
fn name_servers(text: &str) -> Vec<(IpAddr, Option<Box<str>>)> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if words.next() == Some("nameserver")
            && let Some(Ok(server)) = words.next().map(host_address)
            && found.len() < SERVERS_MAX
        {
            found.push(server);
        }
    }
    found
}

fn system(listening: &[SocketAddr], resolv_conf: &[PathBuf]) -> Result<Vec<Server>, ServersError> {
    let first = resolv_conf.first().map_or(Path::new("resolv.conf"), PathBuf::as_path);
    let mut servers = foreign(&read(first)?, listening);
    for further in resolv_conf.iter().skip(1) {
        if servers.is_empty()
            && let Ok(text) = read(further)
        {
            servers = foreign(&text, listening);
        }
    }
    if servers.is_empty() {
        return Err(ServersError::NoSystemServer { path: first.to_owned() });
    }
    Ok(servers)
}

fn read(path: &Path) -> Result<String, ServersError> {
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(RESOLV_CONF_MAX).read_to_end(&mut text))
        .map_err(|error| ServersError::Unreadable { path: path.to_owned(), error })?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The servers of a `resolv.conf` that are not ourselves; a zone that has gone away takes only its own line along.
fn foreign(text: &str, listening: &[SocketAddr]) -> Vec<Server> {
    name_servers(text)
        .into_iter()
        .filter_map(|(ip, zone)| scoped(ip, zone.as_deref(), 53).ok())
        .filter(|&address| !is_own(address, listening, &is_local))
        .map(Server::plain)
        .collect()
}

/// Whether asking `address` would be asking ourselves.
fn is_own(address: SocketAddr, listening: &[SocketAddr], is_local: &dyn Fn(IpAddr) -> bool) -> bool {
    let ip = address.ip().to_canonical();
    listening.iter().any(|own| {
        let covers = own.is_ipv6() || ip.is_ipv4();
        let same = own.ip().to_canonical() == ip || (own.ip().is_unspecified() && covers && is_local(ip));
        same && own.port() == address.port()
    })
}

/// The socket address, with the index of its interface if it is link-local.
fn scoped(ip: IpAddr, zone: Option<&str>, port: u16) -> Result<SocketAddr, ServersError> {
    let (IpAddr::V6(ip), Some(zone)) = (ip, zone) else {
        return Ok(SocketAddr::new(ip, port));
    };
    let index = interface_index(zone).ok_or_else(|| ServersError::Zone { zone: zone.to_owned() })?;
    Ok(SocketAddrV6::new(ip, port, 0, index).into())
}

fn interface_index(zone: &str) -> Option<u32> {
    if let Ok(index) = zone.parse() {
        return Some(index);
    }
    let plain = zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:@".contains(&byte)) && zone != "..";
    let path = Path::new("/sys/class/net").join(zone).join("ifindex");
    plain.then(|| std::fs::read_to_string(path).ok()?.trim().parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> UpstreamSpec {
        text.parse().unwrap()
    }

    #[test]
    fn name_servers_are_read_and_everything_else_is_passed_over() {
        let text = "# nameserver 192.0.2.1\n; x\nsearch example.org\nnameserver 192.0.2.53 # first\n\
                    nameserver\t2001:db8::53\nnameserver fe80::1%eth0\nnameserver dns.example\nnameserver\noptions edns0\n";
        let found: Vec<_> = name_servers(text).into_iter().map(|(ip, zone)| format!("{ip} {zone:?}")).collect();
        assert_eq!(found, ["192.0.2.53 None", "2001:db8::53 None", "fe80::1 Some(\"eth0\")"]);
    }

    #[test]
    fn a_resolv_conf_of_a_thousand_lines_gives_sixteen_servers() {
        assert_eq!(name_servers(&"nameserver 192.0.2.53\n".repeat(1000)).len(), SERVERS_MAX);
    }

    #[test]
    fn our_own_addresses_are_left_out() {
        let listening: Vec<SocketAddr> = vec!["127.0.0.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()];
        let text = "nameserver 127.0.0.1\nnameserver ::1\nnameserver 127.0.0.53\nnameserver 192.0.2.53\n";
        let kept: Vec<_> = foreign(text, &listening).iter().map(ToString::to_string).collect();
        assert_eq!(kept, ["127.0.0.53:53", "192.0.2.53:53"]);
    }

    #[test]
    fn listening_everywhere_means_every_local_address_is_our_own() {
        let local = |ip: IpAddr| ip.is_loopback();
        let check = |address: &str, listening: &str, own: bool| {
            let listening = [listening.parse().unwrap()];
            assert_eq!(is_own(address.parse().unwrap(), &listening, &local), own, "{address} {listening:?}");
        };
        check("127.0.0.1:53", "0.0.0.0:53", true);
        check("127.0.0.1:53", "[::]:53", true);
        check("127.0.0.1:53", "0.0.0.0:5300", false);
        check("[::1]:53", "0.0.0.0:53", false);
        check("[::ffff:127.0.0.1]:53", "127.0.0.1:53", true);
        check("192.0.2.53:53", "0.0.0.0:53", false);
    }

    #[test]
    fn an_upstream_that_is_this_server_is_refused() {
        let listening = ["127.0.0.1:5300".parse().unwrap()];
        let error = Servers::from_specs(&[server("127.0.0.1:5300")], &listening, &[]).unwrap_err();
        assert_eq!(error.to_string(), "127.0.0.1:5300 is an address that this server listens on; it would ask itself");
    }

    #[test]
    fn a_server_named_twice_is_asked_once() {
        let specs = [server("192.0.2.53"), server("tcp://192.0.2.53"), server("192.0.2.53:53")];
        let servers = Servers::from_specs(&specs, &[], &[]).unwrap();
        let shown: Vec<_> = servers.as_slice().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["192.0.2.53:53", "tcp://192.0.2.53:53"]);
    }

    #[test]
    fn zones_become_interface_indexes() {
        assert_eq!(scoped("fe80::1".parse().unwrap(), Some("7"), 53).unwrap().to_string(), "[fe80::1%7]:53");
        let error = scoped("fe80::1".parse().unwrap(), Some("no-such-interface"), 53).unwrap_err();
        assert_eq!(error.to_string(), "there is no network interface `no-such-interface`");
        assert!(scoped("fe80::1".parse().unwrap(), Some("../../etc"), 53).is_err());
    }

    #[test]
    fn none_and_too_many_are_errors() {
        assert!(matches!(Servers::new(Vec::new()), Err(ServersError::None)));
        let many = (1..=17).map(|last| Server::plain(SocketAddr::from(([192, 0, 2, last], 53))));
        assert!(matches!(Servers::new(many.collect()), Err(ServersError::TooMany { count: 17 })));
    }
}
