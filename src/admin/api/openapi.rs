//! The description of the API (OpenAPI 3.1), made of the same table as the router.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::TABLES;
use crate::admin::Room;
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::route::{About, Answered, Parameter, Route, Work};
use crate::admin::shape::Shape;

/// The routes.
pub(super) static ROUTES: [Route; 1] = [Route {
    method: Method::GET,
    path: "/api/v1/openapi.json",
    needs: None,
    query: &[],
    work: Work::Json(page),
    about: Some(&About {
        id: "openapi",
        tag: "server",
        summary: "This description.",
        body: None,
        status: StatusCode::OK,
        answer: Answered::Json(Shape::Free),
    }),
}];

#[expect(clippy::unnecessary_wraps, reason = "a handler may fail")]
fn page(_room: &Room, _call: &Call) -> Result<Value, Problem> {
    Ok(document())
}

/// What may go wrong with every request, and with those that change something.
const PROBLEMS: [(u16, &str); 10] = [
    (400, "A parameter, a field or the path can't be meant."),
    (401, "Nobody known: no token, or one that is not valid."),
    (403, "Not allowed: a scope is missing, it would go in clear, or a form was not ours."),
    (404, "There is no such thing."),
    (406, "Nothing that is accepted can be sent."),
    (421, "This server is not called so."),
    (422, "What is asked for can't be meant here and now."),
    (429, "Too many attempts."),
    (500, "A fault of the server; its log says more."),
    (503, "It can't be done now."),
];
const PROBLEMS_OF_BODIES: [(u16, &str); 5] = [
    (408, "The body did not come in time."),
    (409, "It is another thing by now."),
    (412, "It has changed since it was read (If-Match)."),
    (413, "The body is too large."),
    (415, "The body is no JSON."),
];

/// The whole description.
pub(in crate::admin) fn document() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in TABLES.iter().copied().flatten() {
        if let Some(about) = route.about {
            let operation = operation(route, about);
            paths.entry(route.path).or_default().insert(route.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Embargo",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "What a forwarding DNS server that enforces vendor bans has seen and does.",
            "description": "Times are RFC 3339 in UTC. Errors are problems (RFC 9457). Lists come in pages: `next` of one is \
                            `cursor` of the following. An ETag of a GET can be sent back in If-None-Match.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "security": [{"token": []}],
        "tags": [
            {"name": "server", "description": "How it is, and what it is told to do."},
            {"name": "bans", "description": "What is banned, by which rules."},
            {"name": "record", "description": "Who tried what."},
            {"name": "exemptions", "description": "Who is spared what."},
            {"name": "audit", "description": "Who has changed what."},
            {"name": "analysis", "description": "What it proves, and what a change would do."},
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "`embargo token add` makes one."},
            },
            "schemas": {"Problem": problem()},
        },
    })
}

fn operation(route: &Route, about: &About) -> Value {
    let in_path = path_parts(route.path).map(|name| {
        json!({"name": name, "in": "path", "required": true, "description": "Its id.", "schema": {"type": "string"}})
    });
    let in_query = route.query.iter().map(|Parameter { name, shape, about }| {
        let mut schema = shape.schema();
        if let (Shape::Text | Shape::Needed(Shape::Text), Some(object)) = (shape, schema.as_object_mut()) {
            object.insert("minLength".to_owned(), 1.into());
        }
        let required = matches!(shape, Shape::Needed(_));
        json!({"name": name, "in": "query", "required": required, "description": about, "schema": schema})
    });
    let mut responses = Map::new();
    let good = match &about.answer {
        Answered::Json(shape) => {
            json!({"description": "Done.", "content": {"application/json": {"schema": shape.schema()}}})
        }
        Answered::Other(types) => {
            let content: Map<String, Value> =
                types.iter().map(|name| ((*name).to_owned(), json!({"schema": {"type": "string"}}))).collect();
            json!({"description": "Done.", "content": content})
        }
        Answered::Nothing => json!({"description": "Done."}),
    };
    responses.insert(about.status.as_str().to_owned(), good);
    if route.method == Method::GET {
        responses.insert("304".to_owned(), json!({"description": "It is as the client has it (If-None-Match)."}));
    }
    let of_bodies = PROBLEMS_OF_BODIES.iter().filter(|_problem| route.method != Method::GET || route.needs.is_none());
    for (status, description) in PROBLEMS.iter().chain(of_bodies) {
        let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
        responses.insert(status.to_string(), json!({"description": description, "content": content}));
    }
    let mut operation = json!({
        "operationId": about.id,
        "tags": [about.tag],
        "summary": about.summary,
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": responses,
    });
    if let (Some(shape), Some(object)) = (&about.body, operation.as_object_mut()) {
        let body = json!({"required": true, "content": {"application/json": {"schema": shape.schema()}}});
        object.insert("requestBody".to_owned(), body);
    }
    if let Some(object) = operation.as_object_mut() {
        match route.needs {
            Some(scope) => {
                let what = format!("Takes the scope `{}`.", scope.as_str());
                object.insert("description".to_owned(), what.into());
            }
            None => {
                object.insert("security".to_owned(), json!([]));
            }
        }
    }
    operation
}

/// The parts of a path that stand for something.
fn path_parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457.",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "field": {"type": "string", "description": "The parameter, field or header that it is about."},
        },
        "required": ["type", "title", "status", "detail"],
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::access::Scope;

    #[test]
    fn every_route_is_described_once_and_nothing_else_is() {
        let document = document();
        let mut described = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                described.insert((method.to_ascii_uppercase(), path.clone()));
                assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{operation}");
                let tags = document["tags"].as_array().unwrap();
                assert!(tags.iter().any(|tag| tag["name"] == operation["tags"][0]), "{operation}");
            }
        }
        let routes: BTreeSet<_> =
            TABLES.iter().copied().flatten().map(|route| (route.method.to_string(), route.path.to_owned())).collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn what_changes_something_takes_more_than_reading_and_has_a_method_that_says_so() {
        for route in TABLES.iter().copied().flatten() {
            let reads = route.needs.is_none_or(|scope| scope == Scope::Read);
            // What a change would do is asked with a body, and changes nothing.
            let only_tells = route.method == Method::GET || route.path == "/api/v1/policy/preview";
            assert_eq!(reads, only_tells, "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn the_parts_of_a_path_are_its_parameters() {
        assert_eq!(path_parts("/api/v1/bans/{id}/rules/{line}").collect::<Vec<_>>(), ["id", "line"]);
    }
}
