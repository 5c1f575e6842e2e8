//! `/activity`: the attempts, one by one, by the filters in the address.

use maud::{Markup, html};

use super::asked::link;
use super::desk::Desk;
use super::scope::words;
use super::table::{Cell, Column, Table, Turned};
use super::times::{moment, to_the_second};
use super::trouble::Trouble;
use super::view::View;
use crate::diag::shown;
use crate::journal::{AttemptPage, AttemptRow, Place, Wanted};
use crate::metrics::Did;
use crate::policy::Evidence;
use crate::report;

/// Attempts that are sorted at most.
const SORTED_MAX: usize = 10_000;

/// The page.
pub(super) fn page(desk: &Desk<'_>, view: &mut View) -> Result<Markup, Trouble> {
    view.title("Activity");
    let wanted = wanted(view)?;
    let after = view.asked.get("after").map(str::parse::<Place>).transpose();
    let after = after.map_err(|error| Trouble::Wrong(error.to_string()))?;
    let store = desk.store()?;
    let sorted = view.sort_of("attempts").is_some();
    let rows = if sorted { SORTED_MAX } else { view.rows_of("attempts") };
    let page = store.attempts_page(&wanted, after.as_ref(), rows)?;
    let caption = if sorted { sorted_caption(&page) } else { "Attempts, newest first".to_owned() };
    let mut table = table("attempts", &caption, desk, &page.rows);
    table.empty = match page.looked_to {
        Some(looked) => format!("None back to {}; Next looks further.", to_the_second(looked)),
        None => "Nothing on record matches.".to_owned(),
    };
    if !sorted {
        table.turned = Some(turned(view, &page, after.is_some()));
    }
    let table = view.table(table);
    Ok(html! {
        (form(desk, view))
        p.live hidden data-live=(live(view)) { button type="button" aria-pressed="false" { "Follow live" } " " span role="status" {} }
        (table)
    })
}

/// Attempts in another order than the record's are so many of the newest that match.
fn sorted_caption(page: &AttemptPage) -> String {
    let rows = report::number(page.rows.len() as u64);
    match page.looked_to {
        Some(looked) => format!("The newest {rows} attempts that match, back to {}, sorted", to_the_second(looked)),
        None => format!("All {rows} attempts that match, sorted"),
    }
}

/// Where a page of them stands, in the order of the record.
fn turned(view: &View, page: &AttemptPage, has_before: bool) -> Turned {
    let says = match page.looked_to {
        Some(looked) => format!("{} rows, looked through back to {}", page.rows.len(), to_the_second(looked)),
        None => format!("{} rows, to the end of the record", page.rows.len()),
    };
    let on = page.next.as_ref().map(|place| view.asked.with(&[("after", Some(&place.to_string())), ("csv", None)]));
    Turned { says, back: has_before.then(|| view.asked.with(&[("after", None), ("csv", None)])), on }
}

/// Where what is to come of the same is told.
fn live(view: &View) -> String {
    let fields = ["ban", "evidence", "category", "site", "action", "client", "device", "name", "rule"];
    // The row's own word for a rule.
    let word = |field: &'static str| if field == "rule" { "pattern" } else { field };
    let given: Vec<_> = fields.into_iter().filter_map(|field| Some((word(field), view.asked.get(field)?))).collect();
    link("/api/v1/attempts/live", &given)
}

fn wanted(view: &View) -> Result<Wanted, Trouble> {
    let text = |field: &str| view.asked.get(field).map(str::to_owned);
    let time = |title, field| view.asked.get(field).map(|text| moment(title, text, view.now)).transpose();
    let client = view.asked.get("client").map(str::parse).transpose();
    let client = client.map_err(|_error| Trouble::Wrong("Client is no address; write it as 192.0.2.7".to_owned()))?;
    let evidence = known(view, "evidence", Evidence::ALL.map(|evidence| (evidence, evidence.as_str())))?;
    let action = known(view, "action", Did::ALL.map(|did| (did, did.as_str())))?;
    Ok(Wanted {
        ban: text("ban"),
        evidence,
        category: text("category"),
        site: text("site"),
        action,
        client,
        device: text("device"),
        name: view.asked.get("name").and_then(Wanted::name_of),
        pattern: text("rule"),
        since: time("Since", "since")?,
        until: time("Until", "until")?,
    })
}

/// The value whose word a field holds.
fn known<T: Copy, const N: usize>(view: &View, field: &str, all: [(T, &str); N]) -> Result<Option<T>, Trouble> {
    let Some(wanted) = view.asked.get(field) else { return Ok(None) };
    let found = all.into_iter().find(|(_value, word)| *word == wanted).map(|(value, _word)| value);
    found.map(Some).ok_or_else(|| Trouble::Wrong(format!("unknown {field} `{}`", shown(wanted))))
}

fn form(desk: &Desk<'_>, view: &View) -> Markup {
    let policy = desk.policy();
    let bans: Vec<(&str, &str)> =
        policy.iter().flat_map(|policy| policy.bans()).map(|ban| (&*ban.id, &*ban.title)).collect();
    let field = |title: &str, name: &str, hint: &str| {
        html! {
            div { label for=(name) { (title) } input id=(name) name=(name) value=[view.asked.get(name)] placeholder=(hint) maxlength="300"; }
        }
    };
    let choice = |title: &str, name: &str, all: &[(&str, &str)]| {
        let now = view.asked.get(name);
        // One that is gone since is still what the address asks for.
        let gone = now.filter(|now| !all.iter().any(|(word, _title)| word == now));
        html! {
            div { label for=(name) { (title) } select id=(name) name=(name) {
                option value="" { "All" }
                @if let Some(gone) = gone { option value=(gone) selected { (shown(gone)) } }
                @for (word, title) in all { option value=(word) selected[now == Some(*word)] { (title) } }
            } }
        }
    };
    html! {
        form.scope method="get" action="/activity" {
            (choice("Ban", "ban", &bans))
            (choice("Proof", "evidence", &Evidence::ALL.map(|evidence| (evidence.as_str(), words(evidence)))))
            (choice("Action", "action", &Did::ALL.map(|did| (did.as_str(), did.as_str()))))
            (field("Client", "client", "192.0.2.7"))
            (field("Device", "device", "mac:00:16:3e:…"))
            (field("Name, or below it", "name", "example.com"))
            (field("Rule", "rule", ""))
            (field("Category", "category", ""))
            (field("Site", "site", ""))
            (field("Since", "since", "24h, 2024-09-29"))
            (field("Until", "until", ""))
            button type="submit" { "Show" }
            a.clear href="/activity" { "All" }
        }
    }
}

/// A table of attempts.
pub(super) fn table(id: &'static str, caption: &str, desk: &Desk<'_>, rows: &[AttemptRow]) -> Table {
    let columns = vec![
        Column::text("Last", "last"),
        Column::text("Client", "client"),
        Column::text("Device", "device"),
        Column::text("Site", "site"),
        Column::text("Name", "name"),
        Column::text("Type", "type"),
        Column::text("Ban", "ban"),
        Column::text("Proof", "proof"),
        Column::text("Rule", "rule"),
        Column::text("Action", "action"),
        Column::text("Way", "way"),
        Column::number("Count", "count"),
    ];
    let mut table = Table::new(id, caption, columns);
    for row in rows {
        let client = row.client.map(|client| client.to_string());
        let device = row.device.as_deref().or(client.as_deref());
        let device = device.map(|device| format!("/devices/{}", super::asked::encoded(device)));
        let client = client.map(|client| Cell::text(&client).to(link("/activity", &[("client", &client)])));
        let named = row.device.as_ref().map(|device| Cell::text(desk.device_now(device)));
        table.rows.push(vec![
            Cell::time(row.last),
            client.unwrap_or_else(|| Cell::text("several")),
            match (named, device) {
                (Some(named), Some(device)) => named.to(device),
                (None, Some(device)) if row.evidence != Evidence::None => Cell::text("by address").to(device),
                _ => Cell::default(),
            },
            Cell::text(&row.site),
            row.qname.as_ref().map_or_else(
                || Cell::text("several"),
                |name| Cell::text(name).to(link("/activity", &[("name", name)])).mark("name"),
            ),
            Cell::maybe(row.qtype.as_ref()),
            Cell::text(&row.ban).to(format!("/bans/{}", super::asked::encoded(&row.ban))),
            Cell::text(words(row.evidence)),
            Cell::maybe(row.pattern.as_ref()).mark("name"),
            Cell::text(row.action.as_str()),
            Cell::text(row.transport.map(crate::wire::Transport::as_str).unwrap_or_default()),
            Cell::number(row.count),
        ]);
    }
    table
}
