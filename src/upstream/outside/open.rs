//! The open questions together with their sockets: what is done when something is heard, or nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::time::Mono;
use crate::wire::rcode;

use super::super::FailReason;
use super::super::message::{Judged, ResponseRef, is_answer};
use super::port::Ports;
use super::questions::{Questions, State};
use super::unsettled::{Heard, Outcome, Unsettled};

/// Who is told what became of a question.
pub(super) type Report<'c, T> = dyn FnMut(T, Result<ResponseRef<'_>, Unsettled>) + 'c;

/// Questions and sockets; each question is on one socket.
pub(super) struct Open<T> {
    pub(super) ports: Ports,
    pub(super) questions: Questions<T>,
}

impl<T> Open<T> {
    /// A response came.
    pub(super) fn whole(&mut self, slot: u16, response: ResponseRef<'_>, now: Mono, report: &mut Report<'_, T>) {
        let rcode = response.rcode;
        match self.questions.question(slot).state {
            State::Open(_) if is_answer(rcode) || response.is_final_failure() => {
                // Closed before it is told: whoever is told may not come back.
                if let State::Open(token) = self.close(slot) {
                    report(token, Ok(response));
                }
            }
            State::Open(_) => self.tell(slot, false, now, report, |ear| {
                let response = Some(Box::new(response.to_response()));
                Outcome::Rejected { rcode, response, ear }
            }),
            State::Told { silent, .. } if silent || is_answer(rcode) => {
                self.hand_on(slot, Ok(Judged::Whole(Box::new(response.to_response()))));
            }
            State::Told { .. } | State::Free => (),
        }
    }

    /// A header came that rejects the question without repeating it.
    pub(super) fn bare(&mut self, slot: u16, rcode: u16, now: Mono, report: &mut Report<'_, T>) {
        match self.questions.question(slot).state {
            State::Open(_) => {
                self.tell(slot, false, now, report, |ear| Outcome::Rejected { rcode, response: None, ear });
            }
            State::Told { silent: true, .. } => self.hand_on(slot, Ok(Judged::Bare(rcode))),
            State::Told { .. } | State::Free => (),
        }
    }

    /// A response came that leads nowhere.
    pub(super) fn useless(&mut self, slot: u16, now: Mono, report: &mut Report<'_, T>) {
        match self.questions.question(slot).state {
            State::Open(_) => self.tell(slot, false, now, report, |ear| Outcome::Rejected {
                rcode: rcode::SERVFAIL,
                response: None,
                ear,
            }),
            State::Told { silent: true, .. } => self.hand_on(slot, Ok(Judged::Useless)),
            State::Told { .. } | State::Free => (),
        }
    }

    /// The answer is too long.
    pub(super) fn truncated(&mut self, slot: u16, now: Mono, report: &mut Report<'_, T>) {
        match self.questions.question(slot).state {
            State::Open(_) => self.end(slot, Outcome::Truncated, now, report),
            State::Told { silent: true, .. } => self.hand_on(slot, Ok(Judged::Truncated)),
            State::Told { .. } | State::Free => (),
        }
    }

    /// The question came back in another case. The right answer may still come.
    pub(super) fn miscased(&mut self, slot: u16, now: Mono, report: &mut Report<'_, T>) {
        let question = self.questions.question(slot);
        let (number, open) = (question.port, matches!(question.state, State::Open(_)));
        if let Some(port) = self.ports.port(number).filter(|_port| open) {
            let name = question.name();
            if port.member.casing.lost(&name, now) {
                tracing::warn!(server = %port.member.server, "Upstream changes the case of names; it is asked in lower case for an hour.");
            }
            self.tell(slot, false, now, report, |ear| Outcome::Miscased { ear });
        }
    }

    /// Nothing came for the hedge time.
    pub(super) fn silent(&mut self, slot: u16, now: Mono, report: &mut Report<'_, T>) {
        self.tell(slot, true, now, report, |ear| Outcome::Silent { ear });
    }

    /// Nothing came for as long as patience lasts: that is counted, and what still comes is heard.
    pub(super) fn impatient(&mut self, slot: u16, now: Mono, report: &mut Report<'_, T>) {
        // Where patience ends before the hedge, nobody has been told yet.
        self.silent_if_open(slot, now, report);
        let question = self.questions.question(slot);
        if matches!(question.state, State::Told { silent: true, .. })
            && let Some(port) = self.ports.port(question.port)
        {
            port.member.failed(FailReason::Timeout, &question.name());
        }
    }

    /// Closes some of the questions that nobody listens to any more.
    pub(super) fn close_unheard(&mut self) {
        while let Some(slot) = self.questions.unheard() {
            drop(self.close(slot));
        }
    }

    /// Nothing came, and nothing is waited for any longer.
    pub(super) fn overdue(&mut self, slot: u16) {
        if let State::Told { exchange, silent: true } = self.close(slot) {
            let _nobody_waits = exchange.send(Err(FailReason::Timeout));
        }
    }

    fn silent_if_open(&mut self, slot: u16, now: Mono, report: &mut Report<'_, T>) {
        if matches!(self.questions.question(slot).state, State::Open(_)) {
            self.silent(slot, now, report);
        }
    }

    /// The attempt failed, and nothing more is waited for.
    pub(super) fn fail(&mut self, slot: u16, reason: FailReason, now: Mono, report: &mut Report<'_, T>) {
        let question = self.questions.question(slot);
        if let State::Told { silent: false, .. } = question.state {
            // It has spoken, and was counted when it did.
            drop(self.close(slot));
            return;
        }
        if let Some(port) = self.ports.port(question.port) {
            port.member.failed(reason, &question.name());
        }
        self.end(slot, Outcome::Failed(reason), now, report);
    }

    /// Reports a question that goes on listening.
    fn tell(
        &mut self,
        slot: u16,
        silent: bool,
        now: Mono,
        report: &mut Report<'_, T>,
        outcome: impl FnOnce(oneshot::Receiver<Heard>) -> Outcome,
    ) {
        let question = self.questions.question(slot);
        let (after, number) = (now.since(question.asked), question.port);
        let (exchange, ear) = oneshot::channel();
        let state = std::mem::replace(&mut question.state, State::Told { exchange, silent });
        self.report(state, number, after, outcome(ear), report);
    }

    /// Closes a question and reports it, or tells those to whom it has gone on.
    fn end(&mut self, slot: u16, outcome: Outcome, now: Mono, report: &mut Report<'_, T>) {
        let question = self.questions.question(slot);
        let (after, number) = (now.since(question.asked), question.port);
        // The socket may go with its last question.
        let member = self.ports.port(number).map(|port| Arc::clone(&port.member));
        match (self.close(slot), outcome, member) {
            (State::Open(token), outcome, Some(member)) => report(token, Err(Unsettled { member, after, outcome })),
            (State::Told { exchange, .. }, Outcome::Failed(reason), _) => {
                let _nobody_waits = exchange.send(Err(reason));
            }
            _ => (),
        }
    }

    fn report(&self, state: State<T>, number: u16, after: Duration, outcome: Outcome, report: &mut Report<'_, T>) {
        if let (State::Open(token), Some(port)) = (state, self.ports.port(number)) {
            report(token, Err(Unsettled { member: Arc::clone(&port.member), after, outcome }));
        }
    }

    /// Closes a question and gives what was heard to those to whom it has gone on.
    fn hand_on(&mut self, slot: u16, heard: Heard) {
        if let State::Told { exchange, .. } = self.close(slot) {
            let _nobody_waits = exchange.send(heard);
        }
    }

    fn close(&mut self, slot: u16) -> State<T> {
        let question = self.questions.question(slot);
        if matches!(question.state, State::Free) {
            return State::Free;
        }
        let (number, id) = (question.port, question.id);
        let state = self.questions.close(slot);
        self.ports.close(number, id);
        state
    }
}
