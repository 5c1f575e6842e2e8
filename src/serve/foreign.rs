//! Queries that were asked of another resolver: judged by the policy in force, and recorded like those that we answer.

use std::net::IpAddr;

use super::guard::{Guard, InForce};
use crate::journal::Attempt;
use crate::metrics::Did;
use crate::policy::{AskedElsewhere, Hit, Holder, Met, Named, SiteIndex};
use crate::time::Timestamp;
use crate::wire::{LowerName, Transport};

/// A query that somebody else was asked.
#[derive(Clone, Copy, Debug)]
pub struct Foreign<'a> {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub client: IpAddr,
    /// The name.
    pub name: &'a LowerName,
    /// The type.
    pub qtype: u16,
    /// How it came.
    pub transport: Transport,
}

impl Foreign<'_> {
    fn met<'p>(&self, in_force: &'p InForce) -> impl Iterator<Item = Met<'p>> + use<'p> {
        let &Self { at, client, name, qtype, transport } = self;
        let roster = &in_force.roster;
        let device = if roster.is_empty() { Named::NOBODY } else { roster.named(Holder::Address(client)) };
        let asked = AskedElsewhere { client, device, over_stream: transport.proves_address(), name, qtype };
        in_force.policy.met_elsewhere(&in_force.exemptions, &asked, at)
    }
}

impl Guard {
    /// Whether the query is an attempt; `None`: there is no policy yet. Its client is noted as active; one that is none is noted
    /// by its name, where names are recorded.
    pub fn is_foreign_attempt(&self, foreign: &Foreign<'_>) -> Option<bool> {
        let in_force = self.in_force()?;
        self.journal.note_active((foreign.client, None), foreign.at, || in_force.site_of(foreign.client));
        let is_attempt = foreign.met(&in_force).next().is_some();
        if !is_attempt && self.journal.keeps_names() {
            self.journal.note_name(foreign.name, foreign.client, foreign.at);
        }
        Some(is_attempt)
    }

    /// Records the attempts that the query is, to which the other resolver did this. What we would have done is not said: we did
    /// nothing.
    pub fn record_foreign(&self, foreign: &Foreign<'_>, did: Did) {
        let Some(in_force) = self.in_force() else { return };
        for Met { hit, spared } in foreign.met(&in_force) {
            self.count_foreign(&in_force, foreign, &hit, if spared { did.spared_here() } else { did });
        }
    }

    fn count_foreign(&self, in_force: &InForce, foreign: &Foreign<'_>, hit: &Hit<'_>, did: Did) {
        let site = in_force.policy.who().of(foreign.client).site().map(|SiteIndex(index)| usize::from(index));
        in_force.counters.count(&**self.metrics(), site, hit.series, did);
        self.journal.record(&Attempt {
            at: foreign.at,
            client: foreign.client,
            told: None,
            series: in_force.recorded[site.map_or(0, |site| site + 1)][hit.series],
            qname: foreign.name,
            qtype: foreign.qtype,
            pattern: hit.pattern,
            action: did,
            transport: foreign.transport,
            verified: foreign.transport.proves_address(),
        });
    }
}
