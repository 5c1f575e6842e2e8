//! Where each count of the way of a query stands in a block.
//!
//! To add one: a place here, a method of [`Tally`](super::Tally) that counts it, and the family that shows it.

use super::labels::{DropReason, Family, Outcome, QTYPE_COUNT, RCODE_COUNT};
use super::latency::BUCKET_COUNT;
use crate::wire::Transport;

/// The place of one count, the same in every block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub(super) usize);

/// Messages read, by transport, family and query type.
const REQUESTS: usize = 0;
/// How queries ended, by outcome. What one response counts stands close together: its rcode, its bucket, its time.
const ENDS: usize = REQUESTS + Transport::ALL.len() * Family::ALL.len() * QTYPE_COUNT;
const END_RCODE: usize = 1;
const END_BUCKET: usize = END_RCODE + RCODE_COUNT;
const END_SIZE: usize = END_BUCKET + BUCKET_COUNT;
/// Messages without a response, by reason.
const DROPPED: usize = ENDS + Outcome::ALL.len() * END_SIZE;
const SINGLE: usize = DROPPED + DropReason::ALL.len();
/// Number of places that are known when Embargo is compiled; those of the policy's series follow.
pub(super) const FIXED: usize = SINGLE + 5;

impl Place {
    /// Queries for which the cache was asked.
    pub(super) const CACHE_REQUESTS: Self = Self(SINGLE);
    /// Queries answered from the cache.
    pub(super) const CACHE_HITS: Self = Self(SINGLE + 1);
    /// Attempts given to the journal.
    pub(super) const JOURNAL_EVENTS: Self = Self(SINGLE + 2);
    /// Queries answered with a failure that is kept.
    pub(super) const CACHE_FAILURE_HITS: Self = Self(SINGLE + 3);
    /// Responses cut down to TC.
    pub(super) const RATE_LIMITED: Self = Self(SINGLE + 4);

    /// Messages of one transport and family; `qtype` is the place of a query type's label.
    pub(super) fn request(transport: Transport, family: Family, qtype: usize) -> Self {
        Self(REQUESTS + (transport as usize * Family::ALL.len() + family.index()) * QTYPE_COUNT + qtype)
    }

    /// Responses of one outcome; `rcode` is the place of an rcode's label.
    pub(super) fn response(outcome: Outcome, rcode: usize) -> Self {
        Self(ENDS + outcome.index() * END_SIZE + END_RCODE + rcode)
    }

    /// Responses of one outcome whose time is in one bucket.
    pub(super) fn bucket(outcome: Outcome, bucket: usize) -> Self {
        Self(ENDS + outcome.index() * END_SIZE + END_BUCKET + bucket)
    }

    /// Microseconds that the responses of one outcome took.
    pub(super) fn micros(outcome: Outcome) -> Self {
        Self(ENDS + outcome.index() * END_SIZE)
    }

    /// Messages dropped for one reason.
    pub(super) fn dropped(reason: DropReason) -> Self {
        Self(DROPPED + reason.index())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_counts_share_a_place_and_none_is_unused() {
        let mut places = Vec::from([
            Place::CACHE_REQUESTS,
            Place::CACHE_HITS,
            Place::JOURNAL_EVENTS,
            Place::CACHE_FAILURE_HITS,
            Place::RATE_LIMITED,
        ]);
        for transport in Transport::ALL {
            for family in Family::ALL {
                places.extend((0..QTYPE_COUNT).map(|qtype| Place::request(transport, family, qtype)));
            }
        }
        for outcome in Outcome::ALL {
            places.push(Place::micros(outcome));
            places.extend((0..RCODE_COUNT).map(|rcode| Place::response(outcome, rcode)));
            places.extend((0..BUCKET_COUNT).map(|bucket| Place::bucket(outcome, bucket)));
        }
        places.extend(DropReason::ALL.map(Place::dropped));
        let distinct: BTreeSet<Place> = places.iter().copied().collect();
        assert_eq!((places.len(), distinct.len()), (FIXED, FIXED));
        assert_eq!(distinct.last(), Some(&Place(FIXED - 1)));
    }
}
