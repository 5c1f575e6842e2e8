//! The dashboard: what the record says and how the server is, as pages for people.
//!
//! Every page is made here, works without its script, asks for nothing elsewhere, and has an address for each thing that it
//! shows: a number leads to the rows that it counts, a table is sorted, turned over and taken along as CSV by its links.
//! Whatever a client could have chosen (names, leases, reasons) is text and never markup.
//!
//! ```text
//! asked     the address of a page, read and made
//! desk      what pages read: the record, the policy, the server
//! view      one page being made: its tables and their CSV; frame: what stands around it
//! table     a table
//! plot      a picture of devices by day, beside the same as a table; timeline: of one device
//! memo      figures of some moments ago, so that pages are fast; warm: those that are seen first
//! scope     which ban, site and time a page is about
//! overview, devices, device, activity, bans, preview, reports, system    the pages
//! change    what can be changed by them
//! asset     style and script, by names with their digest
//! ```

mod activity;
mod asked;
mod asset;
mod bans;
mod change;
mod desk;
mod device;
mod devices;
mod frame;
mod memo;
mod overview;
mod pasted;
mod plot;
mod preview;
mod reports;
mod rules;
mod scope;
mod system;
mod table;
mod timeline;
mod times;
mod trouble;
mod view;
mod warm;

use axum::http::Method;
use maud::Markup;

use self::asked::Asked;
use self::desk::Desk;
use self::trouble::Trouble;
use self::view::View;
use super::Room;
use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use super::route::{Parameter, Route, Work};
use super::shape::Shape;
use crate::access::Scope;

pub(super) use frame::login;
pub(super) use memo::Memo;
pub(super) use warm::keep as keep_warm;

/// A page: what stands between its head and its foot.
type Page = fn(&Desk<'_>, &mut View) -> Result<Markup, Trouble>;

const fn text(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, shape: Shape::Text, about }
}

/// What the address of a page may say. Each page reads what it knows of, and says itself what can't be meant.
static KEYS: [Parameter; 24] = [
    text("ban", "Only this ban."),
    text("site", "Only this site."),
    text("days", "Days of the window."),
    text("evidence", "Only this proof."),
    text("baseline", "The day before which the baseline ends."),
    text("class", "Which devices."),
    text("find", "The device that is looked for."),
    text("sort", "The table and the column by which it is sorted."),
    text("from", "The table and the row with which it begins; or the first day of a report."),
    text("csv", "The table that is wanted as CSV."),
    text("after", "The attempt behind which rows begin."),
    text("client", "Only this client."),
    text("device", "Only this device."),
    text("name", "Only this name and those below it."),
    text("rule", "Only this rule."),
    text("category", "Only this category."),
    text("action", "Only what was done so."),
    text("since", "Only what was seen since then."),
    text("until", "Only what was seen until then."),
    text("mode", "The mode that a ban would have."),
    text("list", "The list that was pasted."),
    text("disk", "Whether the files on the disk are read."),
    text("to", "The last day of a report."),
    text("as", "The form of a report."),
];

/// The pages. To add one: a file beside this one, a line here and in [`frame::PLACES`].
pub(super) static ROUTES: [Route; 11] = [
    Route::page("/", &KEYS, |room, call| show(room, call, overview::page)),
    Route::page("/devices", &KEYS, |room, call| show(room, call, devices::page)),
    Route::page("/devices/{part}", &KEYS, |room, call| show(room, call, device::page)),
    Route::page("/activity", &KEYS, |room, call| show(room, call, activity::page)),
    Route::page("/bans", &KEYS, |room, call| show(room, call, bans::all)),
    Route::page("/bans/{part}", &KEYS, |room, call| show(room, call, bans::one)),
    Route::page("/preview", &KEYS, |room, call| show(room, call, preview::page)),
    Route {
        method: Method::POST,
        path: "/preview",
        needs: Some(Scope::Read),
        query: &[],
        work: Work::Whole(preview::paste),
        about: None,
    },
    Route::page("/reports", &KEYS, |room, call| show(room, call, reports::page)),
    Route::page("/reports/{part}", &KEYS, made),
    Route::page("/system", &KEYS, |room, call| show(room, call, system::page)),
];

/// What pages change, and what they are made with.
pub(super) use asset::ROUTES as ASSETS;
pub(super) use change::ROUTES as CHANGES;

fn show(room: &Room, call: &Call, page: Page) -> Result<Reply, Problem> {
    let desk = Desk::of(room, call)?;
    let mut view = View::new(Asked::of(call), desk.now());
    Ok(match page(&desk, &mut view) {
        Ok(body) => view.reply(&desk, &body),
        Err(trouble) => frame::troubled(&desk, &trouble),
    })
}

/// A report, made and handed out as a file.
fn made(room: &Room, call: &Call) -> Result<Reply, Problem> {
    let desk = Desk::of(room, call)?;
    let asked = Asked::of(call);
    Ok(reports::made(&desk, &asked).unwrap_or_else(|trouble| frame::troubled(&desk, &trouble)))
}
