//! One message of a resolver: who asked for what and when, or what was answered. Pure.

use super::pairs::{Key, Told};
use crate::dnstap::{Dnstap, Kind, Malformed};
use crate::journal::question;
use crate::metrics::Did;
use crate::time::Timestamp;
use crate::wire::Transport;

/// A time so many seconds later than ours is wrong.
const AHEAD_MAX: i64 = 5;
/// So is one so many seconds earlier: no sender keeps what it has to tell for longer than an hour.
const BEHIND_MAX: i64 = 60 * 60;

/// A message about a query of a client.
pub(super) struct Message {
    pub(super) asked: Told,
    /// By what its query and its response are known to belong together.
    pub(super) key: Key,
    pub(super) said: Said,
}

/// What it says of the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It was asked.
    Asked,
    /// It was answered, which shows that this was done.
    Answered(Did),
    /// It was asked, and this was done about it: there is nothing to wait for.
    Done(Did),
}

/// A message that should be about a query of a client and is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unusable;

impl From<Malformed> for Unusable {
    fn from(_malformed: Malformed) -> Self {
        Self
    }
}

impl Message {
    /// Reads a message that came at `now`; `None`: it is about something else than a client's query.
    pub(super) fn read(data: &[u8], now: Timestamp) -> Result<Option<Self>, Unusable> {
        let message = Dnstap::read(data)?.message;
        let (wire, at) = match message.kind {
            Kind::ClientQuery => (message.query_message, message.query_time),
            // Some tell of the query along with the response.
            Kind::ClientResponse => {
                (message.response_message.or(message.query_message), message.query_time.or(message.response_time))
            }
            Kind::Other(_) | Kind::Missing => return Ok(None),
        };
        let (wire, client) = (wire.ok_or(Unusable)?, message.query_address.ok_or(Unusable)?);
        // An update, or a notice, is nobody's lookup.
        let Some((id, name, qtype)) = question(wire) else {
            return is_lookup(wire).then_some(Err(Unusable)).transpose();
        };
        let transport = message.protocol.map_or(Transport::Udp, Transport::from);
        let asked = Told { at: believable(at, now), client: client.to_canonical(), name, qtype, transport };
        let done = message.policy.as_ref().and_then(|policy| policy.action).map(Did::from);
        let said = match (message.kind, done) {
            (Kind::ClientQuery, None) => Said::Asked,
            (Kind::ClientQuery, Some(did)) => Said::Done(did),
            (_, done) => {
                Said::Answered(done.unwrap_or_else(|| message.response_message.map_or(Did::Observe, Did::shown_by)))
            }
        };
        let key = Key::of(&asked, message.query_port, id);
        Ok(Some(Self { asked, key, said }))
    }
}

/// Whether a message has the opcode of queries, so that it should have had a question.
fn is_lookup(wire: &[u8]) -> bool {
    wire.get(2).is_none_or(|flags| flags & 0x78 == 0)
}

/// The time that a sender says, unless its clock is wrong.
fn believable(at: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let second = now.as_second();
    at.filter(|at| (second - BEHIND_MAX..=second + AHEAD_MAX).contains(&at.as_second())).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnstap::{self, Policy, PolicyAction};

    const QUERY: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x01A\x07example\0\0\x1c\0\x01";
    const NOW: &str = "2026-11-28T10:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn asked() -> dnstap::Message<'static> {
        dnstap::Message {
            kind: Kind::ClientQuery,
            protocol: Some(dnstap::SocketProtocol::Tcp),
            query_address: Some("192.0.2.7".parse().unwrap()),
            query_port: Some(4000),
            query_time: Some("2026-11-28T09:59:59.5Z".parse().unwrap()),
            query_message: Some(QUERY),
            ..dnstap::Message::default()
        }
    }

    fn read(message: dnstap::Message<'_>) -> Result<Option<Message>, Unusable> {
        let mut octets = Vec::new();
        Dnstap { message, ..Dnstap::default() }.write(&mut octets);
        Message::read(&octets, now())
    }

    #[test]
    fn a_query_says_who_asked_for_what_and_when() {
        let message = read(asked()).unwrap().unwrap();
        assert_eq!(message.said, Said::Asked);
        assert_eq!((message.asked.name.to_string(), message.asked.qtype), ("a.example".to_owned(), 28));
        assert_eq!(message.asked.at.to_string(), "2026-11-28T09:59:59.5Z");
        assert_eq!(message.asked.transport, Transport::Tcp);
        assert_eq!((message.key.id, message.key.port), (0x1234, Some(4000)));
    }

    #[test]
    fn a_response_belongs_to_its_query_and_shows_what_was_done() {
        let mut refused = QUERY.to_vec();
        (refused[2], refused[3]) = (0x81, 0x85);
        let response = dnstap::Message { kind: Kind::ClientResponse, response_message: Some(&refused), ..asked() };
        let message = read(response).unwrap().unwrap();
        assert_eq!((message.said, message.key), (Said::Answered(Did::Refuse), read(asked()).unwrap().unwrap().key));
    }

    #[test]
    fn a_policy_in_its_own_words_is_believed() {
        let policy = Policy { action: Some(PolicyAction::Drop), ..Policy::default() };
        let message = read(dnstap::Message { policy: Some(policy), ..asked() }).unwrap().unwrap();
        assert_eq!(message.said, Said::Done(Did::Drop));
    }

    #[test]
    fn a_clock_that_is_wrong_is_not_believed() {
        for wrong in ["2026-11-28T10:00:06Z", "2026-11-28T08:59:00Z", "1970-01-01T00:00:07Z", "2077-01-01T00:00:00Z"] {
            let message = read(dnstap::Message { query_time: Some(wrong.parse().unwrap()), ..asked() });
            assert_eq!(message.unwrap().unwrap().asked.at, now(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_whole_is_told_and_what_is_about_others_is_passed_over() {
        assert!(read(dnstap::Message { kind: Kind::Other(3), ..asked() }).unwrap().is_none());
        let mut update = QUERY.to_vec();
        update[2] = 5 << 3;
        assert!(read(dnstap::Message { query_message: Some(&update), ..asked() }).unwrap().is_none());
        for not_whole in [
            dnstap::Message { query_address: None, ..asked() },
            dnstap::Message { query_message: None, ..asked() },
            dnstap::Message { query_message: Some(&QUERY[..20]), ..asked() },
        ] {
            assert!(read(not_whole).is_err());
        }
        assert!(Message::read(b"\x0b", now()).is_err());
    }
}
