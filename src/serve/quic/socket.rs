//! The socket of a QUIC listener. quinn's own reads on whatever the error is: one that is dead for good would take a processor, and
//! nobody would hear of it.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, Runtime as _, TokioRuntime, UdpPoller};
use tokio::io::Interest;

use crate::socket::is_dead;

/// quinn's socket, read here.
#[derive(Debug)]
pub(super) struct Socket {
    quinns: Arc<dyn AsyncUdpSocket>,
    read: tokio::net::UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    /// To be called within a tokio runtime.
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        let (state, read) = (UdpSocketState::new((&socket).into())?, socket.try_clone()?);
        Ok(Self { quinns: TokioRuntime.wrap_udp_socket(socket)?, read: tokio::net::UdpSocket::from_std(read)?, state })
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.quinns).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.quinns.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.read.poll_recv_ready(context))?;
            let read = self.read.try_io(Interest::READABLE, || self.state.recv((&self.read).into(), buffers, meta));
            match read {
                // Nothing is there after all, or what is wrong is the affair of the network or of a client, and passes.
                Err(error) if !is_dead(&error) => (),
                read => return Poll::Ready(read),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.quinns.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.quinns.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.quinns.may_fragment()
    }
}
