//! Clients.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use embargo::tls::Trust;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{ANYBODY, NAME};

/// Longer than any answer may take; only a fault lets a test wait for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Connects from an address of loopback.
pub(super) async fn tcp(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    socket.connect(to).await.unwrap()
}

/// TLS on a connection, with this offered.
pub(super) async fn tls(stream: TcpStream, trust: &Trust, alpn: &[u8]) -> io::Result<TlsStream<TcpStream>> {
    let mut config = trust.client(true, &[]).unwrap().into_inner();
    config.alpn_protocols = vec![alpn.to_vec()];
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME).unwrap(), stream).await
}

/// Returns when the server has closed, after an alert at most.
pub(super) async fn end(stream: &mut TcpStream) {
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await;
    assert!(read.is_ok() && said.len() < 16, "{read:?} {said:?}");
}

/// A message with its length in front.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// A connection over TLS.
pub(super) struct Dot(TlsStream<TcpStream>);

impl Dot {
    pub(super) async fn connect(to: SocketAddr, trust: &Trust) -> io::Result<Self> {
        Self::on(tcp(ANYBODY, to).await, trust).await
    }

    /// On this connection, of which something may have been said.
    pub(super) async fn on(stream: TcpStream, trust: &Trust) -> io::Result<Self> {
        tls(stream, trust, b"dot").await.map(Self)
    }

    /// Sends these messages at once.
    pub(super) async fn send(&mut self, messages: &[Vec<u8>]) {
        let octets: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
        self.0.write_all(&octets).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// The next message. An error: the server has ended the connection, in order if it is [`io::ErrorKind::NotConnected`].
    pub(super) async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let read = async {
            let mut size = [0; 2];
            if self.0.read(&mut size[..1]).await? == 0 {
                return Err(io::ErrorKind::NotConnected.into());
            }
            self.0.read_exact(&mut size[1..]).await?;
            let mut message = vec![0; usize::from(u16::from_be_bytes(size))];
            self.0.read_exact(&mut message).await?;
            Ok(message)
        };
        tokio::time::timeout(PATIENCE, read).await.expect("a message or the end")
    }

    /// Sends one message and receives one.
    pub(super) async fn ask(&mut self, message: &[u8]) -> io::Result<Vec<u8>> {
        self.send(&[message.to_vec()]).await;
        self.receive().await
    }
}
