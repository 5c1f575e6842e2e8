//! Descriptors that go to another process, or come from one (`SCM_RIGHTS`, unix(7)).

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};

/// Descriptors that go with one line at most; the kernel takes 253.
pub const PASSED_AT_ONCE: usize = 64;
/// Octets of a line at most.
const LINE_MAX: usize = 16 << 10;
/// Descriptors that may have come and not been asked for.
const UNCLAIMED_MAX: usize = 1024;

/// A blocking stream of lines, with descriptors that go along with them. Times out as the stream does.
#[derive(Debug)]
pub struct Passing {
    stream: UnixStream,
    octets: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Passing {
    /// Lines over this stream, of which nothing that belongs to a line has been read.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, octets: Vec::new(), descriptors: VecDeque::new() }
    }

    /// The stream, for its timeouts and its peer.
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Sends a line, given without its end, and at most [`PASSED_AT_ONCE`] descriptors with it.
    ///
    /// # Errors
    /// The operating system's; a timeout is `WouldBlock`.
    pub fn send(&self, line: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let octets = [line.as_bytes(), b"\n"].concat();
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PASSED_AT_ONCE))];
        let mut with = SendAncillaryBuffer::new(&mut room);
        let fit = descriptors.len() <= PASSED_AT_ONCE
            && (descriptors.is_empty() || with.push(SendAncillaryMessage::ScmRights(descriptors)));
        if !fit {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one line"));
        }
        let mut sent = 0;
        while sent < octets.len() {
            let part = [IoSlice::new(&octets[sent..])];
            match rustix::net::sendmsg(self.stream.as_fd(), &part, &mut with, SendFlags::NOSIGNAL) {
                Ok(count) => {
                    // They went with the first octet.
                    with.clear();
                    sent += count;
                }
                Err(rustix::io::Errno::INTR) => (),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The next line, without its end; `None` once the other side has closed. The descriptors that came with it can be
    /// taken then.
    ///
    /// # Errors
    /// The operating system's; a timeout is `WouldBlock`. A line that breaks off or is too long is an error too.
    pub fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.octets.iter().position(|octet| *octet == b'\n') {
                let mut line: Vec<u8> = self.octets.drain(..=end).collect();
                line.pop();
                return String::from_utf8(line)
                    .map(Some)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
            }
            if self.octets.len() > LINE_MAX || self.descriptors.len() > UNCLAIMED_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "more came than one line may bring"));
            }
            if self.receive()? == 0 {
                let whole = self.octets.is_empty();
                return if whole { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// The oldest descriptor that came and was not taken yet. Closed on exec.
    pub fn descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop_front()
    }

    fn receive(&mut self) -> io::Result<usize> {
        let mut octets = [0; 4096];
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PASSED_AT_ONCE))];
        let mut with = RecvAncillaryBuffer::new(&mut room);
        let received = loop {
            let mut part = [IoSliceMut::new(&mut octets)];
            match rustix::net::recvmsg(self.stream.as_fd(), &mut part, &mut with, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => (),
                other => break other?,
            }
        };
        for message in with.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        // The kernel has closed what there was no room for, or no limit of open files left.
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(io::Error::other("not every descriptor could be taken"));
        }
        self.octets.extend_from_slice(&octets[..received.bytes]);
        Ok(received.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::time::Duration;

    use super::*;

    fn pair() -> (Passing, Passing) {
        let (one, other) = UnixStream::pair().unwrap();
        for end in [&one, &other] {
            end.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        }
        (Passing::new(one), Passing::new(other))
    }

    fn file_with(text: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.rewind().unwrap();
        file
    }

    fn text_of(descriptor: OwnedFd) -> String {
        let mut text = String::new();
        File::from(descriptor).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn descriptors_come_with_their_lines_and_in_order() {
        let (giver, mut taker) = pair();
        let files: Vec<File> = (0..PASSED_AT_ONCE + 2).map(|number| file_with(&number.to_string())).collect();
        let borrowed: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
        giver.send("first", &borrowed[..1]).unwrap();
        giver.send("none", &[]).unwrap();
        giver.send("many", &borrowed[1..=PASSED_AT_ONCE]).unwrap();
        giver.send(&"long".repeat(2_000), &borrowed[PASSED_AT_ONCE + 1..]).unwrap();
        drop(giver);

        assert_eq!(taker.line().unwrap().as_deref(), Some("first"));
        assert_eq!(taker.descriptor().map(text_of).as_deref(), Some("0"));
        assert_eq!(taker.line().unwrap().as_deref(), Some("none"));
        assert_eq!(taker.line().unwrap().as_deref(), Some("many"));
        for number in 1..=PASSED_AT_ONCE {
            assert_eq!(taker.descriptor().map(text_of), Some(number.to_string()));
        }
        assert_eq!(taker.line().unwrap().map(|line| line.len()), Some(8_000));
        assert_eq!(taker.descriptor().map(text_of), Some((PASSED_AT_ONCE + 1).to_string()));
        assert!(taker.line().unwrap().is_none() && taker.descriptor().is_none());
    }

    #[test]
    fn too_many_at_once_a_line_that_breaks_off_and_one_without_end_are_errors() {
        let (giver, mut taker) = pair();
        let file = file_with("");
        let error = giver.send("x", &vec![file.as_fd(); PASSED_AT_ONCE + 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let mut raw = giver.stream.try_clone().unwrap();
        raw.write_all(b"half").unwrap();
        drop((raw, giver));
        assert_eq!(taker.line().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);

        let (giver, mut taker) = pair();
        giver.send(&"x".repeat(LINE_MAX + 8_192), &[]).unwrap();
        assert_eq!(taker.line().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
