//! Where an upstream is that is written by host name: asked of the bootstrap servers, never of the system's resolver, which
//! may be us; asked again as the answer's time ends, and when no address can be reached. Until a new answer comes the old
//! addresses are kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::ask::Ask;
use super::message::{Response, is_answer};
use super::server::{Place, Server};
use super::trouble::Trouble;
use super::validate::Questions;
use super::{UpstreamError, Upstreams};
use crate::wire::{CLASS_IN, Layout, Name, Section, qtype, sane_ttl};

/// Addresses of one name at most; each that is dead costs its part of the time to connect.
const ADDRESSES_MAX: usize = 8;
/// An answer is taken to hold at most so long.
const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// After a failure it is asked again so soon, then after twice that, and so on up to the last.
const AGAIN: std::ops::RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(30);

/// Where connections to an upstream go.
#[derive(Debug)]
pub(super) struct Whereabouts {
    /// A name is resolved again no sooner.
    apart: Duration,
    /// Those most worth trying first; none as long as the name has not been resolved.
    addresses: watch::Sender<Arc<[SocketAddr]>>,
    lost: Notify,
}

impl Whereabouts {
    /// Of a server by address, or nowhere yet.
    pub(super) fn new(server: &Server, apart: Duration) -> Self {
        Self { apart, addresses: watch::channel(server.address().into_iter().collect()).0, lost: Notify::new() }
    }

    /// The addresses, waited for if there are none yet.
    pub(super) async fn known(&self) -> Arc<[SocketAddr]> {
        let mut addresses = self.addresses.subscribe();
        match addresses.wait_for(|addresses| !addresses.is_empty()).await {
            Ok(addresses) => Arc::clone(&addresses),
            // Never, as long as the sender is ours.
            Err(_closed) => Arc::new([]),
        }
    }

    /// This one could be reached: it is tried first next time.
    pub(super) fn reached(&self, address: SocketAddr) {
        self.addresses.send_if_modified(|addresses| {
            if addresses.first() != Some(&address) && addresses.contains(&address) {
                let others = addresses.iter().copied().filter(|other| *other != address);
                *addresses = std::iter::once(address).chain(others).collect();
            }
            false
        });
    }

    /// None of these can be reached. Nothing is to be done if there are others by now.
    pub(super) fn lost(&self, tried: &[SocketAddr]) {
        let is_known = |address: &SocketAddr| tried.contains(address);
        if self.addresses.borrow().iter().all(is_known) {
            self.lost.notify_one();
        }
    }

    /// Takes new addresses; returns whether one of the old is gone, and connections to it with it.
    fn found(&self, found: &[SocketAddr]) -> bool {
        let mut gone = false;
        self.addresses.send_if_modified(|addresses| {
            let kept: Vec<SocketAddr> = addresses.iter().copied().filter(|old| found.contains(old)).collect();
            gone = kept.len() < addresses.len();
            let new = found.iter().copied().filter(|new| !kept.contains(new));
            *addresses = kept.iter().copied().chain(new).take(ADDRESSES_MAX).collect();
            true
        });
        gone
    }

    /// Resolves the name of `server`, again and again, for ever; `gone` is called when an address is one no more. Returns at
    /// once for a server by address.
    pub(super) async fn follow(&self, server: &Server, bootstrap: &Upstreams, trouble: &Trouble, gone: impl Fn()) {
        let Place::Host { name, port } = server.place() else { return };
        let (mut again, mut nowhere) = (*AGAIN.start(), false);
        loop {
            let asked = Instant::now();
            let wait = match look_up(bootstrap, name, *port).await {
                Ok((found, ttl)) => {
                    again = *AGAIN.start();
                    // As long as it was nowhere, there was no other trouble either.
                    if std::mem::take(&mut nowhere) {
                        trouble.is_over();
                    }
                    if self.found(&found) {
                        gone();
                    }
                    // Who has failed meanwhile has tried those of before.
                    let _stale = self.lost.notified().now_or_never();
                    ttl.min(TTL_MAX).max(self.apart)
                }
                Err(error) => {
                    let why = format!("its name can't be resolved: {error}").into();
                    nowhere = self.addresses.borrow().is_empty();
                    if nowhere {
                        trouble.is(why);
                    } else {
                        trouble.looms(&why);
                    }
                    let wait = again;
                    again = (again * 2).min(*AGAIN.end());
                    wait
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.lost.notified() => sleep_until(asked + self.apart).await,
            }
        }
    }
}

/// Why a name gives no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// Nobody says.
    #[error("{0}")]
    Upstream(#[from] UpstreamError),
    /// It has none.
    #[error("it has no address")]
    NoAddress,
    /// No name.
    #[error("it is no domain name")]
    NoName,
}

/// The addresses of a name, IPv6 and IPv4 in turn, by whoever answers `questions`.
///
/// # Errors
/// [`LocateError`].
pub async fn locate(questions: &dyn Questions, name: &Name) -> Result<Vec<IpAddr>, LocateError> {
    let (six, four) = (question(name, qtype::AAAA), question(name, qtype::A));
    let (six, four) = tokio::join!(questions.ask(six), questions.ask(four));
    let read = |message: &Vec<u8>, qtype| {
        Layout::read(message).map(|layout| addresses(message, &layout, qtype)).unwrap_or_default()
    };
    let (six, four) = match (six, four) {
        (Err(error), Err(_)) => return Err(error.into()),
        (six, four) => (six.map(|six| read(&six, qtype::AAAA)), four.map(|four| read(&four, qtype::A))),
    };
    let found = in_turn(&six.unwrap_or_default(), &four.unwrap_or_default());
    if found.is_empty() { Err(LocateError::NoAddress) } else { Ok(found) }
}

fn question(name: &Name, qtype: u16) -> Ask {
    Ask { name: name.clone(), qtype, qclass: CLASS_IN, dnssec_ok: false, checking_disabled: false, subnet: None }
}

/// The addresses of a name, IPv6 and IPv4 in turn (RFC 8305 §4), and how long they hold.
async fn look_up(bootstrap: &Upstreams, name: &str, port: u16) -> Result<(Vec<SocketAddr>, Duration), LocateError> {
    let name = Name::parse(name).map_err(|_no_name| LocateError::NoName)?;
    let (six, four) = (question(&name, qtype::AAAA), question(&name, qtype::A));
    let (six, four) = tokio::join!(bootstrap.ask(&six), bootstrap.ask(&four));
    // One of them will do.
    let (six, four) = match (six, four) {
        (Err(error), Err(_)) => return Err(error.into()),
        (six, four) => (answered(six.ok().as_ref(), qtype::AAAA), answered(four.ok().as_ref(), qtype::A)),
    };
    let ttl = six.iter().chain(&four).map(|(_ip, ttl)| *ttl).min().ok_or(LocateError::NoAddress)?;
    let found = in_turn(&six, &four).into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    Ok((found, Duration::from_secs(ttl.into())))
}

/// One of each as long as there are both.
fn in_turn(six: &[(IpAddr, u32)], four: &[(IpAddr, u32)]) -> Vec<IpAddr> {
    let turns = (0..six.len().max(four.len())).flat_map(|turn| [six.get(turn), four.get(turn)]);
    turns.flatten().map(|(ip, _ttl)| *ip).take(ADDRESSES_MAX).collect()
}

/// The addresses of one type in a response, if it is an answer.
fn answered(response: Option<&Response>, qtype: u16) -> Vec<(IpAddr, u32)> {
    let response = response.filter(|response| is_answer(response.rcode));
    response.map(|response| addresses(&response.message, &response.layout, qtype)).unwrap_or_default()
}

/// The addresses of one type in a message, with their TTLs; those that can be no server's are left out.
fn addresses(message: &[u8], layout: &Layout, qtype: u16) -> Vec<(IpAddr, u32)> {
    let wanted = layout
        .records
        .iter()
        .filter(|record| (record.section, record.rtype, record.class) == (Section::Answer, qtype, CLASS_IN));
    let read = wanted.filter_map(|record| {
        let rdata = message.get(record.rdata.clone())?;
        let four = || <[u8; 4]>::try_from(rdata).ok().map(|octets| IpAddr::from(Ipv4Addr::from(octets)));
        let six = || <[u8; 16]>::try_from(rdata).ok().map(|octets| IpAddr::from(Ipv6Addr::from(octets)));
        four().or_else(six).map(|ip| (ip, sane_ttl(record.ttl)))
    });
    read.filter(|(ip, _ttl)| !ip.is_unspecified() && !ip.is_multicast()).take(ADDRESSES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_name() -> Server {
        Server::new(Place::Host { name: "dns.example".into(), port: 853 }, crate::upstream::Protocol::Tls, None)
    }

    fn addresses(last: &[u8]) -> Vec<SocketAddr> {
        last.iter().map(|&last| SocketAddr::from(([192, 0, 2, last], 853))).collect()
    }

    #[tokio::test]
    async fn the_address_that_could_be_reached_is_tried_first_and_stays_so() {
        let places = Whereabouts::new(&by_name(), Duration::ZERO);
        assert!(!places.found(&addresses(&[1, 2, 3])));
        places.reached(addresses(&[2])[0]);
        assert_eq!(*places.known().await, *addresses(&[2, 1, 3]));
        assert!(!places.found(&addresses(&[3, 2, 1, 4])));
        assert_eq!(*places.known().await, *addresses(&[2, 1, 3, 4]));
        assert!(places.found(&addresses(&[1, 4])), "two are gone");
        assert_eq!(*places.known().await, *addresses(&[1, 4]));
        places.reached(addresses(&[9])[0]);
        assert_eq!(*places.known().await, *addresses(&[1, 4]));
    }

    #[tokio::test]
    async fn who_fails_at_addresses_of_before_does_not_have_the_name_resolved_again() {
        let places = Whereabouts::new(&by_name(), Duration::ZERO);
        let is_told = async || tokio::time::timeout(Duration::ZERO, places.lost.notified()).await.is_ok();
        places.found(&addresses(&[1, 2]));
        places.lost(&addresses(&[2, 1]));
        assert!(is_told().await);
        places.found(&addresses(&[3]));
        places.lost(&addresses(&[1, 2]));
        assert!(!is_told().await);
    }

    #[tokio::test]
    async fn a_server_by_address_is_there_at_once() {
        let places = Whereabouts::new(&Server::tcp(addresses(&[7])[0]), Duration::ZERO);
        assert_eq!(*places.known().await, *addresses(&[7]));
    }
}
