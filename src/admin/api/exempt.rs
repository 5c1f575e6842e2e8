//! Who is spared what: listed, granted and taken back.

use axum::http::{Method, StatusCode, header};
use serde_json::Value;

use super::carry;
use super::pages::{CURSOR, LIMIT, numbered};
use crate::access::Scope;
use crate::admin::Room;
use crate::admin::call::{Call, cut};
use crate::admin::problem::Problem;
use crate::admin::reply::{Reply, tag};
use crate::admin::route::{About, Answered, Parameter, Route, Work};
use crate::admin::shape::{COUNT, Shape, field, optional};
use crate::audit::Written;
use crate::orders::{Exempt, Request};

const EXEMPTION: Shape = Shape::Object(&[
    field("id", Shape::Text),
    field("state", Shape::Word(&["live", "idle", "expired", "revoked", "void"])),
    field("client", Shape::Maybe(&Shape::Text)),
    field("group", Shape::Maybe(&Shape::Text)),
    field("ban", Shape::Maybe(&Shape::Text)),
    field("category", Shape::Maybe(&Shape::Text)),
    field("name", Shape::Maybe(&Shape::Text)),
    field("until", Shape::Maybe(&Shape::Time)),
    field("left_seconds", Shape::Maybe(&COUNT)),
    field("owner", Shape::Text),
    field("reason", Shape::Text),
    field("ticket", Shape::Maybe(&Shape::Text)),
    field("granted", Shape::Maybe(&Shape::Time)),
    field("uid", Shape::Maybe(&COUNT)),
    field("by", Shape::Maybe(&Shape::Text)),
    field("ended", Shape::Maybe(&Shape::Time)),
    field("revoked_by", Shape::Maybe(&COUNT)),
    field("revoker", Shape::Maybe(&Shape::Text)),
]);

/// Exactly one of client, group and site; one of ban, category and name; one of until, `lasts_seconds` and endless.
const WANTED: Shape = Shape::Object(&[
    optional("client", Shape::Text),
    optional("group", Shape::Text),
    optional("site", Shape::Text),
    optional("ban", Shape::Text),
    optional("category", Shape::Text),
    optional("name", Shape::Text),
    optional("until", Shape::Time),
    optional("lasts_seconds", Shape::Whole(1, 315_360_000)),
    optional("endless", Shape::Flag),
    field("owner", Shape::Text),
    field("reason", Shape::Text),
    optional("ticket", Shape::Text),
]);

const ALL: Parameter =
    Parameter { name: "all", shape: Shape::Flag, about: "Whether those that have ended are listed too." };

/// The routes.
pub(super) static ROUTES: [Route; 4] = [
    Route {
        method: Method::GET,
        path: "/api/v1/exemptions",
        needs: Some(Scope::Read),
        query: &[ALL, LIMIT, CURSOR],
        work: Work::Json(list),
        about: Some(&About {
            id: "exemptions",
            tag: "exemptions",
            summary: "Who is spared what, until when, and who answers for it.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Page(&EXEMPTION)),
        }),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/exemptions/{id}",
        needs: Some(Scope::Read),
        query: &[],
        work: Work::Whole(show),
        about: Some(&About {
            id: "exemption",
            tag: "exemptions",
            summary: "One exemption. Its ETag stays the same until it ends; a DELETE may name it in If-Match.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(EXEMPTION),
        }),
    },
    Route {
        method: Method::POST,
        path: "/api/v1/exemptions",
        needs: Some(Scope::Approve),
        query: &[],
        work: Work::Json(add),
        about: Some(&About {
            id: "exemption_add",
            tag: "exemptions",
            summary: "Spare somebody something: exactly one of client, group and site; one of ban, category and name; one of \
                      until, lasts_seconds and endless. In force when it is answered.",
            body: Some(WANTED),
            status: StatusCode::CREATED,
            answer: Answered::Json(EXEMPTION),
        }),
    },
    Route {
        method: Method::DELETE,
        path: "/api/v1/exemptions/{id}",
        needs: Some(Scope::Approve),
        query: &[],
        work: Work::Whole(revoke),
        about: Some(&About {
            id: "exemption_revoke",
            tag: "exemptions",
            summary: "Take an exemption back; out of force when it is answered.",
            body: None,
            status: StatusCode::NO_CONTENT,
            answer: Answered::Nothing,
        }),
    },
];

fn list(room: &Room, call: &Call) -> Result<Value, Problem> {
    let Value::Array(rows) = carry(room, call, Request::ExemptList { all: call.given("all") == Some("true") })? else {
        return Err(Problem::cannot("the exemptions could not be read"));
    };
    numbered(call, rows.into_iter(), |row| row)
}

/// One exemption, whether it has ended or not.
fn one(room: &Room, call: &Call) -> Result<Value, Problem> {
    let id = call.part("id");
    let missing = || Problem::missing(format!("no exemption `{}`; /api/v1/exemptions has them", cut(id)));
    let Value::Array(rows) = carry(room, call, Request::ExemptList { all: true })? else { return Err(missing()) };
    let is_it = |row: &Value| row.get("id").and_then(Value::as_str) == Some(id);
    rows.into_iter().find(is_it).ok_or_else(missing)
}

/// What it is known by: all of it but the time that is left.
fn tag_of(row: &Value) -> String {
    let mut stays = row.clone();
    if let Some(object) = stays.as_object_mut() {
        object.remove("left_seconds");
    }
    tag(stays.to_string().as_bytes())
}

fn show(room: &Room, call: &Call) -> Result<Reply, Problem> {
    let row = one(room, call)?;
    let mut reply = Reply::json(&row)?;
    reply.headers.remove(header::ETAG);
    Ok(reply.with(header::ETAG, &tag_of(&row)))
}

fn add(room: &Room, call: &Call) -> Result<Value, Problem> {
    let asked: Value = call.json()?;
    let text = |name: &str| asked.get(name).and_then(Value::as_str).map(str::to_owned);
    let (group, site) = (text("group"), text("site"));
    if group.is_some() && site.is_some() {
        return Err(Problem::bad("site", "give exactly one of client, group and site"));
    }
    let is_site = site.is_some();
    let terms = Written {
        client: text("client"),
        group: group.or(site),
        ban: text("ban"),
        category: text("category"),
        name: text("name"),
        until: text("until"),
        endless: asked.get("endless").and_then(Value::as_bool).unwrap_or_default(),
        owner: text("owner").unwrap_or_default(),
        reason: text("reason").unwrap_or_default(),
        ticket: text("ticket"),
    };
    let lasts = asked.get("lasts_seconds").and_then(Value::as_u64);
    let lasts_ms = lasts.map(|seconds| seconds.saturating_mul(1000));
    carry(room, call, Request::ExemptAdd(Box::new(Exempt { terms, lasts_ms, is_site })))
}

fn revoke(room: &Room, call: &Call) -> Result<Reply, Problem> {
    let row = one(room, call)?;
    call.still(&tag_of(&row))?;
    if !row.get("state").and_then(Value::as_str).is_some_and(|state| matches!(state, "live" | "idle")) {
        return Err(Problem::new(StatusCode::CONFLICT, "it has ended already"));
    }
    let id = call.part("id").to_owned();
    carry(room, call, Request::ExemptRevoke(id))?;
    Ok(Reply::nothing())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_exemption_is_the_same_however_much_time_is_left() {
        let row = |left: u64, state: &str| json!({"id": "3", "state": state, "left_seconds": left});
        assert_eq!(tag_of(&row(7, "live")), tag_of(&row(6, "live")));
        assert_ne!(tag_of(&row(7, "live")), tag_of(&row(7, "revoked")));
    }
}
