//! Rows as a receiver wants them. Pure.

use std::sync::Arc;

use super::config::{Over, SinkKind};
use super::event::{Event, Mark};
use super::fields::{Fields, Observer, dnstap, syslog};
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
    /// The first of those that a webhook is sent.
    pub(super) first: Option<Event>,
}

impl Messages {
    /// Of what was read from the stream of this name.
    pub(super) fn of(piece: Piece, kind: &SinkKind, observer: &Observer, stream: &Arc<str>) -> Self {
        let mut messages = Self { upto: piece.next, ..Self::default() };
        for placed in piece.rows {
            if matches!(kind, SinkKind::Webhook(webhook) if !webhook.evidence.contains(&placed.row.evidence)) {
                continue;
            }
            messages.attempts += placed.row.count;
            let event = placed.into_event(stream);
            write(&event, kind, observer, &mut messages.octets);
            messages.ends.push(messages.octets.len());
            if kind.wants_first() {
                messages.first.get_or_insert(event);
            }
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
        SinkKind::Webhook(_sink) => Fields::Plain.write(event, observer, to),
        SinkKind::Dnstap(_sink) => dnstap::write(event, observer, to),
    }
}
