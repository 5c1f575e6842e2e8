//! Who looks at what is kept of clients, for the audit log: as on the command line, where that is noted.

use super::Room;
use super::call::Call;
use super::route::Route;
use crate::audit::Looked;
use crate::orders::{Answer, Request};

/// What shows clients or devices, and what a look at it is called.
const SHOWN: [(&str, &str); 9] = [
    ("/api/v1/attempts", "api attempts"),
    ("/api/v1/attempts/live", "api attempts live"),
    ("/api/v1/clients", "api clients"),
    ("/api/v1/devices", "api devices"),
    ("/api/v1/reports", "api reports"),
    ("/activity", "page activity"),
    ("/devices", "page devices"),
    ("/devices/{part}", "page device"),
    ("/reports/{part}", "page report"),
];

/// Notes that somebody looks at clients, if this shows any and that is noted. What can't be noted is logged: whoever may look may
/// do so from a disk that takes nothing, too.
pub(super) fn note(room: &Room, route: &Route, call: &Call) {
    let Some((_path, by)) = SHOWN.into_iter().find(|(path, _by)| *path == route.path) else { return };
    let Ok(house) = room.house() else { return };
    let looked = Looked { by: by.to_owned(), at: at(call) };
    match house.carry(Request::Look(looked), call.author()) {
        Answer::Done(_noted) => (),
        Answer::Failed(why) | Answer::Wrong(why) => {
            tracing::error!(by, why, "That somebody looked at clients could not be written to the audit log.");
        }
    }
}

/// What narrows it, without naming anybody: the log outlives what it tells of.
fn at(call: &Call) -> String {
    let client = ["client", "device", "find"].into_iter().any(|key| call.given(key).is_some());
    let client = (client || !call.part("part").is_empty()).then(|| "of one client".to_owned());
    let ban = call.given("ban").map(|ban| format!("ban {}", super::call::cut(ban)));
    client.into_iter().chain(ban).collect::<Vec<_>>().join(", ")
}
