//! An event as dnstap (<https://dnstap.info>): a client's query, what the policy did about it, and the event itself as our own
//! JSON in `extra`, since the schema has no count, device or site.
//!
//! The record keeps no messages: the query is made anew from name and type, with the id 0. Where a row stands for several names
//! or types there is none.

use std::net::IpAddr;

use super::{Fields, Observer, VERSION};
use crate::dnstap::{Dnstap, Kind, Message, Policy, PolicyAction, PolicyMatch, write_data};
use crate::metrics::Did;
use crate::sinks::Event;
use crate::wire::{LowerName, rtype};

/// The flags of a query of a stub resolver: RD.
const FLAGS: u16 = 0x0100;
const CLASS_IN: u16 = 1;

/// Appends the event, a frame of data.
pub(crate) fn write(event: &Event, observer: &Observer, to: &mut Vec<u8>) {
    let row = &event.row;
    let name = row.qname.as_deref().and_then(|qname| LowerName::parse(qname).ok());
    let query = name.as_ref().zip(row.qtype.as_deref().and_then(rtype::parse)).map(|(name, qtype)| query(name, qtype));
    let (mut extra, kind, version) = (Vec::new(), format!("ban:{}", row.ban), format!("Embargo {VERSION}"));
    Fields::Plain.write(event, observer, &mut extra);
    let client = row.client.map(octets).unwrap_or_default();
    let matched = row.pattern.as_deref().map(matched);
    let policy = Policy {
        kind: Some(kind.as_bytes()),
        rule: row.pattern.as_deref().map(str::as_bytes),
        action: action(row.action),
        matched,
        value: match matched {
            Some(PolicyMatch::ClientIp) => row.client.map(|_known| &*client),
            Some(PolicyMatch::Qname) => name.as_ref().map(LowerName::wire),
            // Which address of the answer it was is not recorded.
            _ => None,
        },
    };
    let message = Message {
        kind: Kind::ClientQuery,
        protocol: row.transport.map(Into::into),
        query_address: row.client,
        query_time: Some(row.first),
        query_message: query.as_deref(),
        policy: Some(policy),
        ..Message::default()
    };
    let (identity, version) = (Some(observer.host.as_bytes()), Some(version.as_bytes()));
    let dnstap = Dnstap { identity, version, extra: Some(&extra), message };
    let mut octets = Vec::with_capacity(1024);
    dnstap.write(&mut octets);
    write_data(&octets, to);
}

/// A query for a name and type.
fn query(name: &LowerName, qtype: u16) -> Vec<u8> {
    let mut message = Vec::with_capacity(12 + 255 + 4);
    // Id, flags, one question, and no records.
    for word in [0, FLAGS, 1, 0, 0, 0] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    message.extend_from_slice(name.wire());
    message.extend_from_slice(&qtype.to_be_bytes());
    message.extend_from_slice(&CLASS_IN.to_be_bytes());
    message
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// What a pattern of this text matches. Names to which answers lead are names that were asked for too: the schema has no other.
fn matched(pattern: &str) -> PolicyMatch {
    let pattern = pattern.trim_start_matches('!');
    if pattern.starts_with("client:") {
        PolicyMatch::ClientIp
    } else if pattern.starts_with("answer:") {
        PolicyMatch::ResponseIp
    } else {
        PolicyMatch::Qname
    }
}

/// The schema knows no refusal.
fn action(did: Did) -> Option<PolicyAction> {
    match did {
        Did::Nxdomain => Some(PolicyAction::Nxdomain),
        Did::Nodata => Some(PolicyAction::Nodata),
        Did::Sinkhole => Some(PolicyAction::LocalData),
        Did::Drop => Some(PolicyAction::Drop),
        Did::TcpOnly => Some(PolicyAction::Truncate),
        Did::Observe | Did::Exempt => Some(PolicyAction::Pass),
        Did::Refuse => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::super::event::sample::{bare, event, row};
    use super::*;
    use crate::dnstap::{Frame, SocketProtocol, read_frame};
    use crate::wire::Query;

    fn written(event: &Event) -> Vec<u8> {
        let mut octets = Vec::new();
        write(event, &Observer { host: "dns1".to_owned(), pid: 7 }, &mut octets);
        octets
    }

    fn check(octets: &[u8], is: impl Fn(Dnstap<'_>)) {
        let Ok(Some((Frame::Data(data), length))) = read_frame(octets) else { panic!("no frame") };
        assert_eq!(length, octets.len());
        is(Dnstap::read(data).unwrap());
    }

    #[test]
    fn an_event_says_who_asked_for_what_when_and_what_the_policy_did() {
        check(&written(&event(row(r"a\010b.upd.example", 3))), |dnstap| {
            let message = dnstap.message;
            assert_eq!((dnstap.identity, message.kind), (Some(&b"dns1"[..]), Kind::ClientQuery));
            assert_eq!(message.query_address, Some("192.0.2.7".parse().unwrap()));
            assert_eq!(message.query_time, Some("2026-11-28T10:00:00.125Z".parse().unwrap()));
            assert_eq!(message.protocol, Some(SocketProtocol::Udp));
            let query = Query::read(message.query_message.unwrap()).unwrap();
            assert_eq!((query.name.to_string(), query.qtype), (r"a\010b.upd.example".to_owned(), 28));
            let policy = message.policy.unwrap();
            assert_eq!((policy.kind, policy.rule), (Some(&b"ban:vendor"[..]), Some(&b"upd.example"[..])));
            assert_eq!((policy.action, policy.matched), (Some(PolicyAction::Nxdomain), Some(PolicyMatch::Qname)));
            assert_eq!(policy.value, Some(&b"\x03a\nb\x03upd\x07example\0"[..]));
            let extra: Value = serde_json::from_slice(dnstap.extra.unwrap()).unwrap();
            assert_eq!((extra["count"].as_u64(), extra["id"].as_str()), (Some(3), Some("0123456789abcdef-7")));
        });
    }

    #[test]
    fn what_is_known_of_too_many_attempts_is_said_without_a_query() {
        check(&written(&event(bare(70_000))), |dnstap| {
            assert_eq!((dnstap.message.query_message, dnstap.message.query_address), (None, None));
            let policy = dnstap.message.policy.unwrap();
            assert_eq!((policy.kind, policy.rule, policy.value), (Some(&b"ban:vendor"[..]), None, None));
        });
    }

    #[test]
    fn a_rule_about_clients_matched_the_client() {
        let mut row = row("a.upd.example", 1);
        (row.pattern, row.action) = (Some("client:192.0.2.0/24".to_owned()), Did::Refuse);
        check(&written(&event(row)), |dnstap| {
            let policy = dnstap.message.policy.unwrap();
            assert_eq!((policy.action, policy.matched), (None, Some(PolicyMatch::ClientIp)));
            assert_eq!(policy.value, Some(&[192, 0, 2, 7][..]));
        });
    }
}
