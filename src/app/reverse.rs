//! Names of clients in the reverse zones of networks that the operator names: the weakest that is known of a client, asked for
//! seldom, and never of anybody outside those networks.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use crate::identity::{HostName, Lease};
use crate::journal::Level;
use crate::local::reverse;
use crate::time::Mono;
use crate::upstream::Ask;
use crate::wire::{CLASS_IN, Layout, LowerName, Name, Presented, Section, qtype};

/// It is looked this often who has come.
const LOOK: Duration = Duration::from_secs(1);
/// Addresses asked for at one look.
const ASKED_MAX: usize = 10;
/// Addresses that wait to be asked for, and addresses whose names are known, at most.
const WAITING_MAX: usize = 4_096;
const KNOWN_MAX: usize = 1 << 16;
/// A name holds for no shorter and no longer, whatever its TTL: clients are met anew once an hour.
const HOLDS: (Duration, Duration) = (Duration::from_secs(2 * 3_600), Duration::from_secs(24 * 3_600));
/// An answer is waited for this long.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is known of addresses.
#[derive(Debug, Default)]
struct Names {
    waiting: VecDeque<IpAddr>,
    /// The name, if there is one, and until when that holds.
    known: HashMap<IpAddr, (Option<HostName>, Mono)>,
}

impl Names {
    /// Takes those who have come, of whom nothing is known yet.
    fn meet(&mut self, seen: impl IntoIterator<Item = IpAddr>) {
        for address in seen {
            let has_room = self.waiting.len() < WAITING_MAX && self.known.len() + self.waiting.len() < KNOWN_MAX;
            if has_room && !self.known.contains_key(&address) && !self.waiting.contains(&address) {
                self.waiting.push_back(address);
            }
        }
    }

    /// Forgets what no longer holds; whether a name was among it.
    fn forget(&mut self, now: Mono) -> bool {
        let before = self.named();
        self.known.retain(|_address, (_name, until)| now < *until);
        self.named() != before
    }

    fn named(&self) -> usize {
        self.known.values().filter(|(name, _until)| name.is_some()).count()
    }

    /// The names as bindings are made of them, in the order of addresses.
    fn leases(&self) -> Vec<Lease> {
        let named = self.known.iter().filter_map(|(address, (name, _until))| Some((*address, name.clone()?)));
        let mut all: Vec<_> = named.collect();
        all.sort_unstable();
        all.into_iter().filter_map(|(address, name)| Lease::of_reverse(address, name)).collect()
    }
}

/// Learns names until `stop`, while that is wanted.
pub(super) async fn keep(parts: Arc<Parts>, stop: CancellationToken) {
    let (mut looks, mut names) = (tokio::time::interval(LOOK), Names::default());
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(looks.tick()).await.is_some() {
        let networks = parts.loaded.load().settings.ptr_networks.clone();
        parts.journal.watch_seen(!networks.is_empty());
        let had = names.named();
        let mut changed = names.forget(parts.clock.now().mono);
        if networks.is_empty() {
            (names, changed) = (Names::default(), had > 0);
        } else {
            changed |= stop.run_until_cancelled(parts.learn(&networks, &mut names)).await.unwrap_or_default();
        }
        if changed {
            parts.hold_names(names.leases()).await;
        }
    }
}

impl Parts {
    /// Asks for the names of some who have come; whether any is new.
    async fn learn(&self, networks: &[IpNet], names: &mut Names) -> bool {
        let privacy = self.journal.privacy();
        let now = self.clock.now().wall;
        let is_wanted = |address: &IpAddr| {
            networks.iter().any(|network| network.contains(address))
                && privacy.level_at(*address) == Level::Full
                && self.devices.at(*address, now).is_none()
        };
        names.meet(self.journal.take_seen().into_iter().filter(is_wanted));
        let mut learned = false;
        for _one in 0..ASKED_MAX {
            let Some(address) = names.waiting.pop_front() else { break };
            let (name, ttl) = tokio::time::timeout(PATIENCE, self.name_of(address)).await.unwrap_or_default();
            let holds = Duration::from_secs(ttl.into()).clamp(HOLDS.0, HOLDS.1);
            learned |= name.is_some();
            names.known.insert(address, (name, self.clock.now().mono.plus(holds)));
        }
        learned
    }

    /// The name of an address and its TTL: by our own data, or by the upstream of its reverse zone.
    async fn name_of(&self, address: IpAddr) -> (Option<HostName>, u32) {
        let name = reverse(address);
        let questions = self.questions();
        if questions.bars(&name, qtype::PTR) {
            return (None, 0);
        }
        let message = if let Some(message) = self.guard.said_locally(&query(&name)) {
            message
        } else {
            let ask = Ask {
                name,
                qtype: qtype::PTR,
                qclass: CLASS_IN,
                dnssec_ok: false,
                checking_disabled: false,
                subnet: None,
            };
            questions.ask(ask).await.unwrap_or_default()
        };
        read(&message)
    }

    /// Has these names stand for their addresses, where nothing else is known.
    async fn hold_names(&self, leases: Vec<Lease>) {
        tracing::debug!(names = leases.len(), "Names of reverse zones are known.");
        let (devices, journal, clock) = (Arc::clone(&self.devices), Arc::clone(&self.journal), self.clock.clone());
        let (words, no_files) = (Arc::clone(&self.words), self.loaded.load().settings.leases.is_empty());
        let held = crate::priority::beside(move || {
            let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
            words.hold_names(leases, no_files, (&devices, &journal, &clock));
        });
        if let Err(error) = held.await {
            tracing::error!(%error, "Names of reverse zones could not be taken over.");
        }
        self.spare();
    }
}

/// A question for the name of an address, as a message.
fn query(name: &Name) -> Vec<u8> {
    let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(name.wire());
    message.extend(qtype::PTR.to_be_bytes().into_iter().chain(CLASS_IN.to_be_bytes()));
    message
}

/// The first name in a response, and its TTL.
fn read(message: &[u8]) -> (Option<HostName>, u32) {
    let Ok(layout) = Layout::read(message) else { return (None, 0) };
    let record = layout.section(Section::Answer).find(|record| (record.rtype, record.class) == (qtype::PTR, CLASS_IN));
    let Some(record) = record else { return (None, 0) };
    let name = LowerName::read_compressed(message, record.rdata.start).ok();
    (name.and_then(|(name, _end)| HostName::new(&Presented(name.wire()).to_string())), record.ttl)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn nobody_is_asked_for_twice_and_all_of_it_has_an_end() {
        let mut names = Names::default();
        names.meet([address(7), address(7), address(8)]);
        assert_eq!(names.waiting.len(), 2);
        names.known.insert(address(7), (HostName::new("anna-pc"), Mono(10)));
        names.waiting.clear();
        names.meet([address(7)]);
        assert!(names.waiting.is_empty() && names.leases().len() == 1);
        assert!(!names.forget(Mono(9)) && names.forget(Mono(10)) && names.leases().is_empty());
        let many = (0..20_000_u32).map(|number| IpAddr::from(std::net::Ipv4Addr::from(number)));
        names.meet(many);
        assert_eq!(names.waiting.len(), WAITING_MAX);
    }

    #[test]
    fn a_name_is_read_from_an_answer_and_nothing_from_what_is_none() {
        let mut message = query(&reverse(address(7)));
        assert_eq!(read(&message), (None, 0));
        message[7] = 1;
        message.extend_from_slice(b"\xc0\x0c\0\x0c\0\x01\0\0\x01\x2c\0\x09\x07Anna-PC\0");
        let (name, ttl) = read(&message);
        assert_eq!((name.map(|name| name.as_str().to_owned()).as_deref(), ttl), (Some("anna-pc"), 300));
        assert_eq!(read(&message[..message.len() - 1]), (None, 0));
        assert_eq!(read(b""), (None, 0));
    }
}
