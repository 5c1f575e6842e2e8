//! What policy says of a client that connects by a name instead of asking for it: it was sent here by an answer of ours, by
//! one that it kept, or by hand.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::client::Client;
use super::guard::Guard;
use crate::policy::{Ban, Decision, Evidence, Hit};
use crate::time::Timestamp;
use crate::wire::{LowerName, Transport, qtype};

/// What the bans say of a name that a client connects by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Knock {
    /// Where the client is.
    pub site: Arc<str>,
    /// Every ban that has a rule for the name, whatever it does to this client.
    pub hits: Vec<(Arc<Ban>, Evidence)>,
    /// The ban that keeps the client from the name, if one does, and from when on.
    pub blocked: Option<(Arc<Ban>, Option<Timestamp>)>,
}

impl Guard {
    /// Whether a client at this address is served: whoever is not learns nothing, not even what is banned.
    pub fn serves(&self, client: IpAddr) -> bool {
        self.admission().allows(client)
    }

    /// Judges a connection to the block page; `None`: no policy is in force yet.
    pub fn judge_connection(&self, name: &LowerName, client: SocketAddr, at: Timestamp) -> Option<Knock> {
        let in_force = self.in_force()?;
        let asker = in_force.asker(&Client::new(client, Transport::Tcp));
        let policy = &in_force.policy;
        // As an address is asked for, which is what leads to a connection.
        let judged = policy.decide_sparing(&in_force.exemptions, name, qtype::A, &asker, at);
        let of = |hit: &Hit<'_>| (Arc::clone(hit.ban), hit.evidence);
        let (first, blocked) = match &judged.verdict.decision {
            Decision::Pass | Decision::Allow(_) => (None, None),
            Decision::Observe(hit) => (Some(of(hit)), None),
            Decision::Enforce(hit, _blocked) => {
                let since = policy.enforced_from(hit.ban, &asker);
                (Some(of(hit)), Some((Arc::clone(hit.ban), since)))
            }
        };
        let also = judged.verdict.also.iter().map(of);
        let spared = judged.hits.iter().map(|spared| of(&spared.hit));
        let site = in_force.site_of(asker.address);
        Some(Knock { site, hits: first.into_iter().chain(also).chain(spared).collect(), blocked })
    }
}
