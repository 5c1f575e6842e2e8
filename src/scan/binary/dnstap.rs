//! dnstap in a file: frames of the Frame Streams format, each a message that a server saw.
//!
//! Queries of clients count, or, where a server logs their responses only, these. What a policy has done about them is recorded.

use super::super::entry::{Entry, Fault, Told};
use super::{Sink, question, question_of};
use crate::dnstap::{Control, Dnstap, Frame, Kind, read_frame};
use crate::metrics::Did;
use crate::wire::Transport;

use super::super::times::Times;

/// What a stream begins with: an escape, and then a control frame of some length.
pub(in crate::scan) const START: &[u8] = &[0, 0, 0, 0, 0, 0];

/// Reads the frames of a chunk.
pub(in crate::scan) fn read(octets: &[u8], times: &Times, replies: bool, sink: &mut impl Sink) {
    let mut at = 0;
    while let Ok(Some((frame, size))) = read_frame(octets.get(at..).unwrap_or_default()) {
        if let Frame::Data(data) = frame {
            sink.unit();
            match entry(data, times, replies) {
                Ok(Some(entry)) => sink.query(at, &entry),
                Ok(None) => (),
                Err(fault) => sink.fault(fault),
            }
        }
        at += size;
    }
}

/// Whether some frame is a query of a client; `None`: nor is any a response to one.
pub(in crate::scan) fn has_queries(octets: &[u8]) -> Option<bool> {
    let (mut at, mut answers) = (0, None);
    while let Ok(Some((frame, size))) = read_frame(octets.get(at..).unwrap_or_default()) {
        let kind = match frame {
            Frame::Data(data) => Dnstap::read(data).ok().map(|dnstap| dnstap.message.kind),
            Frame::Control(Control::Stop, _) => break,
            Frame::Control(..) => None,
        };
        match kind {
            Some(Kind::ClientQuery) => return Some(true),
            Some(Kind::ClientResponse) => answers = Some(false),
            _ => (),
        }
        at += size;
    }
    answers
}

fn entry(data: &[u8], times: &Times, replies: bool) -> Told {
    let message = Dnstap::read(data).map_err(|_malformed| Fault::Form("no message of dnstap"))?.message;
    let asked = match message.kind {
        Kind::ClientQuery if !replies => message.query_message.ok_or(Fault::Missing("query"))?,
        Kind::ClientResponse if replies => {
            message.query_message.or(message.response_message).ok_or(Fault::Missing("response"))?
        }
        _ => return Ok(None),
    };
    let asked = if message.query_message.is_some() { question(asked)? } else { Some(question_of(asked)?) };
    let Some((name, qtype)) = asked else { return Ok(None) };
    let at = message.query_time.or(message.response_time).ok_or(Fault::Missing("time"))?;
    let client = message.query_address.ok_or(Fault::Missing("client"))?;
    let entry = Entry::new(times.sane(at)?, client, name, qtype);
    let entry = match message.protocol {
        Some(protocol) => entry.over(Transport::from(protocol)),
        None => entry,
    };
    // Where the server does not say that a policy had a say, nothing tells of one.
    let did = message.policy.as_ref().and_then(|policy| policy.action).map_or(Did::Observe, Did::from);
    Ok(Some(Entry { did, ..entry }))
}
