//! Settings of intakes: values that cannot be wrong.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;

/// One place at which other resolvers tell what they were asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntakeConfig {
    /// What it is called, in metrics and messages.
    pub id: Arc<str>,
    /// Where it listens.
    pub door: IntakeDoor,
    /// Connections at most.
    pub connections_max: usize,
    /// Messages of one sender that are read in a second at most; the others are counted and passed over.
    pub messages_per_second_max: u32,
}

/// Where an intake listens, and who may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntakeDoor {
    /// A socket of this host: whoever may write to it.
    Unix {
        /// The socket.
        path: PathBuf,
        /// Who may, as of a file.
        mode: u32,
        /// Whose it is, if not ours.
        owner: Owner,
    },
    /// TCP, in clear: these networks.
    Tcp {
        /// Where.
        address: SocketAddr,
        /// Who may connect.
        from: Vec<IpNet>,
    },
}

/// Whose a socket is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user; `None`: whoever makes it.
    pub user: Option<u32>,
    /// The group.
    pub group: Option<u32>,
}
