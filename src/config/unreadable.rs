//! Why one text of the configuration or of a flag can't be read; the message of a mistake.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::upstream::SpecError;
use crate::wire::NameError;

/// Why a text can't be read, with the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No address with a port.
    #[error("no address with port; write \"127.0.0.1:5300\" or \"[::1]:5300\"")]
    NoAddress,
    /// An address without a port.
    #[error("no port; write \"{with_port}\"")]
    NoPort {
        /// What is probably meant.
        with_port: SocketAddr,
    },
    /// Neither a network nor an address.
    #[error("no network; write for example \"192.0.2.0/24\" or \"2001:db8::/32\"")]
    NoNetwork,
    /// No server of zones.
    #[error("no address; write \"192.0.2.1\", or \"192.0.2.1:5300\" for another port than 53")]
    NoServer,
    /// A network written with bits of a host.
    #[error("address has bits beyond its prefix; write \"{meant}\"")]
    HostBits {
        /// The network alone.
        meant: IpNet,
    },
    /// No domain name.
    #[error("{0}")]
    Name(#[from] NameError),
    /// The root where only zones below it can stand.
    #[error("the root's servers are those of `[upstream]`; write a zone below it")]
    RootZone,
    /// A special-use name that is always answered here.
    #[error("`{zone}` is always answered here: asked elsewhere, it would tell what it must not, or lead clients away")]
    FixedZone {
        /// The zone.
        zone: String,
    },
    /// No special-use name.
    #[error("`{zone}` is no special-use name answered here; the nearest are {known}")]
    NoSpecialUse {
        /// What was written.
        zone: String,
        /// What may have been meant.
        known: String,
    },
    /// A server by host name, and nobody to ask for it.
    #[error("a host name is resolved by the servers of `bootstrap` in `[upstream]`, and none are named there")]
    Unresolved,
    /// A server that must be known before any name is resolved.
    #[error("write the address of a server: a name, or `system`, would have to be resolved first")]
    Bootstrap,
    /// No scope of the admin server.
    #[error("no scope; known: read, operate, approve, admin")]
    NoScope,
    /// No upstream.
    #[error("{0}")]
    Upstream(#[from] SpecError),
}
