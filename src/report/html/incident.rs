//! The page about one device.

use maud::{Markup, html};

use super::page;
use super::tables::{moment, rows, table, tag};
use crate::journal::{BindingRow, ConnectedRow};
use crate::report::format::plain;
use crate::report::history::ExceptionRow;
use crate::report::incident::{DayRow, Incident, NameRow};
use crate::report::key::number;
use crate::time::rfc3339;

/// The page.
pub(in crate::report) fn render(incident: &Incident) -> String {
    let title = plain(&format!("{}: device {}", incident.title, incident.device));
    let body = html! {
        header { p.kind { "Incident" } h1 { (title) } (facts(incident)) }
        main { (lookups(incident)) (surroundings(incident)) }
        footer { p {
            "Made by " (incident.software) " from its record. "
            @match &incident.signed_by {
                Some(key) => { code { "embargo report verify FILE --key " (key) } " checks digest and signature." }
                None => { "Not signed; " code { "embargo report verify FILE" } " finds changes by accident." }
            }
        } }
    };
    page(&title, incident.software, &body)
}

fn facts(incident: &Incident) -> Markup {
    let fact = |name: &str, says: Markup| html! { div { dt { (name) } dd { (says) } } };
    let text = |text: &str| html! { (plain(text)) };
    let or = |value: &Option<String>| html! { (value.as_deref().unwrap_or("nothing is on record")) };
    html! {
        dl.facts {
            (fact("State", tag(incident.state)))
            (fact("Vendor", text(&incident.vendor)))
            (fact("Sites", text(&incident.sites.join(", "))))
            (fact("Addresses", text(&incident.addresses.join(", "))))
            (fact("First seen", or(&incident.first)))
            (fact("Last seen", or(&incident.last)))
            (fact("Report by, under FAR 52.204-23", html! { (incident.report_by.as_deref().unwrap_or("not to be reported")) }))
            (fact("Lookups", html! {
                (number(incident.lookups)) ", of them " (number(incident.blocked)) " answered with a block and "
                (number(incident.exempt)) " let through by an exemption"
            }))
        }
    }
}

fn lookups(incident: &Incident) -> Markup {
    let name = |row: &NameRow| {
        html! { tr {
            th scope="row" { (row.name.as_deref().map_or_else(|| "not told apart".to_owned(), plain)) }
            td { (row.evidence) } td { (plain(&row.category)) } (moment(Some(&row.first), "")) (moment(Some(&row.last), ""))
            td.n { (number(row.count)) } td { (row.actions.join(", ")) }
        } }
    };
    let connected = |row: &ConnectedRow| {
        html! { tr {
            th scope="row" { (plain(&row.name)) } td { (row.evidence.as_str()) } td { (row.said.as_str()) } td { (row.client) }
            (moment(Some(&rfc3339(row.first)), "")) (moment(Some(&rfc3339(row.last)), "")) td.n { (number(row.count)) }
        } }
    };
    let columns = ["Last name", "Evidence", "Said by", "Address", "First (UTC)", "Last (UTC)", "#Connections"];
    let day = |row: &DayRow| html! { tr { td.d { (row.day) } td.n { (number(row.count)) } } };
    let header = ["Name", "Evidence", "Category", "First (UTC)", "Last (UTC)", "#Lookups", "What was done"];
    html! {
        h2 { "Lookups" }
        (table("", &header, &rows(&incident.names, name)))
        @if incident.names_left_out > 0 { p.more { (incident.names_left_out) " more names are not listed." } }
        @if !incident.connected.is_empty() {
            h2 { "Connections" }
            (table("What the block page saw the device connect to, by day. It raises no grade.", &columns, &rows(&incident.connected, connected)))
        }
        h2 { "Days" }
        (table("", &["Day", "#Lookups"], &rows(&incident.days, day)))
    }
}

fn surroundings(incident: &Incident) -> Markup {
    let binding = |row: &BindingRow| {
        html! { tr {
            td { (row.client) } td { (plain(&row.identifiers.join(" "))) } (moment(Some(&rfc3339(row.from)), ""))
            (moment(row.until.map(rfc3339).as_deref(), "no end"))
        } }
    };
    let exception = |row: &ExceptionRow| {
        html! { tr {
            td { (plain(&row.id)) } td { (row.state) } td { (plain(&row.whom)) } td { (plain(&row.what)) }
            (moment(row.until.as_deref(), "no end")) td { (plain(&row.owner)) ": " (plain(&row.reason)) }
        } }
    };
    let header = ["Id", "State", "Whom", "In what", "Until (UTC)", "Owner and reason"];
    html! {
        h2 { "Addresses" }
        (table("When the device held which address, by the leases.", &["Address", "Known by", "From (UTC)", "Until (UTC)"], &rows(&incident.bindings, binding)))
        h2 { "Exceptions" }
        (table("Exemptions of this ban on record.", &header, &rows(&incident.exceptions, exception)))
        h2 { "To be added" }
        ul.plain { @for line in &incident.to_be_added { li { (line) ":" } } }
    }
}
