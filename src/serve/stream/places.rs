//! Who may hold a connection. At a limit the connection that has been idle for longest makes way: to refuse the newest would
//! let whoever came first keep everyone else out.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::StreamConfig;
use super::handshakes::{Handshake, Handshakes};
use crate::clock::Clock;
use crate::metrics::{Cut, Metrics};
use crate::serve::room::{SHARE_OF_FREE, network_of};
use crate::time::Mono;
use crate::wire::Transport;

/// Connections looked at, at most, for one that can make way. Those found busy are looked at last by the next search.
const LOOKS: usize = 64;
/// Of so many places one may be held by a connection whose TLS handshake is under way.
const PER_HANDSHAKE: usize = 4;

/// The connections there are.
#[derive(Debug)]
pub(in crate::serve) struct Places {
    pub(in crate::serve) config: StreamConfig,
    metrics: Arc<Metrics>,
    clock: Clock,
    held: Mutex<Everyone>,
    handshakes: Arc<Handshakes>,
}

#[derive(Debug, Default)]
struct Everyone {
    next: u64,
    all: Queue,
    by_owner: HashMap<Owner, Queue>,
}

/// Of whom connections are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Owner {
    /// One client.
    Address(IpAddr),
    /// All clients of one network, since a single machine may be all of them. A network may have many machines too: so its limit
    /// is none while there is room, and never less than that of one client.
    Network(Ipv6Addr),
}

/// Connections in the order in which each became idle, as far as that was known when it was looked at last: none has become
/// idle before its place here says. So a query moves nothing, and a search still finds the one that is idle for longest.
#[derive(Debug, Default)]
struct Queue {
    order: BTreeMap<(Mono, u64), Arc<Held>>,
    seen: HashMap<u64, Mono>,
}

/// What is known of one connection.
#[derive(Debug)]
struct Held {
    number: u64,
    /// Whose it is, once that is known.
    client: OnceLock<IpAddr>,
    /// Queries that have come whole and whose answer is not there yet.
    owed: AtomicU32,
    /// When it was opened, or when the last such answer was there, in microseconds.
    idle_since: AtomicU64,
    make_way: Notify,
    clock: Clock,
}

/// The place of one open connection, counted; given back when it ends, however it ends.
#[derive(Debug)]
pub(in crate::serve) struct Place {
    places: Arc<Places>,
    held: Arc<Held>,
    transport: Transport,
}

/// An answer that is owed to a connection's client: until this is dropped, the connection need not make way. A client that
/// sends half a message, or takes no answer, is owed nothing.
#[derive(Debug)]
pub(in crate::serve) struct Owed(Arc<Held>);

impl Places {
    pub(in crate::serve) fn new(config: StreamConfig, metrics: Arc<Metrics>, clock: Clock) -> Arc<Self> {
        let handshakes = Handshakes::new(config.connections_max / PER_HANDSHAKE);
        Arc::new(Self { config, metrics, clock, held: Mutex::default(), handshakes })
    }

    /// A place for a connection, if there is one or another connection can make way. Whose it is may be told later, by
    /// [`Place::is_of`].
    pub(in crate::serve) fn place(self: &Arc<Self>, transport: Transport, client: Option<IpAddr>) -> Option<Place> {
        let now = self.clock.now().mono;
        let mut held = self.held();
        let room =
            client.is_none_or(|client| self.room_for_client(&mut held, client, now)) && self.room(&mut held, now);
        if !room {
            self.metrics.connections.cut(Cut::Refused).inc();
            return None;
        }
        let number = held.next;
        held.next += 1;
        let new = Arc::new(Held {
            number,
            client: client.map_or_else(OnceLock::new, OnceLock::from),
            owed: AtomicU32::new(0),
            idle_since: AtomicU64::new(now.0),
            make_way: Notify::new(),
            clock: self.clock.clone(),
        });
        held.all.insert(now, &new);
        if let Some(client) = client {
            held.insert(client, now, &new);
        }
        drop(held);
        self.metrics.connections.open(transport).inc();
        Some(Place { places: Arc::clone(self), held: new, transport })
    }

    /// Whether every place is taken.
    pub(super) fn are_taken(&self) -> bool {
        self.held().all.len() >= self.config.connections_max
    }

    /// Has the connection that is idle for longest make way although no limit is reached: the system has no more to give.
    pub(in crate::serve) fn make_way(&self) {
        self.evict_any(&mut self.held(), self.clock.now().mono);
    }

    fn room(&self, held: &mut Everyone, now: Mono) -> bool {
        held.all.len() < self.config.connections_max || self.evict_any(held, now)
    }

    fn room_for_client(&self, held: &mut Everyone, client: IpAddr, now: Mono) -> bool {
        owners(client).all(|owner| {
            let limit = self.limit(held, owner);
            let Some(own) = held.by_owner.get_mut(&owner).filter(|own| own.len() >= limit) else { return true };
            let found = own.longest_idle(now);
            self.evict(held, found)
        })
    }

    fn limit(&self, held: &Everyone, owner: Owner) -> usize {
        let StreamConfig { connections_max, connections_per_client_max, .. } = self.config;
        match owner {
            Owner::Address(_) => connections_per_client_max,
            Owner::Network(_) => {
                let free = connections_max.saturating_sub(held.all.len());
                connections_per_client_max.max(SHARE_OF_FREE * free)
            }
        }
    }

    fn evict_any(&self, held: &mut Everyone, now: Mono) -> bool {
        let found = held.all.longest_idle(now);
        self.evict(held, found)
    }

    /// Its place is free at once; it ends as soon as its task hears of it.
    fn evict(&self, held: &mut Everyone, found: Option<Arc<Held>>) -> bool {
        let Some(found) = found else { return false };
        held.remove(&found);
        found.make_way.notify_one();
        self.metrics.connections.cut(Cut::Evicted).inc();
        true
    }

    fn held(&self) -> MutexGuard<'_, Everyone> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Everyone {
    /// Forgets a connection, if it was not forgotten before.
    fn remove(&mut self, gone: &Held) {
        self.all.remove(gone);
        for owner in gone.client.get().into_iter().flat_map(|client| owners(*client)) {
            let Entry::Occupied(mut own) = self.by_owner.entry(owner) else { continue };
            own.get_mut().remove(gone);
            if own.get().len() == 0 {
                own.remove();
            }
        }
    }

    /// Counts a connection with those of its client.
    fn insert(&mut self, client: IpAddr, seen: Mono, held: &Arc<Held>) {
        for owner in owners(client) {
            self.by_owner.entry(owner).or_default().insert(seen, held);
        }
    }
}

/// With whose connections one of this client is counted.
fn owners(client: IpAddr) -> impl Iterator<Item = Owner> {
    [Some(Owner::Address(client)), network_of(client).map(Owner::Network)].into_iter().flatten()
}

impl Queue {
    fn len(&self) -> usize {
        self.order.len()
    }

    fn insert(&mut self, seen: Mono, held: &Arc<Held>) {
        self.seen.insert(held.number, seen);
        self.order.insert((seen, held.number), Arc::clone(held));
    }

    fn remove(&mut self, held: &Held) {
        if let Some(seen) = self.seen.remove(&held.number) {
            self.order.remove(&(seen, held.number));
        }
    }

    /// The connection that is idle for longest, if one of those looked at is idle.
    fn longest_idle(&mut self, now: Mono) -> Option<Arc<Held>> {
        let mut busy = Vec::new();
        let found = (0..LOOKS).find_map(|_look| {
            let (&(seen, _number), held) = self.order.first_key_value()?;
            let held = Arc::clone(held);
            let since = held.idle_since();
            if since.is_some_and(|since| since <= seen) {
                return Some(held);
            }
            self.remove(&held);
            match since {
                Some(since) => self.insert(since, &held),
                None => busy.push(held),
            }
            None
        });
        // What is busy becomes idle later than now.
        for held in busy {
            self.insert(now, &held);
        }
        found
    }
}

impl Held {
    /// Since when it has been idle; `None`: it is not.
    fn idle_since(&self) -> Option<Mono> {
        (self.owed.load(Ordering::Acquire) == 0).then(|| Mono(self.idle_since.load(Ordering::Relaxed)))
    }
}

impl Place {
    /// Says whose connection this is; whether that client may have it.
    pub(in crate::serve) fn is_of(&self, client: IpAddr) -> bool {
        let now = self.held.clock.now().mono;
        let mut held = self.places.held();
        // It may have had to make way in the meantime.
        let still = held.all.seen.contains_key(&self.held.number);
        if !still || !self.places.room_for_client(&mut held, client, now) {
            drop(held);
            self.places.metrics.connections.cut(Cut::Refused).inc();
            return false;
        }
        // Said once only: the first word stands.
        let client = *self.held.client.get_or_init(|| client);
        held.insert(client, now, &self.held);
        true
    }

    /// Returns when the connection has to make way for another one.
    pub(in crate::serve) async fn has_to_make_way(&self) {
        self.held.make_way.notified().await;
    }

    /// Returns when no answer has been owed for so long.
    pub(in crate::serve) async fn idle_out(&self, patience: Duration) {
        loop {
            let now = self.held.clock.now().mono;
            let idle = self.held.idle_since().map_or(Duration::ZERO, |since| now.since(since));
            let Some(left) = patience.checked_sub(idle).filter(|left| !left.is_zero()) else { return };
            tokio::time::sleep(left).await;
        }
    }

    /// Says that a TLS handshake begins; the oldest one may have to make way for it.
    pub(in crate::serve) fn handshake(&self) -> Handshake {
        let (handshake, another_goes) = self.places.handshakes.begin();
        if another_goes {
            self.places.metrics.connections.cut(Cut::Evicted).inc();
        }
        handshake
    }

    /// Says that a query has come whole.
    pub(in crate::serve) fn owe(&self) -> Owed {
        self.held.owed.fetch_add(1, Ordering::AcqRel);
        Owed(Arc::clone(&self.held))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.held().remove(&self.held);
        self.places.metrics.connections.open(self.transport).dec();
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.clock.now().mono.0, Ordering::Relaxed);
        self.0.owed.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::clock::Hands;
    use crate::time::{Now, Timestamp};

    fn places(connections_max: usize, connections_per_client_max: usize) -> (Arc<Places>, Hands) {
        let (clock, hands) = Clock::manual(Now { wall: Timestamp::UNIX_EPOCH, mono: Mono(0) });
        let config = StreamConfig {
            connections_max,
            connections_per_client_max,
            queries_in_flight_max: 1,
            idle: Duration::from_secs(10),
            slow: Duration::from_secs(5),
        };
        (Places::new(config, Arc::new(Metrics::new()), clock), hands)
    }

    #[expect(clippy::unnecessary_wraps, reason = "as a place is asked for")]
    fn client(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn makes_way(place: &Place) -> bool {
        place.has_to_make_way().now_or_never().is_some()
    }

    #[test]
    fn at_the_limit_the_one_that_is_idle_for_longest_makes_way() {
        let (places, hands) = places(3, 3);
        let held: Vec<Place> = (0..3)
            .map(|last| {
                hands.advance(Duration::from_millis(1));
                places.place(Transport::Tcp, client(last)).unwrap()
            })
            .collect();
        hands.advance(Duration::from_millis(1));
        drop(held[0].owe());
        hands.advance(Duration::from_millis(1));
        let _fourth = places.place(Transport::Tcp, client(4)).unwrap();
        assert_eq!([0, 1, 2].map(|number| makes_way(&held[number])), [false, true, false]);
        let _fifth = places.place(Transport::Dot, client(4)).unwrap();
        assert_eq!([0, 1, 2].map(|number| makes_way(&held[number])), [false, false, true]);
        assert_eq!(places.metrics.connections.cut(Cut::Evicted).value(), 2);
    }

    #[test]
    fn one_that_is_owed_an_answer_stays_and_the_newest_is_refused_only_when_all_are() {
        let (places, hands) = places(2, 2);
        let (first, second) =
            (places.place(Transport::Tcp, client(1)).unwrap(), places.place(Transport::Tcp, client(2)).unwrap());
        let (owed, also) = (first.owe(), second.owe());
        hands.advance(Duration::from_secs(1));
        assert!(places.place(Transport::Tcp, client(3)).is_none());
        assert_eq!(places.metrics.connections.cut(Cut::Refused).value(), 1);
        drop(also);
        let _third = places.place(Transport::Tcp, client(3)).unwrap();
        assert!(!makes_way(&first) && makes_way(&second));
        drop(owed);
    }

    #[test]
    fn a_client_at_its_own_limit_loses_one_of_its_own() {
        let (places, hands) = places(8, 2);
        let other = places.place(Transport::Tcp, client(1)).unwrap();
        hands.advance(Duration::from_secs(1));
        let own = [0, 1].map(|_nth| places.place(Transport::Tcp, client(2)).unwrap());
        let _third = places.place(Transport::Tcp, client(2)).unwrap();
        assert!(makes_way(&own[0]) && !makes_way(&own[1]) && !makes_way(&other));
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_leave_room_for_others_and_have_all_that_nobody_else_wants() {
        let (places, hands) = places(30, 4);
        let address = |host: u16| Some(IpAddr::from([0x2001, 0xdb8, 0, 7, 0, 0, 0, host]));
        let own: Vec<Place> = (0..22)
            .map(|host| {
                hands.advance(Duration::from_millis(1));
                places.place(Transport::Dot, address(host)).unwrap()
            })
            .collect();
        let gone = own.iter().filter(|place| makes_way(place)).count();
        assert_eq!(gone, 2, "two thirds are its own");
        let others: Vec<Place> = (0..10).map(|last| places.place(Transport::Dot, client(last)).unwrap()).collect();
        // Now there is no room, and it makes way for itself, however many addresses it has.
        let _own = places.place(Transport::Dot, address(100)).unwrap();
        assert!(others.iter().all(|place| !makes_way(place)));
        assert!(makes_way(&own[2]));
    }

    #[test]
    fn a_network_with_no_more_than_one_client_may_have_is_not_limited_however_little_is_free() {
        let (places, hands) = places(6, 4);
        let address = |host: u16| Some(IpAddr::from([0x2001, 0xdb8, 0, 7, 0, 0, 0, host]));
        let others: Vec<Place> = (0..4).map(|last| places.place(Transport::Dot, client(last)).unwrap()).collect();
        hands.advance(Duration::from_millis(1));
        let own: Vec<Place> = (0..4).map(|host| places.place(Transport::Dot, address(host)).unwrap()).collect();
        assert_eq!(others.iter().filter(|place| makes_way(place)).count(), 2);
        assert!(own.iter().all(|place| !makes_way(place)));
    }

    #[test]
    fn one_whose_client_is_known_late_counts_as_that_clients() {
        let (places, _hands) = places(8, 1);
        let early = places.place(Transport::Tcp, client(1)).unwrap();
        let late = places.place(Transport::Tcp, None).unwrap();
        assert!(late.is_of(client(1).unwrap()));
        assert!(makes_way(&early) && !makes_way(&late));
        let owed = late.owe();
        let third = places.place(Transport::Tcp, None).unwrap();
        assert!(!third.is_of(client(1).unwrap()), "the other one is busy");
        drop(owed);
    }

    #[test]
    fn what_has_ended_is_forgotten() {
        let (places, _hands) = places(2, 2);
        for _round in 0..3 {
            let held = [0, 1].map(|_nth| places.place(Transport::Tcp, client(1)).unwrap());
            let third = places.place(Transport::Tcp, client(1)).unwrap();
            assert!(makes_way(&held[0]), "it makes way");
            drop((held, third));
            let everyone = places.held();
            assert!(everyone.all.order.is_empty() && everyone.all.seen.is_empty() && everyone.by_owner.is_empty());
        }
        assert_eq!(places.metrics.connections.open(Transport::Tcp).value(), 0);
    }

    #[test]
    fn a_search_among_many_busy_ones_is_bounded_and_goes_on_where_it_ended() {
        let (places, hands) = places(LOOKS + 2, LOOKS + 2);
        let held: Vec<Place> = (0..LOOKS + 2).map(|_nth| places.place(Transport::Tcp, client(1)).unwrap()).collect();
        let _busy: Vec<Owed> = held[..=LOOKS].iter().map(Place::owe).collect();
        hands.advance(Duration::from_secs(1));
        assert!(places.place(Transport::Tcp, client(2)).is_none(), "it looked at no more than it may");
        assert!(places.place(Transport::Tcp, client(2)).is_some());
        assert!(makes_way(&held[LOOKS + 1]));
    }
}
