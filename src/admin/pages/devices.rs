//! `/devices`: the devices that a figure counts.

use maud::{Markup, html};

use super::asked;
use super::desk::Desk;
use super::memo::Order;
use super::scope::{Scope, words};
use super::table::{Cell, Column, Table};
use super::trouble::Trouble;
use super::view::View;
use crate::report::{Class, Inventory, InventoryRow, Sort};

/// What is shown when nobody asks for anything else: who was seen last.
pub(super) const FIRST_ORDER: Order = (Class::Now, Sort::Last, true);

/// The page.
pub(super) fn page(desk: &Desk<'_>, view: &mut View) -> Result<Markup, Trouble> {
    if let Some(wanted) = view.asked.get("find").map(str::to_owned) {
        return found(desk, view, &wanted);
    }
    let store = desk.store()?;
    let scope = Scope::of_page(desk, &store, view)?;
    let class = class(view)?;
    view.title(&format!("{}: devices", scope.ban.title));
    let kept = desk.memo.figures((&store, &desk.devices()), &scope.figures(), view.now)?;
    let presence = store.presence()?.uniting(&desk.devices())?;
    let (sort, falling) = sort(view);
    let numbers = kept.numbers(&presence, (class, sort, falling))?;
    let rows_max = view.rows_of("devices");
    let from = view.first_of("devices").min(numbers.len());
    let shown = numbers.get(from..(from + rows_max).min(numbers.len())).unwrap_or_default();
    let rows = kept.inventory.rows(&presence, &kept.of.subject(), shown)?;
    let mut table = Table::new("devices", meaning(class), columns(numbers.len()));
    "No device is counted here.".clone_into(&mut table.empty);
    table.rows = rows.iter().map(|row| cells(desk, &scope, row)).collect();
    table.turned = Some(view.turned("devices", (from, shown.len(), numbers.len())));
    let table = view.table(table);
    Ok(html! {
        (scope.form(&view.asked, &chosen(class)))
        p.note { (scope.times()) " Proof: " (words(scope.evidence).to_lowercase()) "." }
        @if !Inventory::sorts(Sort::Lookups, numbers.len()) {
            p.note { "So many devices are not sorted by their lookups; choose a site or a shorter window." }
        }
        (table)
        (find())
    })
}

fn class(view: &View) -> Result<Class, Trouble> {
    let Some(word) = view.asked.get("class") else { return Ok(FIRST_ORDER.0) };
    let known = Class::ALL.into_iter().find(|known| known.as_str() == word);
    known.ok_or_else(|| Trouble::Wrong(format!("unknown class `{}`", crate::diag::shown(word))))
}

/// By default those seen last come first.
fn sort(view: &View) -> (Sort, bool) {
    let asked = view.sort_of("devices");
    let known =
        asked.and_then(|(key, falling)| Some((Sort::ALL.into_iter().find(|sort| sort.as_str() == key)?, falling)));
    known.unwrap_or((FIRST_ORDER.1, FIRST_ORDER.2))
}

/// What the devices of a class have in common.
fn meaning(class: Class) -> &'static str {
    match class {
        Class::Now => "Devices seen in the window",
        Class::Baseline => "Devices seen in the baseline",
        Class::Still => "Devices seen in the baseline and in the window",
        Class::New => "Devices seen in the window and never before the end of the baseline",
        Class::Returned => "Devices seen in the window and before the baseline, but not in it",
        Class::Clean => "Devices of the baseline that are clean: active on 14 days or more since they were last seen",
        Class::Quiet => "Devices of the baseline that were not seen, and not active long enough to be called clean",
        Class::Unknown => "Devices of the baseline that were not seen and not active since: nothing is known",
        Class::Confirmed => "Devices seen in the window by two names or hours of a verified source",
        Class::Suspected => "Devices seen in the window that are not confirmed",
        Class::Exempt => "Devices seen in the window that an exemption let through",
        Class::Connected => "Devices seen in the window that connected to the block page",
        Class::Reinfected => "Devices that were clean and were seen again",
    }
}

fn chosen(class: Class) -> Markup {
    html! {
        div { label for="class" { "Which" } select #class name="class" {
            @for known in Class::ALL { option value=(known.as_str()) selected[known == class] { (known.as_str()) } }
        } }
    }
}

fn columns(devices: usize) -> Vec<Column> {
    let lookups = if Inventory::sorts(Sort::Lookups, devices) { "lookups" } else { "" };
    vec![
        Column::text("Device", "device"),
        Column::text("Site", "site"),
        Column::text("Last address", ""),
        Column::text("State", ""),
        Column::text("Against the baseline", ""),
        Column::text("Connected", ""),
        Column::text("First seen", "first"),
        Column::text("Last seen", "last"),
        Column::number("Days", "days"),
        Column::number("Lookups", lookups),
    ]
}

fn cells(desk: &Desk<'_>, scope: &Scope, row: &InventoryRow) -> Vec<Cell> {
    let device = format!("/devices/{}", row.number);
    let since = scope.asked.window.start().to_string();
    let lookups = [
        ("ban", &*scope.ban.id),
        ("evidence", scope.evidence.as_str()),
        ("device", &*row.device),
        ("site", &*row.site),
        ("since", &*since),
    ];
    let state = match (row.exempt, row.reinfected) {
        (true, _) => format!("{}, exempt", row.state),
        (_, true) => format!("{}, again after it was clean", row.state),
        _ => row.state.to_owned(),
    };
    vec![
        Cell::text(desk.device_now(&row.device)).to(device),
        Cell::text(&row.site).to(scope.link("/devices", &[("site", &row.site)])),
        Cell::maybe(row.client.as_ref()),
        Cell::text(state).mark(row.state),
        Cell::text(row.since_baseline),
        Cell::text(if row.connected { "yes" } else { "" }),
        Cell::maybe(row.first.as_ref()).mark("t"),
        Cell::maybe(row.last.as_ref()).mark("t"),
        Cell::number(row.days as u64),
        Cell::number(row.lookups).to(asked::link("/activity", &lookups)),
    ]
}

fn find() -> Markup {
    html! {
        h2 { "Find a device" }
        form.scope method="get" action="/devices" {
            div { label for="find" { "Name or address, as the record has it" }
                input #find name="find" required placeholder="mac:00:16:3e:12:34:56 or 10.1.2.7" maxlength="300"; }
            button type="submit" { "Find" }
        }
    }
}

fn found(desk: &Desk<'_>, view: &mut View, wanted: &str) -> Result<Markup, Trouble> {
    view.title("Find a device");
    let number = desk.store()?.device_number(wanted)?;
    Ok(html! {
        @match number {
            Some(number) => p { a href=(format!("/devices/{number}")) { (crate::diag::shown(wanted)) } " is on record." },
            None => p role="status" { "Nothing that is called " b { (crate::diag::shown(wanted)) } " has made a lookup of a ban that is on record." },
        }
        (find())
    })
}
