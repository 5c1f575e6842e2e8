//! When to ask whom next, for one question. Pure: the time since the question goes in, the next step comes out.
//!
//! The upstreams are asked in order, each `hedge` after the one before, or at once when one before has failed; earlier
//! attempts stay open. When all have been asked, the silent ones are asked again `retry` after their last attempt, since a
//! datagram may just be lost. Nothing new is asked after `deadline`.

use std::time::Duration;

/// Attempts at one upstream for one question at most (RFC 9520 §3.1 advises against more).
const ATTEMPTS_MAX: u8 = 3;

/// The times of a plan, each since the question came unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// From one upstream to the next.
    pub(super) hedge: Duration,
    /// From one attempt at an upstream to the next attempt there.
    pub(super) retry: Duration,
    /// How long silence is borne once another upstream has spoken.
    pub(super) patience: Duration,
    /// Nothing new is asked from here on.
    pub(super) deadline: Duration,
    /// Nothing is waited for from here on.
    pub(super) end: Duration,
}

/// The way of one question through the upstreams.
#[derive(Debug)]
pub(super) struct Plan {
    pace: Pace,
    turns: Vec<Turn>,
    last_asked: Option<Duration>,
    /// Someone failed since the last attempt: no reason to wait for the hedge.
    hurry: bool,
    /// When a response came that will do if no answer comes.
    settled: Option<Duration>,
    /// Until when that response is distrusted.
    distrust: Duration,
}

/// One upstream's part.
#[derive(Debug)]
struct Turn {
    upstream: usize,
    asked: u8,
    first: Duration,
    last: Duration,
    /// Attempts that have neither spoken nor failed.
    waiting: u8,
    /// Nothing more to ask here.
    spent: bool,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask the upstream of this turn.
    Ask(usize),
    /// Listen until then, unless something is heard.
    Wait(Duration),
    /// Nothing better will come.
    Finish,
}

impl Plan {
    /// Asks these upstreams in this order.
    pub(super) fn new(pace: Pace, upstreams: impl IntoIterator<Item = usize>) -> Self {
        let turn = |upstream| Turn {
            upstream,
            asked: 0,
            first: Duration::ZERO,
            last: Duration::ZERO,
            waiting: 0,
            spent: false,
        };
        let turns = upstreams.into_iter().map(turn).collect();
        Self { pace, turns, last_asked: None, hurry: false, settled: None, distrust: Duration::ZERO }
    }

    /// Index in the configuration of the upstream of a turn.
    pub(super) fn upstream(&self, turn: usize) -> usize {
        self.turns[turn].upstream
    }

    /// Whether anyone asked has neither spoken nor failed.
    pub(super) fn is_waiting(&self) -> bool {
        self.turns.iter().any(|turn| turn.waiting > 0)
    }

    /// Who was asked before this one, a hedge ago or more, and has said nothing yet.
    pub(super) fn outrun_by(&self, winner: usize, at: Duration) -> impl Iterator<Item = usize> {
        let began = self.turns.iter().find(|turn| turn.upstream == winner).map(|turn| turn.first);
        let late = move |turn: &&Turn| {
            turn.asked > 0
                && turn.waiting > 0
                && began.is_some_and(|began| turn.first < began)
                && turn.first + self.pace.hedge <= at
        };
        self.turns.iter().filter(late).map(|turn| turn.upstream)
    }

    /// How many upstreams have been asked.
    pub(super) fn asked(&self) -> usize {
        self.turns.iter().filter(|turn| turn.asked > 0).count()
    }

    /// What to do at `at`; [`Step::Ask`] counts as done.
    pub(super) fn step(&mut self, at: Duration) -> Step {
        let next = self.next_attempt(at);
        if let Some((turn, due)) = next
            && due <= at
        {
            self.ask(turn, at);
            return Step::Ask(turn);
        }
        let last_hope = self.last_hope(next.is_some());
        match next.map(|(_turn, due)| due).into_iter().chain(last_hope).min() {
            Some(until) if last_hope.is_some_and(|hope| hope > at) => Step::Wait(until),
            _ => Step::Finish,
        }
    }

    /// The next attempt that may be made, and when.
    fn next_attempt(&self, at: Duration) -> Option<(usize, Duration)> {
        if at >= self.pace.deadline && self.last_asked.is_some() {
            return None;
        }
        let unasked = self.turns.iter().position(|turn| turn.asked == 0 && !turn.spent);
        if let Some(turn) = unasked {
            let hedged = self.last_asked.map(|last| last + self.pace.hedge);
            return Some((turn, hedged.filter(|_due| !self.hurry).unwrap_or(Duration::ZERO)));
        }
        let again = self.turns.iter().enumerate().filter(|(_, turn)| !turn.spent && turn.asked < ATTEMPTS_MAX);
        let (turn, due) =
            again.map(|(index, turn)| (index, turn.last + self.pace.retry)).min_by_key(|(_, due)| *due)?;
        (due < self.pace.deadline).then_some((turn, due))
    }

    /// Until when an answer may still come; `None` if none can.
    fn last_hope(&self, more_attempts: bool) -> Option<Duration> {
        match self.settled {
            None => (self.is_waiting() || more_attempts).then_some(self.pace.end),
            Some(settled) => {
                let unasked = self.turns.iter().any(|turn| turn.asked == 0 && !turn.spent) && more_attempts;
                let silent = (self.is_waiting() || unasked).then_some(settled + self.pace.patience);
                Some(silent.unwrap_or_default().max(self.distrust).min(self.pace.end))
            }
        }
    }

    fn ask(&mut self, index: usize, at: Duration) {
        let turn = &mut self.turns[index];
        if turn.asked == 0 {
            turn.first = at;
        }
        turn.asked += 1;
        turn.waiting += 1;
        turn.last = at;
        self.last_asked = Some(at);
        self.hurry = false;
    }

    /// The upstream with this index has been asked when the question came; returns its turn.
    pub(super) fn begun(&mut self, upstream: usize) -> Option<usize> {
        let turn = self.turns.iter().position(|turn| turn.upstream == upstream)?;
        self.ask(turn, Duration::ZERO);
        Some(turn)
    }

    /// An attempt ended without a response. `again`: it is worth another one, later.
    pub(super) fn failed(&mut self, turn: usize, again: bool) {
        let turn = &mut self.turns[turn];
        turn.waiting = turn.waiting.saturating_sub(1);
        turn.spent |= !again;
        self.hurry = true;
    }

    /// A response came that is no answer, and will do if nothing better comes. `distrusted`: one that no honest server
    /// sends to a plain query, so that a better one is waited for a little even if nobody else is left to ask.
    pub(super) fn rejected(&mut self, turn: usize, at: Duration, distrusted: bool) {
        self.failed(turn, false);
        self.settled.get_or_insert(at);
        if distrusted {
            self.distrust = at + self.pace.hedge;
        }
    }

    /// The upstream is being asked otherwise (over TCP, or without EDNS) instead; no attempt by time is added.
    pub(super) fn continued(&mut self, turn: usize) {
        self.turns[turn].spent = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { hedge: ms(300), retry: ms(800), patience: ms(1500), deadline: ms(2000), end: ms(10_000) };

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Every attempt (turn, milliseconds) that is made while nobody says a word.
    fn silence(upstreams: usize) -> Vec<(usize, u128)> {
        let mut plan = Plan::new(PACE, 0..upstreams);
        let (mut at, mut made) = (Duration::ZERO, Vec::new());
        loop {
            match plan.step(at) {
                Step::Ask(turn) => made.push((turn, at.as_millis())),
                Step::Wait(until) => at = until,
                Step::Finish => return made,
            }
            assert!(made.len() < 100);
        }
    }

    #[test]
    fn a_single_silent_upstream_is_asked_three_times() {
        assert_eq!(silence(1), [(0, 0), (0, 800), (0, 1600)]);
    }

    #[test]
    fn two_silent_upstreams_are_asked_in_turn_and_again() {
        assert_eq!(silence(2), [(0, 0), (1, 300), (0, 800), (1, 1100), (0, 1600), (1, 1900)]);
    }

    #[test]
    fn nothing_is_asked_after_the_deadline() {
        let made = silence(16);
        assert!(made.iter().all(|(_, at)| *at < 2000));
        assert_eq!(made.len(), 7);
    }

    #[test]
    fn silence_is_waited_out_to_the_end() {
        let mut plan = Plan::new(PACE, [0]);
        for at in [0, 800, 1600] {
            assert_eq!(plan.step(ms(at)), Step::Ask(0));
        }
        assert_eq!(plan.step(ms(1700)), Step::Wait(ms(10_000)));
        assert_eq!(plan.step(ms(10_000)), Step::Finish);
    }

    #[test]
    fn a_failure_asks_the_next_at_once() {
        let mut plan = Plan::new(PACE, [4, 5]);
        assert_eq!(plan.step(ms(0)), Step::Ask(0));
        assert_eq!(plan.step(ms(10)), Step::Wait(ms(300)));
        plan.failed(0, false);
        assert_eq!(plan.step(ms(20)), Step::Ask(1));
        assert_eq!(plan.upstream(1), 5);
        plan.failed(1, false);
        assert_eq!(plan.step(ms(30)), Step::Finish);
    }

    #[test]
    fn an_unreachable_upstream_may_be_asked_again_later() {
        let mut plan = Plan::new(PACE, [0]);
        assert_eq!(plan.step(ms(0)), Step::Ask(0));
        plan.failed(0, true);
        assert_eq!(plan.step(ms(1)), Step::Wait(ms(800)));
        assert_eq!(plan.step(ms(800)), Step::Ask(0));
        plan.failed(0, false);
        assert_eq!(plan.step(ms(801)), Step::Finish);
    }

    #[test]
    fn a_rejection_from_the_only_upstream_is_final_at_once() {
        let mut plan = Plan::new(PACE, [0]);
        assert_eq!(plan.step(ms(0)), Step::Ask(0));
        plan.rejected(0, ms(20), false);
        assert_eq!(plan.step(ms(20)), Step::Finish);
    }

    #[test]
    fn a_distrusted_rejection_is_held_back_a_little() {
        let mut plan = Plan::new(PACE, [0]);
        assert_eq!(plan.step(ms(0)), Step::Ask(0));
        plan.rejected(0, ms(20), true);
        assert_eq!(plan.step(ms(20)), Step::Wait(ms(320)));
        assert_eq!(plan.step(ms(320)), Step::Finish);
    }

    #[test]
    fn after_a_rejection_the_others_get_their_chance_but_not_for_ever() {
        let mut plan = Plan::new(PACE, [0, 1]);
        assert_eq!(plan.step(ms(0)), Step::Ask(0));
        plan.rejected(0, ms(20), false);
        assert_eq!(plan.step(ms(20)), Step::Ask(1));
        assert_eq!(plan.step(ms(20)), Step::Wait(ms(820)));
        assert_eq!(plan.step(ms(820)), Step::Ask(1));
        assert_eq!(plan.step(ms(820)), Step::Wait(ms(1520)));
        assert_eq!(plan.step(ms(1520)), Step::Finish);
    }

    #[test]
    fn an_upstream_asked_over_tcp_is_not_asked_again_by_time() {
        let mut plan = Plan::new(PACE, [0]);
        assert_eq!(plan.step(ms(0)), Step::Ask(0));
        plan.continued(0);
        assert_eq!(plan.step(ms(900)), Step::Wait(ms(10_000)));
        plan.failed(0, false);
        assert_eq!(plan.step(ms(901)), Step::Finish);
    }

    #[test]
    fn who_was_asked_before_the_plan_began_comes_after_the_others() {
        let mut plan = Plan::new(PACE, [7, 8]);
        assert_eq!(plan.begun(9), None);
        assert_eq!(plan.begun(7), Some(0));
        assert_eq!(plan.step(ms(100)), Step::Wait(ms(300)));
        assert_eq!(plan.step(ms(300)), Step::Ask(1));
        assert_eq!(plan.step(ms(300)), Step::Wait(ms(800)));
        assert_eq!(plan.step(ms(800)), Step::Ask(0));
    }

    #[test]
    fn only_who_was_asked_earlier_and_has_said_nothing_is_outrun() {
        let mut plan = Plan::new(PACE, [4, 5, 6]);
        assert_eq!([0, 300, 600].map(|at| plan.step(ms(at))), [Step::Ask(0), Step::Ask(1), Step::Ask(2)]);
        assert_eq!(plan.outrun_by(6, ms(601)).collect::<Vec<_>>(), [4, 5]);
        assert_eq!(plan.outrun_by(5, ms(700)).collect::<Vec<_>>(), [4]);
        assert_eq!(plan.outrun_by(4, ms(700)).count(), 0);
        plan.failed(0, false);
        assert_eq!(plan.outrun_by(6, ms(601)).collect::<Vec<_>>(), [5]);
        // Asked a moment ago because another one had failed: it has had no time yet.
        let mut plan = Plan::new(PACE, [4, 5]);
        assert_eq!(plan.step(ms(0)), Step::Ask(0));
        plan.failed(0, true);
        assert_eq!(plan.step(ms(1)), Step::Ask(1));
        assert_eq!(plan.outrun_by(5, ms(20)).count(), 0);
    }

    #[test]
    fn a_question_that_comes_after_its_deadline_is_still_asked_once() {
        let mut plan = Plan::new(Pace { deadline: ms(0), ..PACE }, [0, 1]);
        assert_eq!(plan.step(ms(5)), Step::Ask(0));
        assert_eq!(plan.step(ms(5)), Step::Wait(ms(10_000)));
    }
}
