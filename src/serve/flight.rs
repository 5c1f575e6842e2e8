//! Single flight: equal questions that are open at the same time are asked once.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;

use super::room::{Full, Permit};

/// Parts of the table with a lock each, so that serving threads seldom meet at one.
const SHARDS: usize = 64;

/// Open questions, each with those who wait for its answer. Whoever opens a flight sees to it that it lands, by
/// [`Flights::land`] or [`Flights::give_up`], within the deadline of its first waiter.
#[derive(Debug)]
pub(super) struct Flights<K, W> {
    shards: Box<[Mutex<Shard<K, W>>]>,
    hasher: RandomState,
    next: AtomicU64,
}

type Shard<K, W> = HashMap<K, Open<W>, RandomState>;

#[derive(Debug)]
struct Open<W> {
    flight: FlightNumber,
    waiting: Vec<W>,
    /// Its right to be open.
    #[expect(dead_code, reason = "held for its drop")]
    permit: Permit,
}

/// Tells a flight from an earlier or later one for the same question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlightNumber(u64);

/// What became of one who wants an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined<W> {
    /// The first: the question is to be asked now.
    First(FlightNumber),
    /// It is being asked already.
    Later,
    /// Too many questions are open, in all or for whoever asks.
    Full(W, Full),
}

impl<K: Clone + Eq + Hash, W> Flights<K, W> {
    /// Without any.
    pub(super) fn new() -> Self {
        Self {
            shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect(),
            hasher: RandomState::default(),
            next: AtomicU64::new(0),
        }
    }

    /// Has `waiter` wait for the answer to `key`; only a question that nobody asks yet needs a permit.
    pub(super) fn join(&self, key: &K, waiter: W, permit: impl FnOnce() -> Result<Permit, Full>) -> Joined<W> {
        let mut shard = self.shard(key);
        if let Some(open) = shard.get_mut(key) {
            open.waiting.push(waiter);
            return Joined::Later;
        }
        match permit() {
            Ok(permit) => Joined::First(self.take_off(&mut shard, key, vec![waiter], permit)),
            Err(full) => Joined::Full(waiter, full),
        }
    }

    /// Opens `key` for nobody in particular; whoever wants its answer before it lands waits for it. `None`: it is open already,
    /// or too many are.
    pub(super) fn open(&self, key: &K, permit: impl FnOnce() -> Option<Permit>) -> Option<FlightNumber> {
        let mut shard = self.shard(key);
        let permit = if shard.contains_key(key) { None } else { permit() };
        permit.map(|permit| self.take_off(&mut shard, key, Vec::new(), permit))
    }

    /// Closes the question, whichever flight brought the answer, and returns those who wait for it.
    pub(super) fn land(&self, key: &K) -> Vec<W> {
        let open = self.shard(key).remove(key);
        open.map(|open| open.waiting).unwrap_or_default()
    }

    /// Closes the question without an answer, unless another flight is open for it by now.
    pub(super) fn give_up(&self, key: &K, flight: FlightNumber) -> Vec<W> {
        let mut shard = self.shard(key);
        let open = if shard.get(key).is_some_and(|open| open.flight == flight) { shard.remove(key) } else { None };
        drop(shard);
        open.map(|open| open.waiting).unwrap_or_default()
    }

    fn take_off(&self, shard: &mut Shard<K, W>, key: &K, waiting: Vec<W>, permit: Permit) -> FlightNumber {
        let flight = FlightNumber(self.next.fetch_add(1, Ordering::Relaxed));
        shard.insert(key.clone(), Open { flight, waiting, permit });
        flight
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, W>> {
        let shards = u64::try_from(self.shards.len()).unwrap_or(1);
        let place = usize::try_from(self.hasher.hash_one(key) % shards).unwrap_or_default();
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::room::Room;
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn first<W: std::fmt::Debug>(joined: Joined<W>) -> FlightNumber {
        match joined {
            Joined::First(flight) => flight,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn equal_questions_are_asked_once_and_all_are_told() {
        let (flights, room) = (Flights::new(), Room::new(8));
        first(flights.join(&7, 'a', || room.permit(CLIENT)));
        assert_eq!(flights.join(&7, 'b', || room.permit(CLIENT)), Joined::Later);
        first(flights.join(&8, 'c', || room.permit(CLIENT)));
        assert_eq!((flights.land(&7), flights.len()), (vec!['a', 'b'], 1));
        assert_eq!(flights.land(&7), Vec::<char>::new(), "told once");
        first(flights.join(&7, 'd', || room.permit(CLIENT)));
    }

    #[test]
    fn no_more_than_the_limit_is_open_but_what_is_open_can_be_joined() {
        let (flights, room) = (Flights::new(), Room::new(1));
        first(flights.join(&1, 'a', || room.permit(CLIENT)));
        assert_eq!(flights.join(&2, 'b', || room.permit(CLIENT)), Joined::Full('b', Full::Room));
        assert_eq!(flights.join(&1, 'c', || room.permit(CLIENT)), Joined::Later);
        assert_eq!(flights.land(&1).len(), 2);
        first(flights.join(&2, 'b', || room.permit(CLIENT)));
    }

    #[test]
    fn a_question_open_for_nobody_is_asked_once_and_can_be_joined() {
        let (flights, room) = (Flights::new(), Room::new(1));
        let number = flights.open(&7, || room.any()).unwrap();
        assert_eq!(
            (flights.open(&7, || room.any()), flights.open(&8, || room.any())),
            (None, None),
            "open already; too many"
        );
        assert_eq!(flights.join(&7, 'a', || room.permit(CLIENT)), Joined::Later);
        assert_eq!((flights.give_up(&7, number), flights.len()), (vec!['a'], 0));
    }

    #[test]
    fn a_flight_that_failed_late_does_not_fail_those_of_the_next_one() {
        let (flights, room) = (Flights::new(), Room::new(8));
        let early = first(flights.join(&7, 'a', || room.permit(CLIENT)));
        assert_eq!(flights.give_up(&7, early), ['a']);
        let late = first(flights.join(&7, 'b', || room.permit(CLIENT)));
        assert_eq!(flights.give_up(&7, early), Vec::<char>::new());
        assert_eq!((flights.give_up(&7, late), flights.len()), (vec!['b'], 0));
    }

    #[test]
    fn a_late_answer_serves_those_who_asked_again() {
        let (flights, room) = (Flights::new(), Room::new(8));
        let early = first(flights.join(&7, 'a', || room.permit(CLIENT)));
        flights.give_up(&7, early);
        first(flights.join(&7, 'b', || room.permit(CLIENT)));
        assert_eq!(flights.land(&7), ['b']);
    }
}
