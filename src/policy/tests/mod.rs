//! What policy says, from rules as an operator writes them.

mod address;
mod decide;
mod exempt;
mod explain;
mod guards;
mod model;
mod pattern;
mod table;
mod terms;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::diag::{Diagnostic, Source};
use crate::time::Timestamp;
use crate::wire::{LowerName, Name, qtype};

/// Of no group.
const CLIENT: Client = Client::at(IpAddr::V4(Ipv4Addr::LOCALHOST));
/// Of the second of the groups that [`World::with_groups`] makes.
const MEMBER: Client = Client::at(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));

/// A ban that takes this stance.
fn taking(stance: Stance, id: &str) -> Ban {
    Ban { stance, ..Ban::named(id) }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn name(text: &str) -> LowerName {
    LowerName::parse(text).unwrap()
}

/// Bans with their rules on the way to a policy.
struct World {
    builder: PolicyBuilder,
    warnings: Vec<Diagnostic>,
}

impl World {
    fn new() -> Self {
        Self::protecting(&[])
    }

    fn protecting(names: &[&str]) -> Self {
        let names = names.iter().map(|text| Name::parse(text).unwrap()).collect();
        Self { builder: PolicyBuilder::new(0x5EED, names), warnings: Vec::new() }
    }

    /// Two groups: `elsewhere` and `lab`.
    fn with_groups(mut self) -> Self {
        let group = |id: &str, network: &str| Group {
            id: id.into(),
            kind: GroupKind::Group,
            networks: vec![network.parse().unwrap()],
            devices: Vec::new(),
        };
        self.builder =
            self.builder.knowing(Who::new(vec![group("elsewhere", "198.51.100.0/24"), group("lab", "192.0.2.0/24")]));
        self
    }

    /// Adds a ban with one list.
    fn ban(mut self, ban: Ban, rules: &str) -> Self {
        let list = format!("{}/rules.txt", ban.id);
        let index = self.builder.ban(ban);
        self.list(index, &list, rules);
        self
    }

    fn list(&mut self, ban: BanIndex, source: &str, rules: &str) {
        let source = Source::new(source, rules);
        let info = ListInfo::new(Arc::clone(&source.name), ban, ListFormat::Rules, "00");
        let list = self.builder.list(info);
        let (builder, warnings) = (&mut self.builder, &mut self.warnings);
        let parsed = ListFormat::Rules.parse(&source, Strictness::Strict, &mut |rule, line| {
            if let Err(refused) = builder.rule(list, rule) {
                warnings.push(line.warning(refused.to_string()));
            }
        });
        assert_eq!(parsed.diagnostics, [], "{rules}");
    }

    fn warned(self) -> (Policy, Vec<String>) {
        let (policy, diagnostics) = self.builder.build(1);
        (policy, self.warnings.into_iter().chain(diagnostics).map(|warning| warning.to_string()).collect())
    }

    fn build(self) -> Policy {
        let (policy, warnings) = self.warned();
        assert_eq!(warnings, [""; 0]);
        policy
    }
}

/// A verdict in one line: what is done, by which rule of which ban, the SOA's owner, and the other bans' winners.
fn shown(policy: &Policy, text: &str, qtype: u16, at: Timestamp) -> String {
    shown_to(policy, text, qtype, &CLIENT, at)
}

/// The same, for a client.
fn shown_to(policy: &Policy, text: &str, qtype: u16, client: &Client, at: Timestamp) -> String {
    let asked = name(text);
    in_words(&policy.decide(&asked, qtype, client, at), &asked)
}

/// What a verdict says of a name.
fn in_words(verdict: &Verdict<'_>, asked: &LowerName) -> String {
    let rule = |hit: &Hit<'_>| format!("{}/{}", hit.ban.id, hit.pattern);
    let first = match &verdict.decision {
        Decision::Pass => "pass".to_owned(),
        Decision::Allow(hit) => format!("allow {}", rule(hit)),
        Decision::Observe(hit) => format!("observe {}", rule(hit)),
        Decision::Enforce(hit, blocked) => {
            let (soa, _end) = LowerName::read(asked.suffix(blocked.soa_labels), 0).unwrap();
            let action = match blocked {
                Blocked { action: Action::Nxdomain, nxdomain: false, .. } => "nxdomain-as-nodata",
                Blocked { action, .. } => action.as_str(),
            };
            format!("{action} {} soa {soa}", rule(hit))
        }
    };
    let also = verdict.also.iter().map(|hit| format!("{} {}", hit.effect.as_str(), rule(hit)));
    [first].into_iter().chain(also).collect::<Vec<_>>().join(", ")
}

#[track_caller]
fn check(policy: &Policy, name: &str, expected: &str) {
    assert_eq!(shown(policy, name, qtype::A, time("2030-01-01T00:00:00Z")), expected, "{name}");
}
