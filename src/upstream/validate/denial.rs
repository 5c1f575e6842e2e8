//! Whether proven records deny what an answer says is not there: NSEC (RFC 4035 §5.4), and NSEC3 by [`hashed`](super::hashed).
//!
//! hickory 0.26.3 judges that too, but by the name that was asked for, where an alias leads to another one; not at all where
//! the authority section is that of a zone which is not signed, be it any; and with less than RFC 5155 asks for where zones
//! have opted out. So it is judged here, and only the signatures are left to hickory.

use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, NSEC};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType, RecordTypeSet};

use super::hashed::Hashed;

/// What an answer says is not there.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) name: &'a Name,
    pub(super) rtype: RecordType,
    /// The name itself, rather than its record.
    pub(super) whole_name: bool,
}

/// Proven records that deny something.
pub(super) struct Denials<'m> {
    nsecs: Vec<(&'m Name, &'m NSEC)>,
    hashed: Option<Hashed<'m>>,
}

impl<'m> Denials<'m> {
    /// Those among proven records.
    pub(super) fn among(proven: &[&'m Record]) -> Self {
        let nsecs = proven.iter().filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC(nsec)) => Some((&record.name, nsec)),
            _ => None,
        });
        Self { nsecs: nsecs.collect(), hashed: Hashed::among(proven) }
    }

    /// Whether they deny this: secure; insecure, where it may well be there, unsigned; or bogus, where they don't.
    pub(super) fn deny(&self, claim: Claim<'_>) -> Proof {
        if self.by_nsec(claim) {
            return Proof::Secure;
        }
        self.hashed.as_ref().map_or(Proof::Bogus, |hashed| hashed.deny(claim))
    }

    /// Whether they show that an answer for `owner`, made from a wildcard that stands below `labels` labels, is from the closest
    /// one, and nothing is at the name itself (RFC 4035 §5.3.4, RFC 5155 §8.8). `signer` is the zone of the wildcard.
    pub(super) fn deny_closer(&self, owner: &Name, labels: u8, signer: &Name) -> Proof {
        let closest = |(name, nsec): &(&Name, &NSEC)| {
            covers(name, nsec, owner) && encloser(name, nsec, owner).iter().count() == usize::from(labels)
        };
        if self.nsecs.iter().any(closest) {
            return Proof::Secure;
        }
        self.hashed.as_ref().map_or(Proof::Bogus, |hashed| hashed.deny_closer(owner, labels, signer))
    }

    /// Whether they say that another zone begins at a name.
    pub(super) fn is_cut(&self, name: &Name) -> bool {
        let by_name = self.nsecs.iter().any(|(owner, nsec)| *owner == name && is_cut(nsec.type_set()));
        by_name
            || self.hashed.as_ref().is_some_and(|hashed| hashed.at(name).is_some_and(|nsec3| is_cut(nsec3.type_set())))
    }

    fn by_nsec(&self, claim: Claim<'_>) -> bool {
        let Claim { name, rtype, whole_name } = claim;
        if self.nsecs.iter().any(|(owner, _nsec)| *owner == name) {
            let at_name = self.nsecs.iter().filter(|(owner, _nsec)| *owner == name);
            return !whole_name && at_name.into_iter().any(|(_owner, nsec)| lacks(nsec.type_set(), rtype, name));
        }
        let Some((owner, nsec)) = self.nsecs.iter().find(|(owner, nsec)| covers(owner, nsec, name)) else {
            return false;
        };
        // Something is below it: it is there, and has nothing (RFC 8020 §2).
        if name.zone_of(nsec.next_domain_name()) {
            return !whole_name;
        }
        let Ok(star) = encloser(owner, nsec, name).prepend_label("*") else { return false };
        let at_star = |(owner, nsec): &(&Name, &NSEC)| **owner == star && lacks(nsec.type_set(), rtype, &star);
        let over_star = |(owner, nsec): &(&Name, &NSEC)| covers(owner, nsec, &star);
        if whole_name { self.nsecs.iter().any(over_star) } else { self.nsecs.iter().any(at_star) }
    }
}

/// Whether a name that has these types has none of this one, as the right side of a zone cut says it: the parent speaks of DS
/// and of nothing else (RFC 6840 §4.1, RFC 4035 §5.2).
pub(super) fn lacks(types: &RecordTypeSet, rtype: RecordType, name: &Name) -> bool {
    let of_right_side = match rtype {
        RecordType::DS => !types.contains(RecordType::SOA) || name.is_root(),
        _ => !is_cut(types),
    };
    let absent = match rtype {
        RecordType::ANY => types.iter().all(|held| matches!(held, RecordType::NSEC | RecordType::RRSIG)),
        _ => !types.contains(rtype) && !types.contains(RecordType::CNAME),
    };
    of_right_side && absent
}

/// Whether a name with these types is where another zone begins.
fn is_cut(types: &RecordTypeSet) -> bool {
    types.contains(RecordType::NS) && !types.contains(RecordType::SOA)
}

/// Whether nothing can be said of what is below a name with these types: another zone, or another name, speaks of that.
pub(super) fn is_of_others_below(types: &RecordTypeSet) -> bool {
    is_cut(types) || types.contains(RecordType::DNAME)
}

/// Whether nothing is at `name`, as the record of `owner` says.
fn covers(owner: &Name, nsec: &NSEC, name: &Name) -> bool {
    let next = nsec.next_domain_name();
    // The last record of a zone leads back to its apex.
    let last = next <= owner && next.zone_of(name);
    let of_others = is_of_others_below(nsec.type_set()) && owner.zone_of(name);
    owner < name && (name < next || last) && !of_others
}

/// The longest name above a name that is not there which is: above one of both ends of what covers it, too.
fn encloser(owner: &Name, nsec: &NSEC, name: &Name) -> Name {
    let shared = |there: &Name| {
        let mut above = there.clone();
        while !above.zone_of(name) {
            above = above.base_name();
        }
        above
    };
    let (left, right) = (shared(owner), shared(nsec.next_domain_name()));
    if left.iter().count() >= right.iter().count() { left } else { right }
}
