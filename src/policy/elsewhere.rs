//! Queries that another resolver was asked: judged as if they had been asked here, whoever tells of them, a stream or a log.

use std::net::IpAddr;

use super::exempt::{Exemptions, Spared, SparedHit};
use super::policy::Policy;
use super::roster::Named;
use super::verdict::{Client, Decision, Hit};
use crate::time::Timestamp;
use crate::wire::LowerName;

/// A query that somebody else was asked.
#[derive(Clone, Copy, Debug)]
pub struct AskedElsewhere<'q> {
    /// Who asked.
    pub client: IpAddr,
    /// What device that is, if somebody names it.
    pub device: Named,
    /// Whether it came over a stream.
    pub over_stream: bool,
    /// The name.
    pub name: &'q LowerName,
    /// The type.
    pub qtype: u16,
}

/// A rule that the query has met: an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Met<'p> {
    /// The rule.
    pub hit: Hit<'p>,
    /// Whether an exemption would have spared the client here.
    pub spared: bool,
}

impl Policy {
    /// The rules that a query asked elsewhere has met, at this moment; none: it is no attempt.
    #[inline]
    pub fn met_elsewhere<'p>(
        &'p self,
        exemptions: &Exemptions,
        asked: &AskedElsewhere<'_>,
        at: Timestamp,
    ) -> impl Iterator<Item = Met<'p>> + use<'p> {
        let &AskedElsewhere { client, device, over_stream, name, qtype } = asked;
        let client = Client { over_stream, device, ..Client::at(client) };
        let Spared { verdict, hits } = self.decide_sparing(exemptions, name, qtype, &client, at);
        let first = match verdict.decision {
            Decision::Observe(hit) | Decision::Enforce(hit, _) => Some(hit),
            Decision::Allow(_) | Decision::Pass => None,
        };
        let met = first.into_iter().chain(verdict.also).map(|hit| Met { hit, spared: false });
        met.chain(hits.into_iter().map(|SparedHit { hit, .. }| Met { hit, spared: true }))
    }
}
