//! Datagrams read and written many at a time.

use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt};

/// Datagrams of one call at most.
pub(crate) const BATCH: usize = 64;
/// Room for one datagram.
pub(crate) const OCTETS: usize = 1232;
/// Octets that the kernel keeps for a socket nobody reads at the moment.
const BUFFER: usize = 4 << 20;

/// Room for a batch, read and written by one call each.
pub(crate) struct Datagrams {
    /// The octets of each.
    pub(crate) rooms: Box<[[u8; OCTETS]; BATCH]>,
    /// How many octets each has; those with none are not sent.
    pub(crate) sizes: [usize; BATCH],
    peers: [Option<SockaddrIn>; BATCH],
    incoming: MultiHeaders<SockaddrIn>,
    outgoing: MultiHeaders<SockaddrIn>,
}

impl Datagrams {
    /// Empty room.
    #[expect(clippy::large_stack_arrays, reason = "once, at the start")]
    pub(crate) fn new() -> Self {
        Self {
            rooms: Box::new([[0; OCTETS]; BATCH]),
            sizes: [0; BATCH],
            peers: [None; BATCH],
            incoming: MultiHeaders::preallocate(BATCH, None),
            outgoing: MultiHeaders::preallocate(BATCH, None),
        }
    }

    /// Reads all that is there, and waits for a first one if `wait`; returns how many.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, wait: bool) -> nix::Result<usize> {
        let flags = if wait { MsgFlags::MSG_WAITFORONE } else { MsgFlags::MSG_DONTWAIT };
        let mut parts = self.rooms.each_mut().map(|room| [IoSliceMut::new(room)]);
        let received = recvmmsg(socket.as_raw_fd(), &mut self.incoming, parts.iter_mut(), flags, None)?;
        let mut count = 0;
        for ((message, size), peer) in received.zip(&mut self.sizes).zip(&mut self.peers) {
            (*size, *peer) = (message.bytes, message.address);
            count += 1;
        }
        Ok(count)
    }

    /// Sends the first `count` back to where they came from.
    pub(crate) fn answer(&mut self, socket: &UdpSocket, count: usize) {
        let parts = parts(&self.rooms, &self.sizes);
        let mut done = 0;
        while done < count {
            let (part, peers) = (&parts[done..count], &self.peers[done..count]);
            let sent = sendmmsg(socket.as_raw_fd(), &mut self.outgoing, part, peers, [], MsgFlags::empty());
            // What the kernel refuses is left out: its client is gone.
            done += sent.map_or(1, Iterator::count).max(1);
        }
    }

    /// Sends the first `count` to the socket's one peer, without waiting; returns how many the kernel took.
    pub(crate) fn send(&mut self, socket: &UdpSocket, count: usize) -> usize {
        let parts = parts(&self.rooms, &self.sizes);
        let nobody = [None; BATCH];
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = sendmmsg(socket.as_raw_fd(), &mut self.outgoing, &parts[..count], &nobody[..count], [], flags);
        sent.map_or(0, Iterator::count)
    }
}

fn parts<'r>(rooms: &'r [[u8; OCTETS]; BATCH], sizes: &[usize; BATCH]) -> [[IoSlice<'r>; 1]; BATCH] {
    std::array::from_fn(|slot| [IoSlice::new(&rooms[slot][..sizes[slot]])])
}

/// Makes the kernel keep more for a socket, as far as it lets us.
pub(crate) fn enlarge(socket: &impl AsFd) -> nix::Result<()> {
    setsockopt(socket, sockopt::RcvBuf, &BUFFER)?;
    setsockopt(socket, sockopt::SndBuf, &BUFFER)
}
