//! Answers made from a wildcard, whose own NSEC record is what shows that nothing closer is there (RFC 4035 §5.3.4).
//!
//! hickory 0.26.3 wants the wildcard's name to lie between two names of the zone, and takes such an answer for false where the
//! wildcard is the lower of the two, as in the answer of RFC 4035 appendix B.6 with the names in another order.

use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, NSEC};
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{Name, RData, Record};

/// Whether an answer whose records are all proven was made from wildcards, each with proof that it was the closest match.
pub(super) fn are_closest(message: &Message) -> bool {
    let expanded: Vec<(&Name, u8)> = message.answers.iter().filter_map(expanded).collect();
    let rrsets = message.answers.iter().filter(|record| !record.record_type().is_rrsig());
    let all_secure = rrsets.into_iter().all(|record| record.proof.is_secure());
    !expanded.is_empty() && all_secure && expanded.iter().all(|(owner, labels)| is_closest(message, owner, *labels))
}

/// The owner of a signature that is a wildcard's, and how many labels the wildcard stands below.
fn expanded(record: &Record) -> Option<(&Name, u8)> {
    let RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) = &record.data else { return None };
    let labels = rrsig.input().num_labels;
    (labels < record.name.num_labels()).then_some((&record.name, labels))
}

/// Whether a proven NSEC record shows that `owner` is not there, and that nothing between it and the wildcard is.
fn is_closest(message: &Message, owner: &Name, labels: u8) -> bool {
    let nsec = |record: &Record| match &record.data {
        RData::DNSSEC(DNSSECRData::NSEC(nsec)) if record.proof == Proof::Secure => {
            covers(&record.name, nsec, owner, labels)
        }
        _ => false,
    };
    message.authorities.iter().any(nsec)
}

fn covers(name: &Name, nsec: &NSEC, owner: &Name, labels: u8) -> bool {
    let next = nsec.next_domain_name();
    // The last record of a zone leads back to its apex.
    let last = next <= name && next.zone_of(owner);
    // A record of the parent says nothing of what is below the cut (RFC 6840 §4.1).
    let of_parent = nsec.is_ancestor_delegation() && name.zone_of(owner);
    let encloser = shared_labels(name, owner).max(shared_labels(next, owner));
    name < owner && (owner < next || last) && !of_parent && encloser == labels
}

/// Labels of the longest name that both are at or below: it is there, since the first of them is.
fn shared_labels(there: &Name, owner: &Name) -> u8 {
    let mut name = there.clone();
    while !name.zone_of(owner) {
        name = name.base_name();
    }
    name.num_labels()
}
