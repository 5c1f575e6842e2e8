//! The preview for people: sentences first, then who, then which rules, then what it was judged on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use super::super::console::Look;
use super::super::record::to_the_second;
use super::super::table::Table;
use super::judge::{Effect, Judge, Touched};
use super::rows::{Count, Figures, Later, NotJudged, Previewed};
use crate::time::Timestamp;

/// Rows of a table at most; JSON has all.
const ROWS_MAX: usize = 100;
/// Names of a client that are shown.
const NAMES_SHOWN: usize = 3;

/// Everything, for standard output.
pub(super) fn render(look: Look, judge: &Judge<'_>, previewed: &Previewed) -> String {
    let sentences = Effect::ALL.map(|effect| sentence(effect, previewed.figures(effect))).concat();
    let tables = if judge.touched.is_empty() {
        String::new()
    } else {
        format!("\n{}\n{}", clients(look, judge), rules(look, judge))
    };
    sentences + &later(&previewed.later) + &tables + &basis(previewed)
}

fn sentence(effect: Effect, figures: Figures) -> String {
    let does = match effect {
        Effect::Block => "Would block",
        Effect::Release => "Would release",
        Effect::Change => "Would record or block otherwise",
    };
    let Figures { clients, names, queries, at_least } = figures;
    match (names, effect, at_least) {
        (0, Effect::Change, _) => return String::new(),
        (0, _, false) => return format!("{does} nobody.\n"),
        (0, _, true) => return format!("{does} nobody who is recorded.\n"),
        _ => (),
    }
    let at_least = if at_least { "at least " } else { "" };
    format!("{does} {at_least}{}.\n", Count { clients, names, queries })
}

/// What another hour changes; nothing where none does.
fn later(later: &Later) -> String {
    let Later { count, first: Some(first) } = later else { return String::new() };
    format!("At other hours within a week, first at {first}, it would touch {count}.\n")
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u64, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        let (clients, names) = (plural(self.clients as u64, "client"), plural(self.names as u64, "name"));
        let queries = if self.queries == 1 { "1 query".to_owned() } else { format!("{} queries", self.queries) };
        write!(f, "{names} that {clients} asked for ({queries})")
    }
}

/// Who is touched how, last seen first.
fn clients(look: Look, judge: &Judge<'_>) -> String {
    type Row<'j> = (Timestamp, IpAddr, Effect, u64, Vec<&'j str>);
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (&client, touched) in &judge.touched {
        for effect in Effect::ALL {
            let here: Vec<_> = touched.iter().filter(|(_name, touched)| touched.effect == effect).collect();
            if let Some(last) = here.iter().map(|(_name, touched)| touched.last).max() {
                let queries = here.iter().map(|(_name, touched)| touched.queries()).sum();
                rows.push((last, client, effect, queries, here.iter().map(|(name, _)| name.as_str()).collect()));
            }
        }
    }
    rows.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut table = Table::new(look, &["LAST SEEN", "CLIENT", "EFFECT", "#QUERIES", "#NAMES", "AMONG THEM"]);
    for (last, client, effect, queries, names) in rows.iter().take(ROWS_MAX) {
        let shown = names.iter().take(NAMES_SHOWN).copied().collect::<Vec<_>>().join(", ");
        table.row([
            Some(to_the_second(*last)),
            Some(client.to_string()),
            Some(effect.as_str().to_owned()),
            Some(queries.to_string()),
            Some(names.len().to_string()),
            Some(shown),
        ]);
    }
    table.render() + &more(rows.len())
}

/// Which rules do that, those of most clients first.
fn rules(look: Look, judge: &Judge<'_>) -> String {
    #[derive(Default)]
    struct Sum<'j> {
        clients: BTreeSet<IpAddr>,
        names: BTreeSet<&'j str>,
        queries: u64,
    }
    let mut sums: BTreeMap<(&str, &str, Effect), Sum<'_>> = BTreeMap::new();
    for (&client, touched) in &judge.touched {
        for (name, touched) in touched {
            let Touched { rule: Some((ban, pattern)), effect, .. } = touched else { continue };
            let sum = sums.entry((ban, pattern, *effect)).or_default();
            sum.clients.insert(client);
            sum.names.insert(name);
            sum.queries += touched.queries();
        }
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_rule, sum)| std::cmp::Reverse(sum.clients.len()));
    let mut table = Table::new(look, &["BAN", "RULE", "EFFECT", "#CLIENTS", "#NAMES", "#QUERIES"]);
    for ((ban, pattern, effect), sum) in sums.iter().take(ROWS_MAX) {
        table.row([
            Some((*ban).to_owned()),
            Some((*pattern).to_owned()),
            Some(effect.as_str().to_owned()),
            Some(sum.clients.len().to_string()),
            Some(sum.names.len().to_string()),
            Some(sum.queries.to_string()),
        ]);
    }
    table.render() + &more(sums.len()) + "\n"
}

fn more(rows: usize) -> String {
    if rows > ROWS_MAX { format!("and {} more; --json has them all\n", rows - ROWS_MAX) } else { String::new() }
}

/// What it was judged on, and what is missing.
fn basis(previewed: &Previewed) -> String {
    let names = &previewed.names;
    let basis = match (&names.since, names.recorded) {
        (Some(since), _) => format!("Judged on attempts, and on names asked since {since}.\n"),
        (None, true) => "Judged on attempts alone: the record of names is empty.\n".to_owned(),
        (None, false) => "Judged on attempts alone: names of no rule are not recorded here ([names] in the \
                          configuration).\nWho asked only for such names is not counted.\n"
            .to_owned(),
    };
    let counted = |count: u64, rest: &str| if count > 0 { format!("{count} {rest}\n") } else { String::new() };
    let not_recorded = counted(names.not_recorded, "queries were not recorded for want of room.");
    let nameless = counted(previewed.attempts.nameless, "attempts were recorded without client or name.");
    [basis, not_recorded, nameless, not_judged(&previewed.not_judged)].concat()
}

/// What the record can't tell.
fn not_judged(not_judged: &NotJudged) -> String {
    let NotJudged { doors, answers } = not_judged;
    let said = |count: &Count, said: String| if count.queries > 0 { said } else { String::new() };
    let doors_said =
        format!("By what listener, path or TLS name they came is not recorded; it may be otherwise for {doors}.\n");
    let answers_said = format!("What answers held is not recorded; some may lead to what is banned among {answers}.\n");
    said(doors, doors_said) + &said(answers, answers_said)
}
