//! Messages within the packets that are sent to name servers: one in each datagram, or one behind the other in a stream.
//!
//! A stream is put together in order. What is missing of it ends it here: the capture lost it, and where the next message begins
//! is not known.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::super::entry::{Entry, Fault, Told};
use super::packet::{Packet, Segment};
use super::question;
use crate::time::Timestamp;
use crate::wire::Transport;

/// Streams that are followed at a time at most; the one that began first is given up for another.
const STREAMS_MAX: usize = 1_024;
/// Octets of a stream that wait for the rest of their message at most: a query is short.
const WAITING_MAX: usize = 16 << 10;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;

type Key = (IpAddr, u16, IpAddr);

/// Streams that are followed.
#[derive(Debug, Default)]
pub(super) struct Flows {
    streams: HashMap<Key, Stream>,
    order: VecDeque<Key>,
}

#[derive(Debug, Default)]
struct Stream {
    next: u32,
    waiting: Vec<u8>,
}

impl Flows {
    /// Takes a packet, and tells what is in it.
    pub(super) fn take(&mut self, packet: &Packet<'_>, when: Timestamp, mut tell: impl FnMut(Told)) {
        let &Packet { client, port, server, segment } = packet;
        match segment {
            Segment::Udp(message) => tell(entry(message, client, when, Transport::Udp)),
            Segment::Tcp { sequence, flags, octets } => {
                let key = (client, port, server);
                if flags & RST != 0 {
                    self.streams.remove(&key);
                    return;
                }
                if flags & SYN != 0 {
                    self.begin(key, sequence.wrapping_add(1));
                    return;
                }
                if !octets.is_empty() {
                    self.octets(key, sequence, octets, |message| tell(entry(message, client, when, Transport::Tcp)));
                }
                if flags & FIN != 0 {
                    self.streams.remove(&key);
                }
            }
        }
    }

    fn begin(&mut self, key: Key, next: u32) {
        if self.streams.insert(key, Stream { next, waiting: Vec::new() }).is_none() {
            self.order.push_back(key);
        }
        while self.streams.len() > STREAMS_MAX || self.order.len() > 2 * STREAMS_MAX {
            let Some(first) = self.order.pop_front() else { return };
            self.streams.remove(&first);
        }
    }

    /// Takes octets of a stream, and tells each message that is whole.
    fn octets(&mut self, key: Key, sequence: u32, octets: &[u8], mut tell: impl FnMut(&[u8])) {
        if !self.streams.contains_key(&key) {
            // The capture began later than the stream: most send one message in one piece.
            self.begin(key, sequence);
        }
        let Some(stream) = self.streams.get_mut(&key) else { return };
        // Octets that came before, as when they are sent again.
        let old = stream.next.wrapping_sub(sequence) as usize;
        let fresh = match octets.get(old..) {
            Some(fresh) => fresh,
            // All of them; or, as a number that goes around, some in between are missing.
            None if old < 1 << 31 => return,
            None => {
                self.streams.remove(&key);
                return;
            }
        };
        stream.next = stream.next.wrapping_add(u32::try_from(fresh.len()).unwrap_or_default());
        stream.waiting.extend_from_slice(fresh);
        let mut at = 0;
        while let Some(rest) = stream.waiting.get(at..)
            && let Some((size, rest)) = rest.split_first_chunk::<2>()
            && let Some(message) = rest.get(..usize::from(u16::from_be_bytes(*size)))
        {
            tell(message);
            at += 2 + message.len();
        }
        stream.waiting.drain(..at);
        if stream.waiting.len() > WAITING_MAX {
            self.streams.remove(&key);
        }
    }
}

fn entry(message: &[u8], client: IpAddr, when: Timestamp, transport: Transport) -> Result<Option<Entry>, Fault> {
    let asked = question(message)?;
    Ok(asked.map(|(name, qtype)| Entry::new(when, client, name, qtype).over(transport)))
}
