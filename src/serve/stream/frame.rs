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
    /// Whether a message has been taken in part.
    taking: bool,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    /// Messages by this reader, which begin with octets that somebody else read: as many as [`Frames::unread`] can give.
    pub(super) fn begun(reader: R, octets: &[u8]) -> Self {
        let mut room = [0; ROOM];
        let held = octets.len().min(ROOM);
        room[..held].copy_from_slice(&octets[..held]);
        Self { reader, room, held: 0..held, taking: false }
    }

    /// Whether a message has begun, which it must within `patience`. To stop waiting for it loses nothing.
    pub(super) async fn begins(&mut self, patience: Duration) -> bool {
        !self.held.is_empty() || matches!(tokio::time::timeout(patience, self.fill()).await, Ok(Ok(())))
    }

    /// The message that has begun; of one longer than any query no more than shows that it is too long. It must be whole
    /// within `slow`. `None`: it was not, or the client has closed.
    pub(super) async fn message(&mut self, slow: Duration) -> Option<Vec<u8>> {
        tokio::time::timeout(slow, self.read()).await.ok()?.ok()
    }

    /// What was read of messages that were not taken.
    pub(super) fn unread(&self) -> &[u8] {
        &self.room[self.held.clone()]
    }

    /// Whether a whole message was read that was not taken.
    pub(super) fn has_whole(&self) -> bool {
        let size = |first: &[u8; 2]| usize::from(u16::from_be_bytes(*first));
        self.unread().split_first_chunk().is_some_and(|(first, rest)| size(first) <= rest.len())
    }

    /// Whether what was read of the next message is all in [`Frames::unread`].
    pub(super) fn holds_all(&self) -> bool {
        !self.taking
    }

    async fn read(&mut self) -> io::Result<Vec<u8>> {
        while self.held.len() < 2 {
            self.fill().await?;
        }
        let size = usize::from(u16::from_be_bytes([self.room[self.held.start], self.room[self.held.start + 1]]));
        if 2 + size > ROOM {
            self.held.start += 2;
            return self.take(size).await;
        }
        // Nothing is taken before all is there, so that to stop waiting for it loses nothing.
        while self.held.len() < 2 + size {
            self.fill().await?;
        }
        let message = self.unread()[2..2 + size].to_vec();
        self.held.start += 2 + size;
        Ok(message)
    }

    /// Takes a message that has no room here as it comes.
    async fn take(&mut self, size: usize) -> io::Result<Vec<u8>> {
        self.taking = true;
        // What is announced takes no memory until it comes.
        let (mut left, mut message) = (size, Vec::with_capacity(ROOM));
        while left > 0 {
            if self.held.is_empty() {
                self.fill().await?;
            }
            let part = &self.room[self.held.start..self.held.end.min(self.held.start + left)];
            message.extend_from_slice(&part[..part.len().min(QUERY_MAX + 1 - message.len())]);
            left -= part.len();
            self.held.start += part.len();
        }
        self.taking = false;
        Ok(message)
    }

    /// Reads on; the end of the stream is an error, wherever it is. There must be room behind what is held once that is moved
    /// to the front.
    async fn fill(&mut self) -> io::Result<()> {
        self.room.copy_within(self.held.clone(), 0);
        self.held = 0..self.held.len();
        match self.reader.read(&mut self.room[self.held.end..]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            size => {
                self.held.end += size;
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
        let mut frames = Frames::begun(Pieces(pieces.into_iter().filter(|piece| !piece.is_empty()).collect()), &[]);
        let mut messages = Vec::new();
        while let Some(message) = next(&mut frames).await {
            messages.push(message);
            // Whoever goes on with another reader misses nothing.
            let unread = frames.unread().to_vec();
            frames = Frames::begun(frames.reader, &unread);
        }
        messages
    }

    async fn next<R: AsyncRead + Unpin>(frames: &mut Frames<R>) -> Option<Vec<u8>> {
        if frames.begins(LONG).await { frames.message(LONG).await } else { None }
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
    fn a_message_that_was_read_whole_is_known() {
        let whole = |octets: &[u8]| Frames::begun(Pieces(Vec::new()), octets).has_whole();
        assert!(whole(&[0, 0]) && whole(&[0, 1, 9]) && whole(&[0, 1, 9, 0]));
        assert!(!whole(&[]) && !whole(&[0]) && !whole(&[0, 1]) && !whole(&[1, 0, 9]));
    }

    #[test]
    fn a_message_that_does_not_begin_or_does_not_end_in_time_is_none() {
        runtime().block_on(async {
            let (mut client, server) = tokio::io::duplex(64);
            let mut frames = Frames::begun(server, &[]);
            assert_eq!(next(&mut frames).await, None, "nothing came");
            for octet in [0, 3, 1, 2] {
                tokio::io::AsyncWriteExt::write_all(&mut client, &[octet]).await.unwrap();
            }
            assert_eq!(next(&mut frames).await, None, "half a message came");
        });
    }
}
