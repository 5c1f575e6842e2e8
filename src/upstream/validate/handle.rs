//! The validator's own way to ask: it has none to the network, and so much for each answer.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{Stream, once};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::DnsHandle;
use hickory_resolver::proto::op::{DnsRequest, DnsResponse};
use hickory_resolver::proto::rr::{Name as HickoryName, Record, RecordType};
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinEncodable};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Questions;
use super::verdict::too_much_to_verify;
use crate::upstream::UpstreamError;
use crate::upstream::ask::Ask;
use crate::wire::{LowerName, Name, qtype};

/// Questions that the validation of one answer may ask. A chain of ten zones needs some thirty; a chain of aliases has more
/// than one of them. Without a bound, one small answer could have us ask hundreds (CVE-2023-50387 and its kin).
const QUESTIONS_MAX: usize = 96;

tokio::task_local! {
    /// That of the answer which the current task validates.
    pub(super) static WORK: Work;
}

/// What the validation of one answer has cost and may still cost.
pub(super) struct Work {
    /// The question whose answer is validated, with it: the validator begins by asking.
    first: (Ask, Vec<u8>),
    rest: Arc<Rest>,
}

/// What is shared by all that the validation of one answer takes.
#[derive(Debug)]
pub(super) struct Rest {
    left: AtomicUsize,
    failed: Mutex<Option<UpstreamError>>,
    room: Arc<Semaphore>,
    /// The right to a processor.
    place: Mutex<Option<OwnedSemaphorePermit>>,
    /// Held by whoever takes the place again: it is taken once, or two that wait for each other's would wait for ever.
    back: tokio::sync::Mutex<()>,
}

impl Work {
    pub(super) fn new(ask: Ask, answer: Vec<u8>, rest: &Arc<Rest>) -> Self {
        Self { first: (ask, answer), rest: Arc::clone(rest) }
    }
}

impl Rest {
    /// With a place in `room`, waited for. `None`: there will be none any more.
    pub(super) async fn begin(room: &Arc<Semaphore>) -> Option<Arc<Self>> {
        let place = Arc::clone(room).acquire_owned().await.ok()?;
        let (room, place) = (Arc::clone(room), Mutex::new(Some(place)));
        let (left, failed, back) = (AtomicUsize::new(QUESTIONS_MAX), Mutex::default(), tokio::sync::Mutex::default());
        Some(Arc::new(Self { left, failed, room, place, back }))
    }

    /// Waits for something else than a processor, and leaves its place to others meanwhile: keys that nobody answers for must not
    /// keep the answers of other zones waiting.
    pub(super) async fn aside<T>(&self, waiting: impl Future<Output = T>) -> T {
        drop(self.place().take());
        let outcome = waiting.await;
        // Of several that wait at a time one comes back first, for all.
        let _one = self.back.lock().await;
        if self.place().is_none() {
            let place = Arc::clone(&self.room).acquire_owned().await.ok();
            *self.place() = place;
        }
        outcome
    }

    fn place(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the first question that had no answer had none.
    pub(super) fn failed(&self) -> Option<UpstreamError> {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: UpstreamError) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// Whether one more question may be asked.
    pub(super) fn spend(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// Asks for the validator.
#[derive(Clone)]
pub(super) struct Handle {
    questions: Arc<dyn Questions>,
}

impl Handle {
    pub(super) fn new(questions: Arc<dyn Questions>) -> Self {
        Self { questions }
    }

    async fn answer(&self, ask: Ask) -> Result<DnsResponse, NetError> {
        let first = WORK.with(|work| (work.first.0 == ask).then(|| work.first.1.clone()));
        let above = if first.is_none() { name_above(&ask) } else { None };
        let message = match first {
            // Whether it denies anything is judged when its records are proven.
            Some(message) => message,
            None if self.questions.bars(&ask.name, ask.qtype) => return Err(NetError::Message("barred by policy")),
            None if !WORK.with(|work| work.rest.spend()) => {
                return Err(NetError::Message("too many questions for one answer"));
            }
            None => match WORK.with(|work| Arc::clone(&work.rest)).aside(self.questions.ask(ask)).await {
                Ok(message) => message,
                Err(error) => {
                    WORK.with(|work| work.rest.fail(error));
                    return Err(NetError::NoConnections);
                }
            },
        };
        let response = DnsResponse::from_buffer(message)?;
        if too_much_to_verify(&response) {
            return Err(NetError::Message("more keys or signatures than are looked at"));
        }
        if above.is_some_and(|above| is_denied_further_up(&above, &response)) {
            return Err(NetError::Message("another zone may be in between"));
        }
        Ok(response)
    }
}

impl DnsHandle for Handle {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        let (handle, ask) = (self.clone(), ask_of(&request));
        Box::pin(once(async move {
            match ask {
                Some(ask) => handle.answer(ask).await,
                None => Err(NetError::Message("no question")),
            }
        }))
    }
}

/// The name above one whose DS record is asked for.
fn name_above(ask: &Ask) -> Option<HickoryName> {
    let name = if ask.qtype == qtype::DS { hickory_name(&ask.name) } else { None };
    name.map(|name| name.base_name())
}

/// Whether a response says by NSEC3 that there is no DS record, and the zone that says so is further up than `above`, the name
/// above. Where such a zone has opted out, hickory 0.26.3 takes a hash that nothing stands at for enough, and there is one for
/// every name below a zone that is signed; what it would have to look for it has not got (RFC 5155 §8.6). Such names are looked
/// into by [`Validator::is_plain`](super::Validator).
fn is_denied_further_up(above: &HickoryName, response: &DnsResponse) -> bool {
    let further_up = |record: &Record| {
        let zone = record.name.base_name();
        record.record_type() == RecordType::NSEC3 && zone.zone_of(above) && zone != *above
    };
    let has_ds = response.answers.iter().any(|record| record.record_type() == RecordType::DS);
    !has_ds && response.authorities.iter().any(further_up)
}

/// What a request of the validator asks, as all its questions are asked: with DO and CD.
fn ask_of(request: &DnsRequest) -> Option<Ask> {
    let query = request.queries.first()?;
    let wire = query.name().to_lowercase().to_bytes().ok()?;
    let (name, _end) = LowerName::read(&wire, 0).ok()?;
    let (qtype, qclass) = (query.query_type().into(), query.query_class().into());
    Some(Ask { name: Name::from(&name), qtype, qclass, dnssec_ok: true, checking_disabled: true, subnet: None })
}

/// One of our names as one of hickory's.
pub(super) fn hickory_name(name: &Name) -> Option<HickoryName> {
    HickoryName::from_bytes(name.wire()).ok()
}
