//! Lists that come in pages.

use std::fmt::Display;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use serde_json::{Value, json};

use crate::admin::Room;
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::route::Parameter;
use crate::admin::shape::Shape;
use crate::journal::{Store, StoreError};

/// Rows of a page, if nothing is said.
const ROWS: usize = 100;
/// Rows of a page at most.
pub(super) const ROWS_MAX: usize = 1000;

/// How many rows a page has.
pub(super) const LIMIT: Parameter =
    Parameter { name: "limit", shape: Shape::Whole(1, 1000), about: "Rows of a page; 100 by default." };
/// Where a page begins.
pub(super) const CURSOR: Parameter =
    Parameter { name: "cursor", shape: Shape::Text, about: "`next` of the page before; opaque." };

/// Rows of a page.
///
/// # Errors
/// None that the route has not told before.
pub(super) fn limit(call: &Call) -> Result<usize, Problem> {
    Ok(call.read("limit", |text| text.parse().ok(), "number")?.unwrap_or(ROWS).clamp(1, ROWS_MAX))
}

/// What the page before has told of where it ended.
///
/// # Errors
/// Nobody has told that.
pub(super) fn cursor(call: &Call) -> Result<Option<String>, Problem> {
    let read = |text: &str| String::from_utf8(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok();
    call.read("cursor", read, "cursor of a page before")
}

/// As a page tells where it ends.
pub(super) fn told(place: &str) -> String {
    BASE64URL_NOPAD.encode(place.as_bytes())
}

/// A page.
pub(super) fn page(rows: &[Value], next: Option<&str>) -> Value {
    json!({"items": rows, "next": next})
}

/// The place in the record that the page before has told.
///
/// # Errors
/// The cursor is none of ours.
pub(super) fn place<P: FromStr>(call: &Call) -> Result<Option<P>, Problem> {
    let place = cursor(call)?.map(|cursor| cursor.parse()).transpose();
    place.map_err(|_no_place| Problem::bad("cursor", "is none that a page has told"))
}

/// A page of the record, read; an empty one when nothing was recorded yet.
///
/// # Errors
/// The record can't be read.
pub(super) fn read_page<P: Default>(
    room: &Room,
    read: impl FnOnce(&Store) -> Result<P, StoreError>,
) -> Result<P, Problem> {
    match Store::open_read_only(room.house()?.state_dir()) {
        Err(StoreError::Missing { .. }) => Ok(P::default()),
        store => store.and_then(|store| read(&store)).map_err(|error| Problem::cannot(error.to_string())),
    }
}

/// The same as it is sent.
pub(super) fn of_record(rows: &[impl Serialize], next: Option<&impl Display>) -> Value {
    json!({"items": rows, "next": next.map(|place| told(&place.to_string()))})
}

/// The rows from a number on, of all that there are; only those of the page are told.
///
/// # Errors
/// The cursor is none of ours.
pub(super) fn numbered<T>(
    call: &Call,
    rows: impl Iterator<Item = T>,
    tell: impl Fn(T) -> Value,
) -> Result<Value, Problem> {
    let (limit, from) = (limit(call)?, place(call)?.unwrap_or(0));
    let mut rows = rows.skip(from);
    let items: Vec<Value> = rows.by_ref().take(limit).map(tell).collect();
    let next = rows.next().map(|_more| told(&(from + items.len()).to_string()));
    Ok(page(&items, next.as_deref()))
}
