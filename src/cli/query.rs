//! A question as written on the command line, and as octets on the wire.

use crate::wire::{self, LowerName, rtype};

/// Why an argument is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
    /// A URL.
    #[error("is a URL; write only the name in it")]
    Url,
    /// No name.
    #[error(transparent)]
    Name(#[from] wire::NameError),
}

/// Why an argument is no record type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no record type; write for example A, AAAA, HTTPS or TYPE65")]
pub(super) struct TypeError;

/// Reads a name. Case folds; the last dot may be missing.
///
/// # Errors
/// [`NameError`].
pub(super) fn qname(text: &str) -> Result<LowerName, NameError> {
    if text.contains("://") {
        return Err(NameError::Url);
    }
    Ok(LowerName::parse(text)?)
}

/// Reads a record type.
///
/// # Errors
/// [`TypeError`].
pub(super) fn qtype(text: &str) -> Result<u16, TypeError> {
    rtype::parse(text).ok_or(TypeError)
}

/// A query with one question and no flags (RFC 1035 §4.1).
pub(super) fn message(id: u16, name: &LowerName, qtype: u16, qclass: u16) -> Vec<u8> {
    let header = [id, 0, 1, 0, 0, 0];
    let mut message: Vec<u8> = header.into_iter().flat_map(u16::to_be_bytes).collect();
    message.extend_from_slice(name.wire());
    message.extend([qtype, qclass].into_iter().flat_map(u16::to_be_bytes));
    message
}

/// Whether `response` answers `query`: the same id, QR set.
pub(super) fn answers(response: &[u8], query: &[u8]) -> bool {
    response.len() >= wire::HEADER && response.get(..2) == query.get(..2) && response[2] & 0x80 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{CLASS_CH, Query, qtype as number};

    #[test]
    fn a_message_is_read_back_as_the_question_it_was_made_of() {
        let name = qname("Id.Server.").unwrap();
        let octets = message(0x1234, &name, number::TXT, CLASS_CH);
        let query = Query::read(&octets).unwrap();
        assert_eq!((query.id(), query.name.to_string().as_str()), (0x1234, "id.server"));
        assert_eq!((query.qtype, query.qclass), (number::TXT, CLASS_CH));
    }

    #[test]
    fn only_a_response_with_the_same_id_is_an_answer() {
        let query = message(7, &LowerName::ROOT, number::A, 1);
        let mut response = query.clone();
        assert!(!answers(&response, &query));
        response[2] |= 0x80;
        assert!(answers(&response, &query));
        assert!(!answers(&response[..11], &query));
        response[1] ^= 1;
        assert!(!answers(&response, &query));
    }

    #[test]
    fn a_url_is_told_from_a_name() {
        assert_eq!(qname("https://www.example.org/").err(), Some(NameError::Url));
        assert_eq!(qname("a..example").err(), Some(NameError::Name(wire::NameError::EmptyLabel)));
        assert_eq!(qtype("nope"), Err(TypeError));
    }
}
