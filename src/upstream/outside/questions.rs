//! The open questions of one thread, in slots that are used again, in the order in which they were asked.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::time::Mono;
use crate::wire::{HEADER, LowerName, Name};

use super::super::message::BadPacket;
use super::unsettled::Heard;

/// Questions that one thread may have open.
const OPEN_MAX: usize = 4096;
/// Slots that are looked at for each question that comes, for one whose exchange has ended.
const LOOKED_AT: usize = 4;
/// No question.
const NONE: u16 = u16::MAX;

/// How long silence may last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    /// Until the question goes on to others.
    pub(super) hedge: Duration,
    /// Until it is held against the upstream.
    pub(super) patience: Duration,
    /// Until nothing is listened for any longer.
    pub(super) end: Duration,
}

/// One question.
pub(super) struct Question<T> {
    /// The query as it is sent.
    pub(super) message: Vec<u8>,
    /// Offset in it behind the question.
    pub(super) end: usize,
    /// Its socket, and its id there.
    pub(super) port: u16,
    pub(super) id: u16,
    pub(super) asked: Mono,
    /// Whether the answer must repeat the name's case: it was asked in lower case otherwise.
    pub(super) random_case: bool,
    pub(super) state: State<T>,
    before: u16,
    behind: u16,
}

/// Who waits for the answer.
pub(super) enum State<T> {
    /// Nobody: the slot is free.
    Free,
    /// The caller.
    Open(T),
    /// An exchange that went on from here. `silent`: because nothing was heard, so that whatever comes is worth telling;
    /// otherwise only an answer is.
    Told { exchange: oneshot::Sender<Heard>, silent: bool },
}

impl<T> Question<T> {
    /// Whether this is an open question on that socket.
    pub(super) fn is_open_on(&self, port: u16) -> bool {
        self.port == port && !matches!(self.state, State::Free)
    }

    /// The name as it was sent.
    pub(super) fn sent(&self) -> &[u8] {
        self.message.get(HEADER..self.end - 4).unwrap_or_default()
    }

    /// The name for those who remember names.
    pub(super) fn name(&self) -> Name {
        let read = LowerName::read(&self.message, HEADER);
        Name::from(&read.map_or(LowerName::ROOT, |(name, _end)| name))
    }

    /// Compares the question of a response with ours.
    pub(super) fn compare(&self, message: &[u8]) -> Result<(), BadPacket> {
        let ours = &self.message[HEADER..self.end];
        let theirs = message.get(HEADER..self.end).ok_or(BadPacket::Question)?;
        if ours == theirs {
            return Ok(());
        }
        let name = ours.len() - 4;
        // Length octets are below every letter, so the names need not be taken apart.
        match ours[name..] == theirs[name..] && ours[..name].eq_ignore_ascii_case(&theirs[..name]) {
            true if self.random_case => Err(BadPacket::Case),
            true => Ok(()),
            false => Err(BadPacket::Question),
        }
    }
}

/// All open questions, the one asked first in front.
pub(super) struct Questions<T> {
    slots: Vec<Question<T>>,
    free: Vec<u16>,
    first: u16,
    last: u16,
    /// The first one that has not been silent for long enough to be told so, and the first that patience still lasts for.
    unhedged: u16,
    patient: u16,
    open: usize,
    /// The slot that is looked at next for one that nobody listens to.
    looked: usize,
}

impl<T> Questions<T> {
    pub(super) fn new() -> Self {
        let (slots, free) = (Vec::new(), Vec::new());
        Self { slots, free, first: NONE, last: NONE, unhedged: NONE, patient: NONE, open: 0, looked: 0 }
    }

    /// One of the next few slots whose upstream has spoken and whose exchange has ended since: nobody listens any more, and it
    /// only takes room, here and among the questions that its upstream may have open. Else whoever asks for names that fail would fill
    /// both for everybody.
    pub(super) fn unheard(&mut self) -> Option<u16> {
        for _slot in 0..LOOKED_AT.min(self.slots.len()) {
            self.looked = (self.looked + 1) % self.slots.len();
            if matches!(&self.slots[self.looked].state, State::Told { exchange, silent: false } if exchange.is_closed())
            {
                return u16::try_from(self.looked).ok();
            }
        }
        None
    }

    pub(super) fn is_full(&self) -> bool {
        self.open >= OPEN_MAX
    }

    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// The question in a slot.
    pub(super) fn question(&mut self, slot: u16) -> &mut Question<T> {
        &mut self.slots[usize::from(slot)]
    }

    /// Adds one behind all others; its message is empty yet. To be called only while there is room.
    pub(super) fn add(&mut self, token: T, port: u16, now: Mono) -> u16 {
        let (before, state) = (self.last, State::Open(token));
        let slot = if let Some(slot) = self.free.pop() {
            let question = self.question(slot);
            question.message.clear();
            (question.port, question.asked, question.state) = (port, now, state);
            (question.before, question.behind) = (before, NONE);
            slot
        } else {
            self.slots.push(Question {
                message: Vec::new(),
                end: HEADER,
                port,
                id: 0,
                asked: now,
                random_case: false,
                state,
                before,
                behind: NONE,
            });
            u16::try_from(self.slots.len() - 1).unwrap_or(NONE)
        };
        match before {
            NONE => self.first = slot,
            before => self.question(before).behind = slot,
        }
        self.last = slot;
        for mark in [&mut self.unhedged, &mut self.patient] {
            if *mark == NONE {
                *mark = slot;
            }
        }
        self.open += 1;
        slot
    }

    /// Takes one out; returns who waited for it.
    pub(super) fn close(&mut self, slot: u16) -> State<T> {
        let question = self.question(slot);
        let state = std::mem::replace(&mut question.state, State::Free);
        if matches!(state, State::Free) {
            return state;
        }
        let (before, behind) = (question.before, question.behind);
        match before {
            NONE => self.first = behind,
            before => self.question(before).behind = behind,
        }
        match behind {
            NONE => self.last = before,
            behind => self.question(behind).before = before,
        }
        for mark in [&mut self.unhedged, &mut self.patient] {
            if *mark == slot {
                *mark = behind;
            }
        }
        self.free.push(slot);
        self.open -= 1;
        state
    }

    /// The next one that nobody has been told of and that was asked `hedge` ago; each comes once.
    pub(super) fn silent(&mut self, hedge: Duration, now: Mono) -> Option<u16> {
        while self.unhedged != NONE {
            let slot = self.unhedged;
            let question = self.question(slot);
            if now < question.asked.plus(hedge) {
                return None;
            }
            let (behind, open) = (question.behind, matches!(question.state, State::Open(_)));
            self.unhedged = behind;
            if open {
                return Some(slot);
            }
        }
        None
    }

    /// The next one that was asked `patience` ago; each comes once.
    pub(super) fn impatient(&mut self, patience: Duration, now: Mono) -> Option<u16> {
        let slot = self.patient;
        if slot == NONE || now < self.question(slot).asked.plus(patience) {
            return None;
        }
        self.patient = self.question(slot).behind;
        Some(slot)
    }

    /// The first one, if it was asked so long ago.
    pub(super) fn overdue(&mut self, ago: Duration, now: Mono) -> Option<u16> {
        let first = self.first;
        (first != NONE && now >= self.question(first).asked.plus(ago)).then_some(first)
    }

    /// When the next one is silent, or overdue in either sense.
    pub(super) fn next_expiry(&self, times: &Times) -> Option<Mono> {
        let asked = |slot: u16| self.slots.get(usize::from(slot)).map(|question| question.asked);
        let due = |slot: u16, time: Duration| asked(slot).map(|asked| asked.plus(time));
        let marks = [(self.unhedged, times.hedge), (self.patient, times.patience), (self.first, times.end)];
        marks.into_iter().filter_map(|(slot, time)| due(slot, time)).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEDGE: Duration = Duration::from_micros(10);
    const PATIENCE: Duration = Duration::from_micros(30);
    const END: Duration = Duration::from_micros(40);
    const TIMES: Times = Times { hedge: HEDGE, patience: PATIENCE, end: END };

    /// What is done in one step.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        Ask,
        /// Closes one of the open ones.
        Close(usize),
        Wait(u8),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![Just(Act::Ask), (0..50_usize).prop_map(Act::Close), (0..15_u8).prop_map(Act::Wait)]
    }

    /// An open question as the model knows it.
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Model {
        slot: u16,
        token: usize,
        asked: Mono,
        told: bool,
        blamed: bool,
    }

    /// The same by looking at every question.
    fn expected(open: &[Model]) -> Option<Mono> {
        let silent = open.iter().filter(|one| !one.told).map(|one| one.asked.plus(HEDGE));
        let blamed = open.iter().filter(|one| !one.blamed).map(|one| one.asked.plus(PATIENCE));
        silent.chain(blamed).chain(open.iter().map(|one| one.asked.plus(END))).min()
    }

    proptest! {
        #[test]
        fn questions_are_told_and_closed_when_a_plain_list_would_have_it(acts in proptest::collection::vec(act(), 1..200)) {
            let (mut questions, mut open, mut now) = (Questions::new(), Vec::<Model>::new(), Mono(1));
            for (token, act) in acts.into_iter().enumerate() {
                match act {
                    Act::Ask => {
                        let slot = questions.add(token, 0, now);
                        prop_assert!(open.iter().all(|one| one.slot != slot));
                        open.push(Model { slot, token, asked: now, told: false, blamed: false });
                    }
                    Act::Close(nth) if nth < open.len() => {
                        let one = open.remove(nth);
                        let State::Open(token) = questions.close(one.slot) else { return Err(TestCaseError::fail("gone")) };
                        prop_assert_eq!(token, one.token);
                    }
                    Act::Close(_) => (),
                    Act::Wait(time) => now = now.plus(Duration::from_micros(time.into())),
                }
                let mut told = Vec::new();
                while let Some(slot) = questions.silent(HEDGE, now) {
                    told.push(slot);
                }
                let due = |one: &&mut Model| !one.told && now >= one.asked.plus(HEDGE);
                let due: Vec<u16> = open.iter_mut().filter(due).map(|one| { one.told = true; one.slot }).collect();
                prop_assert_eq!(told, due);
                let mut blamed = Vec::new();
                while let Some(slot) = questions.impatient(PATIENCE, now) {
                    blamed.push(slot);
                }
                let due = |one: &&mut Model| !one.blamed && now >= one.asked.plus(PATIENCE);
                let due: Vec<u16> = open.iter_mut().filter(due).map(|one| { one.blamed = true; one.slot }).collect();
                prop_assert_eq!(blamed, due);
                while let Some(slot) = questions.overdue(END, now) {
                    prop_assert_eq!(open.remove(0).slot, slot);
                    drop(questions.close(slot));
                }
                prop_assert!(open.iter().all(|one| now < one.asked.plus(END)));
                prop_assert_eq!(questions.next_expiry(&TIMES), expected(&open));
                prop_assert_eq!(questions.open(), open.len());
            }
        }
    }
}
