//! A request as a handler has it: who asks, and what was sent, read and bounded.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use serde::de::DeserializeOwned;

use super::caller::{Caller, Peer};
use super::problem::Problem;
use super::reply;
use crate::audit::Author;
use crate::diag::shown;

/// Octets of a request's body at most: an exemption with the longest texts takes a tenth of it.
pub(super) const BODY_MAX: usize = 64 << 10;
/// Parameters of a query string at most.
const PARAMETERS_MAX: usize = 64;

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Who asks.
    pub(super) caller: Caller,
    /// From where.
    pub(super) peer: Peer,
    pub(super) uri: Uri,
    /// Whether only the head of the answer is wanted.
    pub(super) is_head: bool,
    /// The parts of the path that stand for something, by their names in the route table.
    pub(super) path: Vec<(String, String)>,
    /// The query string: each key once, and only keys that the route knows.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    /// A part of the path.
    pub(super) fn part(&self, name: &str) -> &str {
        find(&self.path, name).unwrap_or_default()
    }

    /// A parameter of the query string, unless it is empty, as a form leaves it.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        find(&self.query, name).filter(|value| !value.is_empty())
    }

    /// The same, read.
    ///
    /// # Errors
    /// It can't be meant.
    pub(super) fn read<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Option<T>,
        form: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.given(name) else { return Ok(None) };
        let value = read(text).ok_or_else(|| Problem::bad(name, format!("`{}` is no {form}", cut(text))))?;
        Ok(Some(value))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is no JSON, or another than is wanted.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        json(&self.headers, &self.body)
    }

    /// The body as a form's fields.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn form(&self) -> Result<Vec<(String, String)>, Problem> {
        let text = std::str::from_utf8(&self.body).map_err(|_error| Problem::bad("body", "it is not UTF-8"))?;
        pairs(text)
    }

    /// Whether what is to be changed is still what the client has read, if it says what that was.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn still(&self, tag: &str) -> Result<(), Problem> {
        let Some(wanted) = self.headers.get(header::IF_MATCH) else { return Ok(()) };
        let wanted = wanted.to_str().unwrap_or_default();
        if reply::matches(wanted, tag) { Ok(()) } else { Err(Problem::changed()) }
    }

    /// As the audit log names whoever asks.
    pub(super) fn author(&self) -> Author {
        Author { uid: None, by: self.caller.by.clone() }
    }
}

/// A body as JSON.
///
/// # Errors
/// It is no JSON, or another than is wanted.
pub(super) fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = content_type.and_then(|value| value.split(';').next()).map(str::trim);
    // A form of a page elsewhere can't say so without asking first (CORS).
    if !is_json.is_some_and(|value| value.eq_ignore_ascii_case("application/json")) {
        let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json");
        return Err(Problem { field: Some("Content-Type".to_owned()), ..problem });
    }
    serde_json::from_slice(body).map_err(|error| Problem::bad("body", shown(&error.to_string())))
}

fn find<'p>(pairs: &'p [(String, String)], name: &str) -> Option<&'p str> {
    pairs.iter().find(|(key, _value)| key == name).map(|(_key, value)| value.as_str())
}

/// The beginning of a text, safe to show.
pub(super) fn cut(text: &str) -> String {
    let beginning: String = text.chars().take(80).collect();
    shown(&beginning)
}

/// The pairs of a query string or a form (WHATWG URL, section 5.1).
///
/// # Errors
/// A key comes twice, there are too many, or an escape is none.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key)?, decoded(value)?);
        if pairs.iter().any(|(known, _value)| *known == key) {
            return Err(Problem::bad(cut(&key), "given twice"));
        }
        if pairs.len() >= PARAMETERS_MAX {
            return Err(Problem::bad(cut(&key), format!("more than {PARAMETERS_MAX} parameters")));
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}

/// Text without its escapes.
///
/// # Errors
/// An escape is none, or what it says is no UTF-8 or a control character.
pub(super) fn decoded(text: &str) -> Result<String, Problem> {
    let wrong = || Problem::bad(cut(text), "not percent-encoded UTF-8");
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => {
                let digit = |octet: Option<u8>| char::from(octet?).to_digit(16);
                let (high, low) = (digit(rest.next()).ok_or_else(wrong)?, digit(rest.next()).ok_or_else(wrong)?);
                u8::try_from(high * 16 + low).map_err(|_large| wrong())?
            }
            other => other,
        });
    }
    let text = String::from_utf8(octets).map_err(|_error| wrong())?;
    if text.contains('\0') { Err(wrong()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_as_browsers_write_them() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(pairs("a=b+c&d=%C3%A4%26&e").unwrap(), [pair("a", "b c"), pair("d", "ä&"), pair("e", "")]);
        assert_eq!(pairs("").unwrap(), []);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for text in ["a=1&a=2", "a=%", "a=%4", "a=%zz", "a=%ff", "a=%00", "%61=1&a=2"] {
            assert!(pairs(text).is_err(), "{text}");
        }
        let many: Vec<String> = (0..=PARAMETERS_MAX).map(|index| format!("a{index}=")).collect();
        assert!(pairs(&many.join("&")).is_err());
    }
}
