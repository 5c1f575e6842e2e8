//! The way to a receiver: its address, asked of our own upstreams since the system's resolver may be us, a connection, and TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, UnixStream};
use tokio::time::timeout;

use super::config::{Host, Place};
use super::error::SendError;
use crate::socket::unsent;
use crate::tls::{self, Trust};
use crate::upstream::{Questions, locate};

/// Each address is tried for so long, its TLS handshake included.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A receiver that takes nothing for so long is left.
const STUCK: Duration = Duration::from_secs(10);
/// Octets that are given to the kernel at once.
const PIECE: usize = 16 << 10;

/// A stream, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// An open connection.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// The socket below it, which knows what the receiver's system has not taken yet.
    socket: OwnedFd,
}

impl Connection {
    /// Connects to the receiver, over TLS if it is to be believed.
    pub(super) async fn open(questions: &dyn Questions, to: &Place, trust: Option<&Trust>) -> Result<Self, SendError> {
        let mut last = None;
        for address in addresses(questions, to).await? {
            let opened = timeout(CONNECT_MAX, Self::open_at(address, to, trust)).await;
            let slow = || SendError::Connect { to: address, error: io::ErrorKind::TimedOut.into() };
            match opened.unwrap_or_else(|_elapsed| Err(slow())) {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or(SendError::Closed))
    }

    /// Connects to a socket on this host.
    pub(super) async fn open_unix(path: &Path) -> Result<Self, SendError> {
        let unreached = |error| SendError::Socket { path: path.to_owned(), error };
        let opened = timeout(CONNECT_MAX, UnixStream::connect(path)).await;
        let stream = opened.map_err(|_elapsed| unreached(io::ErrorKind::TimedOut.into()))?.map_err(unreached)?;
        let socket = stream.as_fd().try_clone_to_owned()?;
        Ok(Self { stream: Box::new(stream), socket })
    }

    async fn open_at(address: SocketAddr, to: &Place, trust: Option<&Trust>) -> Result<Self, SendError> {
        let unreached = |error| SendError::Connect { to: address, error };
        let stream = TcpStream::connect(address).await.map_err(unreached)?;
        stream.set_nodelay(true)?;
        let socket = stream.as_fd().try_clone_to_owned()?;
        let Some(trust) = trust else { return Ok(Self { stream: Box::new(stream), socket }) };
        let host = match &to.host {
            Host::Address(address) => address.to_string(),
            Host::Name(_name, text) => text.clone(),
        };
        let untrusted = |why: String| SendError::Tls { host: host.clone(), why };
        let client = trust.client(true, &[]).map_err(|error| untrusted(error.to_string()))?;
        let stream = client.connect(&host, stream).await;
        let stream = stream.map_err(|error| untrusted(tls::explain(&error).unwrap_or_else(|| error.to_string())))?;
        Ok(Self { stream: Box::new(stream), socket })
    }

    /// Gives octets to the kernel; what the receiver has of them, [`Connection::is_taken`] tells.
    pub(super) async fn send(&mut self, octets: &[u8]) -> Result<(), SendError> {
        for piece in octets.chunks(PIECE) {
            timeout(STUCK, self.stream.write_all(piece)).await.map_err(|_elapsed| SendError::Stuck(STUCK))??;
        }
        timeout(STUCK, self.stream.flush()).await.map_err(|_elapsed| SendError::Stuck(STUCK))??;
        Ok(())
    }

    /// What the receiver says next; an error when it says nothing for long.
    pub(super) async fn hear(&mut self, said: &mut [u8]) -> Result<usize, SendError> {
        Ok(timeout(CONNECT_MAX, self.stream.read(said)).await.map_err(|_elapsed| SendError::Silent(CONNECT_MAX))??)
    }

    /// Whether the receiver's system has everything.
    pub(super) fn is_taken(&self) -> bool {
        unsent(self.socket.as_fd()).is_ok_and(|octets| octets == 0)
    }

    /// Returns when the connection has ended. Whatever the receiver says meanwhile means nothing.
    pub(super) async fn ended(&mut self) {
        let mut said = [0; 512];
        while self.stream.read(&mut said).await.is_ok_and(|octets| octets > 0) {}
    }

    /// Ends it in order.
    pub(super) async fn close(mut self) {
        // A receiver that does not hear the end hears it from the kernel.
        drop(timeout(CONNECT_MAX, self.stream.shutdown()).await);
    }
}

/// A socket for datagrams to the receiver.
pub(super) async fn datagrams(questions: &dyn Questions, to: &Place) -> Result<UdpSocket, SendError> {
    let mut last = None;
    for address in addresses(questions, to).await? {
        let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let opened = async {
            let socket = UdpSocket::bind((any, 0)).await?;
            socket.connect(address).await.map(|()| socket)
        };
        match opened.await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = Some(SendError::Connect { to: address, error }),
        }
    }
    Err(last.unwrap_or(SendError::Closed))
}

async fn addresses(questions: &dyn Questions, to: &Place) -> Result<Vec<SocketAddr>, SendError> {
    let found = match &to.host {
        Host::Address(address) => vec![*address],
        Host::Name(name, text) => {
            locate(questions, name).await.map_err(|error| SendError::Locate { host: text.clone(), error })?
        }
    };
    Ok(found.into_iter().map(|address| SocketAddr::new(address, to.port)).collect())
}
