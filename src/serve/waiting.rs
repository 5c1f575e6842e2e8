//! A datagram whose answer has to be asked for: what is kept of it until then, and how it ends.

use std::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::cache::Entry;
use crate::metrics::{DropReason, Ledger};
use crate::socket::{Local, send_now};
use crate::time::Now;
use crate::wire::Query;

use super::ending::Ending;
use super::next::Failure;
use super::pipeline::Unanswered;
use super::room::Permit;

/// What asking came to.
pub(super) type Asked = Result<Arc<Entry>, Failure>;

/// Makes the ending of a query that waited.
pub(super) trait Finish: Send + Sync {
    /// The ending; `room` is a buffer for the response.
    fn finish(&self, query: &Query<'_>, unanswered: &Unanswered, asked: Asked, room: &mut Vec<u8>) -> Ending;

    /// Both clocks.
    fn now(&self) -> Now;
}

/// One datagram that waits.
pub(super) struct Waiting {
    /// The query as it came.
    pub(super) octets: Box<[u8]>,
    /// What is known of it until it is answered.
    pub(super) unanswered: Unanswered,
    /// Where the answer goes: the source as it came, since a link-local one names its interface.
    pub(super) source: SocketAddr,
    /// Where the answer comes from.
    pub(super) local: Local,
    /// The socket that read it.
    pub(super) socket: Arc<UdpSocket>,
    /// What it is counted by.
    pub(super) ledger: Ledger,
    /// Its right to wait.
    #[expect(dead_code, reason = "held for its drop")]
    pub(super) permit: Permit,
    /// What the end of the server waits for.
    #[expect(dead_code, reason = "held for its drop")]
    pub(super) owed: TaskTrackerToken,
    /// Who makes its ending.
    pub(super) finish: Arc<dyn Finish>,
}

impl Waiting {
    /// Its ending; `room` is a buffer for the response. `None`: making it panicked, which costs this query only.
    pub(super) fn ending(&self, asked: Asked, room: &mut Vec<u8>) -> Option<Ending> {
        let query = Query::read(&self.octets).ok()?;
        catch_unwind(AssertUnwindSafe(|| self.finish.finish(&query, &self.unanswered, asked, room))).ok()
    }

    /// Ends it by a datagram of its own.
    pub(super) fn end(self, asked: Asked) {
        let Some(ending) = self.ending(asked, &mut Vec::new()) else { return self.ledger.dropped(DropReason::Fault) };
        let Some((message, sent)) = ending.into_response(self.ledger) else { return };
        let taken = send_now(&self.socket, &message, self.source, self.local).is_ok();
        sent.end_datagram(taken, self.finish.now().mono);
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("unanswered", &self.unanswered).finish_non_exhaustive()
    }
}
