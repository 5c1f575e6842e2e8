//! Which device held which address, and what people say of devices.

use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::carry;
use super::filter::CLIENT;
use super::pages::{CURSOR, LIMIT, limit, of_record, place, read_page};
use crate::access::Scope;
use crate::admin::Room;
use crate::admin::call::{Call, cut};
use crate::admin::problem::Problem;
use crate::admin::reply::Reply;
use crate::admin::route::{About, Answered, Parameter, Route, Work};
use crate::admin::shape::{COUNT, Shape, field, optional};
use crate::identity::Identifier;
use crate::journal::BindingRow;
use crate::orders::{DeviceWord, Request};

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

const AT: Parameter = Parameter { name: "at", shape: Shape::Time, about: "Only who held an address at this moment." };

/// The routes.
pub(super) static ROUTES: [Route; 3] = [
    Route {
        method: Method::GET,
        path: "/api/v1/devices",
        needs: Some(Scope::Read),
        query: &[CLIENT, AT, LIMIT, CURSOR],
        work: Work::Json(devices),
        about: Some(&About {
            id: "devices",
            tag: "record",
            summary: "Which device held which address when: by address, the newest of each first.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Page(&DEVICE)),
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

fn devices(room: &Room, call: &Call) -> Result<Value, Problem> {
    let client = call.read("client", |text| text.parse().ok(), "address")?;
    let at = call.read("at", |text| text.parse().ok(), "moment")?;
    let (after, limit) = (place(call)?, limit(call)?);
    let house = room.house()?;
    let page = read_page(room, |store| store.held_page((client, at), after.as_ref(), limit))?;
    let named = |mut row: BindingRow| {
        let identifiers: Vec<Identifier> = row.identifiers.iter().filter_map(|text| text.parse().ok()).collect();
        row.device = house.device(&identifiers).unwrap_or_else(|| row.device.clone());
        row
    };
    let rows: Vec<BindingRow> = page.rows.into_iter().map(named).collect();
    Ok(of_record(&rows, page.next.as_ref()))
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
