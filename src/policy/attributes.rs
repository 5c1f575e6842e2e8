//! What rules have in common, kept once and named by two octets: lists have millions of rules and few kinds of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::ban::{Action, Ban, Evidence, Mode};
use super::pattern::PatternKind;
use super::rule::{Does, Effect, Rule};

/// Different attributes at most: what two octets can name.
pub(super) const ATTRIBUTES_MAX: usize = 1 << 16;

/// What attempts are counted by: the label values of one metric series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The ban's id.
    pub ban: Arc<str>,
    /// The rule's category.
    pub category: Arc<str>,
    /// The rule's evidence.
    pub evidence: Evidence,
}

/// Everything about a rule but its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) ban: usize,
    pub(super) list: usize,
    pub(super) kind: PatternKind,
    pub(super) allow: bool,
    pub(super) category: Arc<str>,
    pub(super) evidence: Evidence,
    /// The fourth column, its default filled in.
    pub(super) does: Does,
    /// The most that the rule does: to clients of which no term of its ban speaks, once every date has come.
    pub(super) ceiling: Effect,
    /// Whether what the rule does depends on the time or on the client.
    pub(super) varies: bool,
    /// Whether it is answered with NXDOMAIN for some clients, and by another action for some.
    pub(super) answers: Answers,
    /// TTL of the ban's answers, in seconds.
    pub(super) ttl: u32,
    /// Index into the series.
    pub(super) series: usize,
}

impl Attributes {
    /// Whether two rules with the same name are the same pattern of the same ban.
    pub(super) fn same_pattern(&self, other: &Self) -> bool {
        (self.ban, self.kind, self.allow) == (other.ban, other.kind, other.allow)
    }

    /// Whether two rules differ in nothing that a lookup shows.
    pub(super) fn same_columns(&self, other: &Self) -> bool {
        self.category == other.category && self.evidence == other.evidence && self.does == other.does
    }
}

/// The fourth column of a rule, its default filled in: what proves no product is watched, not blocked. A rule for clients is
/// about them and proves nothing either way.
pub(super) fn does(rule: &Rule) -> Does {
    rule.does.unwrap_or(match rule.evidence {
        _ if rule.pattern.kind() == PatternKind::Client => Does::Mode(Mode::Enforce),
        Evidence::Visit | Evidence::None => Does::Mode(Mode::Observe),
        _ => Does::Mode(Mode::Enforce),
    })
}

/// How a rule is answered, taking all clients together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    /// Some get NXDOMAIN.
    pub(super) nxdomain: bool,
    /// Some get the answer of another action.
    pub(super) otherwise: bool,
}

impl Answers {
    fn of(does: Does, allow: bool, ban: &Ban) -> Self {
        ban.stances().fold(Self::default(), |answers, stance| {
            match effect(does, allow, stance.action).capped(stance.mode) {
                Effect::Enforce(Action::Nxdomain) => Self { nxdomain: true, ..answers },
                Effect::Enforce(_) => Self { otherwise: true, ..answers },
                Effect::Off | Effect::Allow | Effect::Observe => answers,
            }
        })
    }
}

/// What a rule does where its ban enforces by `action`.
pub(super) fn effect(does: Does, allow: bool, action: Action) -> Effect {
    let (mode, action) = match does {
        Does::Mode(mode) => (mode, action),
        Does::Action(action) => (Mode::Enforce, action),
    };
    let full = if allow { Effect::Allow } else { Effect::Enforce(action) };
    full.capped(mode)
}

/// Whether what a rule does depends on how the query came.
fn asks_for_stream(does: Does, ban: &Ban) -> bool {
    match does {
        Does::Action(action) => action == Action::TcpOnly,
        Does::Mode(_) => ban.stances().any(|stance| stance.action == Action::TcpOnly),
    }
}

/// The most that a rule does.
pub(super) fn ceiling(rule: &Rule, ban: &Ban) -> Effect {
    effect(does(rule), rule.pattern.allow(), ban.stance.action).capped(ban.ceiling())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    list: usize,
    kind: PatternKind,
    allow: bool,
    category: Arc<str>,
    evidence: Evidence,
    does: Does,
}

/// Finds the number of attributes, or gives them one.
#[derive(Debug, Default)]
pub(super) struct Interner {
    rows: Vec<Attributes>,
    numbers: HashMap<Key, u16>,
    series: Vec<Series>,
    series_numbers: HashMap<(usize, Arc<str>, Evidence), usize>,
    /// The number given last: lists stay with one for many lines.
    last: u16,
}

impl Interner {
    /// The number of a rule's attributes; `None` when there are too many different ones.
    pub(super) fn intern(&mut self, list: usize, ban: usize, of: &Ban, rule: &Rule) -> Option<u16> {
        let does = does(rule);
        let (kind, allow) = (rule.pattern.kind(), rule.pattern.allow());
        if let Some(row) = self.rows.get(usize::from(self.last))
            && (row.list, row.kind, row.allow, row.evidence, row.does) == (list, kind, allow, rule.evidence, does)
            && row.category == rule.category
        {
            return Some(self.last);
        }
        let key = Key { list, kind, allow, category: Arc::clone(&rule.category), evidence: rule.evidence, does };
        if let Some(number) = self.numbers.get(&key) {
            self.last = *number;
            return Some(self.last);
        }
        let number = u16::try_from(self.rows.len()).ok()?;
        let series = self.series(ban, of, rule);
        let (category, evidence) = (Arc::clone(&key.category), key.evidence);
        let ceiling = ceiling(rule, of);
        let (varies, answers) = (of.varies() || asks_for_stream(does, of), Answers::of(does, allow, of));
        let ttl = u32::try_from(of.ttl.as_secs()).unwrap_or(u32::MAX);
        let row =
            Attributes { ban, list, kind, allow, category, evidence, does, ceiling, varies, answers, ttl, series };
        self.rows.push(row);
        self.numbers.insert(key, number);
        self.last = number;
        Some(number)
    }

    fn series(&mut self, ban: usize, of: &Ban, rule: &Rule) -> usize {
        let (category, evidence) = (&rule.category, rule.evidence);
        *self.series_numbers.entry((ban, Arc::clone(category), evidence)).or_insert_with(|| {
            self.series.push(Series { ban: Arc::clone(&of.id), category: Arc::clone(category), evidence });
            self.series.len() - 1
        })
    }

    /// How many numbers were given.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The attributes of a number given by [`Interner::intern`].
    pub(super) fn row(&self, number: u16) -> &Attributes {
        &self.rows[usize::from(number)]
    }

    /// All attributes by number, and all series.
    pub(super) fn finish(self) -> (Box<[Attributes]>, Vec<Series>) {
        (self.rows.into(), self.series)
    }
}
