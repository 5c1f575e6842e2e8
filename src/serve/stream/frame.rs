//! Messages on a stream: two octets of length before each (RFC 1035 §4.2.2).

use std::io;
use std::ops::Range;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::wire::QUERY_MAX;

/// Octets read at once: a query with its length, most often, or several of them.
const ROOM: usize = 512;

/// The messages that come by a reader. While none comes, nothing is allocated for it.
pub(super) struct Frames<R> {
    reader: R,
    room: [u8; ROOM],
    /// Read and not yet taken.
    held: Range<usize>,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, room: [0; ROOM], held: 0..0 }
    }

    /// The next message; of one longer than any query no more than shows that it is too long. It must begin within `patience`
    /// and be whole within `slow` of that. `None`: it did not, or the client has closed.
    pub(super) async fn next(&mut self, patience: Duration, slow: Duration) -> Option<Vec<u8>> {
        if self.held.is_empty() {
            tokio::time::timeout(patience, self.fill()).await.ok()?.ok()?;
        }
        tokio::time::timeout(slow, self.message()).await.ok()?.ok()
    }

    async fn message(&mut self) -> io::Result<Vec<u8>> {
        let mut size = [0; 2];
        for octet in &mut size {
            *octet = self.octet().await?;
        }
        let mut left = usize::from(u16::from_be_bytes(size));
        // What is announced takes no memory until it comes.
        let mut message = Vec::with_capacity(left.min(ROOM));
        while left > 0 {
            if self.held.is_empty() {
                self.fill().await?;
            }
            let part = &self.room[self.held.start..self.held.end.min(self.held.start + left)];
            message.extend_from_slice(&part[..part.len().min(QUERY_MAX + 1 - message.len())]);
            left -= part.len();
            self.held.start += part.len();
        }
        Ok(message)
    }

    async fn octet(&mut self) -> io::Result<u8> {
        if self.held.is_empty() {
            self.fill().await?;
        }
        let octet = self.room[self.held.start];
        self.held.start += 1;
        Ok(octet)
    }

    /// Reads on; the end of the stream is an error, wherever it is.
    async fn fill(&mut self) -> io::Result<()> {
        match self.reader.read(&mut self.room).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            size => {
                self.held = 0..size;
                Ok(())
            }
        }
    }
}

/// Appends a message with its length in front.
pub(super) fn append(octets: &mut Vec<u8>, message: &[u8]) {
    octets.extend_from_slice(&u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes());
    octets.extend_from_slice(message);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio_test_reader::Pieces;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    mod tokio_test_reader {
        //! A stream that comes in pieces.

        use std::pin::Pin;
        use std::task::{Context, Poll};

        use tokio::io::{AsyncRead, ReadBuf};

        pub(super) struct Pieces(pub(super) Vec<Vec<u8>>);

        impl AsyncRead for Pieces {
            fn poll_read(
                mut self: Pin<&mut Self>,
                _context: &mut Context<'_>,
                into: &mut ReadBuf<'_>,
            ) -> Poll<std::io::Result<()>> {
                if let Some(first) = self.0.first_mut() {
                    let rest = first.split_off(first.len().min(into.remaining()));
                    into.put_slice(first);
                    *first = rest;
                    if first.is_empty() {
                        self.0.remove(0);
                    }
                }
                Poll::Ready(Ok(()))
            }
        }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
    }

    async fn all(pieces: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let mut frames = Frames::new(Pieces(pieces.into_iter().filter(|piece| !piece.is_empty()).collect()));
        let mut messages = Vec::new();
        while let Some(message) = frames.next(LONG, LONG).await {
            messages.push(message);
        }
        messages
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_the_stream_is_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1200), 0..6),
            cuts in prop::collection::vec(1..700_usize, 1..40),
            half in 0..4_usize,
        ) {
            let mut octets = Vec::new();
            for message in &messages {
                append(&mut octets, message);
            }
            // A message that breaks off comes to nothing.
            octets.extend(&[0, 9, 1, 2][..half]);
            let mut pieces = Vec::new();
            for cut in cuts.into_iter().cycle() {
                if octets.is_empty() {
                    break;
                }
                let rest = octets.split_off(cut.min(octets.len()));
                pieces.push(std::mem::replace(&mut octets, rest));
            }
            prop_assert_eq!(runtime().block_on(all(pieces)), messages);
        }
    }

    #[test]
    fn of_a_message_of_65535_octets_only_as_much_is_kept_as_shows_that_it_is_too_long() {
        let mut octets = vec![0xFF, 0xFF];
        octets.resize(2 + 65_535, 7);
        octets.extend([0, 1, 9]);
        let messages = runtime().block_on(all(vec![octets]));
        assert_eq!(messages.iter().map(Vec::len).collect::<Vec<_>>(), [QUERY_MAX + 1, 1]);
    }

    #[test]
    fn a_message_that_does_not_begin_or_does_not_end_in_time_is_none() {
        runtime().block_on(async {
            let (mut client, server) = tokio::io::duplex(64);
            let mut frames = Frames::new(server);
            assert_eq!(frames.next(LONG, LONG).await, None, "nothing came");
            for octet in [0, 3, 1, 2] {
                tokio::io::AsyncWriteExt::write_all(&mut client, &[octet]).await.unwrap();
            }
            assert_eq!(frames.next(LONG, LONG).await, None, "half a message came");
        });
    }
}
