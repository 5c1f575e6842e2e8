//! What went wrong, as a program reads it (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The type of such a body.
const CONTENT_TYPE: &str = "application/problem+json";

/// Why something was not done.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// The status of the response.
    pub(super) status: StatusCode,
    /// What is wrong, and what to do.
    pub(super) detail: String,
    /// The parameter, field or header that it is about.
    pub(super) field: Option<String>,
    /// Seconds after which it may go better.
    pub(super) retry_after: Option<u64>,
}

/// The same as it is sent. The type is `about:blank`: the status says all that a program needs to tell problems apart.
#[derive(Serialize)]
struct Body<'p> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'p str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), field: None, retry_after: None }
    }

    /// What was sent can't be meant.
    pub(super) fn bad(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(StatusCode::BAD_REQUEST, detail) }
    }

    /// There is no such thing.
    pub(super) fn missing(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }

    /// Nobody knows who asks.
    pub(super) fn unknown_caller(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// Whoever asks may not.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// It is another thing by now than the one that was meant.
    pub(super) fn changed() -> Self {
        let detail = "this has changed since you read it; read it again and decide anew";
        Self { field: Some("If-Match".to_owned()), ..Self::new(StatusCode::PRECONDITION_FAILED, detail) }
    }

    /// It could not be done here and now.
    pub(super) fn cannot(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, detail, field, retry_after } = &self;
        let title = status.canonical_reason().unwrap_or("Error");
        let body = Body { r#type: "about:blank", title, status: status.as_u16(), detail, field: field.as_deref() };
        let mut text = serde_json::to_string(&body).unwrap_or_default();
        text.push('\n');
        let mut response = (*status, [(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response();
        let headers = response.headers_mut();
        if *status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"embargo\""));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
        }
        response
    }
}
