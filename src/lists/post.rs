//! The other direction: something of ours is posted to a URL of the operator, by the same way and under the same rules as a list
//! is fetched.

use std::time::Duration;

use hyper::client::conn::http1;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::error::FetchError;
use super::fetch::{AGENT, FIELDS_MAX, HEAD_MAX, retry_after};
use super::reach::{Reach, connect};
use super::subscription::ListUrl;
use crate::tls::Trust;
use crate::upstream::Questions;

/// A receiver has answered within this.
const TIME_MAX: Duration = Duration::from_secs(30);

/// Where something is posted to.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    /// Where that is.
    pub url: ListUrl,
    /// Whether it may be at an address that is not of the public internet.
    pub internal: bool,
    /// Whom its server must be vouched for by.
    pub trust: Trust,
}

/// What the server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub code: u16,
    /// When it wants to be asked again, if it says so.
    pub retry_after: Option<Duration>,
}

impl Hook {
    /// Posts JSON with these fields in the head. Redirects are not followed: what is sent is for the one that was written.
    ///
    /// # Errors
    /// [`FetchError`]; whether the server has taken it is not known then.
    pub async fn post(
        &self,
        questions: &dyn Questions,
        fields: &[(&'static str, String)],
        json: String,
    ) -> Result<Reply, FetchError> {
        let request = self.request(fields, json)?;
        let posted = timeout(TIME_MAX, self.send(questions, request)).await;
        posted.unwrap_or_else(|_elapsed| Err(FetchError::Unanswered(TIME_MAX)))
    }

    async fn send(&self, questions: &dyn Questions, request: Request<String>) -> Result<Reply, FetchError> {
        let reach = Reach { own: &self.url, internal: self.internal, trust: &self.trust };
        let stream = connect(questions, &reach, &self.url).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .max_headers(FIELDS_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(async move {
            // What is wrong with it, the response tells.
            drop(connection.await);
        }));
        let response = sender.send_request(request).await?;
        Ok(Reply { code: response.status().as_u16(), retry_after: retry_after(&response) })
    }

    fn request(&self, fields: &[(&'static str, String)], json: String) -> Result<Request<String>, FetchError> {
        let mut request = Request::new(json);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.target().parse().map_err(FetchError::Target)?;
        let host = self.url.authority();
        let own = [
            (header::HOST, host.as_str()),
            (header::USER_AGENT, AGENT),
            (header::CONTENT_TYPE, "application/json"),
            (header::CONNECTION, "close"),
        ];
        let fields = fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.as_str()));
        for (name, value) in own.into_iter().chain(fields) {
            if let Ok(value) = HeaderValue::from_str(value) {
                request.headers_mut().insert(name, value);
            }
        }
        Ok(request)
    }
}

impl Reply {
    /// Whether it has taken what it was sent.
    pub fn is_taken(self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether it will never take this: it has read it, and wants no such thing. All else may be mended, here or there.
    pub fn is_final(self) -> bool {
        let never = [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY];
        never.iter().any(|status| status.as_u16() == self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_host_and_carries_its_fields() {
        let hook = |url: &str| Hook { url: url.parse().unwrap(), internal: false, trust: Trust::default() };
        let fields = [("webhook-id", "a-1".to_owned())];
        let request = hook("https://hooks.example:8443/a?b=c").request(&fields, "{}".to_owned()).unwrap();
        assert_eq!((request.method().as_str(), request.uri().to_string()), ("POST", "/a?b=c".to_owned()));
        assert_eq!(request.headers()["host"], "hooks.example:8443");
        assert_eq!(request.headers()["webhook-id"], "a-1");
        assert_eq!(request.headers()["content-type"], "application/json");
    }

    #[test]
    fn only_what_a_server_has_read_and_refused_is_final() {
        for (code, taken, never) in
            [(200, true, false), (204, true, false), (301, false, false), (400, false, true), (401, false, false)]
        {
            let reply = Reply { code, retry_after: None };
            assert_eq!((reply.is_taken(), reply.is_final()), (taken, never), "{code}");
        }
        for (code, never) in [(404, false), (413, true), (422, true), (429, false), (500, false), (503, false)] {
            assert_eq!(Reply { code, retry_after: None }.is_final(), never, "{code}");
        }
    }
}
