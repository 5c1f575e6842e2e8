//! What logs are judged by: the policy and the exemptions as they are now, and who held which address when it asked.

use std::net::IpAddr;

use crate::identity::Holdings;
use crate::policy::{Exemptions, Holder, Named, Policy, Roster};
use crate::time::Timestamp;

/// What queries of logs are judged by.
#[derive(Debug)]
pub struct Rules<'s> {
    /// The policy.
    pub policy: &'s Policy,
    /// Who is spared.
    pub exemptions: &'s Exemptions,
    /// The devices that exemptions and groups name.
    pub roster: &'s Roster,
    /// Which of these held an address when.
    pub holdings: &'s Holdings,
}

impl Rules<'_> {
    /// The device that asked from an address at a moment, if somebody names it.
    pub(super) fn device(&self, client: IpAddr, at: Timestamp) -> Named {
        let held = self.holdings.at(client, at);
        held.map_or(Named::NOBODY, |number| self.roster.named(Holder::Told(number)))
    }
}
