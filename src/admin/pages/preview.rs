//! `/preview`: whom a change would touch, before it is made: another mode of a ban, or a list.

use maud::{Markup, html};
use serde_json::Value;

use super::asked::link;
use super::desk::Desk;
use super::frame::hidden;
use super::table::{Cell, Column, Table};
use super::times::moment;
use super::trouble::Trouble;
use super::view::View;
use crate::admin::Room;
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::Reply;
use crate::diag::shown;
use crate::policy::{Mode, Policy};
use crate::report::number;
use crate::time::rfc3339;

/// How far back it is looked when nobody says.
const SINCE: &str = "24h";
/// Names of a client that are told.
const NAMES_MAX: usize = 5;

/// The page.
pub(super) fn page(desk: &Desk<'_>, view: &mut View) -> Result<Markup, Trouble> {
    view.title("Preview: whom a change would touch");
    let policy = desk.policy().ok_or(Trouble::NoPolicy)?;
    let found = match change(desk, view, &policy)? {
        Some(change) => Some(touched(desk, view, &change)?),
        None => None,
    };
    Ok(html! {
        p { "What clients asked is judged by the policy in force and by the same with a change. Nothing is changed by it." }
        (of_mode(view, &policy))
        (of_list(desk, view))
        @if let Some(found) = found { (found) }
    })
}

/// A change to be judged.
struct Change {
    /// In words.
    said: String,
    flags: Vec<String>,
    list: Option<String>,
}

/// The change that the address asks for.
fn change(desk: &Desk<'_>, view: &View, policy: &Policy) -> Result<Option<Change>, Trouble> {
    let since = moment("Since", view.asked.get("since").unwrap_or(SINCE), view.now)?;
    let since = format!("--since={}", rfc3339(since));
    if let Some(key) = view.asked.get("list") {
        let list = desk.memo.pasted.get(key);
        let list = list.ok_or_else(|| Trouble::Nothing("this list is kept no longer; paste it again".to_owned()))?;
        let said = format!("If this list of {} lines were enforced", number(list.lines().count() as u64));
        return Ok(Some(Change { said, flags: vec![since], list: Some(list) }));
    }
    let Some(mode) = view.asked.get("mode") else { return Ok(None) };
    let mode = Mode::ALL.into_iter().find(|known| known.as_str() == mode);
    let mode = mode.ok_or_else(|| Trouble::Wrong("Mode is off, observe or enforce".to_owned()))?;
    let wanted = view.asked.get("ban").unwrap_or_default();
    let ban = policy.bans().iter().find(|ban| *ban.id == *wanted);
    let ban = ban.ok_or_else(|| Trouble::Nothing(format!("there is no ban `{}`", shown(wanted))))?;
    let flags = vec![since, format!("--ban={}", ban.id), format!("--mode={}", mode.as_str())];
    Ok(Some(Change { said: format!("If {} were {}", ban.title, mode.as_str()), flags, list: None }))
}

/// Keeps the list that a form sends, and leads to the page about it, which can be sorted and turned over.
pub(super) fn paste(room: &Room, call: &Call) -> Result<Reply, Problem> {
    let fields = call.form()?;
    let field = |name: &str| fields.iter().find(|(key, _value)| key == name).map_or("", |(_key, value)| value.as_str());
    if field("list").trim().is_empty() {
        return Ok(Reply::see_other("/preview"));
    }
    let key = room.memo.pasted.keep(field("list"));
    Ok(Reply::see_other(&link("/preview", &[("list", &key), ("since", field("since").trim())])))
}

fn of_mode(view: &View, policy: &Policy) -> Markup {
    let (ban, mode) = (view.asked.get("ban"), view.asked.get("mode"));
    html! {
        form.scope method="get" action="/preview" {
            div { label for="ban" { "Ban" } select #ban name="ban" {
                @for known in policy.bans() { option value=(known.id) selected[ban == Some(&*known.id)] { (known.title) } }
            } }
            div { label for="mode" { "Its mode would be" } select #mode name="mode" {
                @for known in Mode::ALL { option value=(known.as_str()) selected[mode.map_or(known == Mode::Enforce, |mode| mode == known.as_str())] { (known.as_str()) } }
            } }
            (since(view, "since"))
            button type="submit" { "Preview" }
        }
    }
}

fn of_list(desk: &Desk<'_>, view: &View) -> Markup {
    html! {
        details {
            summary { "Or a list" }
            form.scope method="post" action="/preview" {
                (hidden(desk))
                div.whole { label for="list" { "Its lines, in any format that is understood; up to 60 KiB" }
                    textarea #list name="list" rows="6" required spellcheck="false" {} }
                (since(view, "list-since"))
                button type="submit" { "Preview" }
            }
        }
    }
}

fn since(view: &View, id: &str) -> Markup {
    html! {
        div { label for=(id) { "By what was asked since" }
            input id=(id) name="since" value=(view.asked.get("since").unwrap_or(SINCE)) maxlength="40"; }
    }
}

/// Whom it would touch, and how.
fn touched(desk: &Desk<'_>, view: &mut View, change: &Change) -> Result<Markup, Trouble> {
    let found = desk.preview(&change.flags, change.list.as_deref())?;
    let (effects, clients) = (view.table(effects(&found)), view.table(clients(desk, &found)));
    Ok(html! {
        h2 { (shown(&change.said)) }
        (effects)
        @if found["names"]["recorded"] != true {
            p.note { "Names of no rule are not recorded here (" code { "[names]" } " in the configuration): clients that asked only for such are not among these." }
        }
        @if found["not_judged"]["doors"]["clients"] != 0 || found["not_judged"]["answers"]["clients"] != 0 {
            p.note { "What depends on the door by which a query came, or on what its answer held, is not judged: " code { "embargo preview" } " counts it." }
        }
        h2 { "Clients" } (clients)
    })
}

fn count(value: &Value, of: &str) -> u64 {
    value[of].as_u64().unwrap_or_default()
}

fn effects(found: &Value) -> Table {
    let columns = vec![
        Column::text("What would become of queries", ""),
        Column::number("Clients", ""),
        Column::number("Names", ""),
        Column::number("Queries", ""),
    ];
    let mut table = Table::new("effects", "What would change", columns);
    for (of, said) in [
        ("blocks", "blocked, and are not now"),
        ("releases", "let through, and are blocked now"),
        ("changes", "answered otherwise, or observed"),
        ("later", "otherwise at another hour of the week to come"),
    ] {
        let part = &found[of];
        let more = if part["at_least"] == true { " (at least)" } else { "" };
        let number = |of: &str| Cell::number(count(part, of));
        table.rows.push(vec![
            Cell::text(format!("{said}{more}")),
            number("clients"),
            number("names"),
            number("queries"),
        ]);
    }
    table
}

fn clients(desk: &Desk<'_>, found: &Value) -> Table {
    let columns = vec![
        Column::text("Client", "client"),
        Column::text("Device now", "device"),
        Column::text("Groups", "groups"),
        Column::text("Would be", "effect"),
        Column::text("Names", ""),
        Column::number("Queries", "queries"),
        Column::text("Last asked", "last"),
    ];
    let mut table = Table::new("clients", "Clients that would be touched, by what they asked", columns);
    "Nobody would be touched.".clone_into(&mut table.empty);
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
    };
    for client in found["clients"].as_array().into_iter().flatten() {
        let address = client["client"].as_str().unwrap_or_default();
        let names: Vec<&Value> = client["names"].as_array().into_iter().flatten().collect();
        let told = names.iter().take(NAMES_MAX).filter_map(|name| name["name"].as_str()).collect::<Vec<_>>().join(" ");
        let more = names.len().checked_sub(NAMES_MAX).filter(|more| *more > 0);
        let mut effects: Vec<&str> = names.iter().filter_map(|name| name["effect"].as_str()).map(effect).collect();
        effects.sort_unstable();
        effects.dedup();
        table.rows.push(vec![
            Cell::text(address).to(link("/activity", &[("client", address)])),
            Cell::maybe(address.parse().ok().and_then(|address| desk.held_by(address))),
            Cell::text(texts(&client["groups"]).join(", ")),
            Cell::text(effects.join(", ")),
            Cell::text(more.map_or(told.clone(), |more| format!("{told} and {more} more"))).mark("name"),
            Cell::number(count(client, "queries")),
            client["last_seen"].as_str().and_then(|at| at.parse().ok()).map_or_else(Cell::default, Cell::time),
        ]);
    }
    table
}

fn effect(word: &str) -> &'static str {
    match word {
        "block" => "blocked",
        "release" => "let through",
        _ => "changed",
    }
}
