//! Who tried what, and who they are.

use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::carry;
use super::pages::{CURSOR, LIMIT, from, limit, page, told};
use crate::access::Scope;
use crate::admin::Room;
use crate::admin::call::{Call, cut};
use crate::admin::problem::Problem;
use crate::admin::reply::Reply;
use crate::admin::route::{About, Answered, Parameter, Route, Work};
use crate::admin::shape::{COUNT, Shape, field, optional};
use crate::identity::Identifier;
use crate::journal::{BindingRow, Filter, Store, StoreError};
use crate::orders::{DeviceWord, Request};
use crate::policy::Evidence;

/// Rows that are reached by cursors; filters lead to all others.
const REACHED_MAX: usize = 100_000;

const EVIDENCE: Shape = Shape::Word(&["installed", "likely", "device_or_app", "ambiguous", "service", "visit", "none"]);

const ATTEMPT: Shape = Shape::Object(&[
    field("first", Shape::Time),
    field("last", Shape::Time),
    field("client", Shape::Maybe(&Shape::Address)),
    field("device", Shape::Maybe(&Shape::Text)),
    field("site", Shape::Text),
    field("qname", Shape::Maybe(&Shape::Text)),
    field("qtype", Shape::Maybe(&Shape::Text)),
    field("ban", Shape::Text),
    field("category", Shape::Text),
    field("evidence", EVIDENCE),
    field("pattern", Shape::Maybe(&Shape::Text)),
    field("action", Shape::Text),
    field("transport", Shape::Maybe(&Shape::Text)),
    field("verified", Shape::Flag),
    field("count", COUNT),
]);

const CLIENT: Shape = Shape::Object(&[
    field("client", Shape::Address),
    field("device", Shape::Maybe(&Shape::Text)),
    field("site", Shape::Text),
    field("ban", Shape::Text),
    field("evidence", EVIDENCE),
    field("first_seen", Shape::Time),
    field("last_seen", Shape::Time),
    field("count", COUNT),
]);

const DEVICE: Shape = Shape::Object(&[
    field("client", Shape::Address),
    field("device", Shape::Text),
    field("identifiers", Shape::List(&Shape::Text)),
    field("from", Shape::Time),
    field("until", Shape::Maybe(&Shape::Time)),
    field("method", Shape::Text),
    field("confidence", Shape::Text),
    field("estimated", Shape::Flag),
]);

const WORD: Shape =
    Shape::Object(&[field("id", COUNT), field("device", Shape::Text), field("with", Shape::Maybe(&Shape::Text))]);

const BAN: Parameter = Parameter { name: "ban", shape: Shape::Text, about: "Only this ban, by its id." };
const CLIENT_: Parameter = Parameter { name: "client", shape: Shape::Address, about: "Only this client." };
const SINCE: Parameter =
    Parameter { name: "since", shape: Shape::Time, about: "Only what was last seen then or later." };
const UNTIL: Parameter =
    Parameter { name: "until", shape: Shape::Time, about: "Only what was first seen then or before." };
const EVIDENCE_: Parameter = Parameter { name: "evidence", shape: EVIDENCE, about: "Only this evidence." };
const AT: Parameter = Parameter { name: "at", shape: Shape::Time, about: "Only who held an address at this moment." };

/// What narrows rows of the record.
pub(super) static FILTERS: [Parameter; 7] = [BAN, CLIENT_, SINCE, UNTIL, EVIDENCE_, LIMIT, CURSOR];

/// The routes.
pub(super) static ROUTES: [Route; 5] = [
    Route {
        method: Method::GET,
        path: "/api/v1/attempts",
        needs: Some(Scope::Read),
        query: &FILTERS,
        work: Work::Json(attempts),
        about: Some(&About {
            id: "attempts",
            tag: "record",
            summary: "The banned lookups in the record, newest first; those of the last second may still be on their way.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Object(&[
                field("items", Shape::List(&ATTEMPT)),
                field("next", Shape::Maybe(&Shape::Text)),
            ])),
        }),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/clients",
        needs: Some(Scope::Read),
        query: &FILTERS,
        work: Work::Json(clients),
        about: Some(&About {
            id: "clients",
            tag: "record",
            summary: "The clients that made them, by ban and evidence, last seen first.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Object(&[
                field("items", Shape::List(&CLIENT)),
                field("next", Shape::Maybe(&Shape::Text)),
            ])),
        }),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/devices",
        needs: Some(Scope::Read),
        query: &[CLIENT_, AT, LIMIT, CURSOR],
        work: Work::Json(devices),
        about: Some(&About {
            id: "devices",
            tag: "record",
            summary: "Which device held which address when, newest first.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Object(&[
                field("items", Shape::List(&DEVICE)),
                field("next", Shape::Maybe(&Shape::Text)),
            ])),
        }),
    },
    Route {
        method: Method::POST,
        path: "/api/v1/devices/words",
        needs: Some(Scope::Operate),
        query: &[],
        work: Work::Json(say),
        about: Some(&About {
            id: "device_say",
            tag: "record",
            summary: "Say that two identifiers are of one device; or, without `with`, that one is of no other.",
            body: Some(Shape::Object(&[
                field("device", Shape::Text),
                optional("with", Shape::Text),
                field("reason", Shape::Text),
            ])),
            status: StatusCode::CREATED,
            answer: Answered::Json(WORD),
        }),
    },
    Route {
        method: Method::DELETE,
        path: "/api/v1/devices/words/{id}",
        needs: Some(Scope::Operate),
        query: &[],
        work: Work::Whole(unsay),
        about: Some(&About {
            id: "device_unsay",
            tag: "record",
            summary: "Take back what was said of devices, by the number of its entry in the audit log.",
            body: None,
            status: StatusCode::NO_CONTENT,
            answer: Answered::Nothing,
        }),
    },
];

/// What narrows the rows of a page; its limit is of all rows up to the end of the page and one more.
fn filter(call: &Call, from: usize, limit: usize) -> Result<Filter, Problem> {
    let moment = |text: &str| text.parse().ok();
    if from + limit >= REACHED_MAX {
        let why = format!("cursors reach {REACHED_MAX} rows; narrow by `since` and `until` for those before");
        return Err(Problem::bad("cursor", why));
    }
    Ok(Filter {
        ban: call.given("ban").map(str::to_owned),
        client: call.read("client", |text| text.parse().ok(), "address")?,
        since: call.read("since", moment, "moment")?,
        until: call.read("until", moment, "moment")?,
        evidence: call.given("evidence").and_then(|word| Evidence::ALL.into_iter().find(|all| all.as_str() == word)),
        limit: u32::try_from(from + limit + 1).ok(),
    })
}

/// A page of what is read by a filter.
fn rows<T: serde::Serialize>(
    room: &Room,
    call: &Call,
    read: impl FnOnce(&Store, &Filter) -> Result<Vec<T>, StoreError>,
) -> Result<Value, Problem> {
    let (from, limit) = (from(call)?, limit(call)?);
    let filter = filter(call, from, limit)?;
    let rows = match Store::open_read_only(room.house()?.state_dir()) {
        // Nothing was recorded yet.
        Err(StoreError::Missing { .. }) => Vec::new(),
        store => store.and_then(|store| read(&store, &filter)).map_err(|error| Problem::cannot(error.to_string()))?,
    };
    let more = rows.len() > from + limit;
    let rows = rows.iter().skip(from).take(limit).map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
    let rows = rows.map_err(|error| Problem::cannot(error.to_string()))?;
    Ok(page(&rows, more.then(|| told(&(from + limit).to_string())).as_deref()))
}

fn attempts(room: &Room, call: &Call) -> Result<Value, Problem> {
    rows(room, call, Store::attempts)
}

fn clients(room: &Room, call: &Call) -> Result<Value, Problem> {
    rows(room, call, Store::clients)
}

fn devices(room: &Room, call: &Call) -> Result<Value, Problem> {
    let at = call.read("at", |text| text.parse().ok(), "moment")?;
    let house = room.house()?;
    let named = |mut row: BindingRow| {
        let identifiers: Vec<Identifier> = row.identifiers.iter().filter_map(|text| text.parse().ok()).collect();
        row.device = house.device(&identifiers).unwrap_or_else(|| row.device.clone());
        row
    };
    rows(room, call, |store, filter| {
        let filter = Filter { since: at, until: at, ..filter.clone() };
        Ok(store.bindings(&filter)?.into_iter().map(named).collect())
    })
}

#[derive(Deserialize)]
struct Said {
    device: String,
    with: Option<String>,
    reason: String,
}

fn say(room: &Room, call: &Call) -> Result<Value, Problem> {
    let Said { device, with, reason } = call.json()?;
    carry(room, call, Request::DeviceSay(Box::new(DeviceWord { device, with, reason })))
}

fn unsay(room: &Room, call: &Call) -> Result<Reply, Problem> {
    let id = call.part("id");
    let missing = || Problem::missing(format!("nothing was said of devices under `{}`", cut(id)));
    let number = id.parse().map_err(|_other| missing())?;
    match carry(room, call, Request::DeviceUndo(number)) {
        Ok(_undone) => Ok(Reply::nothing()),
        Err(problem) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => Err(missing()),
        Err(problem) => Err(problem),
    }
}

/// As an attempt is sent.
pub(super) fn sent(row: &crate::journal::AttemptRow) -> Value {
    json!(row)
}
