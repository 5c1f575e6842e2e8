//! `/api/v1`: what people see and do, for programs. One table is the router and the description that `openapi.json` gives of it.
//!
//! A change goes through the orders that the command line gives as well; what is only looked at is read from the policy in force
//! and from the record. Lists that can be long come in pages: `next` of one is `cursor` of the following.

mod audit;
mod bans;
mod devices;
mod exempt;
mod filter;
mod live;
mod openapi;
mod pages;
mod record;
mod state;
mod verbs;

pub(super) use live::Live;

use axum::http::StatusCode;

use serde_json::Value;

use super::Room;
use super::call::Call;
use super::problem::Problem;
use super::route::Route;
use crate::orders::{Answer, Request};

/// Every endpoint of the API.
pub(super) static TABLES: [&[Route]; 9] = [
    &openapi::ROUTES,
    &state::ROUTES,
    &bans::ROUTES,
    &record::ROUTES,
    &devices::ROUTES,
    &exempt::ROUTES,
    &audit::ROUTES,
    &verbs::ROUTES,
    &live::ROUTES,
];

/// Has the running server do or tell something.
///
/// # Errors
/// It can't be meant, or can't be done now.
fn carry(room: &Room, call: &Call, request: Request) -> Result<Value, Problem> {
    match room.house()?.carry(request, call.author()) {
        Answer::Done(value) => Ok(value),
        Answer::Wrong(why) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why)),
        Answer::Failed(why) => Err(Problem::cannot(why)),
    }
}
