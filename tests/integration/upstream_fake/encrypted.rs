//! The scripted upstream over TLS, HTTP/2 and QUIC.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, RecvStream as QuicReceive, SendStream as QuicSend};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::certificates::{Authority, Certificate};
use super::{Act, FakeUpstream, Seen, Shared, serve_stream};

/// How the fake is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secure {
    Tls,
    Https,
    Quic,
}

impl Secure {
    pub(crate) const ALL: [Self; 3] = [Self::Tls, Self::Https, Self::Quic];

    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Tls => b"dot",
            Self::Https => b"h2",
            Self::Quic => b"doq",
        }
    }

    /// The upstream as an operator writes it, known by this.
    pub(crate) fn spec(self, address: SocketAddr, known_by: &str) -> String {
        match self {
            Self::Tls => format!("tls://{address}#{known_by}"),
            Self::Https => format!("https://{address}/dns-query#{known_by}"),
            Self::Quic => format!("quic://{address}#{known_by}"),
        }
    }
}

impl FakeUpstream {
    /// As [`FakeUpstream::scripted`], over this transport and with this certificate.
    pub(crate) async fn secure(
        secure: Secure,
        certificate: &Certificate,
        script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::secure_for(secure, certificate, None, script).await
    }

    /// The same, for clients alone that show a certificate of this authority.
    pub(crate) async fn secure_for(
        secure: Secure,
        certificate: &Certificate,
        clients: Option<&Authority>,
        script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let mut config = server_config(certificate, clients);
        config.alpn_protocols = vec![secure.alpn().to_vec()];
        let shared = Shared::new(script);
        let mut tasks = JoinSet::new();
        let address = if secure == Secure::Quic {
            let crypto = Arc::new(QuicServerConfig::try_from(config).unwrap());
            let endpoint =
                Endpoint::server(quinn::ServerConfig::with_crypto(crypto), (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            let address = endpoint.local_addr().unwrap();
            tasks.spawn(serve_quic(endpoint, Arc::clone(&shared)));
            address
        } else {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            tasks.spawn(serve_tls(listener, secure, TlsAcceptor::from(Arc::new(config)), Arc::clone(&shared)));
            address
        };
        Self { address, shared, _tasks: tasks }
    }

    /// Takes connections and never says a word in them.
    pub(crate) async fn stalled() -> Self {
        Self::stalled_at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// The same at this address.
    pub(crate) async fn stalled_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared::new(|_seen| Vec::new());
        let mut tasks = JoinSet::new();
        let counting = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut held = Vec::new();
            loop {
                held.push(listener.accept().await);
                counting.connected();
            }
        });
        Self { address, shared, _tasks: tasks }
    }
}

fn server_config(certificate: &Certificate, clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(embargo::tls::certificates(authority.pem().as_bytes()).unwrap().remove(0)).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key) = certificate.for_server();
    builder.with_single_cert(chain, key).unwrap()
}

async fn serve_tls(listener: TcpListener, secure: Secure, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let mut running = JoinSet::new();
    loop {
        let Ok((stream, from)) = listener.accept().await else { continue };
        shared.connected();
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        running.spawn(async move {
            // A client that does not believe us ends the handshake.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            match secure {
                Secure::Https => serve_h2(stream, from, shared).await,
                _ => serve_stream(stream, from, shared).await,
            }
        });
        while running.try_join_next().is_some() {}
    }
}

async fn serve_h2(stream: tokio_rustls::server::TlsStream<TcpStream>, from: SocketAddr, shared: Arc<Shared>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut running = JoinSet::new();
    while let Some(Ok((request, response))) = connection.accept().await {
        assert_eq!((request.method(), request.uri().path()), (&http::Method::POST, "/dns-query"));
        assert_eq!(request.headers()["content-type"], "application/dns-message");
        let body = request.into_body();
        running.spawn(act_h2(body, response, from, Arc::clone(&shared)));
        while let Some(done) = running.try_join_next() {
            if done.is_ok_and(|closes| closes) {
                return;
            }
        }
    }
}

/// Returns whether the connection is to be closed.
async fn act_h2(
    mut body: RecvStream,
    mut response: SendResponse<Bytes>,
    from: SocketAddr,
    shared: Arc<Shared>,
) -> bool {
    let mut octets = Vec::new();
    while let Some(Ok(chunk)) = body.data().await {
        octets.extend_from_slice(&chunk);
    }
    for act in shared.note(octets, true, from) {
        match act {
            Act::Send(octets) => {
                let head = http::Response::builder().header("content-type", "application/dns-message");
                let Ok(mut stream) = response.send_response(head.body(()).unwrap(), false) else { return false };
                drop(stream.send_data(octets.into(), true));
                return false;
            }
            Act::Status(status) => {
                let head = http::Response::builder().status(status);
                drop(response.send_response(head.body(()).unwrap(), true));
                return false;
            }
            Act::Close => return true,
            Act::Wait(duration) => tokio::time::sleep(duration).await,
            Act::SendFromElsewhere(_) => (),
        }
    }
    // Kept open: it is silent.
    std::future::pending().await
}

async fn serve_quic(endpoint: Endpoint, shared: Arc<Shared>) {
    let mut running = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        shared.connected();
        let shared = Arc::clone(&shared);
        running.spawn(async move {
            let Ok(connection) = incoming.await else { return };
            let from = connection.remote_address();
            let mut acting = JoinSet::new();
            while let Ok((send, receive)) = connection.accept_bi().await {
                acting.spawn(act_quic(connection.clone(), send, receive, from, Arc::clone(&shared)));
            }
        });
    }
}

async fn act_quic(
    connection: quinn::Connection,
    mut send: QuicSend,
    mut receive: QuicReceive,
    from: SocketAddr,
    shared: Arc<Shared>,
) {
    let Ok(frame) = receive.read_to_end(65_537).await else { return };
    assert_eq!(usize::from(u16::from_be_bytes([frame[0], frame[1]])), frame.len() - 2);
    for act in shared.note(frame[2..].to_vec(), true, from) {
        match act {
            Act::Send(octets) => {
                let length = u16::try_from(octets.len()).unwrap().to_be_bytes();
                drop(send.write_all(&[&length[..], &octets].concat()).await);
                drop(send.finish());
                drop(send.stopped().await);
                return;
            }
            Act::Close => connection.close(0_u32.into(), b""),
            Act::Wait(duration) => tokio::time::sleep(duration).await,
            Act::SendFromElsewhere(_) | Act::Status(_) => (),
        }
    }
    std::future::pending::<()>().await;
}
