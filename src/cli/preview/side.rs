//! One of the two policies, and what it says of a query as the server would.

use std::net::IpAddr;
use std::path::Path;

use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::{exempt, known};
use crate::config::Settings;
use crate::metrics::Did;
use crate::policy::{
    Client, Decision, Exemptions, Group, Hit, Holder, Pattern, PatternKind, PatternRef, Policy, Roster, Spared,
};
use crate::time::Timestamp;
use crate::wire::{LowerName, qtype};

/// A policy, and whom it spares.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) policy: Policy,
    exemptions: Exemptions,
    /// Which devices hold which addresses now.
    roster: Roster,
}

/// What a client asked, as far as a record holds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) name: &'a LowerName,
    pub(super) client: Client,
    /// Where an answer led.
    pub(super) led: Option<&'a LedTo>,
    /// The name at or below which that was, where the record does not tell it exactly.
    pub(super) base: Option<&'a LowerName>,
}

/// Where an answer led, as far as the pattern of the rule tells that it met: the record holds no more.
#[derive(Clone, Debug)]
pub(super) enum LedTo {
    Name(Box<LowerName>),
    Address(IpAddr),
}

/// What is done about a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'p> {
    /// `none`, `allow`, `observe`, `exempt` or an action.
    pub(super) word: &'static str,
    /// Whether the client gets an answer of ours.
    pub(super) enforced: bool,
    /// The rule that decides; of a spared client, the one that it is spared.
    pub(super) hit: Option<Hit<'p>>,
}

impl Side {
    /// These settings, as their policy and the exemptions that stand beside them make them.
    pub(super) fn new(
        policy: Policy,
        (settings, state_dir): (&Settings, &Path),
        console: &mut Console<'_>,
    ) -> Result<Self, Failure> {
        let all = exempt::all(settings, Some(state_dir), console.now, console)?;
        let all: Vec<_> = all.into_iter().map(|(exemption, _terms)| exemption).collect();
        let devices = known::devices(settings, Some(state_dir), console)?;
        let roster = policy.with_groups(known::roster(settings, &all, &devices, console.now));
        let exemptions = Exemptions::with_devices(&all, &policy, &roster);
        Ok(Self { policy, exemptions, roster })
    }

    /// Of what a client is, by its address.
    pub(super) fn groups(&self, address: IpAddr) -> impl Iterator<Item = &Group> {
        let who = self.policy.who();
        let groups: Vec<_> = who.member(&self.with_device(&Client::at(address))).iter().collect();
        groups.into_iter().map(|index| who.group(index))
    }

    fn with_device(&self, client: &Client) -> Client {
        Client { device: self.roster.named(Holder::Address(client.address.to_canonical())), ..*client }
    }

    /// What is done about a query at a moment: about the name, and where that is not enforced, about where its answer led.
    pub(super) fn says(&self, asked: &Asked<'_>, at: Timestamp) -> Said<'_> {
        let client = &self.with_device(&asked.client);
        let asked = &Asked { client: *client, ..*asked };
        let Asked { name, led, .. } = asked;
        let own = self.policy.decide_sparing(&self.exemptions, name, qtype::A, client, at);
        let said = Said::of(&own);
        let Some(led) = led.filter(|_led| !said.enforced) else { return said };
        let of_answer = Said::of(&self.says_led(asked, led, &own, at));
        // What is said of the answer, or else what is said of the name.
        if of_answer.hit.is_some_and(|hit| !hit.allow) { of_answer } else { said }
    }

    /// What is said of where an answer led, in view of what is said of the name.
    fn says_led(&self, asked: &Asked<'_>, led: &LedTo, own: &Spared<'_>, at: Timestamp) -> Spared<'_> {
        let Asked { name, client, .. } = asked;
        match led {
            LedTo::Name(target) => {
                let spoken = |ban| own.spoken().of_names(ban);
                self.policy.decide_led(&self.exemptions, (target, name), (qtype::A, client, at), spoken)
            }
            LedTo::Address(address) => {
                let spoken = |ban| own.spoken().of_addresses(&self.policy, ban, name, client);
                self.policy.decide_address_sparing(&self.exemptions, *address, name, (client, at), spoken)
            }
        }
    }

    /// Moments after `at` at which a ban or an exemption does something else, until `end`.
    pub(super) fn changes(&self, at: Timestamp, end: Timestamp) -> impl Iterator<Item = Timestamp> {
        let bans = self.policy.bans().iter().flat_map(move |ban| {
            std::iter::successors(ban.next_change(at), |last| ban.next_change(*last))
                .take_while(move |next| *next < end)
        });
        let ends = self.exemptions.ends().filter(move |until| (at..end).contains(until));
        bans.chain(ends)
    }
}

impl LedTo {
    /// Where the answer to `name` led that met a rule with this pattern; `None`: it met the name itself, or nobody can tell.
    pub(super) fn by(pattern: &str, name: &LowerName) -> Option<Self> {
        let read = Pattern::parse(pattern).ok()?;
        if read.kind() == PatternKind::Client || read.matches(name) {
            return None;
        }
        if let Some(network) = read.network() {
            return Some(Self::Address(network.network()));
        }
        some_name(pattern).map(Self::Name)
    }

    /// The name at or below which an answer led that met a rule with this pattern; `None`: the pattern is no name with all below.
    pub(super) fn base(pattern: &str) -> Option<LowerName> {
        let kind = Pattern::parse(pattern).ok()?.kind();
        let is_wide = matches!(kind, PatternKind::Suffix | PatternKind::Below);
        is_wide.then(|| LowerName::parse(pattern.trim_start_matches("*.")).ok()).flatten()
    }

    /// Where it may have led of which a rule speaks that is for names below `base`.
    pub(super) fn within(rule: PatternRef<'_>, base: &LowerName) -> Option<Self> {
        let is_name = !matches!(rule.kind, PatternKind::Answer | PatternKind::Client) && !rule.allow;
        if !is_name || !rule.wire.ends_with(base.wire()) {
            return None;
        }
        some_name(&rule.to_string()).filter(|name| **name != *base && name.is_below(base)).map(Self::Name)
    }
}

/// Some name that a pattern holds.
fn some_name(pattern: &str) -> Option<Box<LowerName>> {
    LowerName::parse(&pattern.trim_start_matches(['!', '=']).replace('*', "x")).ok().map(Box::new)
}

impl<'p> Said<'p> {
    fn of(spared: &Spared<'p>) -> Self {
        let decision = &spared.verdict.decision;
        let enforced = matches!(decision, Decision::Enforce(..));
        match spared.hits.first() {
            Some(free) if !enforced => Self { word: Did::Exempt.as_str(), enforced, hit: Some(free.hit) },
            _ => Self { word: decision.as_str(), enforced, hit: decision.hit().copied() },
        }
    }

    /// Whether it is answered and not recorded.
    pub(super) fn is_free(&self) -> bool {
        self.hit.is_none_or(|hit| hit.allow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_of_the_name_asked_unless_its_rule_is_for_another() {
        let led = |pattern: &str, name: &str| match LedTo::by(pattern, &LowerName::parse(name).unwrap())? {
            LedTo::Name(name) => Some(name.to_string()),
            LedTo::Address(address) => Some(address.to_string()),
        };
        assert_eq!((led("geo.example", "a.geo.example"), led("=geo.example", "geo.example")), (None, None));
        assert_eq!(
            (led("ksn-*.geo.example", "ksn-1.geo.example"), led("client:192.0.2.0/24", "a.example")),
            (None, None)
        );
        assert_eq!(led("geo.example", "shop.example").as_deref(), Some("geo.example"));
        assert_eq!(led("*.geo.example", "geo.example.org").as_deref(), Some("x.geo.example"));
        assert_eq!(led("ksn-*.geo.example", "shop.example").as_deref(), Some("ksn-x.geo.example"));
        assert_eq!(led("answer:192.0.2.0/24", "geo.example").as_deref(), Some("192.0.2.0"));
    }
}
