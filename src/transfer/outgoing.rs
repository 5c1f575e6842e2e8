//! One transfer of a zone of ours (RFC 5936): its messages are made on a thread of its own, behind those that serve, and no faster
//! than the secondary takes them.

use std::io;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::message::{push_answer, push_opt, soa};
use super::published::Published;
use super::row::Row;
use super::steps::Step;
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
    /// How the version that the secondary has became this one; `None`: it is sent the whole zone.
    pub(super) steps: Option<Arc<Vec<Arc<Step>>>>,
    /// Header and question of every message.
    pub(super) head: Box<[u8]>,
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
        let of = |outgoing: &Self| (outgoing.published.serial, outgoing.steps.is_some());
        self.head == other.head && of(self) == of(other)
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
        let signer = self.signed.as_ref().map(|(key, mac)| Signer::of_response(key, mac.clone()));
        let mut page = Page { outgoing: self, sender, signer, first: true, message: self.head.to_vec() };
        page.soa(self.published.serial)?;
        let gone = match &self.steps {
            Some(steps) => page.changes(steps),
            None => page.whole(),
        };
        match gone {
            Ok(()) => (),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(error),
        }
        let ttl = self.published.ttl;
        push_answer(&mut page.message, &[], qtype::SOA, ttl, &soa(self.published.serial, ttl));
        page.give(true);
        Ok(())
    }
}

/// The messages of a transfer, as they are filled.
struct Page<'o> {
    outgoing: &'o Outgoing,
    sender: &'o mpsc::Sender<Piece>,
    signer: Option<Signer<'o>>,
    first: bool,
    message: Vec<u8>,
}

impl Page<'_> {
    /// Every record of the zone (RFC 5936 §2.2).
    fn whole(&mut self) -> io::Result<()> {
        self.push(&[], qtype::NS, b"\x09localhost\0")?;
        self.outgoing.published.lines().try_for_each(|line| self.line(&line?))
    }

    /// What is gone, below the version that had it, and what is new, below the one that has it, step by step (RFC 1995 §4).
    fn changes(&mut self, steps: &[Arc<Step>]) -> io::Result<()> {
        for step in steps {
            for (serial, new) in [(step.from, false), (step.to, true)] {
                self.soa(serial)?;
                step.lines(new).try_for_each(|line| self.line(&line?))?;
            }
        }
        Ok(())
    }

    fn soa(&mut self, serial: u32) -> io::Result<()> {
        self.push(&[], qtype::SOA, &soa(serial, self.outgoing.published.ttl))
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        let row = Row::read(line).ok_or_else(|| io::Error::other(format!("`{line}` is no record")))?;
        self.push(&row.owner, row.rtype, &row.rdata)
    }

    /// Appends a record; a message that is full is given. Nobody to take it is a broken pipe.
    fn push(&mut self, owner: &[u8], rtype: u16, rdata: &[u8]) -> io::Result<()> {
        push_answer(&mut self.message, owner, rtype, self.outgoing.published.ttl, rdata);
        if self.message.len() >= OCTETS_MAX && !self.give(false) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }

    /// Gives the message; whether it was taken.
    fn give(&mut self, last: bool) -> bool {
        let mut message = std::mem::replace(&mut self.message, self.outgoing.head.to_vec());
        if std::mem::take(&mut self.first) && self.outgoing.edns {
            push_opt(&mut message);
        }
        if let Some(signer) = &mut self.signer {
            signer.sign(&mut message, seconds(&self.outgoing.clock));
        }
        self.sender.blocking_send((message, last)).is_ok()
    }
}

/// The time of a signature.
pub(super) fn seconds(clock: &Clock) -> u64 {
    u64::try_from(clock.now().wall.as_second()).unwrap_or_default()
}
