//! One list over HTTP: asked for if it has changed, through redirects, within bounds, to the disk.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming as Octets};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderName};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::board::Progress;
use super::body::{BodyError, Expected, Piece, receive};
use super::error::FetchError;
use super::kept::{Incoming, Kept, Store};
use super::reach::{Reach, connect};
use super::subscription::{ListUrl, Subscription};
use crate::priority::beside;
use crate::upstream::Questions;

/// Redirects followed at most.
const REDIRECTS_MAX: usize = 5;
/// Octets of the head of a response at most.
pub(super) const HEAD_MAX: usize = 64 << 10;
/// Its fields at most.
pub(super) const FIELDS_MAX: usize = 100;
/// Octets of a signature file at most; minisign's own have about 300.
const SIGNATURE_MAX: usize = 8 << 10;
/// Pieces between the network and the disk.
const PIECES_MAX: usize = 16;
/// A server that wants to be left alone is left alone for so long at most.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Who we say we are.
pub(super) const AGENT: &str = concat!("embargo/", env!("CARGO_PKG_VERSION"));

/// What came of asking for a list.
pub enum Fetched {
    /// What is kept is still the newest.
    Unchanged,
    /// It has changed.
    Came {
        /// The new version.
        incoming: Incoming,
        /// What its server calls it.
        etag: Option<String>,
        /// When its server says that it was made.
        last_modified: Option<String>,
    },
}

/// A response whose head has come.
struct Answer {
    response: Response<Octets>,
    /// Ends with the response.
    _connection: AbortOnDropHandle<()>,
}

impl Subscription {
    /// Asks for the list of this ban, if it is another one than `kept`, `size_max` octets of it at most.
    ///
    /// # Errors
    /// [`FetchError`]; what is kept stays.
    pub async fn fetch(
        &self,
        (store, id): (&Store, &str),
        kept: Option<&Kept>,
        size_max: u64,
        questions: &dyn Questions,
        progress: &Arc<Progress>,
    ) -> Result<Fetched, FetchError> {
        let (end, slow) = (Instant::now() + self.time_max, || FetchError::Slow(self.time_max));
        let asked = timeout_at(end, self.ask_for_list(kept, questions)).await;
        let Some((Answer { response, _connection }, signature)) = asked.map_err(|_elapsed| slow())?? else {
            return Ok(Fetched::Unchanged);
        };
        let text = |name: &HeaderName| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let (etag, last_modified) = (text(&header::ETAG), text(&header::LAST_MODIFIED));
        let packed = text(&header::CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
        let whole_anyway = signature.is_some() || has_marked_end(&response);
        let signed = self.signed_by.clone().zip(signature);
        let mut body = response.into_body();
        progress.expect(Body::size_hint(&body).exact().unwrap_or_default());
        let incoming = store.receive(id)?;
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        let receiving = beside(move || receive(pieces, incoming, &Expected { packed, size_max, signed }));
        // When the disk's side gives up, the network's does, and its reason is the one that counts. The disk's is waited for in any
        // case: what it has of a list that came too late is gone when somebody hears of it.
        let (sent, received) = tokio::join!(timeout_at(end, send(&mut body, sender, progress)), receiving);
        let sent = sent.map_or_else(|_elapsed| Err(slow()), |sent| sent.map_err(Into::into));
        match (sent, received.map_err(FetchError::Thread)?) {
            (Err(error), Ok(_) | Err(BodyError::BrokenOff)) => Err(error),
            (_, Err(error)) => Err(error.into()),
            (Ok(()), Ok(incoming)) if !whole_anyway && incoming.ends_within_a_line() => Err(FetchError::Unended),
            (Ok(()), Ok(incoming)) => Ok(Fetched::Came { incoming, etag, last_modified }),
        }
    }

    /// The head of the list, and its signature if it must be signed; `None`: what is kept is the newest.
    async fn ask_for_list(
        &self,
        kept: Option<&Kept>,
        questions: &dyn Questions,
    ) -> Result<Option<(Answer, Option<String>)>, FetchError> {
        let answer = self.ask(questions, &self.url, kept).await?;
        if answer.response.status() == StatusCode::NOT_MODIFIED && kept.is_some() {
            return Ok(None);
        }
        if answer.response.status() != StatusCode::OK {
            return Err(refusal(&answer.response));
        }
        if let Some(media_type) = foreign_type(&answer.response).filter(|_foreign| !self.of_any_type) {
            return Err(FetchError::Type(media_type));
        }
        let signature = match &self.signed_by {
            None => None,
            Some(_key) => Some(self.signature(questions).await?),
        };
        Ok(Some((answer, signature)))
    }

    /// Asks for what is at `url`, or where that leads to.
    async fn ask(&self, questions: &dyn Questions, url: &ListUrl, kept: Option<&Kept>) -> Result<Answer, FetchError> {
        let mut url = url.clone();
        for _redirect in 0..=REDIRECTS_MAX {
            let answer = self.ask_once(questions, &url, kept).await?;
            let Some(location) = location(&answer.response) else { return Ok(answer) };
            let next = url.join(location)?;
            if url.is_encrypted() && !next.is_encrypted() {
                return Err(FetchError::Downgrade(next.to_string()));
            }
            url = next;
        }
        Err(FetchError::Redirects { max: REDIRECTS_MAX })
    }

    async fn ask_once(
        &self,
        questions: &dyn Questions,
        url: &ListUrl,
        kept: Option<&Kept>,
    ) -> Result<Answer, FetchError> {
        let request = request(url, kept)?;
        let reach = Reach { own: &self.url, internal: self.internal, trust: &self.trust };
        let stream = connect(questions, &reach, url).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .max_headers(FIELDS_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            // What is wrong with it, the response tells.
            drop(connection.await);
        }));
        let response = sender.send_request(request).await?;
        Ok(Answer { response, _connection: connection })
    }

    /// The file with the signature.
    async fn signature(&self, questions: &dyn Questions) -> Result<String, FetchError> {
        let url = self.url.with_suffix(".minisig");
        let fetched = async {
            let Answer { response, _connection } = self.ask(questions, &url, None).await?;
            if response.status() != StatusCode::OK {
                return Err(refusal(&response));
            }
            let (mut body, mut octets) = (response.into_body(), Vec::new());
            while let Some(piece) = next_piece(&mut body).await {
                octets.extend_from_slice(&piece?);
                if octets.len() > SIGNATURE_MAX {
                    return Err(FetchError::Body(BodyError::TooLarge { max: SIGNATURE_MAX as u64 }));
                }
            }
            Ok(String::from_utf8_lossy(&octets).into_owned())
        };
        fetched.await.map_err(|error| FetchError::Signature { url: url.to_string(), error: Box::new(error) })
    }
}

fn request(url: &ListUrl, kept: Option<&Kept>) -> Result<Request<String>, FetchError> {
    let mut request = Request::new(String::new());
    *request.uri_mut() = url.target().parse().map_err(FetchError::Target)?;
    let host = url.authority();
    let fields = [
        (header::HOST, Some(host.as_str())),
        (header::USER_AGENT, Some(AGENT)),
        (header::ACCEPT, Some("text/plain, */*;q=0.5")),
        (header::ACCEPT_ENCODING, Some("gzip")),
        (header::CONNECTION, Some("close")),
        (header::IF_NONE_MATCH, kept.and_then(|kept| kept.etag.as_deref())),
        (header::IF_MODIFIED_SINCE, kept.and_then(|kept| kept.last_modified.as_deref())),
    ];
    for (name, value) in fields {
        if let Some(value) = value.and_then(|value| value.parse().ok()) {
            request.headers_mut().insert(name, value);
        }
    }
    Ok(request)
}

fn location(response: &Response<Octets>) -> Option<&str> {
    let moved = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    response.headers().get(header::LOCATION).filter(|_location| moved)?.to_str().ok()
}

/// Whether the end of a body can be told from a connection that broke (RFC 9112 §6.3).
fn has_marked_end(response: &Response<Octets>) -> bool {
    let codings = response.headers().get_all(header::TRANSFER_ENCODING).iter().next_back();
    let chunked = codings.and_then(|codings| codings.to_str().ok()?.rsplit(',').next());
    chunked.is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"))
        || Body::size_hint(response.body()).exact().is_some()
}

/// The media type of a response, if no list has it: that of a page, of an answer of some interface, of a picture. Only a hint, but a
/// good one: pages for people to log in or to wait are sent with status 200, and lines of their text may be names. A source that
/// calls a list so all the same is rare, and then its operator writes the format. Types that say nothing (`text/plain`,
/// `application/octet-stream`, none) are believed whatever comes: its octets decide.
fn foreign_type(response: &Response<Octets>) -> Option<String> {
    let field = response.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    let media_type = field.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, name) = media_type.split_once('/')?;
    let foreign = matches!(kind, "image" | "audio" | "video" | "font" | "multipart")
        || matches!(name, "html" | "json" | "xml" | "pdf" | "javascript" | "css")
        || ["+json", "+xml"].iter().any(|suffix| name.ends_with(suffix));
    foreign.then_some(media_type)
}

fn refusal(response: &Response<Octets>) -> FetchError {
    FetchError::Status { code: response.status().as_u16(), retry_after: retry_after(response) }
}

/// When the server wants to be asked again. Its other form, a date, is answered by our own pace.
pub(super) fn retry_after(response: &Response<Octets>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER).and_then(|field| field.to_str().ok()?.parse().ok());
    seconds.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// The next octets of a body; `None` at its end.
async fn next_piece(body: &mut Octets) -> Option<Result<hyper::body::Bytes, hyper::Error>> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await? {
            Err(error) => return Some(Err(error)),
            // What stands behind a body in fields is nothing that a list has.
            Ok(frame) => {
                if let Ok(octets) = frame.into_data() {
                    return Some(Ok(octets));
                }
            }
        }
    }
}

/// Sends what comes to those who write it, until they want no more.
async fn send(body: &mut Octets, sender: mpsc::Sender<Piece>, progress: &Progress) -> Result<(), hyper::Error> {
    while let Some(piece) = next_piece(body).await {
        let octets = piece?;
        progress.received(octets.len() as u64);
        if sender.send(Piece::Octets(octets)).await.is_err() {
            return Ok(());
        }
    }
    // Whoever wants no more has said why.
    let _wanted = sender.send(Piece::End).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_the_url_says_or_nothing() {
        let target = |text: &str| {
            let request = request(&text.parse().unwrap(), None);
            request.map(|request| request.uri().to_string()).map_err(|error| error.to_string())
        };
        assert_eq!(target("https://lists.example"), Ok("/".to_owned()));
        assert_eq!(target("https://lists.example/a b.txt?x=1|{2}"), Ok("/a%20b.txt?x=1|{2}".to_owned()));
        let long = target(&format!("https://lists.example/{}", "a".repeat(70_000)));
        assert_eq!(long, Err("its URL is none that a server can be asked for: uri too long".to_owned()));
    }
}
