//! One request: which name, which ban, which language. Method, path and body make no difference.

use std::net::SocketAddr;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode, Version};
use jiff::civil::Date;

use super::{Desk, language, page};
use crate::journal::Said;
use crate::metrics::BlockPageEnd;
use crate::policy::{Ban, EndUse, Language};
use crate::serve::Knock;
use crate::time::Timestamp;
use crate::wire::LowerName;

/// Who asks, and what is known of it already.
pub(super) struct Asked<'k> {
    pub(super) client: SocketAddr,
    /// The name of the greeting of TLS, and what policy says of it.
    pub(super) known: Option<&'k (LowerName, Knock)>,
}

/// The response, and what became of the connection with it.
pub(super) fn to<B>(request: &Request<B>, asked: &Asked<'_>, desk: &Desk) -> (Response<String>, BlockPageEnd) {
    let look = desk.look.load();
    let accept = request.headers().get_all(header::ACCEPT_LANGUAGE).iter().find_map(|value| value.to_str().ok());
    let language = accept.and_then(language::preferred).unwrap_or(look.language);
    let of_host = || {
        let name = host(request)?;
        let knock = desk.receive(&name, asked.client, Said::Host);
        Some((name, knock))
    };
    let new;
    let judged = if asked.known.is_some() {
        asked.known
    } else {
        new = of_host();
        new.as_ref()
    };
    let Some((name, knock)) = judged else {
        return (response(StatusCode::NOT_FOUND, language, page::neutral(language, None)), BlockPageEnd::NoName);
    };
    let Some((ban, since)) = &knock.blocked else {
        let page = page::neutral(language, Some(name));
        return (response(StatusCode::NOT_FOUND, language, page), BlockPageEnd::NotBanned);
    };
    let since = since.map(|since: Timestamp| -> Date { since.to_zoned(look.zone.clone()).date() });
    (response(status(ban), language, page::blocked(language, name, ban, since)), BlockPageEnd::Page)
}

/// The host that is asked for: by the whole address, as proxies are asked, or by the field for it (RFC 9112 §3.2).
fn host<B>(request: &Request<B>) -> Option<LowerName> {
    let field = || request.headers().get(header::HOST)?.to_str().ok();
    let text = request.uri().host().or_else(|| without_port(field()?))?;
    LowerName::of_host(text.as_bytes())
}

/// A host without its port; `None`: an address of IPv6.
fn without_port(text: &str) -> Option<&str> {
    let host = text.split_once(':').map_or(text, |(host, _port)| host);
    (!text.starts_with('[')).then_some(host)
}

/// 451 (RFC 7725) is for what a law forbids; where the network decides by itself, and where a law binds only those who
/// supply, it is 403.
fn status(ban: &Ban) -> StatusCode {
    let mut bound = ban.laws.iter().filter(|law| ban.bound_by.contains(&law.id));
    if bound.any(|law| law.end_use != EndUse::No) {
        StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS
    } else {
        StatusCode::FORBIDDEN
    }
}

/// No cache keeps it, since a ban may be lifted; it asks for nothing, runs nothing, and stands in nobody's frame.
fn response(status: StatusCode, language: Language, page: String) -> Response<String> {
    const FIELDS: [(HeaderName, &str); 7] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::VARY, "Accept-Language"),
        (header::CONNECTION, "close"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ];
    let mut response = Response::new(page);
    *response.status_mut() = status;
    *response.version_mut() = Version::HTTP_11;
    let fields: &mut HeaderMap = response.headers_mut();
    for (name, value) in FIELDS {
        fields.insert(name, HeaderValue::from_static(value));
    }
    fields.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.as_str()));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, field: Option<&str>, expected: Option<&str>) {
        let mut request = Request::builder().uri(uri);
        if let Some(field) = field {
            request = request.header(header::HOST, field);
        }
        let found = host(&request.body(()).unwrap()).map(|name| name.to_string());
        assert_eq!(found.as_deref(), expected, "{uri} {field:?}");
    }

    #[test]
    fn the_host_is_found_wherever_it_stands_and_an_address_is_none() {
        check("/a", Some("A.Acme.example"), Some("a.acme.example"));
        check("/", Some("a.acme.example.:8080"), Some("a.acme.example"));
        check("http://b.acme.example:80/x", Some("a.acme.example"), Some("b.acme.example"));
        check("b.acme.example:443", None, Some("b.acme.example"));
        for field in ["192.0.2.1", "[2001:db8::1]:80", "", ":80", "a b", "<script>", "a..b"] {
            check("/", Some(field), None);
        }
        check("/", None, None);
    }
}
