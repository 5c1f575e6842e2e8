//! What two policies say of what clients asked, beside each other.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::journal::{NameRow, Tried};
use crate::policy::{Client, Decision, Pattern, PatternKind, Policy};
use crate::time::Timestamp;
use crate::wire::{LowerName, qtype};

/// What a change does to a client that asks for a name again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    /// It gets no answer any more.
    Block,
    /// It gets the answer that it did not get before.
    Release,
    /// It is recorded, no longer recorded, or blocked otherwise.
    Change,
}

impl Effect {
    pub(super) const ALL: [Self; 3] = [Self::Block, Self::Release, Self::Change];

    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Release => "release",
            Self::Change => "change",
        }
    }
}

/// A name for which something else would be done, as one client asked for it.
#[derive(Clone, Debug)]
pub(super) struct Touched {
    pub(super) effect: Effect,
    /// `none`, `allow`, `observe` or an action.
    pub(super) old: &'static str,
    /// The same.
    pub(super) new: &'static str,
    /// Ban and pattern of the rule that decides, or that did.
    pub(super) rule: Option<(String, String)>,
    /// The last time.
    pub(super) last: Timestamp,
    /// Attempts of this name.
    tried: u64,
    /// Attempts of where its answers led.
    led: u64,
    /// Queries in the record of names.
    asked: u64,
}

impl Touched {
    /// How often it was asked for. A query whose answer led to a banned name is in both records.
    pub(super) fn queries(&self) -> u64 {
        self.tried + self.asked.max(self.led)
    }
}

/// Both policies, and whom the difference touches so far.
pub(super) struct Judge<'p> {
    old: &'p Policy,
    new: &'p Policy,
    at: Timestamp,
    /// By client and name.
    pub(super) touched: BTreeMap<IpAddr, BTreeMap<String, Touched>>,
    /// Attempts of which client or name is not known.
    pub(super) nameless: u64,
}

impl<'p> Judge<'p> {
    pub(super) fn new(old: &'p Policy, new: &'p Policy, at: Timestamp) -> Self {
        Self { old, new, at, touched: BTreeMap::new(), nameless: 0 }
    }

    /// Judges what is in the record of names.
    pub(super) fn asked(&mut self, row: &NameRow) {
        if let Some(touched) = self.touch(&row.name, row.client, row.last) {
            touched.asked += row.count;
        }
    }

    /// Judges what is in the record of attempts.
    pub(super) fn tried(&mut self, row: &Tried) {
        let (Some(name), Some(client)) = (&row.qname, row.client) else {
            self.nameless += row.count;
            return;
        };
        let is_of = row.pattern.as_deref().is_none_or(|pattern| is_of(pattern, name));
        if let Some(touched) = self.touch(name, client, row.last) {
            *(if is_of { &mut touched.tried } else { &mut touched.led }) += row.count;
        }
    }

    /// What is done otherwise about a name.
    fn touch(&mut self, name: &str, client: IpAddr, last: Timestamp) -> Option<&mut Touched> {
        let asked = LowerName::parse(name).ok()?;
        let who = Client::at(client);
        let old = self.old.decide(&asked, qtype::A, &who, self.at).decision;
        let new = self.new.decide(&asked, qtype::A, &who, self.at).decision;
        let effect = effect(&old, &new)?;
        let touched = self.touched.entry(client).or_default().entry(name.to_owned()).or_insert_with(|| {
            let rule = if effect == Effect::Release { old.hit() } else { new.hit().or(old.hit()) };
            let rule = rule.map(|hit| (hit.ban.id.to_string(), hit.pattern.to_string()));
            Touched { effect, old: old.as_str(), new: new.as_str(), rule, last, tried: 0, led: 0, asked: 0 }
        });
        touched.last = touched.last.max(last);
        Some(touched)
    }
}

/// The effect of the one decision in place of the other; `None`: the client sees and is seen as before.
fn effect(old: &Decision<'_>, new: &Decision<'_>) -> Option<Effect> {
    let is_free = |decision: &Decision<'_>| matches!(decision, Decision::Pass | Decision::Allow(_));
    let is_enforced = |decision: &Decision<'_>| matches!(decision, Decision::Enforce(..));
    match (is_enforced(old), is_enforced(new)) {
        (false, true) => Some(Effect::Block),
        (true, false) => Some(Effect::Release),
        _ if (is_free(old) && is_free(new)) || old.as_str() == new.as_str() => None,
        _ => Some(Effect::Change),
    }
}

/// Whether an attempt with this pattern was one of the name itself, and not of where its answer led.
fn is_of(pattern: &str, name: &str) -> bool {
    match (Pattern::parse(pattern), LowerName::parse(name)) {
        (Ok(pattern), Ok(_name)) if matches!(pattern.kind(), PatternKind::Glob | PatternKind::Client) => true,
        (Ok(pattern), Ok(name)) => name.is_below(pattern.name()),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_of_the_name_asked_unless_its_rule_is_for_another() {
        assert!(is_of("geo.example", "a.geo.example") && is_of("=geo.example", "geo.example"));
        assert!(!is_of("geo.example", "shop.example") && !is_of("*.geo.example", "geo.example.org"));
        assert!(is_of("ksn-*.geo.example", "ksn-1.geo.example") && is_of("client:192.0.2.0/24", "geo.example"));
        assert!(!is_of("answer:192.0.2.0/24", "geo.example"));
    }
}
