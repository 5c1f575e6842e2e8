//! Formats of frames and packets.
//!
//! Captures are read by a parser of our own: what is needed is the way to one message of a query, in place, and every octet of
//! it may be hostile. A library for captures and one for protocols would bring more than it spares.

mod capture;
mod dnstap;
mod flows;
mod packet;

pub(super) use capture::{Capture, Endian, MAGIC, NG_MAGIC, PCAP_HEAD, ng_block, pcap_record};
pub(super) use dnstap::{START, has_queries, read as read_dnstap};

use super::entry::{Entry, Fault};
use crate::wire::{HEADER, LowerName, be16};

/// Name and type that a message asks for; `None`: it is no query with one question.
fn question(message: &[u8]) -> Result<Option<(LowerName, u16)>, Fault> {
    const CUT: Fault = Fault::Form("a DNS message that is cut off");
    let flags = *message.get(..HEADER).and_then(|head| head.get(2)).ok_or(CUT)?;
    let questions = be16(message, 4).map_err(|_short| CUT)?;
    // A response, another opcode, or none of the messages that anybody answers (RFC 9619).
    if flags & 0xF8 != 0 || questions != 1 {
        return Ok(None);
    }
    question_of(message).map(Some)
}

/// Name and type of the question of a message.
fn question_of(message: &[u8]) -> Result<(LowerName, u16), Fault> {
    let (name, end) = LowerName::read(message, HEADER)?;
    let qtype = be16(message, end).map_err(|_short| Fault::Form("a DNS message that is cut off"))?;
    Ok((name, qtype))
}

/// Where what was read is put.
pub(super) trait Sink {
    /// A frame or packet.
    fn unit(&mut self);
    /// A query in the last of them, whose octets begin there.
    fn query(&mut self, at: usize, entry: &Entry);
    /// The last of them was not understood.
    fn fault(&mut self, fault: Fault);
}
