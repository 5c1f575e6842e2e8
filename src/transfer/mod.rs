//! Policy zones on the wire (draft-vixie-dnsop-dns-rpz): our bans for other resolvers, by zone
//! transfer (RFC 5936, RFC 1995), notice (RFC 1996) and signature (RFC 8945).
//!
//! ```text
//! key         the file that both sides have
//! primary     zones of ours: who may have them, and what a query for one is answered
//!  published   one version of one, in a file: what the bans do, and a serial that grows when that changes
//!  outgoing    the messages of one transfer, made while they are sent
//!  notice      telling secondaries, until they have heard
//! row         one record, as a line and on the wire
//! ```
//! Nothing here is on the way of other queries. Leaves messages from clients to `serve`, and when to publish to `app`.

mod key;
mod message;
mod notice;
mod outgoing;
mod primary;
mod published;
mod row;

pub use key::{KeyError, read_key};
pub use notice::tell;
pub use outgoing::{Outgoing, Pieces};
pub use primary::{Primary, Said, ZoneConfig};
pub use published::{Published, publish};

/// The port of DNS.
pub const PORT: u16 = 53;

/// Octets of the name of a zone of ours on the wire at most: every banned name stands before it.
pub const ZONE_NAME_MAX: usize = 32;

/// Whether serial `a` is newer than `b` (RFC 1982 §3.2).
fn is_newer(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 31
}
