//! The page: one file that runs nothing and asks for nothing, to read and to print. Whatever a client or a file says is text.

use jiff::civil::Date;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::words::Words;
use crate::diag::shown;
use crate::policy::{Ban, Language, Law};
use crate::wire::LowerName;

const STYLE: &str = include_str!("style.css");

/// What is banned, on what ground, since when, whom to ask, what to use instead.
pub(super) fn blocked(language: Language, name: &LowerName, ban: &Ban, since: Option<Date>) -> String {
    let (words, own) = (Words::of(language), ban.page(language));
    let text = own.map_or("", |own| &*own.text);
    let alternatives = own.map(|own| &own.alternatives).filter(|text| !text.is_empty()).unwrap_or(&ban.alternatives);
    let (binding, others): (Vec<&Law>, Vec<&Law>) = ban.laws.iter().partition(|law| ban.bound_by.contains(&law.id));
    let title = (words.blocked_title)(&shown(&ban.title));
    let body = html! {
        p.lead { ((words.blocked)(&name.to_string(), &shown(&ban.title))) }
        @for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) { p { (shown(paragraph)) } }
        dl {
            (fact(words.vendor, &ban.vendor))
            dt { (words.ground) }
            dd { @if binding.is_empty() { (words.policy) } @else {
                (words.policy_by_law)
                ul { @for law in &binding { li { (act(law, words)) " " (words.end_use(law.end_use)) } } }
            } }
            @if let Some(since) = since { dt { (words.since) } dd { (since) } }
            @if !ban.contact.is_empty() { dt { (words.contact) } dd { (contact(&ban.contact)) } }
            (fact(words.alternatives, alternatives))
        }
        @if !others.is_empty() {
            h2 { (words.acts) }
            p { (words.acts_note) }
            ul { @for law in &others { li { (act(law, words)) } } }
        }
        p.note { (words.why_here) }
    };
    whole(language, &title, &body)
}

/// What those see who came by a name that is not banned for them, or by none.
pub(super) fn neutral(language: Language, name: Option<&LowerName>) -> String {
    let words = Words::of(language);
    let body = html! {
        p.lead { @match name {
            Some(name) => { ((words.not_banned)(&name.to_string())) }
            None => { (words.no_name) }
        } }
        p { (words.try_again) }
    };
    whole(language, words.neutral_title, &body)
}

fn whole(language: Language, title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang=(language.as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) }
                // No browser is to ask for an icon.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body { main { h1 { (title) } (body) } }
        }
    };
    let mut page = page.into_string();
    page.push('\n');
    page
}

fn fact(says: &str, text: &str) -> Markup {
    html! { @if !text.is_empty() { dt { (says) } dd { (shown(text)) } } }
}

/// An address of mail can be written to by a click; anything else is text.
fn contact(text: &str) -> Markup {
    let is_mail = |octet: u8| octet.is_ascii_alphanumeric() || b"@.-_+".contains(&octet);
    let is_mail = text.matches('@').count() == 1 && text.bytes().all(is_mail);
    html! { @if is_mail { a href={ "mailto:" (text) } { (text) } } @else { (shown(text)) } }
}

/// A law by its name, and from when on it has effect.
fn act(law: &Law, words: &Words) -> Markup {
    let citation = if law.citation.is_empty() { String::new() } else { format!(", {}", shown(&law.citation)) };
    html! {
        (shown(&law.instrument)) " (" (shown(&law.jurisdiction)) ")" (citation)
        @if let Some(date) = law.effective { ", " (words.effective) " " (date) }
        "."
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::{EndUse, PageText};

    fn law(id: &str, end_use: EndUse) -> Law {
        Law {
            id: id.into(),
            jurisdiction: "US".into(),
            instrument: format!("Act {id}").into(),
            citation: "1 FR 2".into(),
            issued: None,
            effective: Some("2024-09-29".parse().unwrap()),
            applies_to: "".into(),
            end_use,
            note: "".into(),
            source: "".into(),
        }
    }

    fn ban() -> Ban {
        Ban {
            title: "Acme <b>".into(),
            vendor: "Acme & Sons".into(),
            contact: "it@example.org".into(),
            alternatives: "Anything else".into(),
            laws: vec![law("one", EndUse::Yes), law("two", EndUse::No)],
            pages: vec![PageText {
                language: Language::De,
                text: "Eigenes.".into(),
                alternatives: "Etwas anderes".into(),
            }],
            ..Ban::named("acme")
        }
    }

    fn page(language: Language, ban: &Ban) -> String {
        let name = LowerName::parse("a.acme.example").unwrap();
        blocked(language, &name, ban, Some("2024-09-30".parse().unwrap()))
    }

    #[test]
    fn a_page_says_what_why_since_when_whom_to_ask_and_what_to_use_in_every_language() {
        for language in Language::ALL {
            let page = page(language, &ban());
            let tag = format!("<html lang=\"{}\">", language.as_str());
            let says = [
                "a.acme.example",
                "Acme &lt;b&gt;",
                "Acme &amp; Sons",
                "2024-09-30",
                "mailto:it@example.org",
                "Act one",
            ];
            for text in says.into_iter().chain([&*tag]) {
                assert!(page.contains(text), "{language:?} {text}: {page}");
            }
            assert!(!page.contains("<script") && !page.contains("http"), "nothing is asked for elsewhere: {page}");
        }
        let german = page(Language::De, &ban());
        assert!(german.contains("Eigenes.") && german.contains("Etwas anderes") && !german.contains("Anything else"));
        assert!(page(Language::Fr, &ban()).contains("Anything else"));
    }

    #[test]
    fn a_law_is_said_to_prohibit_only_where_the_operator_says_that_it_binds_and_it_does() {
        let words = Words::of(Language::En);
        let prohibits = words.end_use(EndUse::Yes);
        let none = page(Language::En, &ban());
        assert!(none.contains(words.policy) && none.contains(words.acts_note) && !none.contains(prohibits), "{none}");
        let bound = |id: &str| Ban { bound_by: vec![Arc::from(id)], ..ban() };
        assert!(page(Language::En, &bound("one")).contains(prohibits));
        let supplier = page(Language::En, &bound("two"));
        assert!(!supplier.contains(prohibits) && supplier.contains(words.end_use(EndUse::No)), "{supplier}");
    }

    #[test]
    fn who_comes_by_another_name_or_none_learns_of_no_ban() {
        for language in Language::ALL {
            let name = LowerName::parse("www.example.org").unwrap();
            let (named, nameless) = (neutral(language, Some(&name)), neutral(language, None));
            assert!(named.contains("www.example.org") && !nameless.contains("example"), "{named} {nameless}");
        }
    }

    #[test]
    fn what_is_no_address_of_mail_is_no_link() {
        for text in ["+1 555 0100", "a@b@c", "x@example.org?body=1", "\"><script>@x"] {
            assert!(!contact(text).into_string().contains("<a"), "{text}");
        }
    }
}
