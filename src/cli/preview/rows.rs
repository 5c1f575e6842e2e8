//! A preview as rows and figures: what `--json` prints.

use serde::Serialize;

use super::judge::{Effect, Judge, Tally, Touched};
use super::side::Side;
use crate::journal::Coverage;
use crate::time::{Timestamp, rfc3339};

/// What `--json` prints; its names are an interface.
#[derive(Debug, Serialize)]
pub(super) struct Previewed {
    at: String,
    since: Option<String>,
    blocks: Figures,
    releases: Figures,
    changes: Figures,
    pub(super) later: Later,
    pub(super) attempts: Attempts,
    pub(super) names: Names,
    pub(super) not_judged: NotJudged,
    clients: Vec<ClientRow>,
}

/// How many are touched in one way.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Figures {
    pub(super) clients: usize,
    /// Different ones.
    pub(super) names: usize,
    pub(super) queries: u64,
    /// Whether there may be more.
    pub(super) at_least: bool,
}

/// What the record of attempts is worth here.
#[derive(Debug, Serialize)]
pub(super) struct Attempts {
    /// Attempts of which client or name is not known.
    pub(super) nameless: u64,
}

/// What the record of names is worth here.
#[derive(Debug, Serialize)]
pub(super) struct Names {
    pub(super) recorded: bool,
    pub(super) since: Option<String>,
    pub(super) not_recorded: u64,
}

/// How many of something.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Count {
    pub(super) clients: usize,
    /// Different ones.
    pub(super) names: usize,
    pub(super) queries: u64,
}

/// What is touched at another hour of the week to come, and not at the time asked about.
#[derive(Debug, Serialize)]
pub(super) struct Later {
    #[serde(flatten)]
    pub(super) count: Count,
    /// The first time that something is.
    pub(super) first: Option<String>,
}

/// What the record can't tell.
#[derive(Debug, Serialize)]
pub(super) struct NotJudged {
    /// What would be touched otherwise if it came by some listener, path or TLS name.
    pub(super) doors: Count,
    /// What would be let through, wherever its answers lead.
    pub(super) answers: Count,
}

#[derive(Debug, Serialize)]
struct ClientRow {
    client: String,
    groups: Vec<String>,
    queries: u64,
    last_seen: String,
    names: Vec<TouchedRow>,
}

#[derive(Debug, Serialize)]
struct TouchedRow {
    name: String,
    effect: &'static str,
    old: &'static str,
    new: &'static str,
    /// Of the rule that will decide; of the one that did, if the name is released.
    ban: Option<String>,
    pattern: Option<String>,
    queries: u64,
    last_seen: String,
}

impl Previewed {
    pub(super) fn new(
        judge: &Judge<'_>,
        new: &Side,
        at: Timestamp,
        since: Option<Timestamp>,
        coverage: Option<Coverage>,
    ) -> Self {
        let covered = coverage.is_some_and(|coverage| coverage.not_recorded == 0);
        let figures = |effect| {
            // What was blocked was an attempt.
            let at_least = match effect {
                Effect::Release => judge.may_release,
                // What is let through by its name may be blocked by where it leads: that is said apart.
                Effect::Block | Effect::Change => !covered,
            };
            let at_least = at_least || judge.nameless > 0;
            Figures { at_least, ..Figures::of(judge, effect) }
        };
        Self {
            at: rfc3339(at),
            since: since.map(rfc3339),
            blocks: figures(Effect::Block),
            releases: figures(Effect::Release),
            changes: figures(Effect::Change),
            later: Later { count: Count::of(&judge.later.0), first: judge.later.1.map(rfc3339) },
            attempts: Attempts { nameless: judge.nameless },
            names: Names {
                recorded: coverage.is_some(),
                since: coverage.and_then(|coverage| coverage.since).map(rfc3339),
                not_recorded: coverage.map_or(0, |coverage| coverage.not_recorded),
            },
            not_judged: NotJudged { doors: Count::of(&judge.by_door), answers: Count::of(&judge.let_through) },
            clients: ClientRow::all(judge, new),
        }
    }

    pub(super) fn figures(&self, effect: Effect) -> Figures {
        match effect {
            Effect::Block => self.blocks,
            Effect::Release => self.releases,
            Effect::Change => self.changes,
        }
    }
}

impl Figures {
    fn of(judge: &Judge<'_>, effect: Effect) -> Self {
        let mut names = std::collections::HashSet::new();
        let mut figures = Self::default();
        for touched in judge.touched.values() {
            let here = touched.iter().filter(|(_name, touched)| touched.effect == effect);
            let known = figures.queries;
            for (name, touched) in here {
                names.insert(name.as_str());
                figures.queries += touched.queries();
            }
            figures.clients += usize::from(figures.queries > known);
        }
        Self { names: names.len(), ..figures }
    }
}

impl Count {
    fn of(tally: &Tally) -> Self {
        Self { clients: tally.clients.len(), names: tally.names.len(), queries: tally.queries }
    }
}

impl ClientRow {
    /// Every client that is touched, last seen first.
    fn all(judge: &Judge<'_>, new: &Side) -> Vec<Self> {
        let rows = judge.touched.iter().map(|(&client, touched)| Self {
            client: client.to_string(),
            groups: new.groups(client).map(|group| group.id.to_string()).collect(),
            queries: touched.values().map(Touched::queries).sum(),
            last_seen: touched.values().map(|touched| touched.last).max().map(rfc3339).unwrap_or_default(),
            names: touched.iter().map(|(name, touched)| TouchedRow::new(name, touched)).collect(),
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| b.last_seen.cmp(&a.last_seen));
        rows
    }
}

impl TouchedRow {
    fn new(name: &str, touched: &Touched) -> Self {
        let rule = touched.rule.clone().unzip();
        Self {
            name: name.to_owned(),
            effect: touched.effect.as_str(),
            old: touched.old,
            new: touched.new,
            ban: rule.0,
            pattern: rule.1,
            queries: touched.queries(),
            last_seen: rfc3339(touched.last),
        }
    }
}
