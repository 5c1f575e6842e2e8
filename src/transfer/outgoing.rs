//! One transfer of a zone of ours (RFC 5936): its messages are made on a thread of its own, behind those that serve, and no faster
//! than the secondary takes them.

use std::io;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::message::{push_answer, push_opt, soa};
use super::published::Published;
use super::row::Row;
use crate::clock::Clock;
use crate::metrics::Cell;
use crate::priority::yield_to_serving;
use crate::wire::qtype;
use crate::wire::tsig::{Key, Mac, Signer};

/// Octets of records in one message: pointers reach no further (RFC 1035 §4.1.4).
const OCTETS_MAX: usize = 16_000;
/// Messages made ahead of the secondary.
const AHEAD: usize = 1;

/// A transfer that may begin.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub(super) published: Arc<Published>,
    /// Header and question of every message.
    pub(super) head: Vec<u8>,
    /// Whether the secondary speaks EDNS.
    pub(super) edns: bool,
    /// By what its query was signed.
    pub(super) signed: Option<(Arc<Key>, Mac)>,
    pub(super) clock: Clock,
    /// Transfers that were taken to their end, and those that were not.
    pub(super) ends: [Cell; 2],
    /// Held while it is under way.
    pub(super) _place: Arc<OwnedSemaphorePermit>,
}

impl PartialEq for Outgoing {
    fn eq(&self, other: &Self) -> bool {
        (&self.head, self.published.serial) == (&other.head, other.published.serial)
    }
}

impl Eq for Outgoing {}

/// One message of a transfer, and whether the zone ends with it.
type Piece = (Vec<u8>, bool);

/// The messages of a transfer. Dropped before its end, it was cut, and so is to be the connection.
#[derive(Debug)]
pub struct Pieces {
    receiver: mpsc::Receiver<Piece>,
    ends: [Cell; 2],
    last: bool,
    taken: bool,
}

impl Pieces {
    /// The next message. `None`: there is no other, and the zone has come to its end if [`Pieces::taken`] says so.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        if self.last {
            self.taken = true;
            return None;
        }
        let (message, last) = self.receiver.recv().await?;
        self.last = last;
        Some(message)
    }

    /// Whether the secondary has taken all of it: asked for another message, there was none.
    pub fn taken(&self) -> bool {
        self.taken
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.ends[usize::from(!self.taken)].inc();
    }
}

impl Outgoing {
    /// Begins it; the messages come as they are taken.
    ///
    /// # Errors
    /// There is no thread.
    pub fn begin(self) -> io::Result<Pieces> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let pieces = Pieces { receiver, ends: self.ends.clone(), last: false, taken: false };
        std::thread::Builder::new().name("transfer".to_owned()).spawn(move || {
            yield_to_serving();
            if let Err(error) = self.send(&sender) {
                tracing::error!(%error, "A zone could not be sent to its end.");
            }
        })?;
        Ok(pieces)
    }

    /// Makes all messages. Who takes them may go away: that is no error.
    fn send(&self, sender: &mpsc::Sender<Piece>) -> io::Result<()> {
        let mut signer = self.signed.as_ref().map(|(key, mac)| Signer::of_response(key, mac.clone()));
        let soa = soa(self.published.serial, self.published.ttl);
        let mut message = self.head.clone();
        push_answer(&mut message, &[], qtype::SOA, self.published.ttl, &soa);
        push_answer(&mut message, &[], qtype::NS, self.published.ttl, b"\x09localhost\0");
        let mut first = true;
        let mut give = |mut message: Vec<u8>, last: bool| {
            if std::mem::take(&mut first) && self.edns {
                push_opt(&mut message);
            }
            if let Some(signer) = &mut signer {
                signer.sign(&mut message, seconds(&self.clock));
            }
            sender.blocking_send((message, last)).is_ok()
        };
        for line in self.published.lines() {
            let line = line?;
            let row = Row::read(&line).ok_or_else(|| io::Error::other(format!("`{line}` is no record")))?;
            push_answer(&mut message, &row.owner, row.rtype, self.published.ttl, &row.rdata);
            if message.len() >= OCTETS_MAX && !give(std::mem::replace(&mut message, self.head.clone()), false) {
                return Ok(());
            }
        }
        push_answer(&mut message, &[], qtype::SOA, self.published.ttl, &soa);
        give(message, true);
        Ok(())
    }
}

/// The time of a signature.
pub(super) fn seconds(clock: &Clock) -> u64 {
    u64::try_from(clock.now().wall.as_second()).unwrap_or_default()
}
