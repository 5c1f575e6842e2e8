//! Single flight: equal questions that are open at the same time are asked once.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;

/// Parts of the table with a lock each, so that serving threads seldom meet at one.
const SHARDS: usize = 64;

/// Open questions, each with those who wait for its answer. Whoever opens a flight sees to it that it lands, by
/// [`Flights::land`] or [`Flights::give_up`], within the deadline of its first waiter.
#[derive(Debug)]
pub(super) struct Flights<K, W> {
    shards: Box<[Mutex<Shard<K, W>>]>,
    hasher: RandomState,
    open: AtomicUsize,
    next: AtomicU64,
    max: usize,
}

type Shard<K, W> = HashMap<K, Open<W>, RandomState>;

#[derive(Debug)]
struct Open<W> {
    flight: FlightNumber,
    waiting: Vec<W>,
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
    /// Too many questions are open.
    Full(W),
}

impl<K: Clone + Eq + Hash, W> Flights<K, W> {
    /// At most `max` questions are open at a time.
    pub(super) fn new(max: usize) -> Self {
        Self {
            shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect(),
            hasher: RandomState::default(),
            open: AtomicUsize::new(0),
            next: AtomicU64::new(0),
            max,
        }
    }

    /// Has `waiter` wait for the answer to `key`.
    pub(super) fn join(&self, key: &K, waiter: W) -> Joined<W> {
        let mut shard = self.shard(key);
        if let Some(open) = shard.get_mut(key) {
            open.waiting.push(waiter);
            return Joined::Later;
        }
        if self.is_full() {
            return Joined::Full(waiter);
        }
        Joined::First(self.take_off(&mut shard, key, vec![waiter]))
    }

    /// Opens `key` for nobody in particular; whoever wants its answer before it lands waits for it. `None`: it is open already,
    /// or too many are.
    pub(super) fn open(&self, key: &K) -> Option<FlightNumber> {
        let mut shard = self.shard(key);
        let may = !shard.contains_key(key) && !self.is_full();
        may.then(|| self.take_off(&mut shard, key, Vec::new()))
    }

    /// Closes the question, whichever flight brought the answer, and returns those who wait for it.
    pub(super) fn land(&self, key: &K) -> Vec<W> {
        let open = self.shard(key).remove(key);
        self.closed(open)
    }

    /// Closes the question without an answer, unless another flight is open for it by now.
    pub(super) fn give_up(&self, key: &K, flight: FlightNumber) -> Vec<W> {
        let mut shard = self.shard(key);
        let open = if shard.get(key).is_some_and(|open| open.flight == flight) { shard.remove(key) } else { None };
        drop(shard);
        self.closed(open)
    }

    fn take_off(&self, shard: &mut Shard<K, W>, key: &K, waiting: Vec<W>) -> FlightNumber {
        self.open.fetch_add(1, Ordering::Relaxed);
        let flight = FlightNumber(self.next.fetch_add(1, Ordering::Relaxed));
        shard.insert(key.clone(), Open { flight, waiting });
        flight
    }

    /// Threads that come at the same moment may all find the last place: the limit is no exact one.
    fn is_full(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.max
    }

    fn closed(&self, open: Option<Open<W>>) -> Vec<W> {
        open.map_or_else(Vec::new, |open| {
            self.open.fetch_sub(1, Ordering::Relaxed);
            open.waiting
        })
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, W>> {
        let shards = u64::try_from(self.shards.len()).unwrap_or(1);
        let place = usize::try_from(self.hasher.hash_one(key) % shards).unwrap_or_default();
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first<W: std::fmt::Debug>(joined: Joined<W>) -> FlightNumber {
        match joined {
            Joined::First(flight) => flight,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn equal_questions_are_asked_once_and_all_are_told() {
        let flights = Flights::new(8);
        first(flights.join(&7, 'a'));
        assert_eq!(flights.join(&7, 'b'), Joined::Later);
        first(flights.join(&8, 'c'));
        assert_eq!((flights.land(&7), flights.len()), (vec!['a', 'b'], 1));
        assert_eq!(flights.land(&7), Vec::<char>::new(), "told once");
        first(flights.join(&7, 'd'));
    }

    #[test]
    fn no_more_than_the_limit_is_open_but_what_is_open_can_be_joined() {
        let flights = Flights::new(1);
        first(flights.join(&1, 'a'));
        assert_eq!(flights.join(&2, 'b'), Joined::Full('b'));
        assert_eq!(flights.join(&1, 'c'), Joined::Later);
        assert_eq!(flights.land(&1).len(), 2);
        first(flights.join(&2, 'b'));
    }

    #[test]
    fn a_question_open_for_nobody_is_asked_once_and_can_be_joined() {
        let flights = Flights::new(1);
        let number = flights.open(&7).unwrap();
        assert_eq!((flights.open(&7), flights.open(&8)), (None, None), "open already; too many");
        assert_eq!(flights.join(&7, 'a'), Joined::Later);
        assert_eq!((flights.give_up(&7, number), flights.len()), (vec!['a'], 0));
    }

    #[test]
    fn a_flight_that_failed_late_does_not_fail_those_of_the_next_one() {
        let flights = Flights::new(8);
        let early = first(flights.join(&7, 'a'));
        assert_eq!(flights.give_up(&7, early), ['a']);
        let late = first(flights.join(&7, 'b'));
        assert_eq!(flights.give_up(&7, early), Vec::<char>::new());
        assert_eq!((flights.give_up(&7, late), flights.len()), (vec!['b'], 0));
    }

    #[test]
    fn a_late_answer_serves_those_who_asked_again() {
        let flights = Flights::new(8);
        let early = first(flights.join(&7, 'a'));
        flights.give_up(&7, early);
        first(flights.join(&7, 'b'));
        assert_eq!(flights.land(&7), ['b']);
    }
}
