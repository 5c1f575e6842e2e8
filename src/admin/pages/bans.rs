//! `/bans` and `/bans/ID`: what is banned by which law from when on, by which lists, and how these do.

use maud::{Markup, html};

use super::asked::{encoded, link};
use super::desk::Desk;
use super::rules;
use super::table::{Cell, Column, Table};
use super::trouble::Trouble;
use super::view::View;
use crate::diag::shown;
use crate::policy::{Ban, BanKind, EndUse, Policy};
use crate::time::rfc3339;

/// Characters of a digest that are shown.
const DIGEST: usize = 16;

/// All bans.
pub(super) fn all(desk: &Desk<'_>, view: &mut View) -> Result<Markup, Trouble> {
    view.title("Bans & lists");
    let policy = desk.policy().ok_or(Trouble::NoPolicy)?;
    let all_bans = view.table(bans(view, &policy));
    let all_lists = view.table(lists(&policy, None));
    let status = desk.status();
    let sources = view.table(super::system::sources(&status));
    let checked = view.asked.get("disk").is_some().then(|| rules::on_disk(desk, view, &policy));
    Ok(html! {
        (all_bans)
        p { a href="/preview" { "Preview a change" } ": which clients another mode or a new list would touch." }
        h2 { "Lists in force" } (all_lists)
        h2 { "Lists from elsewhere" } (sources)
        h2 { "What is on the disk" }
        @match checked {
            Some(found) => (found),
            None => {
                p { "The server takes changed files over by itself, unless they have mistakes. Here you see what it would take over now." }
                form method="get" action="/bans" { button type="submit" name="disk" value="1" { "Check the files" } }
            }
        }
    })
}

fn bans(view: &View, policy: &Policy) -> Table {
    let columns = vec![
        Column::text("Ban", "ban"),
        Column::text("Kind", "kind"),
        Column::text("Mode", "mode"),
        Column::text("Changes", "changes"),
        Column::text("Action", "action"),
        Column::number("Rules", "rules"),
        Column::text("Law", ""),
        Column::text("Devices", ""),
        Column::text("Attempts", ""),
    ];
    let mut table = Table::new("bans", "Bans", columns);
    for (at, ban) in policy.bans().iter().enumerate() {
        let of_ban = policy.lists().iter().filter(|list| list.ban.0 == at);
        let laws: Vec<&str> = ban.laws.iter().map(|law| &*law.id).collect();
        let some = if ban.spares_some_at(view.now) { " for some" } else { "" };
        table.rows.push(vec![
            Cell::text(&ban.title).to(format!("/bans/{}", encoded(&ban.id))),
            Cell::text(if ban.kind == BanKind::Ban { "ban" } else { "signal" }),
            Cell::text(format!("{}{some}", ban.mode_at(view.now).as_str())).mark(ban.mode_at(view.now).as_str()),
            Cell::text(ban.next_change(view.now).map(rfc3339).unwrap_or_default()),
            Cell::text(ban.stance.action.as_str()),
            Cell::number(of_ban.map(|list| list.entries).sum()),
            Cell::text(laws.join(", ")),
            Cell::text("devices").to(link("/devices", &[("ban", &ban.id)])),
            Cell::text("attempts").to(link("/activity", &[("ban", &ban.id)])),
        ]);
    }
    table
}

/// The lists of a ban, or all.
fn lists(policy: &Policy, only: Option<&str>) -> Table {
    let columns = vec![
        Column::text("List", "list"),
        Column::text("Ban", "ban"),
        Column::text("Format", "format"),
        Column::number("Rules", "rules"),
        Column::text("SHA-256", ""),
    ];
    let mut table = Table::new("lists", "Lists in force", columns);
    for list in policy.lists() {
        let ban = policy.bans().get(list.ban.0).map(|ban| &*ban.id).unwrap_or_default();
        if only.is_some_and(|only| only != ban) {
            continue;
        }
        let format = if list.detected {
            format!("{}, told by its first lines", list.format.as_str())
        } else {
            list.format.as_str().to_owned()
        };
        table.rows.push(vec![
            Cell::text(&list.name),
            Cell::text(ban).to(format!("/bans/{}", encoded(ban))),
            Cell::text(format),
            Cell::number(list.entries),
            Cell::text(list.digest.chars().take(DIGEST).collect::<String>()),
        ]);
    }
    table
}

/// One ban.
pub(super) fn one(desk: &Desk<'_>, view: &mut View) -> Result<Markup, Trouble> {
    let wanted = view.asked.part().to_owned();
    let policy = desk.policy().ok_or(Trouble::NoPolicy)?;
    let found = policy.bans().iter().find(|ban| *ban.id == *wanted);
    let ban = found.ok_or_else(|| Trouble::Nothing(format!("there is no ban `{}`", shown(&wanted))))?;
    view.title(&ban.title);
    let (laws, dates) = (view.table(laws(ban)), view.table(dates(ban)));
    let lists = view.table(lists(&policy, Some(&ban.id)));
    let hits = rules::hits(desk, view, &policy, ban)?;
    Ok(html! {
        (facts(ban, view))
        p { a href=(link("/", &[("ban", &ban.id)])) { "Figures" } " · " a href=(link("/devices", &[("ban", &ban.id)])) { "Devices" }
            " · " a href=(link("/activity", &[("ban", &ban.id)])) { "Attempts" } " · " a href=(link("/reports", &[("ban", &ban.id)])) { "Report" } " · " a href=(link("/preview", &[("ban", &ban.id)])) { "Preview another mode" } }
        h2 { "Law" } (laws)
        h2 { "Dates" } (dates)
        h2 { "Lists" } (lists)
        (hits)
    })
}

fn facts(ban: &Ban, view: &View) -> Markup {
    let fact = |name: &str, text: &str| html! { @if !text.is_empty() { div { dt { (name) } dd { (shown(text)) } } } };
    let some = if ban.spares_some_at(view.now) { " for some" } else { "" };
    let moment = |at: Option<crate::time::Timestamp>| at.map(rfc3339).unwrap_or_default();
    html! {
        dl.facts {
            (fact("Id", &ban.id))
            (fact("Vendor", &ban.vendor))
            (fact("Mode now", &format!("{}{some}", ban.mode_at(view.now).as_str())))
            (fact("At most", ban.ceiling().as_str()))
            (fact("Observed from", &moment(ban.stance.observe_from)))
            (fact("Enforced from", &moment(ban.stance.enforce_from)))
            (fact("Changes next", &moment(ban.next_change(view.now))))
            (fact("Action", ban.stance.action.as_str()))
            (fact("Answer lives", &format!("{} s", ban.ttl.as_secs())))
            (fact("Told to clients", &ban.ede.text))
            (fact("Contact", &ban.contact))
            (fact("Use instead", &ban.alternatives))
        }
    }
}

fn laws(ban: &Ban) -> Table {
    let columns = vec![
        Column::text("Instrument", "instrument"),
        Column::text("Jurisdiction", "jurisdiction"),
        Column::text("Published", "citation"),
        Column::text("Issued", "issued"),
        Column::text("In effect", "effective"),
        Column::text("Applies to", ""),
        Column::text("Using it is prohibited", ""),
        Column::text("Binds this network", ""),
    ];
    let mut table = Table::new("laws", "Legal bases", columns);
    "None is named: this is the policy of this network.".clone_into(&mut table.empty);
    for law in &ban.laws {
        let end_use = match law.end_use {
            EndUse::Yes => "yes",
            EndUse::No => "no",
            EndUse::Partial => "to some",
        };
        table.rows.push(vec![
            Cell::text(&law.instrument),
            Cell::text(&law.jurisdiction),
            Cell::text(&law.citation),
            Cell::maybe(law.issued.map(|day| day.to_string())).mark("t"),
            Cell::maybe(law.effective.map(|day| day.to_string())).mark("t"),
            Cell::text(&law.applies_to),
            Cell::text(end_use),
            Cell::text(if ban.bound_by.contains(&law.id) { "yes, says the operator" } else { "not said" }),
        ]);
    }
    table
}

fn dates(ban: &Ban) -> Table {
    let mut table =
        Table::new("dates", "Dates of the ban", vec![Column::text("Day", "day"), Column::text("What", "what")]);
    for milestone in &ban.milestones {
        table.rows.push(vec![Cell::text(milestone.date.to_string()).mark("t"), Cell::text(&milestone.text)]);
    }
    table.sort("day", false);
    table
}
