//! `/reports`: reports made on the spot, signed by the key of this server where it has one.

use axum::http::header;
use maud::{Markup, html};

use super::asked::{Asked, link};
use super::desk::Desk;
use super::times::day;
use super::trouble::Trouble;
use super::view::View;
use crate::admin::reply::Reply;
use crate::diag::shown;
use crate::policy::{BanKind, Mode};
use crate::report::{self, Format};
use crate::time::Day;

/// What a report may do that is shown in a browser: it carries its style and nothing that runs.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Days of the window of whoever has not chosen.
const DAYS: i32 = 30;

/// The page.
pub(super) fn page(desk: &Desk<'_>, view: &mut View) -> Result<Markup, Trouble> {
    view.title("Reports");
    let policy = desk.policy().ok_or(Trouble::NoPolicy)?;
    let key = desk.key().map(|key| key.fingerprint());
    let to = Day::of(view.now).plus(-1);
    let from = to.plus(1 - DAYS);
    let wanted = view.asked.get("ban");
    let on = |ban: &&std::sync::Arc<crate::policy::Ban>| ban.kind == BanKind::Ban && ban.ceiling() != Mode::Off;
    let first = policy.bans().iter().find(|ban| wanted.map_or_else(|| on(ban), |wanted| *ban.id == *wanted));
    let enforced = first.and_then(|ban| ban.stance.enforce_from).map(Day::of).filter(|day| *day <= from);
    let date = |name: &str, title: &str, day: Day| {
        html! {
            div { label for=(name) { (title) } input id=(name) name=(name) type="date" required value=(day); }
        }
    };
    Ok(html! {
        p { "How many devices had the product, by site and over time, compared with a window of the same length before a date. The same record and the same question make the same octets." }
        form.scope method="get" action="/reports/report.html" {
            div { label for="ban" { "Ban" } select #ban name="ban" {
                @for ban in policy.bans() { option value=(ban.id) selected[first.is_some_and(|first| first.id == ban.id)] { (ban.title) } }
            } }
            (date("from", "First day", from))
            (date("to", "Last day", to))
            (date("baseline", "Compared with before", enforced.unwrap_or(from)))
            div { label for="site" { "Site (empty: all)" } input #site name="site" maxlength="200"; }
            div { label for="as" { "Form" } select #as name="as" {
                @for format in Format::ALL { option value=(format.as_str()) { (said(format)) } }
            } }
            button type="submit" { "Make the report" }
        }
        h2 { "Signature" }
        @match key {
            Some(key) => p { "Reports are signed with the key " code { (key) } ". " code { "embargo report verify FILE --key " (key) } " checks one." },
            None => p { "Reports are not signed: " code { "embargo report key" } " makes the key." },
        }
        h2 { "What it rests on" }
        p { "See " a href="/system" { "System" } " for the hours that are on record, and " code { "embargo report --help" } " for the same on the command line, for one device and by schedule." }
        p.note { "For example: " a href=(link("/reports/report.html", &[
            ("ban", first.map(|ban| &*ban.id).unwrap_or_default()), ("from", &from.to_string()), ("to", &to.to_string()), ("baseline", &enforced.unwrap_or(from).to_string()),
        ])) { "the last " (DAYS) " whole days" } "." }
    })
}

fn said(format: Format) -> &'static str {
    match format {
        Format::Html => "Page to read and print",
        Format::Json => "JSON",
        Format::Csv => "CSV",
        Format::Markdown => "Markdown",
        Format::Oscal => "OSCAL assessment results",
    }
}

/// The report that the address asks for.
pub(super) fn made(desk: &Desk<'_>, asked: &Asked) -> Result<Reply, Trouble> {
    let file = asked.part();
    let format =
        Format::ALL.into_iter().find(|format| asked.get("as") == Some(format.as_str())).unwrap_or(Format::Html);
    if file != "report.html" {
        return Err(Trouble::Nothing(format!("there is no report `{}`", shown(file))));
    }
    let policy = desk.policy().ok_or(Trouble::NoPolicy)?;
    let wanted = asked.get("ban").unwrap_or_default();
    let ban = policy.bans().iter().find(|ban| *ban.id == *wanted);
    let ban = ban.ok_or_else(|| Trouble::Nothing(format!("there is no ban `{}`", shown(wanted))))?;
    let date = |title, field| {
        asked.get(field).map_or_else(|| Err(Trouble::Wrong(format!("{title} is missing"))), |text| day(title, text))
    };
    let (from, to, baseline) =
        (date("First day", "from")?, date("Last day", "to")?, date("Compared with before", "baseline")?);
    if to.since(from) > 400 {
        return Err(Trouble::Wrong(
            "a page makes reports of 400 days at most; the command line has no limit".to_owned(),
        ));
    }
    let window = report::Asked::new(from, to, baseline).ok_or_else(|| {
        Trouble::Wrong(format!(
            "no window to compare: {baseline} (compared with before) <= {from} (first day) <= {to} (last day) must hold"
        ))
    })?;
    let text = desk.report(ban, &window, asked.get("site"), format).map_err(Trouble::File)?;
    Ok(handed_out(text, format, &format!("{}-{from}-{to}", ban.id)))
}

fn handed_out(text: String, format: Format, name: &str) -> Reply {
    let kind = match format {
        Format::Html => "text/html; charset=utf-8",
        Format::Json | Format::Oscal => "application/json",
        Format::Csv => "text/csv; charset=utf-8",
        Format::Markdown => "text/markdown; charset=utf-8",
    };
    // An id is `[a-z0-9-]`, and so are dates: nothing in it ends the name.
    let place = if format == Format::Html { "inline" } else { "attachment" };
    let name = format!("{place}; filename=\"embargo-{name}.{}\"", format.extension());
    Reply::of(kind, text).with(header::CONTENT_SECURITY_POLICY, POLICY).with(header::CONTENT_DISPOSITION, &name)
}
