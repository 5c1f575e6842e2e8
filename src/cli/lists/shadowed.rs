//! Rules in force that make no difference, because of one in another list or ban, with the places of both.

use std::collections::HashMap;

use serde::Serialize;

use crate::config::PolicyLoad;
use crate::policy::{Hit, ListInfo, Pattern, Policy, Shadow, Shadowing};
use crate::time::Timestamp;

/// Rules at most that are named; beyond they are counted.
const NAMED_MAX: usize = 10_000;

/// Rules that make no difference.
#[derive(Debug, Default, Serialize)]
pub(super) struct Shadowed {
    pub(super) rules: Vec<Row>,
    /// Further ones that are not named.
    pub(super) more: u64,
    /// Whether a list was replaced while it was read: then some may be missing.
    #[serde(skip)]
    pub(super) torn: bool,
}

/// One of them.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    rule: Placed,
    why: &'static str,
    by: Placed,
    #[serde(skip)]
    because: Shadowing,
}

/// A rule and where it stands.
#[derive(Clone, Debug, Serialize)]
struct Placed {
    ban: String,
    pattern: String,
    list: String,
    /// `None`: the list was replaced while it was read.
    line: Option<usize>,
}

impl Shadowed {
    /// Reads the lists in force again and judges each rule of the bans that are `wanted`.
    pub(super) fn of(load: &PolicyLoad, policy: &Policy, at: Timestamp, wanted: impl Fn(&str) -> bool) -> Self {
        let mut shadowed = Self::default();
        let id = |list: &ListInfo| policy.bans().get(list.ban.0).map(|ban| ban.id.to_string()).unwrap_or_default();
        let whole = load.visit_rules(policy.lists(), &mut |list, rule, line| {
            let ban = id(list);
            let shadow = if wanted(&ban) { policy.shadow(list, &rule.pattern, at) } else { None };
            let Some(Shadow { why, by }) = shadow else { return };
            if shadowed.rules.len() == NAMED_MAX {
                shadowed.more += 1;
                return;
            }
            let rule = Placed::new(ban, &rule.pattern, &list.name, Some(line));
            shadowed.rules.push(Row { rule, why: why.as_str(), by: Placed::of(&by), because: why });
        });
        let found = shadowed.find_lines(load, policy);
        Self { torn: !(whole && found), ..shadowed }
    }

    /// Fills in where the rules stand that shadow others: the first line of each, which is the one in force.
    fn find_lines(&mut self, load: &PolicyLoad, policy: &Policy) -> bool {
        let key = |placed: &Placed| (placed.list.clone(), placed.pattern.clone());
        let mut lines: HashMap<_, Option<usize>> = self.rules.iter().map(|row| (key(&row.by), None)).collect();
        if lines.is_empty() {
            return true;
        }
        let whole = load.visit_rules(policy.lists(), &mut |list, rule, line| {
            if let Some(known) = lines.get_mut(&(list.name.to_string(), rule.pattern.to_string())) {
                known.get_or_insert(line);
            }
        });
        for row in &mut self.rules {
            row.by.line = lines.get(&key(&row.by)).copied().flatten();
        }
        whole
    }
}

impl Placed {
    fn new(ban: String, pattern: &Pattern, list: &str, line: Option<usize>) -> Self {
        Self { ban, pattern: pattern.to_string(), list: list.to_owned(), line }
    }

    fn of(hit: &Hit<'_>) -> Self {
        let (ban, pattern, list) = (hit.ban.id.to_string(), hit.pattern.to_string(), hit.list.name.to_string());
        Self { ban, pattern, list, line: None }
    }

    fn place(&self) -> String {
        self.line.map_or_else(|| self.list.clone(), |line| format!("{}:{line}", self.list))
    }
}

impl Row {
    /// In a line, with both places.
    pub(super) fn sentence(&self) -> String {
        let Self { rule, by, because, why: _ } = self;
        let (place, pattern, other, there) = (rule.place(), &rule.pattern, &by.pattern, by.place());
        match because {
            Shadowing::Same => format!("{place}: `{pattern}` stands already in {there}"),
            Shadowing::Covered => format!("{place}: `{pattern}` is covered by `{other}` in {there}"),
            Shadowing::Outranked => format!("{place}: `{pattern}` decides nothing, for `{other}` in {there} does"),
            Shadowing::OtherBan => {
                format!("{place}: before `{pattern}`, `{other}` of the ban `{}` decides, in {there}", by.ban)
            }
        }
    }
}
