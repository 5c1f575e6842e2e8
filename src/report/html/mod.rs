//! A report as one page to read, print and keep: no script, no font, no picture from elsewhere, and nothing that a client could
//! slip into it.

mod chart;
mod incident;
mod tables;

pub(super) use incident::render as render_incident;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::document::Document;
use super::format::plain;
use super::key::{number, percent};
use crate::time::Day;

const STYLE: &str = include_str!("style.css");

/// The page.
pub(super) fn render(document: &Document) -> String {
    let title = title(document);
    let body = html! {
        a.skip href="#statement" { "To the statement" }
        (head(document, &title))
        main {
            (summary(document))
            (trend(document))
            (tables::figures(document))
            (tables::sites(document))
            (tables::groups(document))
            (tables::open(document))
            (tables::silent(document))
            (tables::exceptions(document))
            (tables::enforcement(document))
            (tables::milestones(document))
            (tables::evidence(document))
            (tables::signals(document))
            (lines("Method", &document.method))
            (lines("Limits", &document.limits))
            (tables::annex(document))
        }
        (foot(document))
    };
    page(&title, document.about.software, &body)
}

/// A page of its own, which asks for nothing elsewhere and runs nothing.
fn page(title: &str, software: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="generator" content=(software);
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    let mut page = page.into_string();
    page.push('\n');
    page
}

fn title(document: &Document) -> String {
    let about = &document.about;
    plain(&format!("{}: devices seen {} to {}", about.title, about.from, about.to))
}

fn head(document: &Document, title: &str) -> Markup {
    let about = &document.about;
    let fact = |name: &str, text: &str| {
        html! { @if !text.is_empty() { div { dt { (name) } dd { (plain(text)) } } } }
    };
    html! {
        header {
            p.kind { "Report on a vendor ban" }
            h1 { (title) }
            dl.facts {
                (fact("Vendor", &about.vendor))
                (fact("Scope", &about.site.as_ref().map_or_else(|| "All sites".to_owned(), |site| format!("Site {site}"))))
                (fact("Window", &format!("{} to {} ({} days, UTC)", about.from, about.to, about.days)))
                (fact("Baseline", &format!("{} to {}", about.baseline_from, about.baseline_to)))
                (fact("Contact", &about.contact))
                (fact("Signed by", about.signed_by.as_deref().unwrap_or("not signed")))
            }
        }
    }
}

fn summary(document: &Document) -> Markup {
    let key = &document.figures;
    let tile = |figure: &str, says: &str| html! { li { b { (figure) } span { (says) } } };
    html! {
        section.statement #statement aria-label="Statement" {
            @for sentence in &document.statement { p { (whole_dates(sentence)) } }
        }
        ul.tiles aria-label="The figures in short" {
            (tile(&number(key.baseline), "devices in the baseline"))
            (tile(&key.now.map_or_else(|| "unknown".to_owned(), number), "devices in the window"))
            (tile(&percent(key.decline_percent), "decline of devices"))
            (tile(&percent(key.still_percent), "of the baseline still there"))
        }
        @if key.baseline > 0 { (chart::fate(key)) }
    }
}

/// The sentence with dates that no line's end cuts.
fn whole_dates(sentence: &str) -> Markup {
    let is_date = |word: &str| word.get(..10).is_some_and(|date| date.parse::<Day>().is_ok());
    html! {
        @for (at, word) in sentence.split(' ').enumerate() {
            @if at > 0 { " " }
            @if is_date(word) { span.d { (plain(word)) } } @else { (plain(word)) }
        }
    }
}

fn trend(document: &Document) -> Markup {
    html! {
        h2 { "Trend" }
        (chart::trend(document))
        (tables::months(document))
    }
}

fn lines(title: &str, lines: &[String]) -> Markup {
    html! {
        h2 { (title) }
        ul.plain { @for line in lines { li { (plain(line)) } } }
    }
}

fn foot(document: &Document) -> Markup {
    let about = &document.about;
    html! {
        footer {
            p {
                "Made by " (about.software) " from its record. The last line of this file holds its digest"
                @match &about.signed_by {
                    Some(key) => { " and a signature. " code { "embargo report verify FILE --key " (key) } " checks both." }
                    None => { ", which shows changes by accident only: the report is not signed. "
                        code { "embargo report verify FILE" } " checks it." }
                }
            }
            p { "The same record and the same question make the same octets." }
        }
    }
}
