//! Questions over plain UDP without a task, a lock or a socket for each: one thread's own sockets towards the upstreams and
//! the questions open on them ("outside network" in Unbound's words), sent and heard in batches.
//!
//! ```text
//! port        one socket on a random port of ours
//! ids         the ids it has given, and to which questions
//! questions   the open questions, in the order in which they were asked
//! open        both together: what is done when something is heard, or nothing
//! letters     the random case of a name, and how it is taken back
//! unsettled   a question on its way to all upstreams
//! ```
//! Only the first upstream in turn is asked here, once. Whatever it does not settle goes on through
//! [`Upstreams::ask_after`], which knows about the others, TCP and trying again.
//!
//! # What a forger must guess
//! One who can't see our packets must hit three things with one datagram, before the true answer comes (RFC 5452 §7):
//! - the port of the question, drawn from the 64,512 that need no privilege, or the fewer that the operator has chosen:
//!   15.98 bits. A question is open on one port.
//!   Each upstream has 4 sockets at a time, one of which is drawn for each question; a socket takes 512 questions at most,
//!   for 2 seconds, then another port is drawn;
//! - the id: 16 bits, never twice on one socket;
//! - the case of the name's letters: one bit for each, 8 for `a.example`, none for the root.
//!
//! So 31.98 bits and one for each letter; a port of the kernel's ephemeral range and an id are 30.8. Id, port and case come
//! from `rand`'s generator for such use (a cipher, seeded by the system). The caller asks equal questions once at a time, which
//! denies the birthday paradox its many ids (RFC 5452 §5): what a response repeats, name, type and class, is open here four
//! times at most, with and without DO and CD. When the upstream is silent, the exchange that goes on adds attempts of its own,
//! a few, each on a port and with an id of its own ([`datagram`](super::datagram)).
//!
//! A wrong guess is counted, and neither ends nor changes anything. The kernel leaves us nothing from another address; what
//! came before the socket was connected is told by its source. A socket that had nothing open is emptied before it is given a
//! question, so that guesses can't be laid in wait there. A guess that is right but for the case sends its question on to TCP,
//! where there is nothing to guess, and a bare FORMERR, which has no question to repeat, sends it on as well; neither settles it.
//! An ICMP error that is forged for the right port sends on what is open on that socket.
//!
//! # Limits
//! A thread has at most 4,096 questions open, of about 400 octets each, and 128 sockets, of 4 KiB each and a file descriptor,
//! besides one descriptor to wait with. Where a limit is met, or no socket can be made, [`Outside::ask`] gives the question
//! back. A port that another program of this host wants may be ours for some seconds: that program must try again.

mod ids;
mod letters;
mod open;
mod port;
mod questions;
mod unsettled;

#[cfg(test)]
mod tests;

use std::io;
use std::mem;
use std::net::UdpSocket;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rand::Rng;

use crate::socket::{BATCH, Incoming, Local, Outgoing, Readiness};
use crate::time::Mono;
use crate::wire::{HEADER, Layout, PAYLOAD};

use super::ask::AskRef;
use super::blame::blame_datagram;
use super::member::Member;
use super::message::{Found, ResponseRef, id_of, judge};
use super::{BadPacket, Protocol, Upstreams};

use open::{Open, Report};
use port::{Port, Ports};
use questions::{Questions, Times};

pub(super) use unsettled::{Heard, Outcome};
pub use unsettled::{Unsettled, Why};

/// Sockets towards one upstream that take questions at a time.
const ACTIVE: usize = 4;
/// No socket is made so soon after one could not be made.
const SOCKET_AGAIN: Duration = Duration::from_millis(100);
/// Sockets that take no more questions are looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Batches that are thrown away at most when a socket is emptied.
const EMPTYING_MAX: usize = 8;
/// The key under which the client's socket is watched; others have the number of their [`port`].
const CLIENT: u64 = u64::MAX;

/// One thread's sockets and questions. `T` is what the caller wants back with an answer. Every question that is taken is
/// reported exactly once, by [`Outside::flush`], [`Outside::receive`], [`Outside::expire`] or [`Outside::give_up`], unless this
/// value is dropped.
pub struct Outside<T> {
    times: Times,
    /// The sockets that take questions, by the place of a group.
    active: Vec<Seats>,
    no_socket_until: Mono,
    look_at_ports: Mono,
    open: Open<T>,
    readiness: Readiness,
    /// Sockets that the last wait found readable, and those with something to send.
    readable: Vec<u16>,
    unsent: Vec<u16>,
    refused: Vec<u16>,
    incoming: Incoming,
    outgoing: Outgoing<u16>,
    layout: Layout,
    _client: Arc<UdpSocket>,
}

/// The sockets that take questions to one group of upstreams.
#[derive(Default)]
struct Seats {
    upstreams: Weak<Upstreams>,
    /// By upstream.
    active: Vec<[Option<u16>; ACTIVE]>,
}

impl<T> Outside<T> {
    /// Without sockets yet. `client` is what [`Outside::wait`] watches besides them.
    ///
    /// # Errors
    /// The operating system's: no file descriptor is left.
    pub fn new(client: Arc<UdpSocket>) -> io::Result<Self> {
        let readiness = Readiness::new()?;
        readiness.watch(&client, CLIENT)?;
        Ok(Self {
            times: Times::default(),
            active: Vec::new(),
            no_socket_until: Mono::default(),
            look_at_ports: Mono::default(),
            open: Open { ports: Ports::default(), questions: Questions::new() },
            readiness,
            readable: Vec::new(),
            unsent: Vec::new(),
            refused: Vec::new(),
            incoming: Incoming::new(),
            outgoing: Outgoing::new(),
            layout: Layout::empty(),
            _client: client,
        })
    }

    /// Takes a question for the first upstream in turn; it leaves with the next [`Outside::flush`]. Upstreams that have been
    /// replaced (by a reload) are still listened to. All groups have the same times.
    ///
    /// # Errors
    /// Gives `token` back when that upstream is asked otherwise than over plain UDP, or when a limit
    /// is met: the caller then asks through [`Upstreams::ask`].
    pub fn ask(&mut self, upstreams: &Arc<Upstreams>, ask: AskRef<'_>, token: T, now: Mono) -> Result<(), T> {
        self.open.close_unheard();
        if self.open.questions.is_full() {
            return Err(token);
        }
        self.turn_to(upstreams);
        let Some(member) = in_turn(upstreams) else { return Err(token) };
        let Some(number) = self.port_for(upstreams.place, member, now) else { return Err(token) };
        self.empty_if_idle(number);
        let Some(port) = self.open.ports.port_mut(number) else { return Err(token) };
        if !member.enter() {
            return Err(token);
        }
        port.took();
        let slot = self.open.questions.add(token, number, now);
        let mut random = rand::rng();
        // Of 65,536 ids a socket has given few.
        let id = loop {
            let id = random.random();
            if port.ids.give(id, slot) {
                break id;
            }
        };
        let question = self.open.questions.question(slot);
        question.id = id;
        question.end = ask.write(&mut question.message, id, true);
        let name_end = question.end - 4;
        question.random_case =
            member.casing.is_random(now) && letters::scatter(&mut question.message[HEADER..name_end], &mut random);
        if port.queued.is_empty() {
            self.unsent.push(number);
        }
        port.queued.push(slot);
        Ok(())
    }

    /// Sends what [`Outside::ask`] took. Reports what could not be sent.
    pub fn flush(&mut self, now: Mono, mut report: impl FnMut(T, Result<ResponseRef<'_>, Unsettled>)) {
        while let Some(number) = self.unsent.pop() {
            self.send(number, now, &mut report);
        }
    }

    /// Questions that have not been closed: those not reported yet, and those that are still listened for.
    pub fn open(&self) -> usize {
        self.open.questions.open()
    }

    /// Waits until something can be read, or `at_most` has passed; says whether the client's socket can be. What came for us
    /// is left to [`Outside::receive`].
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait(&mut self, at_most: Duration) -> io::Result<bool> {
        let (readable, mut client) = (&mut self.readable, false);
        readable.clear();
        self.readiness.wait(at_most, |key| match u16::try_from(key) {
            Ok(number) => readable.push(number),
            Err(_client) => client = true,
        })?;
        Ok(client)
    }

    /// Reads what the last wait found, a batch from each socket, and reports the questions that are settled (an answer, or
    /// a failure that nobody else can mend), and those that are rejected, truncated, or answered in the wrong case. The rest of
    /// a socket that holds more is left to the next wait.
    pub fn receive(&mut self, now: Mono, mut report: impl FnMut(T, Result<ResponseRef<'_>, Unsettled>)) {
        let mut readable = mem::take(&mut self.readable);
        for number in readable.drain(..) {
            self.read(number, now, &mut report);
        }
        self.readable = readable;
    }

    /// Reports questions whose upstream has been silent for the hedge time, counts those whose upstream has been silent for
    /// its patience, and closes them when no client waits any longer; a reload that changes these times changes them for open
    /// questions too. To be called when [`Outside::next_expiry`] has come, and about once a second while nothing is open, so
    /// that ports are not held for long.
    pub fn expire(&mut self, now: Mono, mut report: impl FnMut(T, Result<ResponseRef<'_>, Unsettled>)) {
        while let Some(slot) = self.open.questions.silent(self.times.hedge, now) {
            self.open.silent(slot, now, &mut report);
        }
        while let Some(slot) = self.open.questions.impatient(self.times.patience, now) {
            self.open.impatient(slot, now, &mut report);
        }
        while let Some(slot) = self.open.questions.overdue(self.times.end, now) {
            self.open.overdue(slot);
        }
        if now >= self.look_at_ports {
            self.look_at_ports = now.plus(LOOK_EVERY);
            self.retire_old(now);
        }
    }

    /// Reports every question that has not been reported as one whose upstream is silent: this thread ends.
    pub fn give_up(&mut self, now: Mono, mut report: impl FnMut(T, Result<ResponseRef<'_>, Unsettled>)) {
        while let Some(slot) = self.open.questions.silent(Duration::ZERO, now) {
            self.open.silent(slot, now, &mut report);
        }
    }

    /// When [`Outside::expire`] has something to do; `None` while nothing is open.
    pub fn next_expiry(&self) -> Option<Mono> {
        self.open.questions.next_expiry(&self.times)
    }

    /// Has seats for sockets to these upstreams. Those of a group that had the same place before are retired; where no other
    /// group takes its place, they are when their time is over.
    fn turn_to(&mut self, upstreams: &Arc<Upstreams>) {
        if self.active.len() <= upstreams.place {
            self.active.resize_with(upstreams.place + 1, Seats::default);
        }
        let seats = &mut self.active[upstreams.place];
        if seats.upstreams.as_ptr() == Arc::as_ptr(upstreams) {
            return;
        }
        for number in mem::take(&mut seats.active).into_iter().flatten().flatten() {
            self.open.ports.retire(number);
        }
        seats.active.resize(upstreams.members.len(), [None; ACTIVE]);
        seats.upstreams = Arc::downgrade(upstreams);
        let pace = upstreams.pace;
        let end = pace.deadline.max(pace.patience).max(pace.hedge);
        self.times = Times { hedge: pace.hedge, patience: pace.patience, end };
    }

    /// Retires the sockets that take no more questions.
    fn retire_old(&mut self, now: Mono) {
        let ports = &mut self.open.ports;
        for seat in self.active.iter_mut().flat_map(|seats| &mut seats.active).flatten() {
            if let Some(number) = *seat
                && !ports.port(number).is_some_and(|port| port.takes_more(now))
            {
                *seat = None;
                ports.retire(number);
            }
        }
    }

    /// The number of a socket for one more question to an upstream, at random.
    fn port_for(&mut self, place: usize, member: &Arc<Member>, now: Mono) -> Option<u16> {
        let seats = self.active.get_mut(place)?.active.get_mut(member.index)?;
        let seat = seats.get_mut(rand::rng().random_range(0..ACTIVE))?;
        if let Some(number) = *seat {
            if self.open.ports.port(number).is_some_and(|port| port.takes_more(now)) {
                return Some(number);
            }
            *seat = None;
            self.open.ports.retire(number);
        }
        if now < self.no_socket_until {
            return None;
        }
        match self.open.ports.open(member, &self.readiness, now) {
            Ok(number) => {
                *seat = Some(number);
                Some(number)
            }
            Err(error) => {
                tracing::debug!(%error, "No socket for a batch of questions.");
                self.no_socket_until = now.plus(SOCKET_AGAIN);
                None
            }
        }
    }

    /// Throws away what came while nothing was waited for.
    fn empty_if_idle(&mut self, number: u16) {
        let Some(port) = self.open.ports.port(number).filter(|port| port.is_idle()) else { return };
        for _batch in 0..EMPTYING_MAX {
            let Ok(count) = self.incoming.receive(&port.socket) else { return };
            (0..count).for_each(|_datagram| port.member.ignored(BadPacket::Id));
        }
    }

    fn send(&mut self, number: u16, now: Mono, report: &mut Report<'_, T>) {
        let Some(port) = self.open.ports.port_mut(number) else { return };
        let mut queued = mem::take(&mut port.queued);
        let (questions, outgoing, refused) = (&mut self.open.questions, &mut self.outgoing, &mut self.refused);
        for batch in queued.chunks(BATCH) {
            for &slot in batch {
                let question = questions.question(slot);
                // It may have been closed meanwhile, and its slot be another one's.
                if !question.is_open_on(number) {
                    continue;
                }
                let mut octets = outgoing.spare();
                octets.extend_from_slice(&question.message);
                outgoing.push(octets, None, Local::Bound, slot);
            }
            outgoing.send(&port.socket, |slot, taken| {
                if !taken {
                    refused.push(slot);
                }
            });
        }
        queued.clear();
        port.queued = queued;
        while let Some(slot) = self.refused.pop() {
            self.send_again(number, slot, now, report);
        }
    }

    /// Sends one alone: the error that met it may have been about another one, as ICMP errors are.
    fn send_again(&mut self, number: u16, slot: u16, now: Mono, report: &mut Report<'_, T>) {
        let Some(port) = self.open.ports.port(number) else { return };
        if let Err(error) = port.socket.send(&self.open.questions.question(slot).message) {
            self.open.fail(slot, blame_datagram(&error), now, report);
        }
    }

    fn read(&mut self, number: u16, now: Mono, report: &mut Report<'_, T>) {
        let Some(port) = self.open.ports.port(number) else { return };
        match self.incoming.receive(&port.socket) {
            Ok(count) => (0..count).for_each(|datagram| self.hear(number, datagram, now, report)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => (),
            // Which question an ICMP error is about is not said: from here the upstream can't be reached.
            Err(error) => {
                let (reason, open) = (blame_datagram(&error), port.ids.open().collect::<Vec<_>>());
                for slot in open {
                    self.open.fail(slot, reason, now, report);
                }
            }
        }
    }

    /// Takes in one datagram.
    fn hear(&mut self, number: u16, datagram: usize, now: Mono, report: &mut Report<'_, T>) {
        let Some(port) = self.open.ports.port(number) else { return };
        let (member, questions) = (&*port.member, &mut self.open.questions);
        let slot = match question_of(&self.incoming, datagram, port) {
            Ok(slot) => slot,
            Err(reason) => return member.ignored(reason),
        };
        let question = questions.question(slot);
        let after = now.since(question.asked);
        let octets = self.incoming.octets_mut(datagram);
        // One octet more than announced shows that a datagram is too long.
        let cut = octets.len() > usize::from(PAYLOAD);
        match judge(octets, cut, &mut self.layout, |message| question.compare(message)) {
            Ok(Found::Whole(rcode)) => {
                if question.random_case {
                    member.casing.kept();
                }
                letters::gather(octets, &self.layout, question.sent());
                member.answered(rcode, after);
                let (upstream, authentic) = (member.index, member.vouches);
                let response = ResponseRef { message: octets, layout: &self.layout, rcode, upstream, authentic };
                self.open.whole(slot, response, now, report);
            }
            Ok(Found::Bare(rcode)) => {
                member.answered(rcode, after);
                self.open.bare(slot, rcode, now, report);
            }
            Ok(Found::Useless) => {
                member.was_useless(after);
                self.open.useless(slot, now, report);
            }
            Ok(Found::Truncated) => {
                member.was_truncated(after);
                self.open.truncated(slot, now, report);
            }
            Err(reason) => {
                member.ignored(reason);
                if reason == BadPacket::Case {
                    self.open.miscased(slot, now, report);
                }
            }
        }
    }
}

/// The first upstream in turn that has room, if it is asked over plain UDP.
fn in_turn(upstreams: &Arc<Upstreams>) -> Option<&Arc<Member>> {
    let mut full = 0;
    loop {
        let member = upstreams.first(full)?;
        if member.has_room() {
            return Some(member).filter(|member| member.server.protocol() == Protocol::Plain);
        }
        member.was_busy();
        full |= 1 << member.index;
    }
}

/// The open question that a datagram's id belongs to, if it comes from the upstream.
fn question_of(incoming: &Incoming, datagram: usize, port: &Port) -> Result<u16, BadPacket> {
    let datagram = incoming.datagram(datagram).ok_or(BadPacket::Source)?;
    let (source, upstream) = (datagram.source, port.member.server.address());
    if upstream.is_none_or(|upstream| (source.ip(), source.port()) != (upstream.ip(), upstream.port())) {
        return Err(BadPacket::Source);
    }
    port.ids.question(id_of(datagram.octets)?).ok_or(BadPacket::Id)
}
