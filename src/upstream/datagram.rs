//! One plain UDP exchange: a socket of its own on a random port, connected to the upstream, listening past every packet
//! that is no response.
//!
//! What a forger off the path must guess: 16 bits of id and the port, drawn from the 64,512 that need no privilege unless
//! the operator has chosen fewer: 31.98 bits for each attempt, new ones every time. The connected socket leaves packets from
//! other sources to the kernel and brings ICMP errors back.

use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::FailReason;
use super::ask::Ask;
use super::blame::blame_datagram;
use super::member::Member;
use super::message::Judged;
use crate::wire::PAYLOAD;

/// Octets of a response at most, as announced: no fragments, which can be forged past the id (RFC 9715).
const UDP_MAX: usize = PAYLOAD as usize;

/// A query sent over UDP, and the ear for its response.
pub(super) struct Conversation {
    member: Arc<Member>,
    ask: Arc<Ask>,
    socket: UdpSocket,
    id: u16,
    started: Instant,
}

impl Conversation {
    /// Sends the query from a new socket.
    pub(super) async fn open(member: Arc<Member>, ask: Arc<Ask>, edns: bool) -> Result<Self, FailReason> {
        let address = member.server.address().ok_or(FailReason::Local)?;
        let socket = member.source.connected(address).map_err(|error| blame_datagram(&error))?;
        let socket = UdpSocket::from_std(socket).map_err(|_no_socket| FailReason::Local)?;
        let id = rand::random();
        let started = Instant::now();
        socket.send(&ask.query(id, edns, false)).await.map_err(|error| blame_datagram(&error))?;
        Ok(Self { member, ask, socket, id, started })
    }

    /// When the query was sent.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Listens until a response to the query comes, for ever if none does. What is none is counted and ignored: a forger
    /// must not be able to end the wait (draft-li-dnsop-response-preprocessing).
    pub(super) async fn hear(&mut self) -> Result<Judged, FailReason> {
        loop {
            // One octet more than announced shows that a datagram is too long.
            let mut message = Vec::with_capacity(UDP_MAX + 1);
            let size = self.socket.recv_buf(&mut message).await.map_err(|error| blame_datagram(&error))?;
            match self.ask.judge(message, Some(self.id), size > UDP_MAX, self.member.index) {
                Ok(judged) => return Ok(judged),
                Err(reason) => self.member.ignored(reason),
            }
        }
    }
}
