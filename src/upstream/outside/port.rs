//! One socket towards an upstream: a random port of ours, connected, given to a bounded number of questions for a bounded
//! time.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use crate::socket::Readiness;
use crate::time::Mono;

use super::super::member::Member;
use super::ids::Ids;

/// Questions that one socket takes in its life.
pub(super) const QUESTIONS_MAX: usize = 512;
/// It takes questions no longer than this.
const LIFE: Duration = Duration::from_secs(2);
/// Sockets that one thread may have open, old ones that still wait included.
const PORTS_MAX: usize = 128;

/// One socket.
pub(super) struct Port {
    pub(super) socket: UdpSocket,
    pub(super) member: Arc<Member>,
    pub(super) ids: Ids,
    /// Questions to be sent by the next flush.
    pub(super) queued: Vec<u16>,
    made: Mono,
    taken: usize,
    open: usize,
    retired: bool,
}

impl Port {
    /// Whether it may be given one more question.
    pub(super) fn takes_more(&self, now: Mono) -> bool {
        self.taken < QUESTIONS_MAX && now.since(self.made) < LIFE
    }

    /// Whether nothing is waited for although something was before: whatever lies in it now came unasked.
    pub(super) fn is_idle(&self) -> bool {
        self.open == 0 && self.taken > 0
    }

    /// Counts a question in, which [`Member::enter`] has let in.
    pub(super) fn took(&mut self) {
        self.taken += 1;
        self.open += 1;
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.member.leave(self.open);
    }
}

/// All sockets of one thread, by small numbers that are used again.
#[derive(Default)]
pub(super) struct Ports {
    places: Vec<Option<Port>>,
    free: Vec<u16>,
}

impl Ports {
    /// Makes a socket towards an upstream and has it watched under its number.
    ///
    /// # Errors
    /// The operating system's, or that there are too many.
    pub(super) fn open(&mut self, member: &Arc<Member>, readiness: &Readiness, now: Mono) -> io::Result<u16> {
        if self.free.is_empty() && self.places.len() >= PORTS_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let address = member.server.address().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let socket = member.source.connected(address)?;
        let number = self.free.last().copied().or_else(|| u16::try_from(self.places.len()).ok()).unwrap_or_default();
        readiness.watch(&socket, u64::from(number))?;
        let port = Port {
            socket,
            member: Arc::clone(member),
            ids: Ids::new(),
            queued: Vec::new(),
            made: now,
            taken: 0,
            open: 0,
            retired: false,
        };
        if self.free.pop().is_some() {
            self.places[usize::from(number)] = Some(port);
        } else {
            self.places.push(Some(port));
        }
        Ok(number)
    }

    pub(super) fn port(&self, number: u16) -> Option<&Port> {
        self.places.get(usize::from(number))?.as_ref()
    }

    pub(super) fn port_mut(&mut self, number: u16) -> Option<&mut Port> {
        self.places.get_mut(usize::from(number))?.as_mut()
    }

    /// It takes no more questions, and goes when the last one on it is closed.
    pub(super) fn retire(&mut self, number: u16) {
        if let Some(port) = self.port_mut(number) {
            port.retired = true;
            self.close_if_done(number);
        }
    }

    /// The question with this id is closed.
    pub(super) fn close(&mut self, number: u16, id: u16) {
        if let Some(port) = self.port_mut(number) {
            port.ids.close(id);
            port.open -= 1;
            port.member.leave(1);
            self.close_if_done(number);
        }
    }

    fn close_if_done(&mut self, number: u16) {
        let place = &mut self.places[usize::from(number)];
        if place.as_ref().is_some_and(|port| port.retired && port.open == 0) {
            *place = None;
            self.free.push(number);
        }
    }

    /// How many sockets are open.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.places.iter().flatten().count()
    }
}
