//! The rules of a ban and how they do: which are hit, which never were, and what the files on the disk would change.

use std::collections::{BTreeMap, HashMap};

use maud::{Markup, html};

use super::asked::link;
use super::desk::Desk;
use super::table::{Cell, Column, Table};
use super::times::to_the_second;
use super::trouble::Trouble;
use super::view::View;
use crate::diag::shown;
use crate::journal::{LOOK_MAX, Wanted};
use crate::policy::{Ban, Policy};
use crate::report::number;
use crate::time::Timestamp;

/// Rules of a ban that are listed with their hits at most; who has more asks the command line.
const RULES_MAX: usize = 20_000;
/// Mistakes and changes that are told one by one at most.
const TOLD_MAX: usize = 200;

/// Hits of one rule.
#[derive(Default)]
struct Hits {
    attempts: u64,
    clients: std::collections::BTreeSet<std::net::IpAddr>,
    last: Timestamp,
}

/// Which rules were hit in the newest part of the record, and which were not.
pub(super) fn hits(desk: &Desk<'_>, view: &mut View, policy: &Policy, ban: &Ban) -> Result<Markup, Trouble> {
    let wanted = Wanted { ban: Some(ban.id.to_string()), ..Wanted::default() };
    let page = match desk.store() {
        Ok(store) => store.attempts_page(&wanted, None, LOOK_MAX)?,
        // A ban has its rules before it has a record.
        Err(Trouble::Record(crate::journal::StoreError::Missing { .. })) => return Ok(html! {}),
        Err(trouble) => return Err(trouble),
    };
    let mut sums: HashMap<String, Hits> = HashMap::new();
    for row in page.rows {
        let Some(pattern) = row.pattern else { continue };
        let sum = sums.entry(pattern).or_default();
        sum.attempts += row.count;
        sum.clients.extend(row.client);
        sum.last = sum.last.max(row.last);
    }
    let columns = vec![
        Column::text("Rule", "rule"),
        Column::text("List", "list"),
        Column::number("Attempts", "attempts"),
        Column::number("Clients", "clients"),
        Column::text("Last", "last"),
    ];
    let since = page.looked_to;
    let caption = since.map_or_else(
        || "Rules by their hits in the whole record".to_owned(),
        |looked| {
            let rows = number(LOOK_MAX as u64);
            format!("Rules by their hits since {}, in the newest {rows} rows of the record", to_the_second(looked))
        },
    );
    let mut table = Table::new("rules", caption, columns);
    let (mut never, mut all) = (0_u64, 0_u64);
    for (list, pattern) in policy.rules() {
        if policy.bans().get(list.ban.0).is_none_or(|of| of.id != ban.id) {
            continue;
        }
        let pattern = pattern.to_string();
        let sum = sums.remove(&pattern);
        (all, never) = (all + 1, never + u64::from(sum.is_none()));
        if table.rows.len() < RULES_MAX {
            table.rows.push(rule(ban, &pattern, &list.name, sum, since));
        }
    }
    for (pattern, sum) in sums {
        table.rows.push(rule(ban, &pattern, "gone since", Some(sum), since));
    }
    table.sort("attempts", true);
    let of = since.map_or_else(
        || "by no attempt on record".to_owned(),
        |looked| format!("since {}; attempts before are not counted here", to_the_second(looked)),
    );
    let table = view.table(table);
    Ok(html! {
        h2 { "Rules" }
        p.note { (number(never)) " of " (number(all)) " rules were not hit " (of) ". "
            code { "embargo lists hits --ban " (ban.id) " --never --shadowed" } " counts over any time and names the rules that others leave nothing to do." }
        (table)
    })
}

/// `since`: from when on hits are counted, if not from the beginning of the record.
fn rule(ban: &Ban, pattern: &str, list: &str, sum: Option<Hits>, since: Option<Timestamp>) -> Vec<Cell> {
    let never = if since.is_some() { "not since then" } else { "never" };
    let Hits { attempts, clients, last } = sum.unwrap_or_default();
    vec![
        Cell::text(pattern).mark("name"),
        Cell::text(list),
        Cell::number(attempts).to(link("/activity", &[("ban", &ban.id), ("rule", pattern)])),
        Cell::number(clients.len() as u64),
        if attempts == 0 { Cell::text(never) } else { Cell::time(last) },
    ]
}

/// What the files on the disk say and the policy in force does not.
pub(super) fn on_disk(desk: &Desk<'_>, view: &mut View, policy: &Policy) -> Markup {
    let (mistakes, found) = desk.on_disk();
    let changes = found.map(|found| changes(policy, &found));
    let table = changes.map(|table| (table.rows.len(), view.table(table)));
    html! {
        @if mistakes.is_empty() {
            p.good role="status" { "The files have no mistakes." }
        } @else {
            p.trouble role="status" { (mistakes.len()) " mistakes or warnings:" }
            ul.plain { @for mistake in mistakes.iter().take(TOLD_MAX) { li { pre { (shown_lines(mistake)) } } } }
        }
        @match table {
            Some((0, _table)) => p { "They say what is in force." },
            Some((_some, table)) => { p { "What would change:" } (table) },
            None => p { "Nothing of them would be taken over." },
        }
        p.note { a href="/preview" { "Preview" } " tells which clients a list or another mode would touch, by the names that were asked." }
    }
}

/// The same on several lines, with nothing in them that is not printed as itself.
fn shown_lines(text: &str) -> String {
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}

/// Rules that only one of two policies has, and bans whose mode differs.
fn changes(before: &Policy, after: &Policy) -> Table {
    let columns = vec![
        Column::text("Change", "change"),
        Column::text("Ban", "ban"),
        Column::text("What", "what"),
        Column::text("List", "list"),
    ];
    let mut table = Table::new("changes", "What the files on the disk would change", columns);
    let mut add = |change: &str, ban: &str, what: &str, list: &str| {
        if table.rows.len() < TOLD_MAX * 50 {
            table.rows.push(vec![Cell::text(change), Cell::text(ban), Cell::text(what).mark("name"), Cell::text(list)]);
        }
    };
    let modes = |policy: &Policy| -> BTreeMap<String, String> {
        policy.bans().iter().map(|ban| (ban.id.to_string(), ban.ceiling().as_str().to_owned())).collect()
    };
    let (old, new) = (modes(before), modes(after));
    for (ban, mode) in &new {
        match old.get(ban) {
            None => add("new ban", ban, mode, ""),
            Some(known) if known != mode => add("mode", ban, &format!("{known} to {mode}"), ""),
            Some(_same) => (),
        }
    }
    for (ban, mode) in old.iter().filter(|(ban, _mode)| !new.contains_key(*ban)) {
        add("ban gone", ban, mode, "");
    }
    let (old, new) = (rules_of(before), rules_of(after));
    for ((ban, rule), list) in new.iter().filter(|(key, _list)| !old.contains_key(*key)) {
        add("new rule", ban, rule, list);
    }
    for ((ban, rule), list) in old.iter().filter(|(key, _list)| !new.contains_key(*key)) {
        add("rule gone", ban, rule, list);
    }
    table
}

/// Every rule by ban and pattern, and its list.
fn rules_of(policy: &Policy) -> BTreeMap<(String, String), String> {
    let ban = |at: usize| policy.bans().get(at).map(|ban| ban.id.to_string()).unwrap_or_default();
    policy.rules().map(|(list, pattern)| ((ban(list.ban.0), pattern.to_string()), list.name.to_string())).collect()
}
