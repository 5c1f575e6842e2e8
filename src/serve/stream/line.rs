//! What is spoken on the connections of a listener.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::StreamConfig;
use super::places::Place;
use crate::metrics::Cut;
use crate::serve::door::Door;
use crate::serve::next::Next;
use crate::wire::Transport;

/// What is spoken on the connections of a listener.
#[derive(Clone)]
pub(in crate::serve) enum Line {
    /// DNS messages, each with its length in front (RFC 7766).
    Dns,
    /// The same inside TLS (RFC 7858).
    Dot(TlsAcceptor),
    /// DNS over HTTPS at this path (RFC 8484). Without TLS it is in clear, where only reverse proxies are heard.
    Https(Option<TlsAcceptor>, Arc<str>),
}

impl Line {
    pub(super) fn transport(&self) -> Transport {
        match self {
            Self::Dns => Transport::Tcp,
            Self::Dot(_) => Transport::Dot,
            Self::Https(..) => Transport::Doh,
        }
    }
}

/// TLS on a connection, if its client wants what we speak and says so in time.
pub(super) async fn greet<N: Next>(
    door: &Door<N>,
    tls: &TlsAcceptor,
    stream: TcpStream,
    config: &StreamConfig,
    place: &Place,
) -> Option<TlsStream<TcpStream>> {
    let handshake = place.handshake();
    let greeting = tokio::time::timeout(config.slow, tls.accept(stream));
    let greeted = tokio::select! {
        biased;
        () = handshake.has_to_make_way() => return None,
        // Nothing has been asked yet.
        () = door.stop.cancelled() => return None,
        greeted = greeting => greeted,
    };
    match greeted {
        Ok(Ok(stream)) => return Some(stream),
        // It went by itself, as one does that was only to see whether somebody accepts it.
        Ok(Err(error)) if has_left(&error) => (),
        // It wants something else, does not believe us, or takes too long.
        Ok(Err(_)) | Err(_) => door.metrics().connections.cut(Cut::Handshake).inc(),
    }
    None
}

fn has_left(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
