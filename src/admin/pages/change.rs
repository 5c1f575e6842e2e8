//! What pages change: each by a form that only a page of ours can send, by somebody who is known, and audited.

use axum::http::Method;
use maud::{Markup, html};

use super::desk::Desk;
use super::frame::{self, hidden};
use super::trouble::Trouble;
use crate::access::Scope;
use crate::admin::Room;
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::Reply;
use crate::admin::route::{Route, Work};
use crate::audit::Written;
use crate::orders::{Answer, Exempt, Request};
use crate::policy::Policy;

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

const fn form(path: &'static str, needs: Scope, work: crate::admin::route::Handler) -> Route {
    Route { method: Method::POST, path, needs: Some(needs), query: &[], work: Work::Whole(work), about: None }
}

/// The forms.
pub(in crate::admin) static ROUTES: [Route; 3] = [
    form("/system/reload", Scope::Operate, |room, call| done(room, call, Request::Reload, "/system")),
    form("/system/exempt", Scope::Approve, |room, call| {
        let asked = asked(&call.form()?)?;
        done(room, call, Request::ExemptAdd(Box::new(asked)), "/system#exemptions")
    }),
    form("/system/revoke", Scope::Approve, |room, call| {
        let id = field(&call.form()?, "id");
        done(room, call, Request::ExemptRevoke(id.unwrap_or_default()), "/system#exemptions")
    }),
];

/// Has it done, and leads back to where it is seen.
fn done(room: &Room, call: &Call, request: Request, place: &str) -> Result<Reply, Problem> {
    let desk = Desk::of(room, call)?;
    Ok(match room.house()?.carry(request, call.author()) {
        Answer::Done(_what) => Reply::see_other(place),
        Answer::Wrong(why) => frame::troubled(&desk, &Trouble::Wrong(why)),
        Answer::Failed(why) => frame::troubled(&desk, &Trouble::File(why)),
    })
}

/// A field of a form, unless it is empty.
fn field(fields: &[(String, String)], name: &str) -> Option<String> {
    let found = fields.iter().find(|(known, _value)| known == name).map(|(_known, value)| value.trim());
    found.filter(|value| !value.is_empty()).map(str::to_owned)
}

/// The exemption that a form asks for.
///
/// # Errors
/// Its days are no number.
fn asked(fields: &[(String, String)]) -> Result<Exempt, Problem> {
    let field = |name| field(fields, name);
    let days = field("days").map(|days| days.parse::<u32>()).transpose();
    let days = days.map_err(|_error| Problem::bad("days", "has to be a number of days"))?;
    let terms = Written {
        client: field("client"),
        group: field("group"),
        ban: field("ban"),
        name: field("name"),
        endless: days.is_none(),
        owner: field("owner").unwrap_or_default(),
        reason: field("reason").unwrap_or_default(),
        ticket: field("ticket"),
        ..Written::default()
    };
    Ok(Exempt { terms, lasts_ms: days.map(|days| u64::from(days) * DAY_MS), is_site: false })
}

/// The form that has configuration and lists read again.
pub(super) fn reload(desk: &Desk<'_>) -> Markup {
    html! {
        @if desk.may(Scope::Operate) {
            form method="post" action="/system/reload" { (hidden(desk)) button type="submit" { "Reload now" } }
        }
    }
}

/// The forms that spare somebody something and take that back.
pub(super) fn exempt(desk: &Desk<'_>, policy: Option<&Policy>) -> Markup {
    if !desk.may(Scope::Approve) {
        return html! { p.note { "Whoever is logged in with the scope " code { "approve" } " can spare somebody a ban here." } };
    }
    let text = |name: &str, title: &str, required: bool| {
        html! { div { label for=(format!("new-{name}")) { (title) } input id=(format!("new-{name}")) name=(name) required[required] maxlength="500"; } }
    };
    html! {
        details { summary { "Spare somebody a ban" }
            form.scope method="post" action="/system/exempt" {
                (hidden(desk))
                (text("client", "Address, network or device", false))
                (text("group", "or group", false))
                div { label for="new-ban" { "Ban" } select #new-ban name="ban" {
                    option value="" { "(a name)" }
                    @for ban in policy.map(Policy::bans).unwrap_or_default() { option value=(ban.id) { (ban.title) } }
                } }
                (text("name", "or name", false))
                div { label for="new-days" { "For days (empty: without end)" } input #new-days name="days" inputmode="numeric" value="30"; }
                (text("owner", "Who answers for it", true))
                (text("reason", "Why", true))
                (text("ticket", "Ticket", false))
                button type="submit" { "Grant" }
            }
        }
        details { summary { "Take an exemption back" }
            form.scope method="post" action="/system/revoke" {
                (hidden(desk))
                (text("id", "Its id", true))
                button type="submit" { "Revoke" }
            }
        }
    }
}
