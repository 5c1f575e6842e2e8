//! Clients.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use embargo::tls::Trust;
use h2::client::SendRequest;
use http::{HeaderMap, Request, StatusCode};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, ReadToEndError, TransportConfig};
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

/// The media type of DNS messages.
pub(super) const MESSAGE_TYPE: &str = "application/dns-message";

/// An answer over HTTP.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// A connection over HTTP/2.
pub(super) struct Http {
    pub(super) send: SendRequest<Bytes>,
    /// How the connection ended.
    pub(super) ended: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Http {
    pub(super) async fn connect(to: SocketAddr, trust: &Trust) -> io::Result<Self> {
        Self::on(tcp(ANYBODY, to).await, trust).await
    }

    /// On this connection, of which something may have been said.
    pub(super) async fn on(stream: TcpStream, trust: &Trust) -> io::Result<Self> {
        let stream = tls(stream, trust, b"h2").await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (send, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
        Ok(Self { send, ended: tokio::spawn(connection) })
    }

    /// Sends one request and reads its response.
    pub(super) async fn request(&self, request: Request<()>, body: &[u8]) -> Result<Answer, h2::Error> {
        let exchange = async {
            let mut send = self.send.clone().ready().await?;
            let (response, mut stream) = send.send_request(request, body.is_empty())?;
            if !body.is_empty() {
                stream.send_data(Bytes::copy_from_slice(body), true)?;
            }
            let (head, mut incoming) = response.await?.into_parts();
            let mut body = Vec::new();
            while let Some(piece) = incoming.data().await {
                body.extend_from_slice(&piece?);
            }
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        tokio::time::timeout(PATIENCE, exchange).await.expect("an answer in time")
    }

    /// Asks by POST.
    pub(super) async fn post(&self, message: &[u8]) -> Result<Answer, h2::Error> {
        self.request(post("/dns-query", MESSAGE_TYPE), message).await
    }
}

/// A POST to this path of a body of this type.
pub(super) fn post(path: &str, kind: &str) -> Request<()> {
    Request::post(format!("https://{NAME}{path}")).header("content-type", kind).body(()).unwrap()
}

/// A GET of this path.
pub(super) fn get(path: &str) -> Request<()> {
    Request::get(format!("https://{NAME}{path}")).body(()).unwrap()
}

/// Sends an HTTP/1.1 request on a connection, reads one response with a length, and leaves the connection open.
pub(super) async fn http_1(
    stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin),
    head: &str,
    body: &[u8],
) -> (u16, String, Vec<u8>) {
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    stream.flush().await.unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        let octet = tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("an answer in time").unwrap();
        read.push(octet);
    }
    let head = String::from_utf8(read).unwrap().to_ascii_lowercase();
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
    let mut body = vec![0; field("content-length: ").map_or(0, |size| size.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, body)
}

/// A connection over QUIC.
pub(super) struct Quic {
    pub(super) connection: Connection,
    endpoint: Endpoint,
}

impl Quic {
    pub(super) async fn connect(to: SocketAddr, trust: &Trust) -> Result<Self, quinn::ConnectionError> {
        Self::offering(to, trust, b"doq").await
    }

    pub(super) async fn offering(to: SocketAddr, trust: &Trust, alpn: &[u8]) -> Result<Self, quinn::ConnectionError> {
        Self::with(to, trust, alpn, TransportConfig::default()).await
    }

    /// One that takes no more than so many octets on each stream.
    pub(super) async fn taking(to: SocketAddr, trust: &Trust, octets: u32) -> Result<Self, quinn::ConnectionError> {
        let mut transport = TransportConfig::default();
        transport.stream_receive_window(octets.into());
        Self::with(to, trust, b"doq", transport).await
    }

    async fn with(
        to: SocketAddr,
        trust: &Trust,
        alpn: &[u8],
        transport: TransportConfig,
    ) -> Result<Self, quinn::ConnectionError> {
        let mut config = trust.client(true, &[]).unwrap().into_inner();
        config.alpn_protocols = vec![alpn.to_vec()];
        let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()));
        config.transport_config(Arc::new(transport));
        endpoint.set_default_client_config(config);
        let connection = endpoint.connect(to, NAME).unwrap().await?;
        Ok(Self { connection, endpoint })
    }

    /// Goes on from another address, as far as the server lets it.
    pub(super) fn moves_to(&self, from: [u8; 4]) {
        self.endpoint.rebind(std::net::UdpSocket::bind((Ipv4Addr::from(from), 0)).unwrap()).unwrap();
    }

    /// Sends these octets on a stream of their own, and reads what comes back.
    pub(super) async fn raw(&self, octets: &[u8]) -> Result<Vec<u8>, ReadToEndError> {
        let (mut send, mut receive) = self.connection.open_bi().await.unwrap();
        send.write_all(octets).await.unwrap();
        send.finish().unwrap();
        tokio::time::timeout(PATIENCE, receive.read_to_end(1 << 17)).await.expect("an answer in time")
    }

    /// Asks, and reads a response with its length.
    pub(super) async fn ask(&self, message: &[u8]) -> Result<Vec<u8>, ReadToEndError> {
        let mut octets = self.raw(&framed(message)).await?;
        let size = usize::from(u16::from_be_bytes([octets[0], octets[1]]));
        assert_eq!(size + 2, octets.len());
        octets.drain(..2);
        Ok(octets)
    }

    /// The code with which the server closes the connection.
    pub(super) async fn closed_with(&self) -> u64 {
        let closed = tokio::time::timeout(PATIENCE, self.connection.closed()).await.expect("it is closed");
        let quinn::ConnectionError::ApplicationClosed(close) = closed else { panic!("{closed}") };
        close.error_code.into_inner()
    }
}

impl Drop for Quic {
    fn drop(&mut self) {
        self.endpoint.close(0_u32.into(), b"");
    }
}
