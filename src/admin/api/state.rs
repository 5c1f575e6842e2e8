//! How the server is, what it is set to, and what an operator has it do.

use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::carry;
use crate::access::Scope;
use crate::admin::Room;
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::route::{About, Answered, Parameter, Route, Work};
use crate::admin::shape::{COUNT, Shape, field, optional};
use crate::orders::{Questions, Request};
use crate::wire::{LowerName, rtype};

const RELOAD: Shape = Shape::Object(&[
    field("at", Shape::Maybe(&Shape::Time)),
    field("ok", Shape::Flag),
    field("why", Shape::Text),
    field("mistakes", Shape::List(&Shape::Text)),
    field("needs_restart", Shape::List(&Shape::Text)),
]);

const STATUS: Shape = Shape::Object(&[
    field("version", Shape::Text),
    field("pid", COUNT),
    field("started", Shape::Time),
    field("uptime_seconds", COUNT),
    field("ready", Shape::Flag),
    field("config", Shape::Maybe(&Shape::Text)),
    field("state_dir", Shape::Text),
    field("listen", Shape::List(&Shape::Text)),
    field("endpoints", Shape::List(&Shape::Text)),
    field("admin", Shape::Maybe(&Shape::Text)),
    field("block_page", Shape::List(&Shape::Text)),
    field("policy", Shape::Free),
    field("sources", Shape::List(&Shape::Free)),
    field("upstreams", Shape::List(&Shape::Free)),
    field("crowds", Shape::List(&Shape::Free)),
    field("zones", Shape::List(&Shape::Free)),
    field("cache", Shape::Object(&[field("entries", COUNT), field("bytes", COUNT)])),
    field("journal", Shape::Free),
    field("last_reload", RELOAD),
]);

const CACHED: Shape = Shape::Object(&[
    field("name", Shape::Text),
    field("type", Shape::Text),
    field("class", COUNT),
    field("dnssec_ok", Shape::Flag),
    field("checking_disabled", Shape::Flag),
    field("state", Shape::Text),
    field("rcode", Shape::Text),
    field("left_seconds", COUNT),
    field("age_seconds", COUNT),
    field("bytes", COUNT),
]);

const NAME: Parameter = Parameter {
    name: "name",
    shape: Shape::Text,
    about: "A name, octets other than ASCII as `\\DDD`; none: every one.",
};
const BELOW: Parameter =
    Parameter { name: "below", shape: Shape::Flag, about: "Whether names below it are meant too." };
const TYPE: Parameter = Parameter { name: "type", shape: Shape::Text, about: "A type such as AAAA; none: every one." };

/// The routes.
pub(super) static ROUTES: [Route; 6] = [
    Route {
        method: Method::GET,
        path: "/api/v1/status",
        needs: Some(Scope::Read),
        query: &[],
        work: Work::Json(|room, call| carry(room, call, Request::Status)),
        about: Some(&About {
            id: "status",
            tag: "server",
            summary: "How the server is: bans, lists, upstreams, record, last reload.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(STATUS),
        }),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/settings",
        needs: Some(Scope::Read),
        query: &[],
        work: Work::Json(|room, _call| Ok(room.house()?.settings())),
        about: Some(&About {
            id: "settings",
            tag: "server",
            summary: "The settings in force, as the server has read them from its configuration and flags.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Free),
        }),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/me",
        needs: None,
        query: &[],
        work: Work::Json(me),
        about: Some(&About {
            id: "me",
            tag: "server",
            summary: "Who asks, and what they may do.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Object(&[
                field("by", Shape::Maybe(&Shape::Text)),
                field("scopes", Shape::List(&Shape::Text)),
                field("csrf", Shape::Maybe(&Shape::Text)),
            ])),
        }),
    },
    Route {
        method: Method::POST,
        path: "/api/v1/reload",
        needs: Some(Scope::Operate),
        query: &[],
        work: Work::Json(reload),
        about: Some(&About {
            id: "reload",
            tag: "server",
            summary: "Read configuration and lists again; with a mistake anywhere nothing changes, and `ok` is false.",
            body: Some(Shape::Object(&[optional("any_size", Shape::Flag)])),
            status: StatusCode::OK,
            answer: Answered::Json(RELOAD),
        }),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/cache",
        needs: Some(Scope::Read),
        query: &[NAME, BELOW, TYPE],
        work: Work::Json(show),
        about: Some(&About {
            id: "cache_show",
            tag: "server",
            summary: "What the cache keeps of a name; at most 1000 rows.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Object(&[field("rows", Shape::List(&CACHED)), field("more", Shape::Flag)])),
        }),
    },
    Route {
        method: Method::POST,
        path: "/api/v1/cache/flush",
        needs: Some(Scope::Operate),
        query: &[],
        work: Work::Json(flush),
        about: Some(&About {
            id: "cache_flush",
            tag: "server",
            summary: "Have the cache throw away what it keeps of a name; of every name with `all`.",
            body: Some(Shape::Object(&[
                optional("name", Shape::Text),
                optional("below", Shape::Flag),
                optional("type", Shape::Text),
                optional("all", Shape::Flag),
            ])),
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Object(&[field("answers", COUNT), field("failures", COUNT)])),
        }),
    },
];

#[expect(clippy::unnecessary_wraps, reason = "a handler may fail")]
fn me(_room: &Room, call: &Call) -> Result<Value, Problem> {
    let scopes: Vec<&str> = call.caller.scopes.given().map(Scope::as_str).collect();
    Ok(json!({"by": call.caller.by, "scopes": scopes, "csrf": call.caller.csrf}))
}

#[derive(Deserialize)]
struct Reload {
    #[serde(default)]
    any_size: bool,
}

fn reload(room: &Room, call: &Call) -> Result<Value, Problem> {
    let Reload { any_size } = call.json()?;
    carry(room, call, if any_size { Request::ReloadAnySize } else { Request::Reload })
}

fn show(room: &Room, call: &Call) -> Result<Value, Problem> {
    let below = call.given("below") == Some("true");
    carry(room, call, Request::CacheShow(questions(call.given("name"), below, call.given("type"))?))
}

#[derive(Deserialize)]
struct Flush {
    name: Option<String>,
    #[serde(default)]
    below: bool,
    r#type: Option<String>,
    #[serde(default)]
    all: bool,
}

fn flush(room: &Room, call: &Call) -> Result<Value, Problem> {
    let Flush { name, below, r#type, all } = call.json()?;
    if name.is_some() == all {
        return Err(Problem::bad("name", "give a `name`, or `all`"));
    }
    carry(room, call, Request::CacheFlush(questions(name.as_deref(), below, r#type.as_deref())?))
}

fn questions(name: Option<&str>, below: bool, qtype: Option<&str>) -> Result<Questions, Problem> {
    let name = name.map(|name| LowerName::parse(name).map_err(|error| Problem::bad("name", error.to_string())));
    let qtype =
        qtype.map(|text| rtype::parse(text).ok_or_else(|| Problem::bad("type", "no type such as AAAA or TYPE65")));
    Ok(Questions { name: name.transpose()?.map(|name| name.to_string()), below, qtype: qtype.transpose()? })
}
