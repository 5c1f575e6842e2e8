//! Queries that wait for their responses, so that each is recorded once, with what was done about it. Pure.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::time::{Mono, Timestamp};
use crate::wire::{LowerName, Transport};

/// A query waits for its response for so long before it is recorded as it is.
const WAIT: Duration = Duration::from_millis(500);
/// A response that comes later than this is one of its own: no resolver tries for so long.
const FORGET: Duration = Duration::from_secs(30);
/// Queries of one sender that are remembered at most.
const PAIRS_MAX: usize = 65_536;

/// A query as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) at: Timestamp,
    pub(super) client: IpAddr,
    pub(super) name: LowerName,
    pub(super) qtype: u16,
    pub(super) transport: Transport,
}

/// What a query and its response have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) client: IpAddr,
    pub(super) port: Option<u16>,
    pub(super) id: u16,
    pub(super) qtype: u16,
    pub(super) name: Box<[u8]>,
}

/// What is known of a query whose response has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It waited for this.
    Waited(Box<Told>),
    /// It is recorded already.
    Recorded,
    /// Nothing: its response is all that is told.
    Unknown,
}

/// Queries of one sender.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// By number, so that equal ones stand side by side: a client that asks again from the same port with the same id.
    queries: HashMap<u64, (Key, Option<Box<Told>>)>,
    numbers: HashMap<Key, VecDeque<u64>>,
    /// In the order they came: those that wait, and those that are recorded and not yet forgotten.
    waiting: VecDeque<(Mono, u64)>,
    recorded: VecDeque<(Mono, u64)>,
    next: u64,
}

impl Pairs {
    /// A query that came at `now`. Returns those that have to be recorded to make room.
    pub(super) fn asked(&mut self, key: Key, told: Told, now: Mono) -> Vec<Told> {
        let number = self.next;
        self.next += 1;
        self.numbers.entry(key.clone()).or_default().push_back(number);
        self.queries.insert(number, (key, Some(Box::new(told))));
        self.waiting.push_back((now, number));
        let mut unanswered = Vec::new();
        // Those that are answered are still in line: they go first.
        while self.waiting.len() > PAIRS_MAX {
            unanswered.extend(self.record_first().map(|told| *told));
        }
        while self.recorded.len() > PAIRS_MAX {
            self.forget_first();
        }
        unanswered
    }

    /// A response.
    pub(super) fn answered(&mut self, key: &Key) -> Taken {
        let Some(numbers) = self.numbers.get_mut(key) else { return Taken::Unknown };
        let number = numbers.pop_front();
        if numbers.is_empty() {
            self.numbers.remove(key);
        }
        match number.and_then(|number| self.queries.remove(&number)) {
            Some((_key, Some(told))) => Taken::Waited(told),
            Some((_key, None)) => Taken::Recorded,
            None => Taken::Unknown,
        }
    }

    /// Those that have waited long enough at `now`; `None`: all. They are to be recorded as they are.
    pub(super) fn overdue(&mut self, now: Option<Mono>) -> Vec<Told> {
        let is_due = |at: Mono, after: Duration| now.is_none_or(|now| now.since(at) >= after);
        let mut unanswered = Vec::new();
        while self.waiting.front().is_some_and(|(at, _number)| is_due(*at, WAIT)) {
            unanswered.extend(self.record_first().map(|told| *told));
        }
        while self.recorded.front().is_some_and(|(at, _number)| is_due(*at, FORGET)) {
            self.forget_first();
        }
        unanswered
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Mono> {
        let waits = self.waiting.front().map(|(at, _number)| at.plus(WAIT));
        let rests = self.recorded.front().map(|(at, _number)| at.plus(FORGET));
        waits.into_iter().chain(rests).min()
    }

    fn record_first(&mut self) -> Option<Box<Told>> {
        let (at, number) = self.waiting.pop_front()?;
        let (_key, told) = self.queries.get_mut(&number)?;
        self.recorded.push_back((at, number));
        told.take()
    }

    fn forget_first(&mut self) {
        let Some((_at, number)) = self.recorded.pop_front() else { return };
        let Some((key, _told)) = self.queries.remove(&number) else { return };
        if let Some(numbers) = self.numbers.get_mut(&key) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.numbers.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(second: i64) -> Told {
        Told {
            at: Timestamp::from_second(second).unwrap(),
            client: "192.0.2.7".parse().unwrap(),
            name: LowerName::parse("a.example").unwrap(),
            qtype: 1,
            transport: Transport::Udp,
        }
    }

    fn key(id: u16) -> Key {
        Key::of(&told(0), Some(4000), id)
    }

    fn ms(milliseconds: u64) -> Mono {
        Mono(milliseconds * 1000)
    }

    #[test]
    fn a_response_finds_its_query_once() {
        let mut pairs = Pairs::default();
        assert_eq!(pairs.asked(key(1), told(1), ms(0)), vec![]);
        assert_eq!(pairs.answered(&key(2)), Taken::Unknown);
        assert_eq!(pairs.answered(&key(1)), Taken::Waited(Box::new(told(1))));
        assert_eq!(pairs.answered(&key(1)), Taken::Unknown);
        assert_eq!(pairs.overdue(None), vec![]);
    }

    #[test]
    fn one_that_is_not_answered_in_time_is_recorded_and_a_late_response_counts_no_more() {
        let mut pairs = Pairs::default();
        pairs.asked(key(1), told(1), ms(0));
        assert_eq!((pairs.overdue(Some(ms(499))), pairs.next()), (vec![], Some(ms(500))));
        assert_eq!(pairs.overdue(Some(ms(500))), [told(1)]);
        assert_eq!((pairs.overdue(Some(ms(600))), pairs.next()), (vec![], Some(ms(30_000))));
        assert_eq!(pairs.answered(&key(1)), Taken::Recorded);
        pairs.asked(key(2), told(2), ms(700));
        assert_eq!(pairs.overdue(Some(ms(40_000))), [told(2)]);
        assert_eq!(pairs.answered(&key(2)), Taken::Unknown);
        assert_eq!((pairs.next(), pairs.numbers.len(), pairs.queries.len()), (None, 0, 0));
    }

    #[test]
    fn equal_queries_are_each_their_own_and_answered_in_order() {
        let mut pairs = Pairs::default();
        pairs.asked(key(1), told(1), ms(0));
        pairs.asked(key(1), told(2), ms(400));
        assert_eq!(pairs.overdue(Some(ms(500))), [told(1)]);
        assert_eq!(pairs.answered(&key(1)), Taken::Recorded);
        assert_eq!(pairs.answered(&key(1)), Taken::Waited(Box::new(told(2))));
        assert_eq!(pairs.answered(&key(1)), Taken::Unknown);
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered_and_nothing_is_lost_by_it() {
        let (mut pairs, mut recorded) = (Pairs::default(), 0);
        let all = 3 * PAIRS_MAX;
        for number in 0..all {
            let id = u16::try_from(number % 65_536).unwrap();
            recorded += pairs.asked(key(id), told(1), ms(0)).len();
            assert!(pairs.queries.len() <= 2 * PAIRS_MAX && pairs.waiting.len() <= PAIRS_MAX);
        }
        recorded += pairs.overdue(None).len();
        assert_eq!((recorded, pairs.queries.len(), pairs.numbers.len()), (all, 0, 0));
    }
}
