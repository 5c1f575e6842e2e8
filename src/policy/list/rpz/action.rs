//! What a record of a response policy zone has done.

use std::net::IpAddr;

use super::super::{Fault, by_address};
use super::tokens::Token;
use crate::policy::ban::Action;
use crate::policy::rule::Does;

/// What a record means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing: it is about the zone.
    Nothing,
    /// Its owner is a trigger.
    Action { allow: bool, does: Option<Does> },
}

/// Types of records by which a zone is signed: they stand at any owner.
const SIGNATURES: [&str; 3] = ["RRSIG", "NSEC", "NSEC3"];
/// Types of records about the zone itself: they stand at its own name.
const ABOUT_THE_ZONE: [&str; 6] = ["SOA", "NS", "NSEC3PARAM", "DNSKEY", "ZONEMD", "TYPE65534"];

/// What a record of this type with this value means at its owner.
pub(super) fn meaning(record_type: &Token<'_>, value: Option<&Token<'_>>, owner: &str) -> Result<Meaning, Fault> {
    let is = |word: &str| record_type.word.eq_ignore_ascii_case(word);
    let about_the_zone = ABOUT_THE_ZONE.iter().any(|word| is(word));
    if SIGNATURES.iter().any(|word| is(word)) || (about_the_zone && owner.is_empty()) {
        return Ok(Meaning::Nothing);
    }
    if about_the_zone {
        let message = "about a zone, and stands at a name in this one; a trigger has CNAME, A or AAAA";
        return Err(Fault::new(record_type.span.clone(), message));
    }
    if is("CNAME") && owner.is_empty() {
        let message = "stands at the zone's own name, which is no trigger; every name is `*`";
        return Err(Fault::new(record_type.span.clone(), message));
    }
    let does = |does| Ok(Meaning::Action { allow: false, does });
    let missing = || Fault::new(record_type.span.clone(), "a record without data");
    if is("CNAME") {
        return alias(value.ok_or_else(missing)?, owner);
    }
    if is("A") || is("AAAA") {
        let value = value.ok_or_else(missing)?;
        return match value.word.parse::<IpAddr>() {
            Ok(address) if address.is_ipv4() == is("A") => does(by_address(value.word)),
            _ => Err(Fault::new(value.span.clone(), "no address of this type")),
        };
    }
    let message = "data of its own other than addresses, which no action gives";
    Err(Fault::new(record_type.span.clone(), message))
}

fn alias(target: &Token<'_>, owner: &str) -> Result<Meaning, Fault> {
    let action = |action| Ok(Meaning::Action { allow: false, does: Some(Does::Action(action)) });
    let is = |word: &str| target.word.eq_ignore_ascii_case(word);
    let Some(name) = target.word.strip_suffix('.') else {
        if ["rpz-passthru", "rpz-drop", "rpz-tcp-only", "*"].iter().any(|word| is(word)) {
            let message = format!("without a dot at its end it is a name of this zone; write `{}.`", target.word);
            return Err(Fault::new(target.span.clone(), message));
        }
        return action(Action::Sinkhole);
    };
    if is(".") {
        action(Action::Nxdomain)
    } else if is("*.") {
        action(Action::Nodata)
    } else if is("rpz-drop.") {
        action(Action::Drop)
    } else if is("rpz-passthru.") || (!owner.is_empty() && name.eq_ignore_ascii_case(owner)) {
        // The second is the old way of saying it: the name leads to itself.
        Ok(Meaning::Action { allow: true, does: None })
    } else if is("rpz-tcp-only.") {
        action(Action::TcpOnly)
    } else {
        // Somebody's page about the block, in whose place ours stands.
        action(Action::Sinkhole)
    }
}
