//! Who tried what.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::filter::{ACTION, EVIDENCE, OF_ATTEMPTS, OF_CLIENTS, wanted};
use super::pages::{limit, of_record, place, read_page};
use crate::access::Scope;
use crate::admin::Room;
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::route::{About, Answered, Route, Work};
use crate::admin::shape::{COUNT, Shape, field};
use crate::journal::AttemptRow;
use crate::time::rfc3339;

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
    field("action", ACTION),
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

/// The routes.
pub(super) static ROUTES: [Route; 2] = [
    Route {
        method: Method::GET,
        path: "/api/v1/attempts",
        needs: Some(Scope::Read),
        query: &OF_ATTEMPTS,
        work: Work::Json(attempts),
        about: Some(&About {
            id: "attempts",
            tag: "record",
            summary: "The banned lookups in the record, newest first; those of the last second may still be on their way. A page \
                      looks through a bounded part of the record, back to `looked_to`: it may hold few rows or none while `next` \
                      leads on.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Object(&[
                field("items", Shape::List(&ATTEMPT)),
                field("next", Shape::Maybe(&Shape::Text)),
                field("looked_to", Shape::Maybe(&Shape::Time)),
            ])),
        }),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/clients",
        needs: Some(Scope::Read),
        query: &OF_CLIENTS,
        work: Work::Json(clients),
        about: Some(&About {
            id: "clients",
            tag: "record",
            summary: "The clients that made them, in the order of ban, evidence and address. A page may hold few rows or none while `next` \
                      leads on.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Page(&CLIENT)),
        }),
    },
];

fn attempts(room: &Room, call: &Call) -> Result<Value, Problem> {
    let (wanted, after, limit) = (wanted(call)?, place(call)?, limit(call)?);
    let read = read_page(room, |store| store.attempts_page(&wanted, after.as_ref(), limit))?;
    let mut page = of_record(&read.rows, read.next.as_ref());
    page["looked_to"] = read.looked_to.map(rfc3339).into();
    Ok(page)
}

fn clients(room: &Room, call: &Call) -> Result<Value, Problem> {
    let (wanted, after, limit) = (wanted(call)?, place(call)?, limit(call)?);
    let read = read_page(room, |store| store.clients_page(&wanted, after.as_ref(), limit))?;
    Ok(of_record(&read.rows, read.next.as_ref()))
}

/// As an attempt is sent.
pub(super) fn sent(row: &AttemptRow) -> Value {
    json!(row)
}
