//! Who is to blame when an attempt fails, and what an operator should read about it.

use std::fmt;
use std::io;
use std::sync::Arc;

use hickory_resolver::net::NetError;

use super::{FailReason, Protocol};
use crate::tls;

/// Characters of a reason at most: some of it is what the upstream has sent.
const WORDS_MAX: usize = 240;

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// In one word.
    pub(super) reason: FailReason,
    /// In words for an operator, where there is more to say than that nobody was there.
    pub(super) words: Option<Arc<str>>,
}

impl Failure {
    /// There is no more to say.
    pub(super) fn silent(reason: FailReason) -> Self {
        Self { reason, words: None }
    }

    /// What there is to say, bounded and printable.
    pub(super) fn said(reason: FailReason, words: &dyn fmt::Display) -> Self {
        let printable = |character: char| if matches!(character, ' '..='~') { character } else { '?' };
        let words: String = words.to_string().chars().map(printable).take(WORDS_MAX).collect();
        Self { reason, words: Some(words.into()) }
    }
}

/// Why a connection could not be made. Everything but the network's own errors is about TLS then, if there is TLS.
pub(super) fn blame_connecting(error: &NetError, protocol: Protocol) -> Failure {
    let failure = blame(error, protocol);
    match error {
        NetError::Io(cause) if protocol.is_encrypted() && failure.reason == FailReason::Local => {
            Failure::said(FailReason::Tls, cause)
        }
        _ => failure,
    }
}

/// Why a question over a connection came to nothing.
pub(super) fn blame(error: &NetError, protocol: Protocol) -> Failure {
    match error {
        NetError::Timeout => Failure::silent(FailReason::Timeout),
        NetError::Io(error) => blame_io(error),
        // An HTTP status that is no success, a content type that is not that of DNS, a body longer than its header says.
        NetError::Msg(_) | NetError::Message(_) if protocol == Protocol::Https => {
            Failure::said(FailReason::Unusable, error)
        }
        NetError::Proto(_)
        | NetError::Decode(_)
        | NetError::ParseInt(_)
        | NetError::RequestTooLarge
        | NetError::QuicMessageIdNot0(_) => Failure::said(FailReason::Unusable, error),
        // hickory says `Busy` when its task, and so the connection, is gone, and gives a text when it goes meanwhile.
        _ => Failure::silent(FailReason::Closed),
    }
}

fn blame_io(error: &Arc<io::Error>) -> Failure {
    if let Some(words) = tls::explain(&**error) {
        return Failure::said(FailReason::Tls, &words);
    }
    Failure::silent(match error.kind() {
        io::ErrorKind::TimedOut => FailReason::Timeout,
        io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            FailReason::Unreachable
        }
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => FailReason::Closed,
        _ => FailReason::Local,
    })
}

/// Who is to blame for an error of a connected UDP socket: the kernel reports ICMP errors and missing routes there, and
/// everything else is ours.
pub(super) fn blame_datagram(error: &io::Error) -> FailReason {
    match error.kind() {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => FailReason::Unreachable,
        _ => FailReason::Local,
    }
}
