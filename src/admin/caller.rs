//! Who asks, and what they may: by a token, a session, a proxy's word, or nobody on this very machine.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use super::problem::Problem;
use crate::access::{Access, Book, Scopes};
use crate::digest::hex_digest;
use crate::time::Now;

/// The name of the cookie that holds a session.
pub(super) const COOKIE: &str = "embargo_session";
/// Characters of a name that a proxy says at most.
const USER_MAX: usize = 64;
/// What a proxy adds to a request; with one of these it does not come from this machine, whatever the address says.
const FORWARDING: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/// Who may use the admin server beyond what the access file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Names by which browsers may call this server, in lower case, beside its addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Whether everybody on this machine may look on while there is neither a token nor a user.
    pub loopback_reads: bool,
    /// Proxies in front of this server, that say who is there.
    pub proxies: Vec<IpNet>,
    /// The header in which they do, in lower case.
    pub user_header: String,
    /// What such users may do who are no local users.
    pub forwarded_scopes: Scopes,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            loopback_reads: true,
            proxies: Vec::new(),
            user_header: "x-forwarded-user".to_owned(),
            forwarded_scopes: Scopes::READ,
        }
    }
}

/// Where a request comes from.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// Whether it comes over TLS.
    pub(super) is_secret: bool,
    /// Ends the connection at once.
    pub(super) cut: CancellationToken,
    /// Told when the server stops.
    pub(super) stop: CancellationToken,
    /// Set by whoever answers without end: the connection's age is no reason to close it.
    pub(super) lasts: Arc<std::sync::atomic::AtomicBool>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// As the audit log names them; `None`: nobody knows.
    pub(super) by: Option<String>,
    pub(super) scopes: Scopes,
    /// What a form has to send along, where a browser shows who is there by itself: no page elsewhere can know it.
    pub(super) csrf: Option<String>,
    /// The session's key, if it is one.
    pub(super) session: Option<String>,
    /// Another text once the token or the password is another one.
    pub(super) mark: Option<String>,
}

impl Caller {
    fn nobody(scopes: Scopes) -> Self {
        Self { by: None, scopes, csrf: None, session: None, mark: None }
    }

    /// Whether they may still do what they could when they came.
    pub(super) fn is_still(&self, book: &Book, now: Now) -> bool {
        match (&self.by, &self.mark) {
            (Some(by), Some(mark)) => book.again(by, mark, now.wall).is_some_and(|holder| holder.scopes == self.scopes),
            // A proxy's word is for one request; whoever is nobody may look on until there is somebody.
            (Some(_), None) => true,
            (None, _) => book.is_empty(),
        }
    }

    /// Whether somebody has shown who they are.
    pub(super) fn is_known(&self) -> bool {
        self.by.is_some()
    }
}

impl Peer {
    /// The address as it is in IPv4, if it is one.
    pub(super) fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }

    /// Whether nobody on the way can read along.
    pub(super) fn is_private(&self, rules: &Rules) -> bool {
        self.is_secret || self.ip().is_loopback() || self.is_proxy(rules)
    }

    pub(super) fn is_proxy(&self, rules: &Rules) -> bool {
        rules.proxies.iter().any(|network| network.contains(&self.ip()))
    }
}

/// Who asks.
///
/// # Errors
/// Something was shown that is not valid, or valid no longer.
pub(super) fn caller(
    head: &Parts,
    peer: &Peer,
    rules: &Rules,
    access: &Access,
    gate: &Gate,
    now: Now,
) -> Result<Caller, Problem> {
    let book = access.book().map_err(|error| Problem::cannot(error.to_string()))?;
    if let Some(authorization) = head.headers.get(header::AUTHORIZATION) {
        let text = authorization.to_str().unwrap_or_default();
        let token = text.split_once(' ').filter(|(scheme, _token)| scheme.eq_ignore_ascii_case("bearer"));
        let holder = token.and_then(|(_scheme, token)| book.token(token.trim(), now.wall));
        let holder = holder.ok_or_else(|| Problem::unknown_caller("this token is not known, or it has ended"))?;
        return Ok(Caller { by: Some(holder.by), mark: Some(holder.mark), ..Caller::nobody(holder.scopes) });
    }
    if let Some(user) = forwarded(&head.headers, peer, rules)? {
        return Ok(by_proxy(&user, &book, rules, gate));
    }
    if let Some(session) = cookie(&head.headers).and_then(|cookie| gate.sessions.of(cookie, &book, now)) {
        return Ok(session);
    }
    // Whoever a proxy has not named is somewhere else, even if the proxy says nothing of that.
    let is_direct = peer.ip().is_loopback() && !peer.is_proxy(rules);
    let is_here = is_direct && !FORWARDING.iter().any(|name| head.headers.contains_key(*name));
    let scopes = if rules.loopback_reads && is_here && book.is_empty() { Scopes::READ } else { Scopes::default() };
    Ok(Caller::nobody(scopes))
}

/// Whom a proxy names.
///
/// # Errors
/// It names several, or nobody that could be.
fn forwarded(headers: &HeaderMap, peer: &Peer, rules: &Rules) -> Result<Option<String>, Problem> {
    let mut named = headers.get_all(rules.user_header.as_str()).iter();
    let Some(user) = named.next().filter(|_user| peer.is_proxy(rules)) else { return Ok(None) };
    let user = user.to_str().unwrap_or_default();
    let is_name = (1..=USER_MAX).contains(&user.len()) && user.bytes().all(|octet| octet.is_ascii_graphic());
    if named.next().is_some() || !is_name {
        return Err(Problem::bad(rules.user_header.as_str(), "the proxy has to name one user"));
    }
    Ok(Some(user.to_owned()))
}

fn by_proxy(user: &str, book: &Book, rules: &Rules, gate: &Gate) -> Caller {
    let scopes = book.user(user).map_or(rules.forwarded_scopes, |(holder, _phrase)| holder.scopes);
    let by = format!("forwarded:{user}");
    let csrf = hex_digest(format!("{}/{by}", gate.secret).as_bytes());
    Caller { by: Some(by), csrf: Some(csrf), ..Caller::nobody(scopes) }
}

/// What stands in our cookie.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Whether the name by which this server is called is one of its own: a page elsewhere can have its own name lead here, and
/// would then read what it likes (DNS rebinding).
pub(super) fn is_own_host(uri: &Uri, headers: &HeaderMap, rules: &Rules) -> bool {
    let Some(host) = host(uri, headers) else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(address, _port)| address),
        None => host.split_once(':').map_or(host.as_str(), |(name, _port)| name),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    name.parse::<IpAddr>().is_ok() || name == "localhost" || rules.hosts.iter().any(|own| own == name)
}

/// The host of a request, with its port, in lower case; `None`: there is none, or there are two.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let mut named = headers.get_all(header::HOST).iter();
    let (first, second) = (named.next(), named.next());
    let host = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => first?.to_str().ok()?,
    };
    let is_host = |octet: u8| octet.is_ascii_alphanumeric() || b"-._:[]".contains(&octet);
    (second.is_none() && host.bytes().all(is_host)).then(|| host.to_ascii_lowercase())
}

/// Whether a browser says that the request was made by a page of ours, or by nobody's.
pub(super) fn is_own_page(uri: &Uri, headers: &HeaderMap) -> bool {
    let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let by_fetch = said("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let by_origin = said("origin").is_none_or(|origin| {
        let own = host(uri, headers);
        origin.split_once("://").is_some_and(|(_scheme, at)| own.is_some_and(|own| own.eq_ignore_ascii_case(at)))
    });
    by_fetch && by_origin
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_server_answers_to_its_addresses_and_the_names_that_it_was_given() {
        let rules = Rules { hosts: vec!["embargo.example".to_owned()], ..Rules::default() };
        for (host, expected) in [
            ("127.0.0.1:8053", true),
            ("[::1]:8053", true),
            ("localhost:8053", true),
            ("LOCALHOST", true),
            ("embargo.example", true),
            ("Embargo.Example.:443", true),
            ("rebound.example:8053", false),
            ("embargo.example.evil.test", false),
            ("127.0.0.1.evil.test", false),
            ("localhost@evil.test", false),
            ("[::1", false),
            ("", false),
            (" ", false),
        ] {
            let own = is_own_host(&Uri::from_static("/"), &headers(&[("host", host)]), &rules);
            assert_eq!(own, expected, "{host}");
        }
        let two = headers(&[("host", "localhost"), ("host", "localhost")]);
        assert!(!is_own_host(&Uri::from_static("/"), &two, &rules), "two names");
        assert!(!is_own_host(&Uri::from_static("/"), &HeaderMap::new(), &rules), "no name");
        let other = Uri::from_static("http://evil.test/");
        assert!(!is_own_host(&other, &headers(&[("host", "localhost")]), &rules), "the target goes before");
    }

    #[test]
    fn a_page_elsewhere_is_told_from_ours() {
        let own = |pairs: &[(&'static str, &str)]| {
            let mut all = vec![("host", "embargo.example:8053")];
            all.extend(pairs);
            is_own_page(&Uri::from_static("/"), &headers(&all))
        };
        assert!(own(&[]) && own(&[("origin", "http://embargo.example:8053"), ("sec-fetch-site", "same-origin")]));
        for (name, value) in [
            ("origin", "http://evil.test"),
            ("origin", "http://embargo.example"),
            ("origin", "null"),
            ("origin", "http://embargo.example:8053.evil.test"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(!own(&[(name, value)]), "{name}: {value}");
        }
    }

    #[test]
    fn our_cookie_is_found_among_others() {
        assert_eq!(cookie(&headers(&[("cookie", "a=b; embargo_session=x; c=d")])), Some("x"));
        assert_eq!(cookie(&headers(&[("cookie", "a=b"), ("cookie", "embargo_session=y")])), Some("y"));
        assert_eq!(cookie(&headers(&[("cookie", "xembargo_session=y; embargo_sessions=z")])), None);
    }
}
