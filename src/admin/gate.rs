//! What the server remembers of those who come: sessions, and who has tried in vain. Both are bounded, and gone with the process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::caller::Caller;
use crate::access::{Book, Holder, random_text};
use crate::digest::hex_digest;
use crate::time::{Mono, Now};

/// Sessions at a time; the one that was used the longest ago makes way.
const SESSIONS_MAX: usize = 512;
/// A session that is not used ends.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// A session ends.
const SESSION_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// Addresses and names whose failures are remembered.
const TRIED_MAX: usize = 4096;
/// Failures that cost nothing.
const FREE: u32 = 5;
/// The wait after the first failure that costs; each further one doubles it …
const WAIT: Duration = Duration::from_secs(2);
/// … up to this; and failures older than this are forgotten.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// Passwords compared at a time: each takes 19 MiB and tens of milliseconds of a processor.
const HASHING_MAX: usize = 2;

/// What is remembered.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) sessions: Sessions,
    pub(super) tried: Tried,
    /// What nobody else knows.
    pub(super) secret: String,
    pub(super) hashing: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            sessions: Sessions::default(),
            tried: Tried::default(),
            secret: random_text(),
            hashing: Semaphore::new(HASHING_MAX),
        }
    }
}

/// Sessions by the hash of what stands in their cookies.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Session>>);

#[derive(Debug)]
struct Session {
    by: String,
    mark: String,
    csrf: String,
    began: Mono,
    used: Mono,
}

impl Sessions {
    /// Begins one; returns what is to stand in the cookie.
    pub(super) fn begin(&self, holder: &Holder, now: Now) -> String {
        let cookie = random_text();
        let session = Session {
            by: holder.by.clone(),
            mark: holder.mark.clone(),
            csrf: random_text(),
            began: now.mono,
            used: now.mono,
        };
        let mut sessions = self.locked();
        sessions.retain(|_key, session| !session.is_over(now.mono));
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_key, session)| session.used).map(|(key, _session)| key.clone());
            oldest.and_then(|key| sessions.remove(&key));
        }
        sessions.insert(key(&cookie), session);
        cookie
    }

    /// Who is there by a cookie, as long as they still may.
    pub(super) fn of(&self, cookie: &str, book: &Book, now: Now) -> Option<Caller> {
        let key = key(cookie);
        let mut sessions = self.locked();
        let session = sessions.get_mut(&key).filter(|session| !session.is_over(now.mono));
        let known = session.and_then(|session| {
            let holder = book.again(&session.by, &session.mark, now.wall)?;
            session.used = now.mono;
            Some((holder, session.csrf.clone()))
        });
        let Some((holder, csrf)) = known else {
            sessions.remove(&key);
            return None;
        };
        let (by, mark) = (Some(holder.by), Some(holder.mark));
        Some(Caller { by, mark, scopes: holder.scopes, csrf: Some(csrf), session: Some(key) })
    }

    /// Ends one.
    pub(super) fn end(&self, key: &str) {
        self.locked().remove(key);
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn is_over(&self, now: Mono) -> bool {
        now.since(self.used) >= IDLE || now.since(self.began) >= SESSION_MAX
    }
}

fn key(cookie: &str) -> String {
    hex_digest(cookie.as_bytes())
}

/// Who has tried in vain.
#[derive(Debug, Default)]
pub(super) struct Tried(Mutex<HashMap<String, Failures>>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Mono,
}

impl Failures {
    /// How long it takes from the last of them until the next attempt.
    fn wait(self) -> Duration {
        let Some(doublings) = self.count.checked_sub(FREE) else { return Duration::ZERO };
        WAIT.saturating_mul(1 << doublings.min(16)).min(WAIT_MAX)
    }
}

impl Tried {
    /// The time that whoever comes from there, or under that name, has to wait before the next attempt.
    pub(super) fn wait(&self, from: IpAddr, name: &str, now: Now) -> Option<Duration> {
        let tried = self.locked();
        let left = |key: &String| {
            let failures = tried.get(key)?;
            failures.wait().checked_sub(now.mono.since(failures.last)).filter(|left| !left.is_zero())
        };
        keys(from, name).iter().filter_map(left).max()
    }

    /// One attempt in vain.
    pub(super) fn failed(&self, from: IpAddr, name: &str, now: Now) {
        let mut tried = self.locked();
        for key in keys(from, name) {
            if tried.len() >= TRIED_MAX && !tried.contains_key(&key) {
                tried.retain(|_key, failures| now.mono.since(failures.last) < WAIT_MAX);
            }
            if tried.len() >= TRIED_MAX && !tried.contains_key(&key) {
                let oldest =
                    tried.iter().min_by_key(|(_key, failures)| failures.last).map(|(key, _failures)| key.clone());
                oldest.and_then(|key| tried.remove(&key));
            }
            let failures = tried.entry(key).or_insert(Failures { count: 0, last: now.mono });
            if now.mono.since(failures.last) >= WAIT_MAX {
                failures.count = 0;
            }
            *failures = Failures { count: failures.count.saturating_add(1), last: now.mono };
        }
    }

    /// An attempt that was right: the network is forgiven. The name's failures stay until they are old: somebody else's.
    pub(super) fn succeeded(&self, from: IpAddr) {
        self.locked().remove(&network(from));
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who comes from one network, and who comes under one name from there: a stranger is not to lock a user out everywhere.
fn keys(from: IpAddr, name: &str) -> [String; 2] {
    let network = network(from);
    [format!("{network} {}", hex_digest(name.as_bytes())), network]
}

/// An address of IPv4, or the /64 of one of IPv6: everybody there has as many addresses as they like.
fn network(from: IpAddr) -> String {
    match from.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x}/64", u128::from(address) >> 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Access, Scopes};
    use crate::time::Timestamp;

    fn at(seconds: u64) -> Now {
        Now { wall: Timestamp::from_second(1_800_000_000).unwrap(), mono: Mono(0).plus(Duration::from_secs(seconds)) }
    }

    fn book() -> (std::sync::Arc<Book>, Holder) {
        let directory = tempfile::tempdir().unwrap();
        let access = Access::new(directory.path());
        let token = access.add_token("a", Scopes::READ, None, at(0).wall).unwrap();
        let book = access.book().unwrap();
        let holder = book.token(&token, at(0).wall).unwrap();
        (book, holder)
    }

    #[test]
    fn a_session_lasts_while_it_is_used_and_not_for_ever() {
        let (sessions, (book, holder)) = (Sessions::default(), book());
        let cookie = sessions.begin(&holder, at(0));
        let of = |seconds| sessions.of(&cookie, &book, at(seconds));
        assert_eq!(of(0).unwrap().by.as_deref(), Some("token:a"));
        let steps = (1..24).map(|step| step * 1799);
        assert!(steps.take_while(|seconds| *seconds < 12 * 3600).all(|seconds| of(seconds).is_some()));
        assert!(of(12 * 3600).is_none());
        let cookie = sessions.begin(&holder, at(0));
        assert!(sessions.of(&cookie, &book, at(1800)).is_none(), "not used for half an hour");
        assert!(sessions.of("other", &book, at(0)).is_none());
    }

    #[test]
    fn a_session_ends_with_the_logout_and_with_what_it_began_by() {
        let (sessions, (book, holder)) = (Sessions::default(), book());
        let cookie = sessions.begin(&holder, at(0));
        assert!(sessions.of(&cookie, &Book::default(), at(1)).is_none(), "the token was revoked");
        let cookie = sessions.begin(&holder, at(0));
        let session = sessions.of(&cookie, &book, at(1)).unwrap().session.unwrap();
        sessions.end(&session);
        assert!(sessions.of(&cookie, &book, at(1)).is_none());
    }

    #[test]
    fn sessions_are_bounded_and_the_one_that_nobody_uses_makes_way() {
        let (sessions, (book, holder)) = (Sessions::default(), book());
        let first = sessions.begin(&holder, at(0));
        let second = sessions.begin(&holder, at(1));
        assert!(sessions.of(&first, &book, at(2)).is_some());
        for _ in 0..SESSIONS_MAX - 1 {
            sessions.begin(&holder, at(3));
        }
        assert_eq!(sessions.locked().len(), SESSIONS_MAX);
        assert!(sessions.of(&second, &book, at(4)).is_none() && sessions.of(&first, &book, at(4)).is_some());
    }

    #[test]
    fn after_some_failures_each_costs_twice_as_much() {
        let (tried, from) = (Tried::default(), "192.0.2.7".parse().unwrap());
        for _ in 0..FREE - 1 {
            tried.failed(from, "alice", at(0));
        }
        assert_eq!(tried.wait(from, "alice", at(0)), None);
        tried.failed(from, "alice", at(0));
        assert_eq!(tried.wait(from, "alice", at(0)), Some(WAIT));
        assert_eq!(tried.wait(from, "bob", at(0)), Some(WAIT), "another name from there waits as well");
        assert_eq!(tried.wait("192.0.2.8".parse().unwrap(), "alice", at(0)), None, "nobody is locked out elsewhere");
        tried.failed(from, "alice", at(2));
        assert_eq!(tried.wait(from, "alice", at(2)), Some(2 * WAIT));
        for _ in 0..20 {
            tried.failed(from, "alice", at(2));
        }
        assert_eq!(tried.wait(from, "alice", at(2)), Some(WAIT_MAX));
        tried.failed(from, "alice", at(2 + 15 * 60));
        assert_eq!(tried.wait(from, "alice", at(2 + 15 * 60)), None, "they are forgotten");
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_the_map_is_bounded() {
        let tried = Tried::default();
        for host in 0..u128::from(FREE) {
            tried.failed(IpAddr::V6((0x2001_0db8_u128 << 96 | host).into()), "a", at(0));
        }
        assert_eq!(tried.wait("2001:db8::ffff".parse().unwrap(), "b", at(0)), Some(WAIT));
        for network in 0..5_000_u32 {
            tried.failed(IpAddr::V4(network.into()), "a", at(1));
        }
        assert_eq!(tried.locked().len(), TRIED_MAX);
    }
}
