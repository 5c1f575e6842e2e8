//! The way of one request to a handler: whose name was called, who asks, what they may, what they sent; then the handler, on a
//! thread that may block. API and pages go the same way; only how they say no differs.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::Room;
use super::call::{BODY_MAX, Call, pairs};
use super::caller::{Caller, Peer, caller, is_own_host, is_own_page};
use super::looks;
use super::problem::Problem;
use super::reply::Reply;
use super::shape::Shape;
use crate::access::Scope;
use serde_json::Value;

/// The header in which a script of a page sends what a form has in its field `csrf`.
const CSRF_HEADER: &str = "x-csrf-token";
/// The field of a form with the same.
pub(super) const CSRF_FIELD: &str = "csrf";

/// What does the work of a route: it may block, and read the store.
pub(super) type Handler = fn(&Room, &Call) -> Result<Reply, Problem>;

/// One endpoint.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: Method,
    /// As axum and OpenAPI write it: `/api/v1/bans/{id}`.
    pub(super) path: &'static str,
    /// What whoever asks has to be allowed; `None`: nothing.
    pub(super) needs: Option<Scope>,
    /// What the query string may say.
    pub(super) query: &'static [Parameter],
    pub(super) work: Work,
    /// What programs are told of it; `None`: it is a page.
    pub(super) about: Option<&'static About>,
}

/// One key of a query string, or one part of a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// What it is, in a sentence.
    pub(super) about: &'static str,
}

/// What programs are told of an endpoint.
#[derive(Debug)]
pub(super) struct About {
    /// Unique among all.
    pub(super) id: &'static str,
    /// Of what it is.
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// What the body has to be; `None`: there is none.
    pub(super) body: Option<Shape>,
    /// The status of an answer that is good.
    pub(super) status: StatusCode,
    /// What it holds.
    pub(super) answer: Answered,
}

/// What an answer holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answered {
    /// JSON of this form.
    Json(Shape),
    /// Another type than JSON, or one of several.
    Other(&'static [&'static str]),
    /// Nothing.
    Nothing,
}

/// How the work is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// By a handler, whose answer is whole.
    Whole(Handler),
    /// By one whose answer is JSON, of the form that is told.
    Json(fn(&Room, &Call) -> Result<Value, Problem>),
    /// By one that goes on answering until the client leaves.
    Stream(fn(&Room, Call) -> Result<Response, Problem>),
}

impl Route {
    /// A page that whoever may look on may see.
    pub(super) const fn page(path: &'static str, query: &'static [Parameter], handler: Handler) -> Self {
        Self { method: Method::GET, path, needs: Some(Scope::Read), query, work: Work::Whole(handler), about: None }
    }

    /// Whether people look at it, and not programs.
    fn is_page(&self) -> bool {
        self.about.is_none()
    }
}

/// Adds routes to a router.
pub(super) fn add(to: Router<Room>, routes: &'static [Route]) -> Router<Room> {
    routes.iter().fold(to, |to, route| to.route(route.path, endpoint(route)))
}

fn endpoint(route: &'static Route) -> MethodRouter<Room> {
    let filter = MethodFilter::try_from(route.method.clone()).unwrap_or(MethodFilter::GET);
    on(filter, move |State(room): State<Room>, path: RawPathParams, request: Request| async move {
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        match answer(&room, route, path, request).await {
            Ok(response) => response,
            Err(problem) if route.is_page() => sorry(&problem, &target),
            Err(problem) => problem.into_response(),
        }
    })
}

/// What a browser is told: to log in, or what is wrong.
fn sorry(problem: &Problem, target: &str) -> Response {
    if problem.status == StatusCode::UNAUTHORIZED {
        let next: String = target.bytes().map(escaped).collect();
        return Reply::see_other(&format!("/login?next={next}")).into_response(None);
    }
    let reply = Reply::of("text/plain; charset=utf-8", format!("{}\n", problem.detail)).status(problem.status);
    let reply = match problem.retry_after {
        Some(seconds) => reply.with(header::RETRY_AFTER, &seconds.to_string()),
        None => reply,
    };
    reply.into_response(None)
}

/// An octet as it may stand in a query string.
fn escaped(octet: u8) -> String {
    if octet.is_ascii_alphanumeric() || b"-._~/".contains(&octet) {
        char::from(octet).to_string()
    } else {
        format!("%{octet:02X}")
    }
}

async fn answer(
    room: &Room,
    route: &'static Route,
    path: Vec<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let peer =
        head.extensions.get::<Peer>().cloned().ok_or_else(|| Problem::cannot("where this comes from is not known"))?;
    // Before anything is said or read: whoever is led here by another name is to learn nothing.
    let rules = room.house()?.rules();
    if !is_own_host(&head.uri, &head.headers, &rules) {
        let why = "this server is not called so; its names stand in `hosts` of [access] in its configuration";
        return Err(Problem { field: Some("Host".to_owned()), ..Problem::new(StatusCode::MISDIRECTED_REQUEST, why) });
    }
    if !peer.is_private(&rules) {
        let why = "this would go over the network in clear: give [access] in the configuration a certificate and a key, or name \
                   the proxy in front of this server in its `proxies`";
        return Err(Problem::forbidden(why));
    }
    let query = known_keys(pairs(head.uri.query().unwrap_or_default())?, route)?;
    let asking = peer.clone();
    let (caller, head) = room
        .ask(move |room| {
            let house = room.house()?;
            let caller = caller(&head, &asking, &rules, house.access(), &room.gate, house.now());
            caller.map(|caller| (caller, head))
        })
        .await
        .inspect_err(|problem| count_refusal(room, problem))?;
    may(route, &caller).inspect_err(|problem| count_refusal(room, problem))?;
    let known = head.headers.get(header::IF_NONE_MATCH).cloned();
    let reading = tokio::time::timeout(room.desk.limits.request_timeout, read(body, &head.headers));
    let too_slow = |_elapsed| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
    let body = reading.await.map_err(too_slow)??;
    if let Some(shape) = route.about.and_then(|about| about.body.as_ref()) {
        fits(shape, &head.headers, &body)?;
    }
    let is_head = head.method == Method::HEAD;
    let call = Call { caller, peer, path, query, uri: head.uri, is_head, headers: head.headers, body };
    if route.method != Method::GET && route.needs.is_some() {
        from_our_page(&call)?;
    }
    match route.work {
        Work::Stream(begin) => {
            let call = room
                .ask(move |room| {
                    looks::note(room, route, &call);
                    Ok(call)
                })
                .await?;
            begin(room, call)
        }
        Work::Whole(handler) => {
            let reply = room
                .ask(move |room| {
                    looks::note(room, route, &call);
                    handler(room, &call)
                })
                .await?;
            Ok(reply.into_response(known.as_ref()))
        }
        Work::Json(handler) => {
            let reply = room
                .ask(move |room| {
                    looks::note(room, route, &call);
                    json(route, &handler(room, &call)?)
                })
                .await?;
            Ok(reply.into_response(known.as_ref()))
        }
    }
}

/// # Errors
/// The body is no JSON, or another than is told.
fn fits(shape: &Shape, headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    shape.check(&super::call::json(headers, body)?, "")
}

/// An answer as it was told to be.
fn json(route: &Route, value: &Value) -> Result<Reply, Problem> {
    let Some(about) = route.about else { return Reply::json(value) };
    if let Answered::Json(shape) = &about.answer
        && cfg!(debug_assertions)
        && let Err(problem) = shape.check(value, "")
    {
        let Problem { detail, field, .. } = problem;
        return Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{}: the answer is not as it is told to be: {field:?} {detail}: {value}", about.id),
        ));
    }
    Ok(Reply::json(value)?.status(about.status))
}

fn count_refusal(room: &Room, problem: &Problem) {
    match problem.status {
        StatusCode::UNAUTHORIZED => room.desk.metrics.admin.unknown_callers.inc(),
        StatusCode::FORBIDDEN => room.desk.metrics.admin.forbidden.inc(),
        _ => (),
    }
}

/// # Errors
/// A key of the query string is unknown, or its value has another form: a filter that is left out would look like one that
/// found everything.
fn known_keys(query: Vec<(String, String)>, route: &Route) -> Result<Vec<(String, String)>, Problem> {
    let known = route.query;
    for (key, value) in &query {
        let Some(parameter) = known.iter().find(|parameter| parameter.name == key) else {
            let names: Vec<&str> = known.iter().map(|parameter| parameter.name).collect();
            let names = if names.is_empty() { "there is none".to_owned() } else { names.join(", ") };
            return Err(Problem::bad(super::call::cut(key), format!("unknown parameter; known: {names}")));
        };
        // A form of a page sends what was left empty; a program that does may have meant something.
        match value.is_empty() {
            false => parameter.shape.check_text(value, parameter.name)?,
            true if route.is_page() => (),
            true => return Err(Problem::bad(parameter.name, "is empty")),
        }
    }
    let is_missing = |parameter: &&Parameter| {
        matches!(parameter.shape, Shape::Needed(_)) && !query.iter().any(|(key, _value)| key == parameter.name)
    };
    if let Some(missing) = known.iter().find(is_missing) {
        return Err(Problem::bad(missing.name, "is needed"));
    }
    Ok(query)
}

/// # Errors
/// They may not.
fn may(route: &Route, caller: &Caller) -> Result<(), Problem> {
    let Some(needed) = route.needs else { return Ok(()) };
    if caller.scopes.allow(needed) {
        return Ok(());
    }
    if !caller.is_known() {
        return Err(Problem::unknown_caller(
            "show a token (`Authorization: Bearer …`; `embargo token add` makes one), or log in",
        ));
    }
    Err(Problem::forbidden(format!("this takes the scope `{}`", needed.as_str())))
}

/// # Errors
/// A browser shows by itself who is there, and nothing shows that a page of ours made it ask.
pub(super) fn from_our_page(call: &Call) -> Result<(), Problem> {
    let Some(csrf) = &call.caller.csrf else { return Ok(()) };
    let shown = if let Some(header) = call.headers.get(CSRF_HEADER) {
        header.to_str().unwrap_or_default().to_owned()
    } else {
        let fields = call.form().unwrap_or_default();
        fields.into_iter().find(|(key, _value)| key == CSRF_FIELD).map(|(_key, value)| value).unwrap_or_default()
    };
    if is_own_page(&call.uri, &call.headers) && shown == *csrf {
        return Ok(());
    }
    Err(Problem::forbidden("this was not asked for by a page of this server, or that page is too old: load it again"))
}

/// The body, whole.
async fn read(body: Body, headers: &HeaderMap) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has {BODY_MAX} octets at most"));
    let told = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|length| length > BODY_MAX) {
        return Err(too_large());
    }
    to_bytes(body, BODY_MAX).await.map_err(|_error| too_large())
}
