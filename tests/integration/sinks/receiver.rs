//! A receiver of syslog over streams that knows nothing of our code (RFC 6587 §3.4.1, RFC 5425).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use crate::upstream_fake::certificates::Certificate;

/// The receiver; nobody listens any more when it is dropped.
pub(super) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Shared {
    messages: Mutex<Vec<String>>,
    /// Connections that are cut after their first message.
    cut: AtomicUsize,
}

impl Receiver {
    pub(super) async fn tcp() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), None)
    }

    /// At the address of one that was there before.
    pub(super) async fn at(address: SocketAddr) -> Self {
        Self::on(TcpListener::bind(address).await.unwrap(), None)
    }

    pub(super) async fn tls(certificate: &Certificate) -> Self {
        let (chain, key) = certificate.for_server();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), Some(TlsAcceptor::from(Arc::new(config))))
    }

    /// Cuts the next connections after one message each.
    pub(super) fn cutting(self, connections: usize) -> Self {
        self.shared.cut.store(connections, Ordering::Relaxed);
        self
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every message that has come, some of them perhaps twice.
    pub(super) fn messages(&self) -> Vec<String> {
        self.shared.messages.lock().unwrap().clone()
    }

    /// The attempts that have come: counts by the ids of events.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let value = |message: &str, key: &str| {
            message.split_once(&format!(" {key}=\"")).unwrap().1.split_once('"').unwrap().0.to_owned()
        };
        self.messages().iter().map(|message| (value(message, "id"), value(message, "count").parse().unwrap())).collect()
    }

    fn on(listener: TcpListener, tls: Option<TlsAcceptor>) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let task = accept(listener, tls, Arc::clone(&shared));
        Self { address, shared, _task: AbortOnDropHandle::new(tokio::spawn(task)) }
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut open = tokio::task::JoinSet::new();
    while let Ok((stream, _address)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        open.spawn(async move {
            match tls {
                None => read(stream, &shared).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        read(stream, &shared).await;
                    }
                }
            }
        });
    }
}

async fn read(stream: impl AsyncRead + Unpin, shared: &Shared) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = Vec::new();
        if stream.read_until(b' ', &mut length).await.unwrap_or(0) == 0 {
            return;
        }
        let length: usize = String::from_utf8(length).unwrap().trim_end().parse().unwrap();
        let mut message = vec![0; length];
        if stream.read_exact(&mut message).await.is_err() {
            return;
        }
        shared.messages.lock().unwrap().push(String::from_utf8(message).unwrap());
        let cut = shared.cut.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if cut.is_ok() {
            return;
        }
    }
}
