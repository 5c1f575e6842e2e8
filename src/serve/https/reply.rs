//! The response over HTTP. It carries the ledger of its query, which ends when the connection takes the message.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::{Response, StatusCode, header};

use super::request::MESSAGE_TYPE;
use crate::metrics::{HttpFault, Outcome};
use crate::serve::door::Door;
use crate::serve::ending::{Ending, Sent};
use crate::serve::next::Next;
use crate::serve::room::Permit;
use crate::wire::{Layout, Section, qtype, rcode};

/// A body of one piece.
pub(super) struct Reply<N> {
    door: Arc<Door<N>>,
    octets: Option<Bytes>,
    /// Of the message that this is; dropped unended, the client was gone before it.
    open: Option<Sent>,
}

impl<N> Reply<N> {
    /// As the response to a HEAD has it (RFC 9110 §9.3.2).
    pub(super) fn without_body(self) -> Self {
        Self { octets: None, ..self }
    }
}

/// A message that keeps its right to wait for as long as anybody holds it: HTTP/2 takes it long before its client does.
pub(super) fn octets(message: Vec<u8>, permit: Option<Permit>) -> Bytes {
    match permit {
        None => message.into(),
        Some(permit) => Bytes::from_owner(Waits { message, _permit: permit }),
    }
}

struct Waits {
    message: Vec<u8>,
    _permit: Permit,
}

impl AsRef<[u8]> for Waits {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

/// The response with a DNS message, which may be given again for `age` seconds.
pub(super) fn with<N>(door: &Arc<Door<N>>, message: Bytes, sent: Sent, age: u32) -> Response<Reply<N>> {
    let mut response = response(door, StatusCode::OK, MESSAGE_TYPE, message);
    response.body_mut().open = Some(sent);
    // Kept for this client alone: policy may answer another one otherwise.
    if let Ok(value) = format!("private, max-age={age}").try_into() {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}

/// The response to a request that brings no query.
pub(super) fn to_fault<N>(door: &Arc<Door<N>>, fault: HttpFault) -> Response<Reply<N>> {
    let (status, text) = match fault {
        HttpFault::NoQuery => (StatusCode::BAD_REQUEST, "there is no DNS query in this request\n"),
        HttpFault::Unnamed => (StatusCode::BAD_REQUEST, "X-Forwarded-For does not say for whom this proxy speaks\n"),
        HttpFault::Path => (StatusCode::NOT_FOUND, "nothing is here\n"),
        HttpFault::Method => (StatusCode::METHOD_NOT_ALLOWED, "ask by GET or POST\n"),
        HttpFault::Slow => (StatusCode::REQUEST_TIMEOUT, "the body did not come in time\n"),
        HttpFault::Large => (StatusCode::PAYLOAD_TOO_LARGE, "no DNS message has more than 65535 octets\n"),
        HttpFault::Type => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "the type is application/dns-message\n"),
    };
    let mut response = response(door, status, "text/plain", Bytes::from_static(text.as_bytes()));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    if fault == HttpFault::Method {
        headers.insert(header::ALLOW, header::HeaderValue::from_static("GET, POST"));
    }
    response
}

fn response<N>(door: &Arc<Door<N>>, status: StatusCode, kind: &'static str, octets: Bytes) -> Response<Reply<N>> {
    let mut response = Response::new(Reply { door: Arc::clone(door), octets: Some(octets), open: None });
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

/// Seconds for which a cache on the way may give this message again: its smallest TTL, of a negative answer that of its SOA
/// (RFC 8484 §5.1). Zero for what is no answer of the DNS: a ban may change, and each attempt is to be seen.
pub(super) fn fresh_for(ending: &Ending) -> u32 {
    let Ending::Response { message, outcome: Outcome::Forwarded | Outcome::Cached | Outcome::Local, rcode } = ending
    else {
        return 0;
    };
    let (rcode::NOERROR | rcode::NXDOMAIN) = *rcode else { return 0 };
    let Ok(layout) = Layout::read(message) else { return 0 };
    let answer = layout.section(Section::Answer).map(|record| record.ttl).min();
    let negative =
        || layout.section(Section::Authority).filter(|record| record.rtype == qtype::SOA).map(|soa| soa.ttl).min();
    answer.or_else(negative).unwrap_or(0)
}

impl<N: Next> Body for Reply<N> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { door, octets, open } = self.get_mut();
        if let Some(sent) = open.take() {
            sent.end(Ok(door.now().mono));
        }
        Poll::Ready(octets.take().map(|octets| Ok(Frame::data(octets))))
    }

    fn is_end_stream(&self) -> bool {
        self.octets.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.octets.as_ref().map_or(0, |octets| octets.len() as u64))
    }
}
