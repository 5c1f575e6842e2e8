//! `/devices/ID`: one device: what it did, where it was, and why it is held for one.

use maud::{Markup, html};

use super::activity;
use super::asked::link;
use super::desk::Desk;
use super::scope::words;
use super::table::{Cell, Column, Table};
use super::timeline::{self, Timeline};
use super::times::to_the_second;
use super::trouble::Trouble;
use super::view::View;
use crate::diag::shown;
use crate::identity::Identifier;
use crate::journal::{BindingRow, ClientRow, ConnectedRow, DeviceRow, Said, Store, Wanted};
use crate::time::Day;

/// The newest attempts that are shown.
const ATTEMPTS: usize = 25;

/// The page.
pub(super) fn page(desk: &Desk<'_>, view: &mut View) -> Result<Markup, Trouble> {
    let wanted = view.asked.part().to_owned();
    let store = desk.store()?;
    let device = device(&store, &wanted)?;
    let now = desk.device_now(&device.device);
    view.title(&format!("Device {now}"));
    let known = store.known_of(&device.device)?;
    let of_device = Wanted { device: Some(device.device.clone()), ..Wanted::default() };
    let page = store.attempts_page(&of_device, None, ATTEMPTS)?;
    let days = timeline::days(Day::of(view.now));
    let done = store.days_of(device.number, &days)?;
    let timeline = Timeline { device: &device.device, days, done: &done, addresses: &known.addresses }.drawn(view);
    let lookups = view.table(lookups(&device, &known.lookups));
    let addresses = view.table(addresses(&known.addresses));
    let connections = (!known.connected.is_empty()).then(|| view.table(connections(&known.connected)));
    let mut newest = activity::table("newest", "Its attempts, newest first", desk, &page.rows);
    "None of its attempts is among those that are kept one by one.".clone_into(&mut newest.empty);
    let newest = view.table(newest);
    let total: u64 = known.lookups.iter().map(|row| row.count).sum();
    let all = link("/activity", &[("device", &device.device)]);
    let (first, last) =
        (known.lookups.iter().map(|row| row.first_seen).min(), known.lookups.iter().map(|row| row.last_seen).max());
    Ok(html! {
        dl.facts {
            div { dt { "Site" } dd { (shown(&device.site)) } }
            div { dt { "Last address" } dd { (device.client.map(|client| client.to_string()).unwrap_or_default()) } }
            div { dt { "First attempt" } dd { (first.map(to_the_second).unwrap_or_default()) } }
            div { dt { "Last attempt" } dd { (last.map(to_the_second).unwrap_or_default()) } }
            div { dt { "Attempts on record" } dd { a href=(all) { (crate::report::number(total)) } } }
            @if now != device.device { div { dt { "Recorded as" } dd { (shown(&device.device)) } } }
        }
        h2 { "Timeline" } (timeline)
        h2 { "What its lookups show" } (lookups)
        h2 { "Why it is held for one device" } (why(&device, &known.addresses))
        @if let Some(connections) = connections { h2 { "Connections to the block page" } (connections) }
        h2 { "Addresses" } (addresses)
        h2 { "The newest attempts" } (newest)
        @if page.next.is_some() { p { a href=(all) { "All attempts of this device" } } }
        p.note { "The whole of it as a file to sign: " code { "embargo report incident --device '" (shown(&device.device)) "'" } "." }
    })
}

/// By its number, or by what the record calls it.
fn device(store: &Store, wanted: &str) -> Result<DeviceRow, Trouble> {
    let nothing = || Trouble::Nothing(format!("no device `{}` is on record", shown(wanted)));
    let number = match wanted.parse() {
        Ok(number) => number,
        Err(_no_number) => store.device_number(wanted)?.ok_or_else(nothing)?,
    };
    store.device(number)?.ok_or_else(nothing)
}

fn lookups(device: &DeviceRow, rows: &[ClientRow]) -> Table {
    let columns = vec![
        Column::text("Ban", "ban"),
        Column::text("Proof", "proof"),
        Column::text("Address", "address"),
        Column::text("Site", "site"),
        Column::text("First seen", "first"),
        Column::text("Last seen", "last"),
        Column::number("Attempts", "attempts"),
    ];
    let mut table = Table::new("lookups", "What the lookups of this device show", columns);
    for row in rows {
        let client = row.client.to_string();
        let fields = [
            ("ban", &*row.ban),
            ("evidence", row.evidence.as_str()),
            ("device", &*device.device),
            ("client", &*client),
            ("site", &*row.site),
        ];
        table.rows.push(vec![
            Cell::text(&row.ban).to(format!("/bans/{}", super::asked::encoded(&row.ban))),
            Cell::text(words(row.evidence)),
            Cell::text(&client),
            Cell::text(&row.site),
            Cell::time(row.first_seen),
            Cell::time(row.last_seen),
            Cell::number(row.count).to(link("/activity", &fields)),
        ]);
    }
    table
}

/// It did not only look these names up, but tried to use them.
fn connections(rows: &[ConnectedRow]) -> Table {
    let columns = vec![
        Column::text("First", "first"),
        Column::text("Last", "last"),
        Column::text("Address", "address"),
        Column::text("Ban", "ban"),
        Column::text("Proof", "proof"),
        Column::text("Last name", "name"),
        Column::text("Said in", "said"),
        Column::number("Connections", "connections"),
    ];
    let mut table = Table::new("connections", "Connections to the block page, by day, ban and proof", columns);
    for row in rows {
        let said = match row.said {
            Said::Sni => "TLS greeting",
            Said::Host => "HTTP",
        };
        table.rows.push(vec![
            Cell::time(row.first),
            Cell::time(row.last),
            Cell::text(row.client.to_string()),
            Cell::text(&row.ban).to(format!("/bans/{}", super::asked::encoded(&row.ban))),
            Cell::text(words(row.evidence)),
            Cell::text(&row.name).mark("name"),
            Cell::text(said),
            Cell::number(row.count),
        ]);
    }
    table
}

fn addresses(rows: &[BindingRow]) -> Table {
    let columns = vec![
        Column::text("From", "from"),
        Column::text("Until", "until"),
        Column::text("Address", "address"),
        Column::text("Identifiers", ""),
        Column::text("Known by", "by"),
        Column::text("As good as", ""),
    ];
    let mut table = Table::new("addresses", "Addresses that it held, and when", columns);
    "No lease, neighbour table or name says who held its addresses.".clone_into(&mut table.empty);
    for row in rows {
        let until = row.until.map_or_else(|| "no end known".to_owned(), to_the_second);
        let about = if row.estimated { " (about)" } else { "" };
        table.rows.push(vec![
            Cell::text(to_the_second(row.from) + about),
            Cell::text(until),
            Cell::text(row.client.to_string()),
            Cell::text(row.identifiers.join(" ")),
            Cell::text(row.method),
            Cell::text(row.confidence),
        ]);
    }
    table
}

/// What makes one device of what was seen.
fn why(device: &DeviceRow, bindings: &[BindingRow]) -> Markup {
    let by_address = device.device.parse::<std::net::IpAddr>().is_ok();
    let mut identifiers: Vec<&str> = bindings.iter().flat_map(|row| &row.identifiers).map(String::as_str).collect();
    identifiers.sort_unstable();
    identifiers.dedup();
    let made_up =
        identifiers.iter().any(|text| matches!(text.parse(), Ok(Identifier::Mac(mac)) if mac.is_randomised()));
    html! {
        @if by_address && bindings.is_empty() {
            p { "Only its address tells it: nothing says who held the address when. Several devices that had this address one after the other, or share it, are one here, and one device with several addresses is several." }
        } @else if by_address {
            p { "Its address stands for it. Leases, neighbour tables or names tell who held the address at other times." }
        } @else {
            p { "Attempts are this device's when whoever held the address at that moment is known by one of these identifiers, or when whoever handed the query over has named it. Identifiers that were said in one breath are of one device, unless two devices have one of them in common." }
        }
        @if !identifiers.is_empty() {
            ul.plain aria-label="Identifiers of this device" { @for identifier in identifiers.iter().take(50) { li { code { (shown(identifier)) } } } }
        }
        @if made_up { p.note { "One of its hardware addresses is made up by the device: it may have others, and be counted as several." } }
        @if !by_address {
            p.note { "To join or part: " code { "embargo devices merge" } " and " code { "embargo devices split" } "; both are audited." }
        }
    }
}
