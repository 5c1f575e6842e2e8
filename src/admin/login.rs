//! `/login` and `/logout`: a user's name and password, or a token in place of both, for a session.

use axum::http::{Method, StatusCode, header};

use super::Room;
use super::call::Call;
use super::caller::{COOKIE, is_own_page};
use super::pages;
use super::problem::Problem;
use super::reply::Reply;
use super::route::{Parameter, Route, Work};
use super::shape::Shape;
use crate::access::{Book, Holder, PASSWORD_MAX, Phrase};

/// Octets of a place within this server at most.
const NEXT_MAX: usize = 1024;

/// Where to go on.
static NEXT: [Parameter; 1] =
    [Parameter { name: "next", shape: Shape::Text, about: "Where to go on, within this server." }];
/// The routes.
pub(super) static ROUTES: [Route; 3] = [
    Route { method: Method::GET, path: "/login", needs: None, query: &NEXT, work: Work::Whole(form), about: None },
    Route { method: Method::POST, path: "/login", needs: None, query: &[], work: Work::Whole(enter), about: None },
    Route { method: Method::POST, path: "/logout", needs: None, query: &[], work: Work::Whole(leave), about: None },
];

/// Where somebody goes on: within this server, or at its beginning.
fn next(text: &str) -> &str {
    let is_path = text.len() <= NEXT_MAX && text.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'\\');
    if is_path && text.starts_with('/') && !text.starts_with("//") { text } else { "/" }
}

#[expect(clippy::unnecessary_wraps, reason = "a handler may fail")]
fn form(_room: &Room, call: &Call) -> Result<Reply, Problem> {
    Ok(pages::login(next(call.given("next").unwrap_or("/")), None))
}

fn enter(room: &Room, call: &Call) -> Result<Reply, Problem> {
    if !is_own_page(&call.uri, &call.headers) {
        return Err(Problem::forbidden("log in by the page of this server"));
    }
    let fields = call.form()?;
    let field = |name: &str| fields.iter().find(|(key, _value)| key == name).map_or("", |(_key, value)| value.as_str());
    let (user, password, next) = (field("user").trim(), field("password"), next(field("next")));
    let (house, now, from) = (room.house()?, room.house()?.now(), call.peer.ip());
    let counted = &room.desk.metrics.admin;
    if let Some(wait) = room.gate.tried.wait(from, user, now) {
        counted.logins_throttled.inc();
        let seconds = wait.as_secs() + 1;
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, format!("too many attempts; wait {seconds} s"));
        return Err(Problem { retry_after: Some(seconds), ..problem });
    }
    let book = house.access().book().map_err(|error| Problem::cannot(error.to_string()))?;
    let Some(holder) = who(room, &book, user, password)? else {
        room.gate.tried.failed(from, user, now);
        counted.logins_failed.inc();
        tracing::warn!(%from, "Somebody tried to log in in vain.");
        return Ok(pages::login(next, Some("This is not known here.")));
    };
    room.gate.tried.succeeded(from);
    counted.logins.inc();
    tracing::info!(%from, by = holder.by, "Somebody has logged in.");
    if let Some(before) = &call.caller.session {
        room.gate.sessions.end(before);
    }
    let cookie = room.gate.sessions.begin(&holder, now);
    let by_proxy = call.peer.is_proxy(&house.rules())
        && call.headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let secure = if call.peer.is_secret || by_proxy { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Strict{secure}");
    Ok(Reply::see_other(next).with(header::SET_COOKIE, &cookie))
}

/// Who that is.
///
/// # Errors
/// Too many passwords are being compared.
fn who(room: &Room, book: &Book, user: &str, password: &str) -> Result<Option<Holder>, Problem> {
    if user.is_empty() {
        return Ok(book.token(password, room.house()?.now().wall));
    }
    let Ok(_permit) = room.gate.hashing.try_acquire() else {
        let problem = Problem::cannot("others are logging in; try again");
        return Err(Problem { retry_after: Some(1), ..problem });
    };
    let known = book.user(user);
    // As long for a name that there is not: else the time would tell which there are.
    let phrase = known.as_ref().map_or_else(Phrase::of_nobody, |(_holder, phrase)| phrase.clone());
    let is_right = password.len() <= PASSWORD_MAX && phrase.is_of(password);
    Ok(known.map(|(holder, _phrase)| holder).filter(|_known| is_right))
}

fn leave(room: &Room, call: &Call) -> Result<Reply, Problem> {
    super::route::from_our_page(call)?;
    if let Some(session) = &call.caller.session {
        room.gate.sessions.end(session);
    }
    Ok(Reply::see_other("/")
        .with(header::SET_COOKIE, &format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_server() {
        for (text, expected) in [
            ("/devices?site=a", "/devices?site=a"),
            ("//evil.test", "/"),
            ("/\\evil.test", "/"),
            ("https://evil.test", "/"),
            ("/a\r\nSet-Cookie: b", "/"),
            ("", "/"),
        ] {
            assert_eq!(next(text), expected, "{text}");
        }
    }

    #[test]
    fn what_stands_in_the_form_is_text() {
        let body = String::from_utf8(pages::login("/\"><script>", None).body).unwrap();
        assert!(!body.contains("\"><script>") && body.contains("/&quot;&gt;&lt;script&gt;"), "{body}");
    }
}
