//! One question on its way through the upstreams: makes the attempts that the [`Plan`] calls for, listens to all of them,
//! and picks the response.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::ask::Ask;
use super::datagram::Conversation;
use super::limit::Permit;
use super::member::Member;
use super::message::{Judged, Response, dislikes_edns, is_answer};
use super::outside::{self, Outcome, Unsettled};
use super::plan::{Pace, Plan, Step};
use super::{FailReason, Protocol, UpstreamError};
use crate::wire::rcode;

/// One question and all that is open for it.
pub(super) struct Exchange<'m> {
    members: &'m [Arc<Member>],
    ask: Arc<Ask>,
    started: Instant,
    pace: Pace,
    plan: Plan,
    open: FuturesUnordered<BoxFuture<'static, Option<Heard>>>,
    /// The best response so far that is no answer.
    fallback: Option<Box<Response>>,
    /// Who sent a response that is no answer.
    rejecters: Vec<usize>,
    gravest: Option<FailReason>,
    /// The turn that is asked over TCP only because its answer came in another case: UDP is still worth a try later.
    miscased: Option<usize>,
    closing: &'m CancellationToken,
}

/// What one attempt came to.
struct Heard {
    turn: usize,
    edns: bool,
    result: Result<Judged, FailReason>,
    /// What is left of the attempt: its right to be open, and over UDP its ear.
    rest: Rest,
}

struct Rest {
    protocol: Protocol,
    /// `None`: an [`Outside`](super::Outside) counts it.
    permit: Option<Permit>,
    conversation: Option<Conversation>,
}

impl<'m> Exchange<'m> {
    /// A question to these members in this order.
    pub(super) fn new(
        members: &'m [Arc<Member>],
        turns: Vec<usize>,
        ask: &Ask,
        pace: Pace,
        closing: &'m CancellationToken,
    ) -> Self {
        Self {
            members,
            ask: Arc::new(ask.clone()),
            started: Instant::now(),
            pace,
            plan: Plan::new(pace, turns),
            open: FuturesUnordered::new(),
            fallback: None,
            rejecters: Vec::new(),
            gravest: None,
            miscased: None,
            closing,
        }
    }

    /// Goes on from what became of the question at its first upstream: as if the attempt had been made here.
    pub(super) fn go_on(mut self, tried: Unsettled) -> Self {
        let Unsettled { member, after, outcome } = tried;
        let same = self.members.get(member.index).is_some_and(|ours| Arc::ptr_eq(ours, &member));
        // Other upstreams since then, or nothing has left this host: a question like any other.
        if !same || matches!(outcome, Outcome::Failed(FailReason::Local)) {
            return self;
        }
        self.started = self.started.checked_sub(after).unwrap_or(self.started);
        let Some(turn) = self.plan.begun(member.index) else { return self };
        match outcome {
            Outcome::Silent { ear } => self.open.push(overhear(turn, ear).boxed()),
            Outcome::Rejected { rcode, response, ear } => {
                let rest = Rest { protocol: Protocol::Plain, permit: None, conversation: None };
                self.reject(turn, true, rcode, response, rest);
                self.open.push(overhear(turn, ear).boxed());
            }
            Outcome::Miscased { ear } => {
                // Over TCP there is nothing to guess; over UDP, in lower case, only when that fails.
                self.miscased = Some(turn);
                self.ask_over_tcp(turn, true, None);
                self.open.push(overhear(turn, ear).boxed());
            }
            Outcome::Truncated => self.continue_over_tcp(turn, true, None),
            Outcome::Failed(reason) => self.fail(turn, reason),
        }
        self
    }

    /// Runs to the response, or to the end of all hope.
    pub(super) async fn run(mut self) -> Result<Response, UpstreamError> {
        loop {
            let until = match self.plan.step(self.started.elapsed()) {
                Step::Ask(turn) => {
                    self.attempt(turn);
                    continue;
                }
                Step::Finish => return self.finish(),
                Step::Wait(until) => self.started + until,
            };
            tokio::select! {
                biased;
                Some(heard) = self.open.next() => {
                    if let Some(response) = heard.and_then(|heard| self.take(heard)) {
                        self.close(&response);
                        return Ok(*response);
                    }
                }
                () = sleep_until(until) => {}
            }
        }
    }

    fn attempt(&mut self, turn: usize) {
        let member = &self.members[self.plan.upstream(turn)];
        let Some(permit) = member.admit() else {
            self.fail(turn, FailReason::Busy);
            return;
        };
        let (member, ask) = (Arc::clone(member), Arc::clone(&self.ask));
        self.open.push(match member.server.protocol() {
            Protocol::Plain => datagram(member, ask, turn, true, permit).boxed(),
            _ => stream(member, ask, turn, true, permit).boxed(),
        });
    }

    /// Takes in what one attempt came to; returns the response if that settles the question.
    fn take(&mut self, heard: Heard) -> Option<Box<Response>> {
        let Heard { turn, edns, result, rest } = heard;
        match result {
            Ok(Judged::Whole(response)) if is_answer(response.rcode) || response.is_final_failure() => {
                return Some(response);
            }
            Ok(Judged::Whole(response)) => self.reject(turn, edns, response.rcode, Some(response), rest),
            Ok(Judged::Bare(rcode)) => self.reject(turn, edns, rcode, None, rest),
            Ok(Judged::Useless) => self.reject(turn, edns, rcode::SERVFAIL, None, rest),
            Ok(Judged::Truncated) => self.continue_over_tcp(turn, edns, rest.permit),
            Err(reason) => self.fail(turn, reason),
        }
        None
    }

    fn fail(&mut self, turn: usize, reason: FailReason) {
        // An upstream that was well a moment ago may just be starting again; an ill one is not waited for.
        let member = &self.members[self.plan.upstream(turn)];
        let again = match reason {
            FailReason::Unreachable => member.server.protocol() == Protocol::Plain && member.is_healthy(),
            FailReason::Timeout => true,
            _ => self.miscased == Some(turn),
        };
        self.gravest = self.gravest.max(Some(reason));
        self.plan.failed(turn, again);
    }

    /// A response that is no answer: others are asked, and this upstream again without EDNS if that may be the reason.
    /// The ear stays open, since a forger may have sent it.
    fn reject(&mut self, turn: usize, edns: bool, rcode: u16, response: Option<Box<Response>>, rest: Rest) {
        let upstream = self.plan.upstream(turn);
        let better = |kept: &Response| {
            kept.rcode != rcode::SERVFAIL || response.as_ref().is_some_and(|new| new.rcode == rcode::SERVFAIL)
        };
        if self.fallback.as_deref().is_none_or(better) {
            self.fallback = response.or(self.fallback.take());
        }
        self.rejecters.push(upstream);
        let member = &self.members[upstream];
        let plain = edns && dislikes_edns(rcode);
        if plain && let Some(permit) = member.admit() {
            let (member, ask) = (Arc::clone(member), Arc::clone(&self.ask));
            self.plan.continued(turn);
            self.open.push(match rest.protocol {
                Protocol::Plain => datagram(member, ask, turn, false, permit).boxed(),
                _ => stream(member, ask, turn, false, permit).boxed(),
            });
        } else {
            self.plan.rejected(turn, self.started.elapsed(), dislikes_edns(rcode));
        }
        if let (Some(conversation), Some(permit)) = (rest.conversation, rest.permit) {
            self.open.push(listen(Arc::clone(member), conversation, turn, permit).boxed());
        }
    }

    fn continue_over_tcp(&mut self, turn: usize, edns: bool, permit: Option<Permit>) {
        self.plan.continued(turn);
        self.ask_over_tcp(turn, edns, permit);
    }

    fn ask_over_tcp(&mut self, turn: usize, edns: bool, permit: Option<Permit>) {
        let member = Arc::clone(&self.members[self.plan.upstream(turn)]);
        match permit.or_else(|| member.admit_again()) {
            Some(permit) => self.open.push(stream(member, Arc::clone(&self.ask), turn, edns, permit).boxed()),
            None => self.fail(turn, FailReason::Busy),
        }
    }

    fn finish(mut self) -> Result<Response, UpstreamError> {
        match self.fallback.take() {
            Some(response) => Ok(*response),
            None if self.plan.is_waiting() => Err(UpstreamError::Timeout { asked: self.plan.asked() }),
            None if self.gravest.is_none() && !self.rejecters.is_empty() => Err(UpstreamError::Unusable),
            None => Err(UpstreamError::from_failure(self.gravest, self.plan.asked())),
        }
    }

    /// The question is settled. Those who are still silent are listened to a little longer: only so can silence be told
    /// from slowness, and a dead upstream in front be found out although another one answers for it.
    fn close(self, response: &Response) {
        if is_answer(response.rcode) {
            for upstream in self.rejecters.iter().filter(|&&upstream| upstream != response.upstream) {
                self.members[*upstream].was_outvoted(&self.ask.name);
            }
            for upstream in self.plan.outrun_by(response.upstream, self.started.elapsed()) {
                self.members[upstream].was_outrun(&self.ask.name);
            }
        }
        if self.plan.is_waiting() {
            let (mut open, end) = (self.open, self.started + self.pace.deadline.max(self.pace.patience));
            let closing = self.closing.clone();
            tokio::spawn(async move {
                let drain = async { while open.next().await.is_some() {} };
                closing.run_until_cancelled(timeout_at(end, drain)).await
            });
        }
    }
}

/// One attempt over UDP.
async fn datagram(member: Arc<Member>, ask: Arc<Ask>, turn: usize, edns: bool, mut permit: Permit) -> Option<Heard> {
    let mut conversation = match Conversation::open(Arc::clone(&member), Arc::clone(&ask), edns).await {
        Ok(conversation) => conversation,
        Err(reason) => {
            member.failed(reason, &ask.name);
            let rest = Rest { protocol: Protocol::Plain, permit: Some(permit), conversation: None };
            return Some(Heard { turn, edns, result: Err(reason), rest });
        }
    };
    let since = conversation.started();
    let result = member.patiently(&mut permit, since, &ask.name, conversation.hear()).await;
    let rest = Rest { protocol: Protocol::Plain, permit: Some(permit), conversation: Some(conversation) };
    Some(Heard { turn, edns, result, rest })
}

/// One attempt over a connection.
async fn stream(member: Arc<Member>, ask: Arc<Ask>, turn: usize, edns: bool, mut permit: Permit) -> Option<Heard> {
    let response = member.stream.exchange(&ask, member.index, edns);
    let result = member.patiently(&mut permit, Instant::now(), &ask.name, response).await;
    let rest = Rest { protocol: Protocol::Tcp, permit: Some(permit), conversation: None };
    Some(Heard { turn, edns, result, rest })
}

/// Waits for what the upstream still says to a question that an [`Outside`](super::Outside) has asked, and counts, and
/// listens for; nothing if it is there no more.
async fn overhear(turn: usize, ear: oneshot::Receiver<outside::Heard>) -> Option<Heard> {
    let result = ear.await.ok()?;
    let rest = Rest { protocol: Protocol::Plain, permit: None, conversation: None };
    Some(Heard { turn, edns: true, result, rest })
}

/// Goes on listening after a response that is no answer, until patience ends. Only an answer is worth telling.
async fn listen(member: Arc<Member>, mut conversation: Conversation, turn: usize, permit: Permit) -> Option<Heard> {
    let started = conversation.started();
    let answer = async {
        loop {
            match conversation.hear().await {
                Ok(Judged::Whole(response)) if is_answer(response.rcode) => return Some(response),
                Ok(_) => (),
                Err(_unreachable) => return None,
            }
        }
    };
    let response = timeout_at(started + member.patience, answer).await.ok()??;
    member.answered(response.rcode, started.elapsed());
    let rest = Rest { protocol: Protocol::Plain, permit: Some(permit), conversation: None };
    Some(Heard { turn, edns: false, result: Ok(Judged::Whole(response)), rest })
}
