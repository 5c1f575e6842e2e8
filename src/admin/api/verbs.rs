//! What is asked of the command line as well, and answered by it: why a name is blocked, what a change would do, what the record
//! proves.

use axum::http::{Method, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::Scope;
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::ran::{Passing, json, run};
use crate::admin::reply::Reply;
use crate::admin::route::{About, Answered, Parameter, Route, Work};
use crate::admin::shape::{Shape, field, optional};
use crate::admin::{Command, Room};
use crate::report::Format;

const fn parameter(name: &'static str, shape: Shape, about: &'static str) -> Parameter {
    Parameter { name, shape, about }
}

const BAN: Parameter = parameter("ban", Shape::Needed(&Shape::Text), "The ban, by its id.");
const FROM: Parameter = parameter("from", Shape::Needed(&Shape::Day), "The first day of the window, in UTC.");
const TO: Parameter = parameter("to", Shape::Needed(&Shape::Day), "Its last day.");
const BASELINE: Parameter = parameter(
    "baseline",
    Shape::Needed(&Shape::Day),
    "The window is compared with as many days that end the day before.",
);
const SITE: Parameter = parameter("site", Shape::Text, "Only this site.");
const FORMAT: Parameter =
    parameter("format", Shape::Word(&["html", "json", "csv", "md"]), "The form of the report; html by default.");

static EXPLAIN: [Parameter; 5] = [
    parameter("name", Shape::Needed(&Shape::Text), "The name asked for."),
    parameter("type", Shape::Text, "The type asked for; A by default."),
    parameter("client", Shape::Address, "Who asks."),
    parameter("answer", Shape::Address, "An address that the answer holds."),
    parameter("at", Shape::Time, "When; now by default."),
];

const EXPLAINED: Shape = Shape::Object(&[
    field("name", Shape::Text),
    field("type", Shape::Text),
    field("client", Shape::Maybe(&Shape::Address)),
    field("answer", Shape::Maybe(&Shape::Address)),
    field("device", Shape::Maybe(&Shape::Text)),
    field("groups", Shape::List(&Shape::Text)),
    field("at", Shape::Time),
    field("verdict", Shape::Word(&["enforce", "observe", "exempt", "allow", "none"])),
    field("ban", Shape::Maybe(&Shape::Text)),
    field("pattern", Shape::Maybe(&Shape::Text)),
    field("file", Shape::Maybe(&Shape::Text)),
    field("line", Shape::Maybe(&Shape::Whole(1, i64::MAX))),
    field("category", Shape::Maybe(&Shape::Text)),
    field("evidence", Shape::Maybe(&Shape::Text)),
    field("action", Shape::Maybe(&Shape::Text)),
    field("mode", Shape::Maybe(&Shape::Text)),
    field("exemption", Shape::Free),
    field("others", Shape::List(&Shape::Free)),
    field("law", Shape::List(&Shape::Free)),
]);

const PREVIEWED: Shape = Shape::Object(&[
    field("at", Shape::Time),
    field("since", Shape::Maybe(&Shape::Time)),
    field("blocks", Shape::Free),
    field("releases", Shape::Free),
    field("changes", Shape::Free),
    field("later", Shape::Free),
    field("attempts", Shape::Free),
    field("names", Shape::Free),
    field("not_judged", Shape::Free),
    field("clients", Shape::List(&Shape::Free)),
]);

/// The routes.
pub(super) static ROUTES: [Route; 4] = [
    Route {
        method: Method::GET,
        path: "/api/v1/policy/explain",
        needs: Some(Scope::Read),
        query: &EXPLAIN,
        work: Work::Json(explain),
        about: Some(&About {
            id: "explain",
            tag: "analysis",
            summary: "What is done with a name, by which rule, and why others did not decide.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(EXPLAINED),
        }),
    },
    Route {
        method: Method::POST,
        path: "/api/v1/policy/preview",
        needs: Some(Scope::Read),
        query: &[],
        work: Work::Json(preview),
        about: Some(&About {
            id: "preview",
            tag: "analysis",
            summary: "Whom a change would touch, judged by what was asked: another `mode` of a `ban`, or a `list` (its lines). Changes \
                      nothing.",
            body: Some(Shape::Object(&[
                optional("ban", Shape::Text),
                optional("mode", Shape::Word(&["off", "observe", "enforce"])),
                optional("list", Shape::Text),
                optional("since", Shape::Time),
                optional("at", Shape::Time),
            ])),
            status: StatusCode::OK,
            answer: Answered::Json(PREVIEWED),
        }),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/analysis",
        needs: Some(Scope::Read),
        query: &[BAN, FROM, TO, BASELINE, SITE],
        work: Work::Json(analysis),
        about: Some(&About {
            id: "analysis",
            tag: "analysis",
            summary: "The figures of the report: devices that a ban still finds against a time before, with what they rest on.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Json(Shape::Object(&[
                field("about", Shape::Free),
                field("statement", Shape::List(&Shape::Text)),
                field("figures", Shape::Free),
                field("coverage", Shape::Free),
                field("sites", Shape::List(&Shape::Free)),
                field("evidence", Shape::List(&Shape::Free)),
                field("days", Shape::List(&Shape::Free)),
                field("weeks", Shape::List(&Shape::Free)),
                field("months", Shape::List(&Shape::Free)),
                field("limits", Shape::List(&Shape::Text)),
            ])),
        }),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/reports",
        needs: Some(Scope::Read),
        query: &[BAN, FROM, TO, BASELINE, SITE, FORMAT],
        work: Work::Whole(report),
        about: Some(&About {
            id: "report",
            tag: "analysis",
            summary: "The report as a document with its digest, and its signature if the server has a key.",
            body: None,
            status: StatusCode::OK,
            answer: Answered::Other(&["text/html", "application/json", "text/csv", "text/markdown"]),
        }),
    },
];

/// A parameter as a flag of the same name, if it is given.
fn flag(call: &Call, name: &str) -> Option<String> {
    call.given(name).map(|value| format!("--{name}={value}"))
}

fn explain(room: &Room, call: &Call) -> Result<Value, Problem> {
    let name = call.given("name").unwrap_or_default();
    let mut arguments = vec!["--json".to_owned()];
    arguments.extend(["type", "client", "answer", "at"].iter().filter_map(|name| flag(call, name)));
    arguments.extend(["--".to_owned(), name.to_owned()]);
    json(room.house()?, &Command { verb: "explain", on_disk: true, arguments })
}

#[derive(Deserialize)]
struct Preview {
    ban: Option<String>,
    mode: Option<String>,
    list: Option<String>,
    since: Option<String>,
    at: Option<String>,
}

fn preview(room: &Room, call: &Call) -> Result<Value, Problem> {
    let Preview { ban, mode, list, since, at } = call.json()?;
    if ban.is_some() != mode.is_some() {
        return Err(Problem::bad("mode", "give `ban` and `mode` together"));
    }
    if ban.is_none() && list.is_none() {
        return Err(Problem::bad("body", "give `ban` and `mode`, or a `list`"));
    }
    let passing = list.map(|list| Passing::new(room.house()?, &list)).transpose()?;
    let mut arguments = vec!["--json".to_owned()];
    let flags = [("ban", ban), ("mode", mode), ("since", since), ("at", at)];
    arguments.extend(flags.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value?))));
    arguments.extend(passing.as_ref().map(Passing::flag));
    json(room.house()?, &Command { verb: "preview", on_disk: true, arguments })
}

/// The arguments of a report.
fn asked(call: &Call, format: &str) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["ban", "from", "to", "baseline", "site"].iter().filter_map(|name| flag(call, name)).collect();
    arguments.push(format!("--format={format}"));
    arguments
}

fn analysis(room: &Room, call: &Call) -> Result<Value, Problem> {
    const PARTS: [&str; 10] =
        ["about", "statement", "figures", "coverage", "sites", "evidence", "days", "weeks", "months", "limits"];
    let arguments = asked(call, Format::Json.as_str());
    let mut document = json(room.house()?, &Command { verb: "report", on_disk: false, arguments })?;
    let mut figures = Value::Object(Map::new());
    for part in PARTS {
        if let (Some(value), Some(object)) = (document.get_mut(part), figures.as_object_mut()) {
            object.insert(part.to_owned(), value.take());
        }
    }
    Ok(figures)
}

fn report(room: &Room, call: &Call) -> Result<Reply, Problem> {
    let format = call.given("format").unwrap_or("html");
    let arguments = asked(call, format);
    let document = run(room.house()?, &Command { verb: "report", on_disk: false, arguments })?;
    let content_type = match format {
        "json" => "application/json",
        "csv" => "text/csv; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        _ => "text/html; charset=utf-8",
    };
    // It is made of names that others chose: whatever they are, nothing in it runs.
    let csp = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox";
    Ok(Reply::of(content_type, document).with(header::CONTENT_SECURITY_POLICY, csp))
}
