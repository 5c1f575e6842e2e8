//! A web server on loopback for lists: every page, and every way to go wrong, decided by the test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::upstream_fake::certificates::Certificate;

/// Octets of a request at most; ours have a few hundred.
const REQUEST_MAX: usize = 8 << 10;

/// What is at one path.
#[derive(Clone, Default)]
pub(crate) struct Page {
    status: u16,
    fields: Vec<(&'static str, String)>,
    body: Vec<u8>,
    etag: Option<String>,
    sent: Option<usize>,
    hangs: bool,
    unmarked: bool,
}

impl Page {
    /// This body.
    pub(crate) fn new(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, body: body.into(), ..Self::default() }
    }

    /// Only a status.
    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A redirect.
    pub(crate) fn to(location: &str) -> Self {
        Self::status(302).field("Location", location)
    }

    /// One more field of the head.
    pub(crate) fn field(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((name, value.to_owned()));
        self
    }

    /// Answers 304 to whoever has this version.
    pub(crate) fn etag(mut self, etag: &str) -> Self {
        self.etag = Some(etag.to_owned());
        self.field("ETag", etag)
    }

    /// Sends only so much of the body, then closes.
    pub(crate) fn cut_after(self, octets: usize) -> Self {
        Self { sent: Some(octets), ..self }
    }

    /// Ends with the connection, and says nowhere how long it is, as HTTP/1.0 may.
    pub(crate) fn unmarked(self) -> Self {
        Self { unmarked: true, ..self }
    }

    /// Sends only so much of the body, then nothing.
    pub(crate) fn hanging_after(self, octets: usize) -> Self {
        Self { hangs: true, ..self.cut_after(octets) }
    }
}

/// What the server and the test share.
#[derive(Default)]
struct Shared {
    pages: Mutex<BTreeMap<String, Page>>,
    requests: Mutex<Vec<String>>,
}

/// The server, until it is dropped.
pub(crate) struct Web {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

impl Web {
    /// Over HTTP, with nothing on it.
    pub(crate) async fn start() -> Self {
        Self::serving(None).await
    }

    /// Over HTTPS.
    pub(crate) async fn start_tls(certificate: &Certificate) -> Self {
        let (chain, key) = certificate.for_server();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        Self::serving(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serving(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::new(Shared::default()));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, tls, Arc::clone(&shared)));
        Self { address, scheme, shared, _serving: serving }
    }

    /// The URL of a path, by address.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// The same by a name.
    pub(crate) fn url_of(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.address.port())
    }

    /// Puts a page there.
    pub(crate) fn put(&self, path: &str, page: Page) {
        self.shared.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    /// The heads of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _client) = listener.accept().await.unwrap();
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            match tls {
                None => serve(stream, &shared).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, &shared).await,
                    // Whoever does not believe us goes.
                    Err(_refused) => (),
                },
            }
        });
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert!(request.len() < REQUEST_MAX);
        match stream.read_u8().await {
            Ok(octet) => request.push(octet),
            Err(_gone) => return,
        }
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let page = shared.pages.lock().unwrap().get(&path).cloned().unwrap_or_else(|| Page::status(404));
    shared.requests.lock().unwrap().push(request.clone());
    let known = page.etag.as_ref().is_some_and(|etag| request.contains(&format!("if-none-match: {etag}\r\n")));
    let (status, body) = if known { (304, &[][..]) } else { (page.status, &page.body[..]) };
    let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
    if status == 200 && !page.unmarked {
        write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
    }
    for (name, value) in &page.fields {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    let sent = &body[..page.sent.unwrap_or(body.len()).min(body.len())];
    // Whoever has heard enough goes, which is no fault of ours.
    drop(stream.write_all(format!("{head}\r\n").as_bytes()).await);
    drop(stream.write_all(sent).await);
    drop(stream.flush().await);
    if page.hangs {
        std::future::pending::<()>().await;
    }
    drop(stream.shutdown().await);
}
