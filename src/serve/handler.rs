//! The pipeline as hickory-server knows it: what a foreign server's listeners read passes here. What our own read enters by the
//! door. The clock is read here for those.

use async_trait::async_trait;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::{Header, HeaderCounts, Message, MessageType, Metadata, OpCode, ResponseCode};
use hickory_server::proto::rr::Record;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use crate::metrics::{DropReason, Family, Ledger, Tally};
use crate::time::Now;
use crate::wire::{Query, Transport, Unfit, rcode};

use super::client::Client;
use super::ending::Ending;
use super::guard::{Guard, View};
use super::hop::{Heard, Hop};
use super::next::Next;
use super::pipeline::{Embargo, is_limited};

#[async_trait]
impl<N: Next> RequestHandler for Embargo<N> {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, responder: R) -> ResponseInfo {
        let now = self.guard.now();
        let client = Client::new(request.src(), transport(request.protocol()));
        let family = Family::of(client.address());
        let mut ledger = self.guard.metrics().received(client.transport, family, now.mono);
        let ending = self.end(request.as_slice(), &client, &mut ledger, now).await;
        let Some((message, sent)) = ending.into_response(ledger) else { return info(request, ResponseCode::NoError) };
        let handed_on = hand_on(request, responder, &message).await;
        sent.end(if handed_on.is_some() { Ok(self.guard.now().mono) } else { Err(DropReason::SendFailure) });
        handed_on.unwrap_or_else(|| info(request, ResponseCode::ServFail))
    }
}

impl<N: Next> Embargo<N> {
    /// The end of one message, whether it is a query or not.
    pub(super) async fn end(&self, message: &[u8], client: &Client, ledger: &mut Ledger, now: Now) -> Ending {
        match Query::read(message) {
            Ok(query) => {
                ledger.asked(query.qtype);
                self.answer(&query, client, now).await
            }
            Err(unfit) => {
                let in_force = (&*self.guard, &self.guard.view());
                unfit_ending(ledger.tally(), in_force, message, unfit, client, now)
            }
        }
    }
}

/// The end of a message that is no query. Most get a header, which is no larger than they are, so that no limit is needed.
pub(super) fn unfit_ending(
    tally: &impl Tally,
    (guard, view): (&Guard, &View),
    message: &[u8],
    unfit: Unfit,
    client: &Client,
    now: Now,
) -> Ending {
    match unfit {
        Unfit::Short => Ending::Silence(DropReason::Short),
        Unfit::Response => Ending::Silence(DropReason::ResponseBit),
        // A primary need not be a client.
        Unfit::Opcode => {
            guard.notice(message, client).map_or_else(|| Ending::unfit(message, rcode::NOTIMP), Ending::zone)
        }
        Unfit::FormErr => Ending::unfit(message, rcode::FORMERR),
        Unfit::CookieOnly(_) if !view.admission.admits(client) => Ending::unfit(message, rcode::REFUSED),
        Unfit::CookieOnly(asked) => {
            let Heard { extras, client } = view.hop.hear(message, &asked, client, now);
            if is_limited(tally, view.rates.as_deref(), &client, now) {
                return Ending::unfit_truncated(message);
            }
            Ending::cookie_only(message, Hop::cookie_only(message, &asked, &client), &extras)
        }
    }
}

/// Gives octets to a foreign server's responder, which takes records only.
async fn hand_on<R: ResponseHandler>(request: &Request, mut responder: R, octets: &[u8]) -> Option<ResponseInfo> {
    let message = Message::from_vec(octets).ok()?;
    let records = |records: &[Record]| records.to_vec();
    let (answers, authorities, additionals) =
        (records(&message.answers), records(&message.authorities), records(&message.additionals));
    let response = MessageResponseBuilder::new(&request.queries, message.edns.as_ref()).build(
        message.metadata,
        answers.iter(),
        authorities.iter(),
        std::iter::empty(),
        additionals.iter(),
    );
    responder.send_response(response).await.ok()
}

/// What hickory's caller is told; it looks at nothing but the header.
fn info(request: &Request, code: ResponseCode) -> ResponseInfo {
    let mut metadata = Metadata::new(request.metadata.id, MessageType::Response, OpCode::Query);
    metadata.response_code = code;
    ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() })
}

fn transport(protocol: Protocol) -> Transport {
    match protocol {
        Protocol::Udp => Transport::Udp,
        _ => Transport::Tcp,
    }
}
