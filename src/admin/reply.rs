//! What a handler answers with: a body whole in memory, and the tag by which it is known again (RFC 9110, section 8.8.3).

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use super::problem::Problem;
use crate::digest::hex_digest;

/// Characters of a tag.
const TAG: usize = 32;

/// A response that is whole.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Octets of a type.
    pub(super) fn of(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Self { status: StatusCode::OK, headers, body: body.into() }
    }

    /// A value as JSON, with its tag.
    ///
    /// # Errors
    /// It can't be written as JSON.
    pub(super) fn json(value: &impl Serialize) -> Result<Self, Problem> {
        let mut body = serde_json::to_vec(value).map_err(|error| Problem::cannot(error.to_string()))?;
        body.push(b'\n');
        let tag = tag(&body);
        Ok(Self::of("application/json", body).with(header::ETAG, &tag))
    }

    /// A page.
    pub(super) fn html(text: impl Into<Vec<u8>>) -> Self {
        Self::of("text/html; charset=utf-8", text)
    }

    /// Nothing, which is good.
    pub(super) fn nothing() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: HeaderMap::new(), body: Vec::new() }
    }

    /// Sends a browser elsewhere, to be read there (RFC 9110, section 15.4.4).
    pub(super) fn see_other(place: &str) -> Self {
        let reply = Self { status: StatusCode::SEE_OTHER, headers: HeaderMap::new(), body: Vec::new() };
        reply.with(header::LOCATION, place)
    }

    /// With a header more. One that can't be sent is left out.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }

    /// With another status.
    pub(super) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// As it goes out to whoever has `known` tags already.
    pub(super) fn into_response(self, known: Option<&HeaderValue>) -> Response {
        let Self { status, headers, body } = self;
        let own = headers.get(header::ETAG);
        let is_known = status == StatusCode::OK
            && own.zip(known).is_some_and(|(own, known)| matches(known.to_str().unwrap_or_default(), own));
        let body = if is_known { Body::empty() } else { Body::from(body) };
        let mut response = Response::new(body);
        *response.status_mut() = if is_known { StatusCode::NOT_MODIFIED } else { status };
        *response.headers_mut() = headers;
        response
    }
}

/// By what a body is known again.
pub(super) fn tag(body: &[u8]) -> String {
    let digest: String = hex_digest(body).chars().take(TAG).collect();
    format!("\"{digest}\"")
}

/// Whether a list of tags (If-Match, If-None-Match) has this one.
pub(super) fn matches(list: &str, own: impl AsRef<[u8]>) -> bool {
    list.trim() == "*" || list.split(',').any(|tag| tag.trim().trim_start_matches("W/").as_bytes() == own.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_in_a_list_and_a_star_is_every_one() {
        let own = tag(b"a");
        assert!(own.len() == TAG + 2 && own != tag(b"b"));
        for (list, expected) in [
            (own.clone(), true),
            (format!("W/{own}"), true),
            (format!("\"x\", {own}"), true),
            ("*".to_owned(), true),
            ("\"x\"".to_owned(), false),
            (String::new(), false),
            (own.trim_matches('"').to_owned(), false),
        ] {
            assert_eq!(matches(&list, &own), expected, "{list}");
        }
    }

    #[test]
    fn what_a_client_has_is_not_sent_again() {
        let reply = Reply::json(&1).unwrap();
        let own = reply.headers[header::ETAG].clone();
        assert_eq!(reply.clone().into_response(Some(&own)).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(reply.clone().into_response(None).status(), StatusCode::OK);
        let created = reply.status(StatusCode::CREATED);
        assert_eq!(created.into_response(Some(&own)).status(), StatusCode::CREATED, "that something was made is told");
    }

    #[test]
    fn a_header_that_would_be_two_is_left_out() {
        let reply = Reply::see_other("/a\r\nSet-Cookie: x");
        assert!(reply.headers.is_empty());
    }
}
