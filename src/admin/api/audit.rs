//! Who has changed what.

use std::collections::VecDeque;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::pages::{CURSOR, LIMIT, cursor, limit, page, told};
use crate::access::Scope;
use crate::admin::Room;
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::route::{About, Answered, Route, Work};
use crate::admin::shape::{COUNT, Shape, field};
use crate::audit::{Entry, read};
use crate::time::rfc3339;

const ENTRY: Shape = Shape::Object(&[
    field("number", COUNT),
    field("at", Shape::Time),
    field("uid", Shape::Maybe(&COUNT)),
    field("by", Shape::Maybe(&Shape::Text)),
    field("event", Shape::Free),
    field("hash", Shape::Text),
]);

/// The routes.
pub(super) static ROUTES: [Route; 1] = [Route {
    method: Method::GET,
    path: "/api/v1/audit",
    needs: Some(Scope::Read),
    query: &[LIMIT, CURSOR],
    work: Work::Json(entries),
    about: Some(&About {
        id: "audit",
        tag: "audit",
        summary: "The audit log, newest first: each entry names the hash of the one before it.",
        body: None,
        status: StatusCode::OK,
        answer: Answered::Json(Shape::Object(&[
            field("items", Shape::List(&ENTRY)),
            field("next", Shape::Maybe(&Shape::Text)),
            field("intact", Shape::Flag),
            field("head", Shape::Text),
        ])),
    }),
}];

fn entries(room: &Room, call: &Call) -> Result<Value, Problem> {
    let limit = limit(call)?;
    let before = match cursor(call)? {
        None => u64::MAX,
        Some(text) => text.parse().map_err(|_other| Problem::bad("cursor", "is none that a page has told"))?,
    };
    // The file is read from its beginning, as whoever checks its chain has to; only the page is kept.
    let mut kept: VecDeque<(Entry, String)> = VecDeque::new();
    let reading = read(room.house()?.state_dir(), |entry, hash| {
        if entry.number < before {
            kept.push_back((entry.clone(), hash.to_owned()));
        }
        if kept.len() > limit {
            kept.pop_front();
        }
    });
    let reading = reading.map_err(|error| Problem::cannot(error.to_string()))?;
    let oldest = kept.front().map(|(entry, _hash)| entry.number);
    let next = oldest.filter(|oldest| *oldest > 1).map(|oldest| told(&oldest.to_string()));
    let mut page = page(&kept.iter().rev().map(row).collect::<Vec<_>>(), next.as_deref());
    if let Some(object) = page.as_object_mut() {
        object.insert("intact".to_owned(), reading.damage.is_none().into());
        object.insert("head".to_owned(), reading.head.into());
    }
    Ok(page)
}

fn row((entry, hash): &(Entry, String)) -> Value {
    json!({
        "number": entry.number,
        "at": rfc3339(entry.at),
        "uid": entry.uid,
        "by": entry.by,
        "event": entry.event,
        "hash": hash,
    })
}
