//! `/`: which devices still have the product, whether they become fewer, and where they are.

use maud::{Markup, html};

use super::desk::Desk;
use super::plot;
use super::scope::{Scope, words};
use super::table::{Cell, Column, Table};
use super::trouble::Trouble;
use super::view::View;
use crate::policy::Evidence;
use crate::report::{Class, Inventory, Key, SiteRow, number};
use crate::time::rfc3339;

/// The page.
pub(super) fn page(desk: &Desk<'_>, view: &mut View) -> Result<Markup, Trouble> {
    let store = desk.store()?;
    let scope = Scope::of_page(desk, &store, view)?;
    view.title(&format!("{}: overview", scope.ban.title));
    let kept = desk.memo.figures((&store, &desk.devices()), &scope.figures(), view.now)?;
    let inventory = &kept.inventory;
    let key = Key::of(&inventory.figures, &scope.asked);
    let exceptions = super::system::exceptions(desk, Some(&scope.ban))?;
    let plot = plot::devices_by_day(view, &inventory.figures, &scope);
    let (sites, proofs) = (view.table(sites(&scope, inventory)), view.table(proofs(&scope, inventory)));
    Ok(html! {
        (scope.form(&view.asked, &html! {}))
        p.state { (state(&scope, view)) }
        (tiles(&scope, &key, inventory, exceptions.len()))
        p.note { (scope.times()) " Figures of " (rfc3339(kept.read)) "." }
        h2 { "Devices by day" } (plot)
        h2 { "By site" } (sites)
        h2 { "By proof" } (proofs)
    })
}

/// How the ban stands now, in words.
fn state(scope: &Scope, view: &View) -> String {
    let mode = scope.ban.mode_at(view.now).as_str();
    let some = if scope.ban.spares_some_at(view.now) { " for some" } else { "" };
    let next = scope.ban.next_change(view.now).map(|at| format!("; changes at {}", rfc3339(at))).unwrap_or_default();
    let since = scope.ban.stance.enforce_from.filter(|at| *at <= view.now);
    let since = since.map(|at| format!(" since {}", crate::time::Day::of(at))).unwrap_or_default();
    format!("Mode: {mode}{some}{since}{next}. Proof: {}.", words(scope.evidence).to_lowercase())
}

fn tiles(scope: &Scope, key: &Key, inventory: &Inventory, exceptions: usize) -> Markup {
    let to = |class: Class| scope.link("/devices", &[("class", class.as_str())]);
    let decline = match key.decline_percent {
        None => "–".to_owned(),
        Some(decline) if decline < 0.0 => format!("+{:.1} %", -decline),
        Some(decline) => format!("−{decline:.1} %"),
    };
    html! {
        ul.tiles aria-label="The figures in short" {
            li { a href=(to(Class::Now)) { b { (key.now.map_or_else(|| "unknown".to_owned(), number)) } span { "devices still attempting" } } }
            li { a href=(to(Class::Baseline)) { b { (decline) } span { "against the baseline of " (number(key.baseline)) } } }
            li { a href=(to(Class::New)) { b { (number(key.new)) } span { "new: never seen before" } } }
            li { a href=(super::asked::link("/system", &[("ban", &scope.ban.id)])) { b { (exceptions) } span { "exemptions on file" } } }
            li { a href=(to(Class::Clean)) { b { (number(key.clean)) } span { "clean: of the baseline, gone" } } }
            li { a href=(to(Class::Exempt)) { b { (number(key.exempt)) } span { "let through by an exemption" } } }
            @if key.connected > 0 { li { a href=(to(Class::Connected)) { b { (number(key.connected)) } span { "connected to the block page" } } } }
            li { a href=(to(Class::Reinfected)) { b { (number(inventory.count(Class::Reinfected))) } span { "clean, and seen again" } } }
            li { a href=(to(Class::Unknown)) { b { (number(key.unknown + key.quiet)) } span { "of the baseline, not seen, not known to be clean" } } }
        }
    }
}

fn sites(scope: &Scope, inventory: &Inventory) -> Table {
    let columns = vec![
        Column::text("Site", "site"),
        Column::number("Baseline", "baseline"),
        Column::number("Now", "now"),
        Column::number("Decline", "decline"),
        Column::number("New", "new"),
        Column::number("Clean", "clean"),
        Column::number("Exempt", "exempt"),
        Column::number("Confirmed", "confirmed"),
    ];
    let mut table = Table::new("sites", "Devices by site, those with most first", columns);
    let figures = &inventory.figures;
    let mut rows: Vec<_> = figures.sites.iter().map(|(site, counts)| SiteRow::of(site, counts, figures)).collect();
    rows.sort_by(|a, b| (b.now, b.baseline, &a.site).cmp(&(a.now, a.baseline, &b.site)));
    for row in rows {
        let site = &*row.site;
        let count = |number, class: Class| {
            Cell::number(number).to(scope.link("/devices", &[("site", site), ("class", class.as_str())]))
        };
        table.rows.push(vec![
            Cell::text(site).to(scope.link("/", &[("site", site)])),
            count(row.baseline, Class::Baseline),
            row.now.map_or_else(|| Cell::text("unknown"), |now| count(now, Class::Now)),
            Cell::percent(row.decline_percent),
            count(row.new, Class::New),
            count(row.clean, Class::Clean),
            count(row.exempt, Class::Exempt),
            count(row.confirmed, Class::Confirmed),
        ]);
    }
    table
}

fn proofs(scope: &Scope, inventory: &Inventory) -> Table {
    let columns = vec![
        Column::text("Lookups show", "proof"),
        Column::number("Baseline", "baseline"),
        Column::number("Now", "now"),
    ];
    let mut table = Table::new("proofs", "Devices by what their lookups show", columns);
    for evidence in Evidence::ALL.into_iter().filter(|evidence| *evidence != Evidence::None) {
        let (baseline, now) = inventory.figures.evidence.get(&evidence).copied().unwrap_or_default();
        let to = |class: Class| scope.link("/devices", &[("evidence", evidence.as_str()), ("class", class.as_str())]);
        table.rows.push(vec![
            Cell::text(words(evidence)),
            Cell::number(baseline).to(to(Class::Baseline)),
            Cell::number(now).to(to(Class::Now)),
        ]);
    }
    table
}
