//! What an owner of a response policy zone triggers on: a name, or a network with the length of its prefix.

use std::borrow::Cow;

use ipnet::IpNet;

use crate::policy::network;
use crate::policy::pattern::PatternKind;

/// What a rule is for.
#[derive(Debug)]
pub(super) enum Trigger<'o> {
    /// Questions for this name, or for all below it.
    Name(PatternKind, &'o str),
    /// Addresses in answers, `24.0.2.0.192.rpz-ip`, or of clients, `24.0.2.0.192.rpz-client-ip`.
    Network(PatternKind, IpNet),
}

/// The trigger of an owner that is relative to its zone.
pub(super) fn trigger(owner: &str) -> Result<Trigger<'_>, Cow<'static, str>> {
    let (front, last) = owner.rsplit_once('.').unwrap_or(("", owner));
    // Nearly every owner is a name.
    if last.starts_with(['r', 'R']) {
        let is = |word: &str| last.eq_ignore_ascii_case(word);
        let network = |kind| match network::of_name(front) {
            Ok(network) => Ok(Trigger::Network(kind, network)),
            Err(fault) => Err(fault.to_string().into()),
        };
        if is("rpz-ip") {
            return network(PatternKind::Answer);
        }
        if is("rpz-client-ip") {
            return network(PatternKind::Client);
        }
        if is("rpz-nsdname") || is("rpz-nsip") {
            return Err("for name servers, which a forwarder never meets".into());
        }
    }
    Ok(match owner.strip_prefix("*.") {
        Some(name) => Trigger::Name(PatternKind::Below, name),
        None if owner == "*" => Trigger::Name(PatternKind::Below, "."),
        None => Trigger::Name(PatternKind::Exact, owner),
    })
}
