//! DNSSEC validation (RFC 4033 to 4035) of what upstreams say, by hickory's validator.
//!
//! ```text
//! anchors   keys that are trusted from the beginning, and names below which nothing is validated (RFC 7646)
//! handle    the validator's own questions: through whoever asks for clients, and so many for one answer at most
//! led       from what was asked for to where its answer ends: whether each step is proven
//! denial    whether what is said not to be there is denied, by NSEC; hashed: by NSEC3
//! verdict   from all that to what a client is told
//! ```
//! A question is asked with DO and CD ([`Validator::question`]), so that the upstream hands over what it would not believe
//! itself, and the chain of keys from an anchor to the answer is asked for the same way. Keeping answers is left to the asker,
//! or each answer would cost the whole chain.

mod anchors;
mod denial;
mod handle;
mod hashed;
mod led;
mod verdict;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::xfer::{DnsHandle as _, FirstAnswer as _};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, Query};
use hickory_resolver::proto::rr::{DNSClass, RecordType};
use tokio::sync::Semaphore;

use super::UpstreamError;
use super::ask::Ask;
use super::message::Response;
use crate::time::Timestamp;
use crate::wire::{CLASS_IN, LowerName, Name, qtype};
pub use anchors::{AnchorError, Anchors, Exempt};
use handle::{Handle, Rest, WORK, Work, hickory_name};
use led::Cut;
pub use verdict::Bogus;
use verdict::{Judge, Proven, Verdict};

/// Answers validated at a time. Each may cost some milliseconds of a processor.
const AT_ONCE_MAX: usize = 128;
/// Iterations of NSEC3 beyond which a proof counts as none, and the zone as unsigned (RFC 9276 §3.2).
const NSEC3_SOFT_MAX: u16 = 50;
/// Iterations of NSEC3 beyond which an answer counts as bogus.
const NSEC3_HARD_MAX: u16 = 150;

/// Names of one answer that are looked into, whether they are in zones that are not signed, and labels of them.
const PLAIN_MAX: usize = 4;
const WALK_MAX: usize = 16;

/// Who asks the validator's questions: of upstreams, or of a cache of what they said.
pub trait Questions: Send + Sync + 'static {
    /// The response to a question, as [`Upstreams::ask`](super::Upstreams::ask) gives it: a whole message.
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Vec<u8>, UpstreamError>>;

    /// Whether a question may not leave this server: it is not asked, and what stands at its name counts as unsigned.
    fn bars(&self, name: &Name, qtype: u16) -> bool;
}

/// What is validated, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Validation {
    /// The keys that are trusted from the beginning.
    pub anchors: Anchors,
    /// Names below which nothing is validated.
    pub exempt: Vec<Exempt>,
}

/// Why there is no validated answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidationError {
    /// The answer is not what its zone has signed.
    #[error("{0}")]
    Bogus(#[from] Bogus),
    /// The question, or one for the keys of its zone, has no answer.
    #[error("{0}")]
    Unanswered(#[from] UpstreamError),
}

/// Validates answers.
pub struct Validator {
    exempt: Vec<Exempt>,
    questions: Arc<dyn Questions>,
    dnssec: DnssecDnsHandle<Handle>,
    room: Arc<Semaphore>,
}

impl Validator {
    /// A validator that asks by `questions`.
    pub fn new(config: Validation, questions: Arc<dyn Questions>) -> Self {
        let handle = Handle::new(Arc::clone(&questions));
        let dnssec = DnssecDnsHandle::with_trust_anchor(handle, config.anchors.keys())
            .nsec3_iteration_limits(Some(NSEC3_SOFT_MAX), Some(NSEC3_HARD_MAX));
        Self { exempt: config.exempt, questions, dnssec, room: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }

    /// Whether a question is one whose answer is validated: of class IN, and without CD (RFC 4035 §3.2.2).
    pub fn covers(ask: &Ask) -> bool {
        ask.qclass == CLASS_IN && !ask.checking_disabled
    }

    fn is_exempt(&self, name: &LowerName, now: Timestamp) -> bool {
        self.exempt.iter().any(|exempt| exempt.covers(name, now))
    }

    /// What is to be asked in place of a question, so that its answer can be validated.
    pub fn question(ask: &Ask) -> Ask {
        Ask { dnssec_ok: true, checking_disabled: true, ..ask.clone() }
    }

    /// The response to [`Validator::question`] as the client of `ask` may have it: AD says whether it is proven, and without
    /// DO it has no DNSSEC records that were not asked for. A response that is no answer (SERVFAIL, REFUSED) stays as it is.
    ///
    /// # Errors
    /// [`ValidationError`].
    pub async fn validate(&self, ask: &Ask, response: Response, now: Timestamp) -> Result<Response, ValidationError> {
        let judge = Judge::new(ask, response, now);
        if !judge.is_answer() {
            return Ok(judge.unjudged());
        }
        if self.is_exempt(&LowerName::from(&ask.name), now) {
            return Ok(judge.insecure()?);
        }
        judge.bounded()?;
        let rest = Rest::begin(&self.room).await.ok_or(UpstreamError::Busy)?;
        let proven = self.prove(ask, judge.message().to_vec(), &rest).await;
        let failed = rest.failed();
        let mut plain = Vec::new();
        let verdict = loop {
            let exempt = |name: &Name| {
                let name = LowerName::from(name);
                self.is_exempt(&name, now)
                    || plain.iter().any(|plain| name.is_below(plain))
                    || self.questions.bars(&Name::from(&name), qtype::DNSKEY)
            };
            match judge.verdict(proven.as_ref(), exempt) {
                Verdict::Bogus(_, Some(name)) if plain.len() < PLAIN_MAX && self.is_plain(&name, &rest).await => {
                    plain.push(LowerName::from(&name));
                }
                verdict => break verdict,
            }
        };
        match (verdict, failed) {
            (Verdict::Secure, _) => Ok(judge.secure(proven.as_ref())?),
            (Verdict::Insecure, _) => Ok(judge.insecure()?),
            // What could not be asked for may be there the next time: nothing is said against the zone.
            (Verdict::Bogus(..), Some(failed)) => Err(failed.into()),
            (Verdict::Bogus(bogus, _), None) => Err(bogus.into()),
        }
    }

    /// Whether a name is in a zone that is not signed, from the root downwards, so that what a zone says is believed only of names
    /// that no signed zone below it has. hickory looks upwards and finds most of them; not those that nothing but a delegation
    /// without signature stands below, where zones have opted out (RFC 5155 §7.1).
    async fn is_plain(&self, name: &Name, rest: &Arc<Rest>) -> bool {
        let name = LowerName::from(name);
        for labels in 1..=name.labels().min(WALK_MAX) {
            let Ok((at, _end)) = LowerName::read(name.suffix(labels), 0) else { return false };
            let ask = Ask {
                name: Name::from(&at),
                qtype: qtype::DS,
                qclass: CLASS_IN,
                dnssec_ok: true,
                checking_disabled: true,
                subnet: None,
            };
            if self.questions.bars(&ask.name, ask.qtype) || !rest.spend() {
                return false;
            }
            let Ok(message) = rest.aside(self.questions.ask(ask.clone())).await else { return false };
            match self.prove(&ask, message, rest).await.map_or(Cut::Unknown, |proven| led::cut(&proven, &ask.name)) {
                Cut::Plain => return true,
                Cut::Signed | Cut::None => (),
                Cut::Unknown => return false,
            }
        }
        false
    }

    /// Has hickory prove the records of an answer.
    async fn prove(&self, ask: &Ask, answer: Vec<u8>, rest: &Arc<Rest>) -> Option<Proven> {
        let mut query = Query::query(hickory_name(&ask.name)?, RecordType::from(ask.qtype));
        query.set_query_class(DNSClass::IN);
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_set_dnssec_ok = true;
        let sent = self.dnssec.send(DnsRequest::from_query(query, options)).first_answer();
        Proven::read(WORK.scope(Work::new(Self::question(ask), answer, rest), sent).await)
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator").field("exempt", &self.exempt).finish_non_exhaustive()
    }
}
