//! What is banned, by which rules of which lists, and at which sites.

use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::carry;
use super::pages::{CURSOR, LIMIT, numbered};
use crate::access::Scope;
use crate::admin::Room;
use crate::admin::call::{Call, cut};
use crate::admin::problem::Problem;
use crate::admin::route::{About, Answered, Parameter, Route, Work};
use crate::admin::shape::{COUNT, Shape, field, optional};
use crate::orders::Request;
use crate::policy::{Ban, BanKind, EndUse, GroupKind, Mode, Policy};
use crate::time::{Timestamp, rfc3339};

const LAW: Shape = Shape::Object(&[
    field("id", Shape::Text),
    field("jurisdiction", Shape::Text),
    field("instrument", Shape::Text),
    field("citation", Shape::Text),
    field("issued", Shape::Maybe(&Shape::Text)),
    field("effective", Shape::Maybe(&Shape::Text)),
    field("applies_to", Shape::Text),
    field("end_use", Shape::Word(&["yes", "no", "partial"])),
    field("bound", Shape::Flag),
    field("note", Shape::Text),
    field("source", Shape::Text),
]);

const BAN: Shape = Shape::Object(&[
    field("id", Shape::Text),
    field("kind", Shape::Word(&["ban", "signal"])),
    field("title", Shape::Text),
    field("vendor", Shape::Text),
    field("mode", Shape::Word(&["off", "observe", "enforce"])),
    field("ceiling", Shape::Word(&["off", "observe", "enforce"])),
    field("spares_some", Shape::Flag),
    field("observe_from", Shape::Maybe(&Shape::Time)),
    field("enforce_from", Shape::Maybe(&Shape::Time)),
    field("next_change", Shape::Maybe(&Shape::Time)),
    field("action", Shape::Text),
    field("ttl_seconds", COUNT),
    field("contact", Shape::Text),
    field("alternatives", Shape::Text),
    field("rules", COUNT),
    field("laws", Shape::List(&LAW)),
    field("milestones", Shape::List(&Shape::Object(&[field("date", Shape::Text), field("text", Shape::Text)]))),
]);

const LIST: Shape = Shape::Object(&[
    field("name", Shape::Text),
    field("ban", Shape::Text),
    field("format", Shape::Text),
    field("detected", Shape::Flag),
    field("rules", COUNT),
    field("duplicates", COUNT),
    field("bytes", COUNT),
    field("sha256", Shape::Text),
]);

const SOURCE: Shape = Shape::Object(&[
    field("id", Shape::Text),
    field("source", Shape::Text),
    field("fetched", Shape::Maybe(&Shape::Time)),
    field("checked", Shape::Maybe(&Shape::Time)),
    field("digest", Shape::Maybe(&Shape::Text)),
    field("bytes", COUNT),
    field("rules", COUNT),
    field("result", Shape::Maybe(&Shape::Text)),
    field("error", Shape::Maybe(&Shape::Text)),
    field("next", Shape::Maybe(&Shape::Time)),
    field("fetching", Shape::Flag),
    field("received_bytes", COUNT),
    field("expected_bytes", COUNT),
]);

const RULE: Shape =
    Shape::Object(&[field("ban", Shape::Text), field("pattern", Shape::Text), field("list", Shape::Text)]);

const SITE: Shape = Shape::Object(&[
    field("id", Shape::Text),
    field("kind", Shape::Word(&["site", "department", "group"])),
    field("networks", Shape::List(&Shape::Text)),
    field("devices", Shape::List(&Shape::Text)),
]);

const OF_BAN: Parameter = Parameter { name: "ban", shape: Shape::Text, about: "Only this ban, by its id." };
const KIND: Parameter = Parameter {
    name: "kind",
    shape: Shape::Word(&["site", "department", "group"]),
    about: "Only these; by default sites, departments and groups.",
};

/// The routes.
pub(super) static ROUTES: [Route; 6] = [
    Route {
        method: Method::GET,
        path: "/api/v1/bans",
        needs: Some(Scope::Read),
        query: &[LIMIT, CURSOR],
        work: Work::Json(bans),
        about: Some(&About {
            id: "bans",
            tag: "bans",
            summary: "Every ban, with its law, its dates, and what it does now.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Page(&BAN)),
        }),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/bans/{id}",
        needs: Some(Scope::Read),
        query: &[],
        work: Work::Json(ban),
        about: Some(&About {
            id: "ban",
            tag: "bans",
            summary: "One ban, by its id.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(BAN),
        }),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/rules",
        needs: Some(Scope::Read),
        query: &[OF_BAN, LIMIT, CURSOR],
        work: Work::Json(rules),
        about: Some(&About {
            id: "rules",
            tag: "bans",
            summary: "The rules in force. A cursor holds as long as the policy: after a reload begin anew.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Page(&RULE)),
        }),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/lists",
        needs: Some(Scope::Read),
        query: &[],
        work: Work::Json(lists),
        about: Some(&About {
            id: "lists",
            tag: "bans",
            summary: "The lists in force with their digests, and how those that come from elsewhere are doing.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Object(&[
                field("lists", Shape::List(&LIST)),
                field("sources", Shape::List(&SOURCE)),
            ])),
        }),
    },
    Route {
        method: Method::POST,
        path: "/api/v1/lists/fetch",
        needs: Some(Scope::Operate),
        query: &[],
        work: Work::Json(fetch),
        about: Some(&About {
            id: "lists_fetch",
            tag: "bans",
            summary: "Ask for lists that come from elsewhere now; for all of them if none is named.",
            body: Some(Shape::Object(&[optional("ids", Shape::List(&Shape::Text)), optional("any_size", Shape::Flag)])),
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Object(&[field("sources", Shape::List(&SOURCE))])),
        }),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/sites",
        needs: Some(Scope::Read),
        query: &[KIND, LIMIT, CURSOR],
        work: Work::Json(sites),
        about: Some(&About {
            id: "sites",
            tag: "bans",
            summary: "Sites, departments and groups of the configuration.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Page(&SITE)),
        }),
    },
];

/// The policy in force.
///
/// # Errors
/// None is, yet.
fn in_force(room: &Room) -> Result<std::sync::Arc<Policy>, Problem> {
    room.house()?.policy().ok_or_else(|| Problem::cannot("the lists are still being read; try again"))
}

fn bans(room: &Room, call: &Call) -> Result<Value, Problem> {
    let (policy, at) = (in_force(room)?, room.house()?.now().wall);
    numbered(call, 0..policy.bans().len(), |index| row(&policy, index, at))
}

fn ban(room: &Room, call: &Call) -> Result<Value, Problem> {
    let (policy, id) = (in_force(room)?, call.part("id"));
    let index = policy.bans().iter().position(|ban| *ban.id == *id);
    let index = index.ok_or_else(|| Problem::missing(format!("no ban `{}`; /api/v1/bans has them", cut(id))))?;
    Ok(row(&policy, index, room.house()?.now().wall))
}

fn row(policy: &Policy, index: usize, at: Timestamp) -> Value {
    let Some(ban) = policy.bans().get(index) else { return Value::Null };
    let rules: u64 = policy.lists().iter().filter(|list| list.ban.0 == index).map(|list| list.entries).sum();
    let milestone = |date: &jiff::civil::Date, text: &str| json!({"date": date.to_string(), "text": text});
    json!({
        "id": *ban.id,
        "kind": match ban.kind { BanKind::Ban => "ban", BanKind::Signal => "signal" },
        "title": *ban.title,
        "vendor": *ban.vendor,
        "mode": ban.mode_at(at).as_str(),
        "ceiling": ban.ceiling().as_str(),
        "spares_some": ban.ceiling() != Mode::Off && ban.spares_some_at(at),
        "observe_from": ban.stance.observe_from.map(rfc3339),
        "enforce_from": ban.stance.enforce_from.map(rfc3339),
        "next_change": ban.next_change(at).map(rfc3339),
        "action": ban.stance.action.as_str(),
        "ttl_seconds": ban.ttl.as_secs(),
        "contact": *ban.contact,
        "alternatives": *ban.alternatives,
        "rules": rules,
        "laws": laws(ban),
        "milestones": ban.milestones.iter().map(|at| milestone(&at.date, &at.text)).collect::<Vec<_>>(),
    })
}

fn laws(ban: &Ban) -> Vec<Value> {
    let laws = ban.laws.iter().map(|law| {
        json!({
            "id": *law.id,
            "jurisdiction": *law.jurisdiction,
            "instrument": *law.instrument,
            "citation": *law.citation,
            "issued": law.issued.map(|date| date.to_string()),
            "effective": law.effective.map(|date| date.to_string()),
            "applies_to": *law.applies_to,
            "end_use": match law.end_use { EndUse::Yes => "yes", EndUse::No => "no", EndUse::Partial => "partial" },
            "bound": ban.bound_by.contains(&law.id),
            "note": *law.note,
            "source": *law.source,
        })
    });
    laws.collect()
}

fn rules(room: &Room, call: &Call) -> Result<Value, Problem> {
    let policy = in_force(room)?;
    let id = |index: usize| policy.bans().get(index).map(|ban| &*ban.id).unwrap_or_default();
    let wanted = call.given("ban");
    if let Some(wanted) = wanted.filter(|wanted| !policy.bans().iter().any(|ban| *ban.id == **wanted)) {
        return Err(Problem::bad("ban", format!("no ban `{}`; /api/v1/bans has them", cut(wanted))));
    }
    let all = policy.rules().filter(|(list, _pattern)| wanted.is_none_or(|wanted| id(list.ban.0) == wanted));
    numbered(
        call,
        all,
        |(list, pattern)| json!({"ban": id(list.ban.0), "pattern": pattern.to_string(), "list": *list.name}),
    )
}

fn lists(room: &Room, call: &Call) -> Result<Value, Problem> {
    let policy = in_force(room)?;
    let rows = policy.lists().iter().map(|list| {
        json!({
            "name": *list.name,
            "ban": policy.bans().get(list.ban.0).map(|ban| &*ban.id).unwrap_or_default(),
            "format": list.format.as_str(),
            "detected": list.detected,
            "rules": list.entries,
            "duplicates": list.duplicates,
            "bytes": list.bytes,
            "sha256": list.digest,
        })
    });
    Ok(json!({"lists": rows.collect::<Vec<_>>(), "sources": carry(room, call, Request::Lists)?}))
}

#[derive(Deserialize)]
struct Fetch {
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    any_size: bool,
}

fn fetch(room: &Room, call: &Call) -> Result<Value, Problem> {
    let Fetch { ids, any_size } = call.json()?;
    let known = carry(room, call, Request::Lists)?;
    let is_known = |id: &&String| known.as_array().is_some_and(|rows| rows.iter().any(|row| row["id"] == **id));
    if let Some(unknown) = ids.iter().find(|id| !is_known(id)) {
        let why =
            format!("no list `{}` comes from elsewhere; `sources` of /api/v1/lists has those that do", cut(unknown));
        return Err(Problem { field: Some("ids".to_owned()), ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why) });
    }
    Ok(json!({"sources": carry(room, call, Request::ListsFetch { ids, any_size })?}))
}

fn sites(room: &Room, call: &Call) -> Result<Value, Problem> {
    let policy = in_force(room)?;
    let kind = call.given("kind").and_then(|word| GroupKind::ALL.into_iter().find(|kind| kind.as_str() == word));
    let groups = policy.who().groups().iter().filter(|group| kind.is_none_or(|kind| group.kind == kind));
    let row = |group: &crate::policy::Group| {
        json!({
            "id": *group.id,
            "kind": group.kind.as_str(),
            "networks": group.networks.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "devices": group.devices.iter().map(|device| &**device).collect::<Vec<_>>(),
        })
    };
    numbered(call, groups, row)
}
