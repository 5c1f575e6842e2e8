//! An HTTP request to the DNS message in it, or to what is wrong with it (RFC 8484 §4.1).

use std::future::poll_fn;
use std::pin::Pin;

use data_encoding::BASE64URL_NOPAD;
use hyper::body::{Body, Bytes};
use hyper::{Method, Request, header};

use crate::metrics::HttpFault;
use crate::wire::QUERY_MAX;

/// The media type of DNS messages (RFC 8484 §6).
pub(super) const MESSAGE_TYPE: &str = "application/dns-message";
/// The parameter that holds the message of a GET.
const PARAMETER: &str = "dns=";
/// Octets of a body at most: no DNS message is longer.
const BODY_MAX: usize = u16::MAX as usize;

/// Whether a request is one for DNS at all.
///
/// # Errors
/// It is for another path, or by another method.
pub(super) fn is_for<B>(request: &Request<B>, path: &str) -> Result<(), HttpFault> {
    match *request.method() {
        _ if request.uri().path() != path => Err(HttpFault::Path),
        Method::GET | Method::POST => Ok(()),
        _ => Err(HttpFault::Method),
    }
}

/// The message of a GET or POST; of one longer than any query no more than shows that it is too long.
///
/// # Errors
/// There is none, or it is sent otherwise than RFC 8484 says.
pub(super) async fn message<B: Body<Data = Bytes> + Unpin>(request: Request<B>) -> Result<Vec<u8>, HttpFault> {
    if request.method() == Method::GET {
        return in_query(request.uri().query().unwrap_or_default());
    }
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // The type has no parameters, but there is no harm in one.
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(MESSAGE_TYPE) {
        return Err(HttpFault::Type);
    }
    in_body(request.into_body()).await
}

/// The first `dns` parameter, in base64url without padding (RFC 8484 §6).
fn in_query(query: &str) -> Result<Vec<u8>, HttpFault> {
    let encoded = query.split('&').find_map(|parameter| parameter.strip_prefix(PARAMETER));
    let encoded = encoded.filter(|encoded| !encoded.is_empty()).ok_or(HttpFault::NoQuery)?;
    let mut message = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_other| HttpFault::NoQuery)?;
    message.truncate(QUERY_MAX + 1);
    Ok(message)
}

async fn in_body<B: Body<Data = Bytes> + Unpin>(mut body: B) -> Result<Vec<u8>, HttpFault> {
    // What is announced is refused before it comes.
    if body.size_hint().lower() > BODY_MAX as u64 {
        return Err(HttpFault::Large);
    }
    let (mut message, mut size) = (Vec::new(), 0);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        // Trailers say nothing about a query.
        let Ok(data) = frame.map_err(|_broken| HttpFault::NoQuery)?.into_data() else { continue };
        size += data.len();
        if size > BODY_MAX {
            return Err(HttpFault::Large);
        }
        message.extend_from_slice(&data[..data.len().min(QUERY_MAX + 1 - message.len())]);
    }
    if message.is_empty() { Err(HttpFault::NoQuery) } else { Ok(message) }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    /// A body that comes in pieces.
    struct Pieces(Vec<Vec<u8>>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let next = (!self.0.is_empty()).then(|| self.0.remove(0));
            Poll::Ready(next.map(|piece| Ok(Frame::data(piece.into()))))
        }
    }

    fn read(method: &str, uri: &str, kind: Option<&str>, pieces: Vec<Vec<u8>>) -> Result<Vec<u8>, HttpFault> {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let request = request.body(Pieces(pieces)).unwrap();
        is_for(&request, "/dns-query")?;
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(message(request))
    }

    #[test]
    fn the_message_of_the_rfcs_own_example_is_read_by_get_and_post() {
        // RFC 8484 §4.1.1: www.example.com A.
        let encoded = "AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB";
        let message = BASE64URL_NOPAD.decode(encoded.as_bytes()).unwrap();
        for uri in [format!("/dns-query?dns={encoded}"), format!("https://dns.example/dns-query?a=b&dns={encoded}&c")] {
            assert_eq!(read("GET", &uri, None, Vec::new()).as_ref(), Ok(&message));
        }
        for kind in [MESSAGE_TYPE, "Application/DNS-message; charset=utf-8"] {
            let pieces = message.chunks(7).map(<[u8]>::to_vec).collect();
            assert_eq!(read("POST", "/dns-query", Some(kind), pieces).as_ref(), Ok(&message));
        }
    }

    #[test]
    fn every_other_request_is_told_what_is_wrong() {
        let check = |method, uri, kind, pieces, fault| assert_eq!(read(method, uri, kind, pieces), Err(fault), "{uri}");
        let post = Some(MESSAGE_TYPE);
        check("GET", "/", None, vec![], HttpFault::Path);
        check("GET", "/dns-query/?dns=AAAB", None, vec![], HttpFault::Path);
        for method in ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT"] {
            check(method, "/dns-query?dns=AAAB", None, vec![], HttpFault::Method);
        }
        for bad in
            ["", "?", "?dns", "?dns=", "?dns=A", "?dns=AAAB=", "?dns=AA+B", "?dns=AA/B", "?DNS=AAAB", "?xdns=AAAB"]
        {
            assert_eq!(read("GET", &format!("/dns-query{bad}"), None, vec![]), Err(HttpFault::NoQuery), "{bad}");
        }
        check("POST", "/dns-query?dns=AAAB", None, vec![vec![1; 12]], HttpFault::Type);
        for kind in
            ["", "application/dns-json", "application/dns-message-x", "text/plain", "application/dns-message, a"]
        {
            check("POST", "/dns-query", Some(kind), vec![vec![1; 12]], HttpFault::Type);
        }
        check("POST", "/dns-query?dns=AAAB", post, vec![], HttpFault::NoQuery);
        check("POST", "/dns-query", post, vec![vec![1; 65_535], vec![1]], HttpFault::Large);
    }

    #[test]
    fn of_a_long_message_only_as_much_is_kept_as_shows_that_it_is_too_long() {
        let kept = |read: Result<Vec<u8>, HttpFault>| read.unwrap().len();
        assert_eq!(kept(read("POST", "/dns-query", Some(MESSAGE_TYPE), vec![vec![1; 1000]; 65])), QUERY_MAX + 1);
        let uri = format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(&[1; 6000]));
        assert_eq!(kept(read("GET", &uri, None, Vec::new())), QUERY_MAX + 1);
    }
}
