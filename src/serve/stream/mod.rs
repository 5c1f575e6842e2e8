//! DNS over streams (RFC 7766): many messages on one connection, answers in the order in which they are ready.
//!
//! ```text
//! listen        accepts, and goes on whatever happens to its socket
//! places        who may hold a connection; at a limit the one that has been idle for longest goes
//! line          what a listener speaks, and the TLS around it
//! handshakes    how many of those are under way
//! attend        leads one connection from its first octet to its end
//! introduction  how a proxy says for whom it speaks
//! conversation  reads, answers and writes one connection, whatever carries it
//! frame         two octets of length, and a message
//! ```

mod attend;
mod conversation;
mod frame;
mod handshakes;
mod introduction;
mod line;
mod listen;
mod places;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(super) use attend::adopt;
pub(super) use line::Line;
pub(super) use listen::listen;
pub(super) use places::{Place, Places};

/// Limits of connections, over all stream transports together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Connections at most; at the limit the one that has been idle for longest makes way for a new one.
    pub connections_max: usize,
    /// Connections of one client address at most; at the limit one of its own makes way.
    pub connections_per_client_max: usize,
    /// Queries of one connection that may wait for their answers at a time; beyond it the connection is not read.
    pub queries_in_flight_max: usize,
    /// A connection without an open query is closed after this.
    pub idle: Duration,
    /// A message that has begun must be whole, and a response taken, within this.
    pub slow: Duration,
}

/// A TCP connection on its way from one server to the next, between two of its messages.
#[derive(Debug)]
pub struct Carried {
    /// The connection.
    pub stream: TcpStream,
    /// Who asks on it.
    pub client: SocketAddr,
    /// What was read of its next messages.
    pub unread: Vec<u8>,
}
