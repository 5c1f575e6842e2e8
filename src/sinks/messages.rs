//! Rows as a receiver wants them. Pure.

use std::sync::Arc;

use super::config::{Over, SinkKind};
use super::event::{Event, Mark};
use super::fields::{Observer, dnstap, syslog};
use super::spool::Piece;

/// Rows as the receiver wants them, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) octets: Vec<u8>,
    /// Where each ends.
    pub(super) ends: Vec<usize>,
    /// How many attempts they stand for.
    pub(super) attempts: u64,
    /// Behind the last of them.
    pub(super) upto: Mark,
}

impl Messages {
    /// Of what was read from the stream of this name.
    pub(super) fn of(piece: Piece, kind: &SinkKind, observer: &Observer, stream: &Arc<str>) -> Self {
        let mut messages = Self { upto: piece.next, ..Self::default() };
        for placed in piece.rows {
            messages.attempts += placed.row.count;
            write(&placed.into_event(stream), kind, observer, &mut messages.octets);
            messages.ends.push(messages.octets.len());
        }
        messages
    }
}

fn write(event: &Event, kind: &SinkKind, observer: &Observer, to: &mut Vec<u8>) {
    match kind {
        SinkKind::File(file) => {
            file.fields.write(event, observer, to);
            to.push(b'\n');
        }
        SinkKind::Syslog(sink) => {
            // Over a stream it has its length before it, over UDP a datagram of its own (RFC 5426 §3.1).
            let counted = sink.over != Over::Udp;
            syslog::write(event, sink.fields, sink.facility, observer, counted, to);
        }
        SinkKind::Dnstap(_sink) => dnstap::write(event, observer, to),
    }
}
