//! Denial by hashes of names (NSEC3, RFC 5155 §8), where zones may have opted out of signing what they delegate.

use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, NSEC3};
use hickory_resolver::proto::dnssec::{Nsec3HashAlgorithm, Proof};
use hickory_resolver::proto::rr::{Name, RData, Record};

use super::denial::{Claim, is_of_others_below, lacks};
use super::{NSEC3_HARD_MAX, NSEC3_SOFT_MAX};

/// Proven NSEC3 records of one zone, made with the same parameters (RFC 5155 §8.2).
pub(super) struct Hashed<'m> {
    zone: Name,
    algorithm: Nsec3HashAlgorithm,
    salt: &'m [u8],
    iterations: u16,
    /// Each with the hash that it stands at.
    records: Vec<(Vec<u8>, &'m NSEC3)>,
}

/// The longest name above a name that is there, and the one below it that is not.
struct Encloser {
    closest: Name,
    next: Name,
}

impl<'m> Hashed<'m> {
    /// Those among proven records; of several zones, those of the first.
    pub(super) fn among(proven: &[&'m Record]) -> Option<Self> {
        let all = proven.iter().filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) => Some((record.name.base_name(), hash_in(&record.name)?, nsec3)),
            _ => None,
        });
        let all: Vec<_> = all.collect();
        let (zone, _hash, first) = all.first()?;
        let (algorithm, salt, iterations) = (first.hash_algorithm(), first.salt(), first.iterations());
        let same =
            |other: &NSEC3| (other.hash_algorithm(), other.salt(), other.iterations()) == (algorithm, salt, iterations);
        let zone = zone.clone();
        let of_zone = all.into_iter().filter(|(other, _hash, nsec3)| *other == zone && same(nsec3));
        let records = of_zone.map(|(_zone, hash, nsec3)| (hash, nsec3)).collect();
        Some(Self { zone, algorithm, salt, iterations, records })
    }

    /// As [`Denials::deny`](super::denial::Denials::deny).
    pub(super) fn deny(&self, claim: Claim<'_>) -> Proof {
        let Claim { name, rtype, whole_name } = claim;
        if let Some(unusable) = self.unusable(name) {
            return unusable;
        }
        if let Some(nsec3) = self.at(name) {
            let denied = !whole_name && lacks(nsec3.type_set(), rtype, name);
            return if denied { Proof::Secure } else { Proof::Bogus };
        }
        let Some(Encloser { closest, next }) = self.encloser(name) else { return Proof::Bogus };
        let (Some(over), Ok(star)) = (self.over(&next), closest.prepend_label("*")) else { return Proof::Bogus };
        let settled = if whole_name {
            self.over(&star).is_some()
        } else {
            self.at(&star).is_some_and(|nsec3| lacks(nsec3.type_set(), rtype, &star))
        };
        match (over.opt_out(), settled) {
            // Under it there may be zones that are not signed, whose names are not there for it (RFC 5155 §8.6, §9.2).
            (true, true) => Proof::Insecure,
            (true, false) if !whole_name => Proof::Insecure,
            (false, true) => Proof::Secure,
            (_, false) => Proof::Bogus,
        }
    }

    /// As [`Denials::deny_closer`](super::denial::Denials::deny_closer).
    pub(super) fn deny_closer(&self, owner: &Name, labels: u8, signer: &Name) -> Proof {
        // A zone above the wildcard's own has no hash of what is below it, and so covers every one.
        if self.zone != *signer {
            return Proof::Bogus;
        }
        if let Some(unusable) = self.unusable(owner) {
            return unusable;
        }
        let next = owner.trim_to(usize::from(labels) + 1);
        match self.over(&next).map(NSEC3::opt_out) {
            Some(true) => Proof::Insecure,
            Some(false) => Proof::Secure,
            None => Proof::Bogus,
        }
    }

    /// What is to be said without looking: these are another zone's, or cost more than they are worth (RFC 9276 §3.2).
    fn unusable(&self, name: &Name) -> Option<Proof> {
        if !self.zone.zone_of(name) || self.iterations > NSEC3_HARD_MAX {
            return Some(Proof::Bogus);
        }
        (self.iterations > NSEC3_SOFT_MAX).then_some(Proof::Insecure)
    }

    /// The closest encloser of a name that is not there (RFC 5155 §8.3): a zone's apex always is. None, if others speak of what
    /// is below it: a name under a zone cut is no business of the zone above.
    fn encloser(&self, name: &Name) -> Option<Encloser> {
        let mut next = name.clone();
        while next != self.zone {
            let closest = next.base_name();
            let there = self.at(&closest);
            if closest == self.zone || there.is_some() {
                let of_others = there.is_some_and(|nsec3| is_of_others_below(nsec3.type_set()));
                return (!of_others).then_some(Encloser { closest, next });
            }
            next = closest;
        }
        None
    }

    /// The record at a name.
    pub(super) fn at(&self, name: &Name) -> Option<&'m NSEC3> {
        let hash = self.hash(name)?;
        self.records.iter().find(|(own, _nsec3)| *own == hash).map(|(_own, nsec3)| *nsec3)
    }

    /// The record that says that nothing is at a name.
    fn over(&self, name: &Name) -> Option<&'m NSEC3> {
        let hash = self.hash(name)?;
        let hash = hash.as_slice();
        let covers = |(own, nsec3): &&(Vec<u8>, &NSEC3)| {
            let (own, next) = (own.as_slice(), nsec3.next_hashed_owner_name());
            // The last record of a zone leads back to its first.
            own != hash && if own < next { own < hash && hash < next } else { own < hash || hash < next }
        };
        self.records.iter().find(covers).map(|(_own, nsec3)| *nsec3)
    }

    fn hash(&self, name: &Name) -> Option<Vec<u8>> {
        self.algorithm.hash(self.salt, name, self.iterations).ok().map(|digest| digest.as_ref().to_vec())
    }
}

/// The hash in the first label of an NSEC3 record's name.
fn hash_in(owner: &Name) -> Option<Vec<u8>> {
    let label = owner.iter().next()?.to_ascii_lowercase();
    data_encoding::BASE32_DNSSEC.decode(&label).ok()
}
