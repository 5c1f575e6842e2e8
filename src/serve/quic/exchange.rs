//! One query and its response, on a stream of their own (RFC 9250 §4.2).

use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, ReadError, RecvStream, SendStream, VarInt};

use super::{PROTOCOL_ERROR, REQUEST_CANCELLED, UNSPECIFIED_ERROR};
use crate::metrics::{DropReason, Ledger};
use crate::serve::client::Client;
use crate::serve::door::Door;
use crate::serve::ending::Ending;
use crate::serve::next::Next;
use crate::serve::stream::Place;
use crate::wire::{QUERY_MAX, Query, be16};

/// Octets of length in front of a message.
const LENGTH: usize = 2;
/// Octets taken from a stream at once.
const PIECE: usize = 2048;

/// What one query needs.
pub(super) struct Exchange<N> {
    pub(super) door: Arc<Door<N>>,
    pub(super) connection: Connection,
    pub(super) client: Client,
    pub(super) slow: Duration,
    pub(super) place: Arc<Place>,
}

/// Why a stream brings no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It is not one message with its length in front.
    Form,
    /// Its client has thought better of it, or the connection has ended.
    Gone,
}

impl<N: Next> Exchange<N> {
    /// Leads the exchange to its end.
    pub(super) async fn lead(self, mut send: SendStream, mut receive: RecvStream) {
        let message = match tokio::time::timeout(self.slow, read(&mut receive)).await {
            Ok(Ok(message)) => message,
            Ok(Err(Fault::Form)) => {
                return self.connection.close(PROTOCOL_ERROR, b"a stream is one query with its length");
            }
            Ok(Err(Fault::Gone)) | Err(_) => return give_up(&mut send, REQUEST_CANCELLED),
        };
        let owed = self.place.owe();
        let mut ledger = self.door.opened(&self.client);
        if let Some(why) = breach(&message) {
            // What it asked for is an attempt all the same.
            self.door.record_only(&message, &self.client, &mut ledger);
            ledger.dropped(DropReason::Breach);
            return self.connection.close(PROTOCOL_ERROR, why);
        }
        let ending = self.door.answer(&message, self.client, &mut ledger).await;
        let (ending, permit) = self.door.keep_for(ending, &message, &self.client);
        // The answer is there: that its client may be slow to take it is no reason to keep others from asking.
        drop(owed);
        self.end(ending, ledger, send).await;
        drop(permit);
    }

    async fn end(&self, ending: Ending, ledger: Ledger, mut send: SendStream) {
        let silence = ending.silence();
        if let Some((message, sent)) = ending.into_response(ledger) {
            let taken = tokio::time::timeout(self.slow, write(&mut send, &message)).await == Ok(true);
            sent.end(if taken { Ok(self.door.now().mono) } else { Err(DropReason::ClientGone) });
            if taken {
                // Until it is acknowledged the connection must not be closed, at the server's end for one.
                let _gave_up = tokio::time::timeout(self.slow, send.stopped()).await;
            } else {
                give_up(&mut send, REQUEST_CANCELLED);
            }
            return;
        }
        match silence {
            Some(DropReason::Short | DropReason::ResponseBit) => self.connection.close(PROTOCOL_ERROR, b"no query"),
            _ => give_up(&mut send, UNSPECIFIED_ERROR),
        }
    }
}

/// Tells the client that nothing more comes on this stream.
fn give_up(send: &mut SendStream, code: VarInt) {
    // It is closed already if the connection is.
    let _closed = send.reset(code);
}

/// What a client may never say over QUIC (RFC 9250 §4.2.1, §4.3.3): an id, which would tell streams apart that are apart
/// already, and how long a connection may be idle, which QUIC itself says.
fn breach(message: &[u8]) -> Option<&'static [u8]> {
    if be16(message, 0).is_ok_and(|id| id != 0) {
        return Some(b"the id is not 0");
    }
    let options = Query::read(message).ok().and_then(|query| query.edns?.options);
    options.filter(|asked| asked.keepalive).map(|_asked| &b"edns-tcp-keepalive"[..])
}

/// The one message of a stream; of one longer than any query no more than shows that it is too long.
async fn read(receive: &mut RecvStream) -> Result<Vec<u8>, Fault> {
    let (mut octets, mut size) = (Vec::new(), 0);
    loop {
        let piece = receive.read_chunk(PIECE, true).await;
        let Some(piece) = piece.map_err(|error| match error {
            ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected | ReadError::ClosedStream => Fault::Form,
            ReadError::Reset(_) | ReadError::ConnectionLost(_) => Fault::Gone,
        })?
        else {
            return whole(octets, size);
        };
        size += piece.bytes.len();
        if size > LENGTH + usize::from(u16::MAX) {
            return Err(Fault::Form);
        }
        octets.extend_from_slice(&piece.bytes[..piece.bytes.len().min(LENGTH + QUERY_MAX + 1 - octets.len())]);
    }
}

/// The message of `size` octets on a stream, of which these were kept.
fn whole(mut octets: Vec<u8>, size: usize) -> Result<Vec<u8>, Fault> {
    let announced = be16(&octets, 0).map_err(|_cut| Fault::Form)?;
    if size != LENGTH + usize::from(announced) {
        return Err(Fault::Form);
    }
    octets.drain(..LENGTH);
    Ok(octets)
}

/// Whether the client has room for all of it.
async fn write(send: &mut SendStream, message: &[u8]) -> bool {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
    send.write_all(&[&length[..], message].concat()).await.is_ok() && send.finish().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_one_message_with_its_length_in_front_and_nothing_else() {
        let check = |octets: &[u8], expected: Result<&[u8], Fault>| {
            assert_eq!(whole(octets.to_vec(), octets.len()).as_deref(), expected.as_deref(), "{octets:?}");
        };
        check(&[0, 2, 7, 8], Ok(&[7, 8]));
        check(&[0, 0], Ok(&[]));
        for wrong in [&[][..], &[0], &[0, 2, 7], &[0, 2, 7, 8, 9], &[0, 2, 7, 8, 0, 2, 7, 8]] {
            check(wrong, Err(Fault::Form));
        }
    }
}
