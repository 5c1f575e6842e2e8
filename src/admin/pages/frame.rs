//! What stands around a page: the way to the others, who looks, and what the page may ask a browser for.

use axum::http::{StatusCode, header};
use maud::{DOCTYPE, Markup, html};

use super::asset::{ICON, PLOT_SCRIPT, PLOT_STYLE, SCRIPT, STYLE};
use super::desk::Desk;
use super::times::to_the_second;
use super::trouble::Trouble;
use crate::admin::reply::Reply;
use crate::admin::route::CSRF_FIELD;
use crate::diag::shown;
use crate::time::Timestamp;

/// The places that every page leads to.
const PLACES: [(&str, &str); 6] = [
    ("/", "Overview"),
    ("/devices", "Devices"),
    ("/activity", "Activity"),
    ("/bans", "Bans & lists"),
    ("/reports", "Reports"),
    ("/system", "System"),
];

/// Only what is ours, and nothing that stands in the page itself.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What stands around a page.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    pub(super) path: &'a str,
    pub(super) now: Option<Timestamp>,
    pub(super) plots: bool,
}

impl Frame<'_> {
    /// The whole page; without a desk nobody is known who looks.
    pub(super) fn reply(&self, desk: Option<&Desk<'_>>, body: &Markup) -> Reply {
        let page = html! {
            (DOCTYPE)
            html lang="en" { (self.head()) (self.body(desk, body)) }
        };
        Reply::html(page.into_string()).with(header::CONTENT_SECURITY_POLICY, POLICY)
    }

    fn head(&self) -> Markup {
        html! {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (self.title) " – Embargo" }
                @if self.plots { link rel="stylesheet" href=(PLOT_STYLE.address()); }
                link rel="stylesheet" href=(STYLE.address());
                link rel="icon" href=(ICON.address());
                @if self.plots { script defer src=(PLOT_SCRIPT.address()) {} }
                script defer src=(SCRIPT.address()) {}
            }
        }
    }

    fn body(&self, desk: Option<&Desk<'_>>, body: &Markup) -> Markup {
        let is_here = |place: &str| if place == "/" { self.path == "/" } else { self.path.starts_with(place) };
        html! {
            body {
                a.skip href="#main" { "Skip to the page" }
                header {
                    a.brand href="/" { "Embargo" }
                    nav aria-label="Pages" { ul {
                        @for (place, name) in PLACES {
                            li { a href=(place) aria-current=[is_here(place).then_some("page")] { (name) } }
                        }
                    } }
                    @if let Some(desk) = desk { (who(desk)) }
                }
                main #main tabindex="-1" { h1 { (self.title) } (body) }
                footer {
                    p { "Embargo " (env!("CARGO_PKG_VERSION")) @if let Some(now) = self.now { ". Made " (to_the_second(now)) "; all times are UTC." } }
                    p { a href="/metrics" { "Metrics" } " · " a href="/readyz?verbose" { "Readiness" } " · " a href="/api/v1/openapi.json" { "API" } }
                }
            }
        }
    }
}

/// Who looks, and the way out or in.
fn who(desk: &Desk<'_>) -> Markup {
    html! {
        div.who {
            @match (desk.who(), desk.csrf()) {
                (Some(who), Some(_csrf)) => form method="post" action="/logout" {
                    (hidden(desk)) span { (shown(who)) } " " button.plain type="submit" { "Log out" }
                },
                (Some(who), None) => span { (shown(who)) },
                (None, _) => a href="/login" { "Log in" },
            }
        }
    }
}

/// What a form has to send along.
pub(super) fn hidden(desk: &Desk<'_>) -> Markup {
    html! { input type="hidden" name=(CSRF_FIELD) value=[desk.csrf()]; }
}

/// A page that says why there is no other.
pub(super) fn troubled(desk: &Desk<'_>, trouble: &Trouble) -> Reply {
    let body = html! { p.trouble role="alert" { (shown(&trouble.to_string())) "." } };
    let frame = Frame { title: trouble.title(), path: "", now: None, plots: false };
    frame.reply(Some(desk), &body).status(trouble.status())
}

/// The page to log in by, going on at `next`.
pub(in crate::admin) fn login(next: &str, wrong: Option<&str>) -> Reply {
    let body = html! {
        @if let Some(wrong) = wrong { p.trouble role="alert" { (wrong) } }
        form.scope.login method="post" action="/login" {
            input type="hidden" name="next" value=(next);
            div { label for="user" { "User (empty for a token)" } input #user name="user" autocomplete="username" autofocus; }
            div { label for="password" { "Password or token" } input #password name="password" type="password" autocomplete="current-password" required; }
            button type="submit" { "Log in" }
        }
        p.note { "Users are made by " code { "embargo user add" } ", tokens by " code { "embargo token add" } "." }
    };
    let frame = Frame { title: "Log in", path: "", now: None, plots: false };
    let status = if wrong.is_some() { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    frame.reply(None, &body).status(status)
}
