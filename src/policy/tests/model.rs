//! The table against a model that looks at every rule for every name.

use std::collections::HashSet;
use std::ops::Range;

use proptest::prelude::*;

use super::*;

const LABELS: [&str; 4] = ["a", "b", "ab", "ba"];
const STARS: [&str; 6] = ["*", "a*", "*b", "a*b", "*a*", "b"];

/// A rule as the test writes it; `labels` from the left, without the last one, `example`.
#[derive(Clone, Debug)]
struct Made {
    ban: usize,
    allow: bool,
    /// Nothing, `=`, `*.` or `glob`.
    kind: &'static str,
    labels: Vec<&'static str>,
    columns: &'static str,
}

impl Made {
    fn name(&self) -> Vec<&'static str> {
        self.labels.iter().copied().chain(["example"]).collect()
    }

    fn text(&self) -> String {
        let prefix = self.kind.trim_start_matches("glob");
        format!("{}{prefix}{}", if self.allow { "!" } else { "" }, self.name().join("."))
    }

    fn line(&self) -> String {
        format!("{} c {}\n", self.text(), if self.allow { "likely" } else { self.columns })
    }

    fn matches(&self, asked: &[&str]) -> bool {
        let name = self.name();
        match self.kind {
            "" => asked.ends_with(&name),
            "=" => asked == name,
            "*." => asked.ends_with(&name) && asked.len() > name.len(),
            _ => asked.len() == name.len() && name.iter().zip(asked).all(|(glob, label)| glob_matches(glob, label)),
        }
    }

    /// More is more specific.
    fn specificity(&self) -> (usize, usize, bool, usize, std::cmp::Reverse<Vec<u8>>) {
        let kind = ["glob", "", "*.", "="].iter().position(|kind| *kind == self.kind).unwrap();
        let wire: Vec<u8> = self
            .name()
            .iter()
            .flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat())
            .collect();
        (self.name().len(), kind, self.allow, wire.len(), std::cmp::Reverse(wire))
    }

    /// `off`, `allow`, `observe` or an action, in a ban of this mode and action.
    fn effect(&self, mode: Mode, action: &'static str) -> &'static str {
        let own = match self.columns {
            _ if self.allow => "allow",
            "likely" | "likely enforce" => action,
            "visit" | "likely observe" => "observe",
            "likely off" => "off",
            "none sinkhole" => "sinkhole",
            "visit nxdomain" => "nxdomain",
            other => panic!("{other}"),
        };
        match mode {
            Mode::Off => "off",
            Mode::Observe if own != "off" && own != "allow" => "observe",
            _ => own,
        }
    }
}

fn glob_matches(glob: &str, label: &str) -> bool {
    match glob.split_at_checked(1) {
        Some(("*", rest)) => (0..=label.len()).any(|taken| glob_matches(rest, label.get(taken..).unwrap())),
        Some((octet, rest)) => label.strip_prefix(octet).is_some_and(|label| glob_matches(rest, label)),
        None => label.is_empty(),
    }
}

fn is_blocking(effect: &str) -> bool {
    !["off", "allow", "observe"].contains(&effect)
}

/// Everything that a verdict depends on.
#[derive(Clone, Debug)]
struct Model {
    bans: Vec<Ban>,
    rules: Vec<Made>,
    /// Who asks.
    client: Client,
}

impl Model {
    /// The rules as the builder takes them: no enforced public suffix, no pattern twice.
    fn new(bans: Vec<Ban>, mut rules: Vec<Made>, client: Client) -> Self {
        let mut seen = HashSet::new();
        rules.retain(|rule| {
            let ban = &bans[rule.ban];
            let refused = rule.labels.is_empty() && is_blocking(rule.effect(ban.ceiling(), ban.stance.action.as_str()));
            !refused && seen.insert((rule.ban, rule.text()))
        });
        Self { bans, rules, client }
    }

    fn policy(&self) -> Policy {
        self.bans
            .iter()
            .enumerate()
            .fold(World::new().with_groups(), |world, (index, ban)| {
                let rules: String = self.rules.iter().filter(|rule| rule.ban == index).map(Made::line).collect();
                world.ban(ban.clone(), &rules)
            })
            .build()
    }

    /// What a ban does to the client of the model.
    fn stance(&self, ban: usize) -> &Stance {
        let term = self.bans[ban].terms.first().filter(|_term| self.client == MEMBER);
        term.map_or(&self.bans[ban].stance, |term| &term.stance)
    }

    /// The winning rule of a ban and what it does.
    fn winner(&self, ban: usize, asked: &[&str], at: Timestamp) -> Option<(&Made, &'static str)> {
        let (ceiling, action) = (self.bans[ban].ceiling(), self.bans[ban].stance.action.as_str());
        let candidates = self.rules.iter().filter(|rule| rule.ban == ban && rule.matches(asked));
        let winner =
            candidates.filter(|rule| rule.effect(ceiling, action) != "off").max_by_key(|rule| rule.specificity())?;
        let stance = self.stance(ban);
        Some((winner, winner.effect(stance.mode_at(at), stance.action.as_str())))
    }

    /// All winners that are not off: the deciding one first.
    fn winners(&self, asked: &[&str], at: Timestamp) -> Vec<(usize, &Made, &'static str)> {
        let of = |ban| self.winner(ban, asked, at).map(|(rule, effect)| (ban, rule, effect));
        let mut winners: Vec<_> =
            (0..self.bans.len()).filter_map(of).filter(|(_, _, effect)| *effect != "off").collect();
        winners.sort_by_key(|(ban, _, effect)| {
            (!is_blocking(effect), *effect == "allow", Arc::clone(&self.bans[*ban].id))
        });
        winners
    }

    /// The verdict as [`shown`] prints it, NXDOMAIN and NODATA not told apart.
    fn verdict(&self, asked: &[&str], at: Timestamp) -> String {
        let winners = self.winners(asked, at);
        let Some(((ban, rule, effect), others)) = winners.split_first() else {
            return "pass".to_owned();
        };
        let by = |ban: usize, rule: &Made| format!("{}/{}", self.bans[ban].id, rule.text());
        let first = match by(*ban, rule) {
            rule if is_blocking(effect) => format!("{effect} {rule} soa {}", self.soa(*ban, asked, at)),
            rule => format!("{effect} {rule}"),
        };
        let others = others.iter().filter(|(_, _, effect)| *effect != "allow");
        let others = others.map(|(ban, rule, effect)| format!("{effect} {}", by(*ban, rule)));
        [first].into_iter().chain(others).collect::<Vec<_>>().join(", ")
    }

    fn soa(&self, ban: usize, asked: &[&str], at: Timestamp) -> String {
        let enforced = |labels: &usize| {
            let (rule, effect) = self.winner(ban, &asked[asked.len() - labels..], at)?;
            is_blocking(effect).then_some(rule)
        };
        let labels = (1..=asked.len()).find(|labels| enforced(labels).is_some()).unwrap();
        let is_glob = enforced(&labels).unwrap().kind == "glob";
        let labels = if is_glob && labels > 2 { labels - 1 } else { labels };
        asked[asked.len() - labels..].join(".")
    }

    fn ttl_cap(&self, asked: &[&str], at: Timestamp) -> Option<i64> {
        let answers = |time| {
            let of =
                |ban| self.winner(ban, asked, time).map(|(_, effect)| if effect == "allow" { "off" } else { effect });
            (0..self.bans.len()).map(of).collect::<Vec<_>>()
        };
        let dates = (0..self.bans.len())
            .flat_map(|ban| [self.stance(ban).observe_from, self.stance(ban).enforce_from])
            .flatten();
        let change = dates.filter(|date| *date > at && answers(*date) != answers(at)).min();
        let seconds = change.map(|change| change.as_second() - at.as_second());
        let observed = self.winners(asked, at).first().is_some_and(|(_, _, effect)| *effect == "observe");
        if observed { Some(seconds.unwrap_or(300).min(300)) } else { seconds }
    }
}

fn at(day: i64) -> Timestamp {
    Timestamp::from_second(day * 86_400).unwrap()
}

fn made(labels: &'static [&'static str]) -> impl Strategy<Value = Made> {
    let columns = [
        "likely",
        "likely",
        "likely enforce",
        "visit",
        "likely observe",
        "likely off",
        "none sinkhole",
        "visit nxdomain",
    ];
    let literal =
        (prop::sample::select(vec!["", "", "=", "*."]), prop::collection::vec(prop::sample::select(labels), 0..4));
    let glob = (
        Just("glob"),
        (
            prop::sample::select(STARS[..5].to_vec()),
            prop::collection::vec(prop::sample::select(STARS.to_vec()), 0..3),
            0..3_usize,
        ),
    )
        .prop_map(|(kind, (star, mut labels, at))| {
            labels.insert(at.min(labels.len()), star);
            // A star alone in front would make it another kind.
            if labels[0] == "*" {
                labels[0] = "a*";
            }
            (kind, labels)
        });
    let name = prop_oneof![4 => literal, 1 => glob];
    (0..3_usize, prop::bool::weighted(0.2), name, prop::sample::select(columns.to_vec()))
        .prop_map(|(ban, allow, (kind, labels), columns)| Made { ban, allow, kind, labels, columns })
}

fn stance() -> impl Strategy<Value = Stance> {
    let date = || prop_oneof![2 => Just(None), 1 => (1..9_i64).prop_map(|day| Some(at(day)))];
    let mode = prop::sample::select(vec![Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Observe, Mode::Off]);
    let action = prop::sample::select(vec![Action::Nxdomain, Action::Nxdomain, Action::Nxdomain, Action::Refuse]);
    (date(), date(), mode, action).prop_map(|(observe_from, enforce_from, mode, action)| Stance {
        mode,
        observe_from,
        enforce_from,
        action,
        ..Stance::default()
    })
}

fn any_ban(id: &'static str) -> impl Strategy<Value = Ban> {
    let term = stance().prop_map(|stance| Term { groups: vec![GroupIndex(1)], stance });
    (stance(), prop_oneof![2 => Just(None), 1 => term.prop_map(Some)])
        .prop_map(move |(stance, term)| Ban { terms: term.into_iter().collect(), ..taking(stance, id) })
}

fn model(labels: &'static [&'static str], rules: Range<usize>) -> impl Strategy<Value = Model> {
    // Not in the order of their ids.
    let client = prop::sample::select(vec![CLIENT, MEMBER]);
    ((any_ban("m"), any_ban("z"), any_ban("b")), prop::collection::vec(made(labels), rules), client)
        .prop_map(|((m, z, b), rules, client)| Model::new(vec![m, z, b], rules, client))
}

fn asked() -> impl Strategy<Value = Vec<&'static str>> {
    let label = prop::sample::select(vec!["a", "b", "ab", "ba", "aab", "x"]);
    (prop::collection::vec(label, 0..5), prop::sample::select(vec!["example", "example", "example", "test"]))
        .prop_map(|(labels, last)| labels.into_iter().chain([last]).collect())
}

/// Every name of these labels up to a depth, below `example`.
fn tree(labels: &[&'static str], depth: usize) -> Vec<Vec<&'static str>> {
    let mut names = vec![vec!["example"]];
    let mut from = 0;
    for _ in 0..depth {
        let above = from..names.len();
        from = names.len();
        for index in above {
            names.extend(labels.iter().map(|label| [&[*label], names[index].as_slice()].concat()).collect::<Vec<_>>());
        }
    }
    names
}

/// Whether a name is answered with NXDOMAIN: `None` if it is not enforced so at all.
fn nxdomain(policy: &Policy, asked: &[&str], client: &Client, at: Timestamp) -> Option<bool> {
    match policy.decide(&name(&asked.join(".")), qtype::A, client, at).decision {
        Decision::Enforce(_, blocked) if blocked.action == Action::Nxdomain => Some(blocked.nxdomain),
        _ => None,
    }
}

/// All of a verdict but whether NXDOMAIN is said.
fn said(verdict: &Verdict<'_>) -> (Option<Blocked>, Vec<String>, Option<u32>) {
    let hits = verdict.decision.hit().into_iter().chain(&verdict.also);
    let hits = hits.map(|hit| format!("{} {} {:?}", hit.ban.id, hit.pattern, hit.effect)).collect();
    let blocked = match verdict.decision {
        Decision::Enforce(_, blocked) => Some(Blocked { nxdomain: false, ..blocked }),
        _ => None,
    };
    (blocked, hits, verdict.ttl_cap)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_table_says_what_a_look_at_every_rule_says(
        model in model(&LABELS, 0..14), names in prop::collection::vec(asked(), 1..20), day in 0..10_i64,
    ) {
        let (policy, at) = (model.policy(), at(day));
        for asked in names {
            let text = asked.join(".");
            prop_assert_eq!(shown_to(&policy, &text, qtype::A, &model.client, at).replace("-as-nodata", ""), model.verdict(&asked, at), "{}", text);
            let verdict = policy.decide(&name(&text), qtype::A, &model.client, at);
            prop_assert_eq!(verdict.ttl_cap.map(i64::from), model.ttl_cap(&asked, at), "{}", text);
            let explanation = policy.explain(&name(&text), qtype::A, &model.client, at);
            // Explaining takes no shortcut.
            prop_assert_eq!(format!("{:?}", explanation.verdict), format!("{verdict:?}"), "{}", text);
            let matching = model.rules.iter().filter(|rule| rule.matches(&asked)).count();
            prop_assert!(explanation.candidates.len() >= matching);
            let winner = explanation.candidates.first().filter(|candidate| candidate.lost.is_none());
            prop_assert_eq!(winner.map(|winner| winner.hit.pattern), verdict.decision.hit().map(|hit| hit.pattern));
        }
    }

    #[test]
    fn what_is_left_out_decides_as_if_it_were_not_there(
        model in model(&LABELS[..2], 0..10), names in prop::collection::vec(asked(), 1..20), ban in 0..3_usize, day in 0..10_i64,
    ) {
        let (policy, at) = (model.policy(), at(day));
        let mut rest = model.clone();
        rest.rules.retain(|rule| rule.ban != ban);
        let alone = rest.policy();
        for asked in names {
            let name = name(&asked.join("."));
            let verdict = policy.decide_without(&name, qtype::A, &model.client, at, |index| index == BanIndex(ban));
            let expected = alone.decide(&name, qtype::A, &model.client, at);
            prop_assert_eq!(said(&verdict), said(&expected), "{:?}", name);
            // What is left out may still keep NXDOMAIN from being said, never the other way round.
            let nxdomain = |verdict: &Verdict<'_>| matches!(&verdict.decision, Decision::Enforce(_, blocked) if blocked.nxdomain);
            prop_assert!(nxdomain(&expected) || !nxdomain(&verdict), "{:?}", name);
        }
    }

    #[test]
    fn below_nxdomain_everything_is_nxdomain(model in model(&LABELS[..2], 0..8), day in 0..10_i64) {
        let (policy, at) = (model.policy(), at(day));
        let nxdomain = |asked: &[&str]| nxdomain(&policy, asked, &model.client, at);
        for parent in tree(&["a", "b"], 2).into_iter().filter(|parent| nxdomain(parent) == Some(true)) {
            for below in tree(&["a", "b", "ab", "x"], 3) {
                let child: Vec<_> = below[..below.len() - 1].iter().chain(&parent).copied().collect();
                prop_assert_eq!(nxdomain(&child), Some(true), "{:?} below {:?}", child, parent);
            }
        }
    }

    #[test]
    fn a_ban_without_exceptions_gives_nxdomain_to_all_it_covers(labels in prop::collection::vec(prop::collection::vec(prop::sample::select(LABELS.to_vec()), 1..4), 1..9), asked in asked()) {
        let rules = labels.into_iter().map(|labels| Made { ban: 0, allow: false, kind: "", labels, columns: "likely" });
        let model = Model::new(vec![Ban::named("v")], rules.collect(), CLIENT);
        let banned = model.winner(0, &asked, at(0)).is_some();
        prop_assert_eq!(nxdomain(&model.policy(), &asked, &CLIENT, at(0)), banned.then_some(true));
    }
}
