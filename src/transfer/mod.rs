//! Policy zones on the wire (draft-vixie-dnsop-dns-rpz): our bans for other resolvers, and the zones of others for us, by zone
//! transfer (RFC 5936, RFC 1995), notice (RFC 1996) and signature (RFC 8945).
//!
//! ```text
//! key         the file that both sides have
//! primary     zones of ours: who may have them, and what a query for one is answered
//!  published   one version of one, in a file: what the bans do, and a serial that grows when that changes
//!  steps       what changed from one version to the next
//!  outgoing    the messages of one transfer, made while they are sent
//!  notice      telling secondaries, until they have heard
//! session     zones of others: one talk with one primary
//!  incoming    what it answers: the whole zone, or what has changed
//!  changes     what has changed, and the zone that comes of it
//!  heard       notices of primaries: from whom they count
//!  soa         which version, and when to look for the next
//! triggers    what its records trigger on, counted
//! row         one record, as a line and on the wire
//! ```
//! Nothing here is on the way of other queries. Leaves messages from clients to `serve`, and when to publish to `app`.

mod changes;
mod fault;
mod heard;
mod incoming;
mod key;
mod message;
mod notice;
mod outgoing;
mod primary;
mod published;
mod row;
mod session;
mod soa;
mod steps;
mod triggers;

pub use fault::Fault;
pub use heard::{Notices, Zone as HeardOf};
pub use key::{KeyError, read_key};
pub use notice::tell;
pub use outgoing::{Outgoing, Pieces};
pub use primary::{Primary, Said, ZoneConfig};
pub use published::{Published, publish};
pub use session::{Came, Encryption, Held, Transferred, fetch};
pub use soa::Soa;
pub use triggers::Triggers;

/// The port of DNS.
pub const PORT: u16 = 53;

/// Octets of the name of a zone of ours on the wire at most: every banned name stands before it.
pub const ZONE_NAME_MAX: usize = 32;

/// Whether serial `a` is newer than `b` (RFC 1982 §3.2).
fn is_newer(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 31
}
