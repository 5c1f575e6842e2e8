//! One connection, from its first octet to how it ended.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::server::conn::http1::{Builder, Parts};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Desk;
use super::places::Place;
use super::reply::{self, Asked};
use crate::journal::Said;
use crate::metrics::BlockPageEnd;
use crate::priority::make_way;
use crate::serve::Knock;
use crate::tls::Hello;
use crate::wire::LowerName;

/// A greeting, or the head of a request, has to be there whole within this.
const HEAD: Duration = Duration::from_secs(5);
/// A connection is cut after this, whatever it does.
const LIFE: Duration = Duration::from_secs(10);
/// The other side has this long to take what was said, and to end by itself: an end with octets unread would take the answer
/// back (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(1);
/// Octets that are still read then.
const LINGER_MAX: u64 = 64 << 10;
/// Octets of a request's head at most.
const HEAD_MAX: usize = 16 << 10;
/// Header fields of a request at most.
const FIELDS_MAX: usize = 64;

/// How a door is spoken at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// HTTP in clear.
    Http,
    /// HTTP over TLS.
    Https,
}

/// Counts how a connection ended, also where nobody came to say it.
struct Counted<'d> {
    desk: &'d Desk,
    end: BlockPageEnd,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.desk.metrics.block_page.ended(self.end).inc();
    }
}

/// Speaks with a client until that has ended, or is over.
pub(super) async fn to_its_end(stream: TcpStream, (client, way): (SocketAddr, Way), place: &Place, desk: &Desk) {
    let mut counted = Counted { desk, end: BlockPageEnd::Broken };
    // Said before the end is reached: what was answered has been answered, however the connection ends then.
    let said = Arc::new(OnceLock::new());
    let speak = async {
        match way {
            Way::Http => request(stream, desk, (client, None), &said).await,
            Way::Https => https(stream, client, desk, &said).await,
        }
    };
    let otherwise = tokio::select! {
        ended = timeout(LIFE, speak) => ended.unwrap_or(BlockPageEnd::Slow),
        () = place.way.cancelled() => BlockPageEnd::Refused,
    };
    counted.end = said.get().copied().unwrap_or(otherwise);
}

async fn https(stream: TcpStream, client: SocketAddr, desk: &Desk, said: &OnceLock<BlockPageEnd>) -> BlockPageEnd {
    let hello = match timeout(HEAD, Hello::read(stream)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(_broken)) => return BlockPageEnd::Broken,
        Err(_elapsed) => return BlockPageEnd::Slow,
    };
    let text = hello.name();
    let name = text.as_deref().and_then(|text| LowerName::of_host(text.as_bytes()));
    let (Some(text), Some(name)) = (text, name) else {
        said.get_or_init(|| BlockPageEnd::NoName);
        turn_away(hello).await;
        return BlockPageEnd::NoName;
    };
    let knock = desk.receive(&name, client, Said::Sni);
    let look = desk.look.load_full();
    let acceptor = look.tls_for(&text);
    let end = match (&knock.blocked, acceptor) {
        (None, _) => BlockPageEnd::NotBanned,
        (Some(_), None) => BlockPageEnd::Alert,
        (Some(_), Some(_)) => BlockPageEnd::Certificate,
    };
    said.get_or_init(|| end);
    match acceptor {
        None => turn_away(hello).await,
        Some(acceptor) => {
            // A signature takes longer than all else.
            make_way();
            if let Ok(Ok(stream)) = timeout(HEAD, hello.accept(acceptor)).await {
                request(stream, desk, (client, Some((name, knock))), &Arc::default()).await;
            }
        }
    }
    end
}

async fn turn_away(hello: Hello<TcpStream>) {
    if let Ok(stream) = hello.turn_away().await {
        linger(stream).await;
    }
}

/// Answers one request, and notes in `said` what that comes to; a name that is known from TLS is judged already. Returns what it
/// comes to if there was no request.
async fn request<S: AsyncRead + AsyncWrite + Unpin + Send>(
    stream: S,
    desk: &Desk,
    (client, known): (SocketAddr, Option<(LowerName, Knock)>),
    said: &Arc<OnceLock<BlockPageEnd>>,
) -> BlockPageEnd {
    let service = service_fn(|request| {
        let asked = Asked { client, known: known.as_ref() };
        let (response, end) = reply::to(&request, &asked, desk);
        said.get_or_init(|| end);
        async { Ok::<_, Infallible>(response) }
    });
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_MAX).max_headers(FIELDS_MAX);
    builder.keep_alive(false).half_close(true);
    match builder.serve_connection(TokioIo::new(stream), service).without_shutdown().await {
        Ok(Parts { io, .. }) => {
            linger(io.into_inner()).await;
            BlockPageEnd::Broken
        }
        Err(error) if error.is_timeout() => BlockPageEnd::Slow,
        Err(_broken) => BlockPageEnd::Broken,
    }
}

/// Says that nothing more comes, and hears the other side out.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let hear_out = async {
        if stream.shutdown().await.is_ok() {
            let mut rest = stream.take(LINGER_MAX);
            let mut octets = [0; 1024];
            while rest.read(&mut octets).await.is_ok_and(|read| read > 0) {}
        }
    };
    let _gave_up = timeout(LINGER, hear_out).await;
}
