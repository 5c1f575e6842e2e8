//! Any hickory-server handler as the part behind the ban.

use hickory_server::net::runtime::TokioTime;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler};
use std::sync::Arc;

use crate::cache::{Entry, Lookup};
use crate::time::Now;
use crate::wire::{Answer, Layout, Query, Transport};

use super::capture::Capture;
use super::client::Client;
use super::next::{Failure, Found, Next};
use super::said::Said;

/// Asks another handler. Its response is passed on as it is, unless it leads to a banned name.
#[derive(Debug)]
pub struct Wrapped<H>(H);

impl<H: RequestHandler> Wrapped<H> {
    /// Wraps `handler`.
    pub fn new(handler: H) -> Self {
        Self(handler)
    }
}

impl<H: RequestHandler> Next for Wrapped<H> {
    /// Its own affair: a name server's handler answers queries without RD, a resolver's refuses them.
    fn forwards(&self) -> bool {
        false
    }

    /// Nothing: what the handler keeps is its own affair.
    fn known(&self, _query: &Query<'_>, _now: Now) -> Lookup {
        Lookup::Miss
    }

    async fn ask(&self, query: &Query<'_>, client: &Client, now: Now) -> Result<Found, Failure> {
        let request = Request::from_bytes(query.message.to_vec(), client.socket, protocol(client.transport))
            .map_err(|_unread_by_hickory| Failure::Refused)?;
        let capture = Capture::default();
        self.0.handle_request::<_, TokioTime>(&request, capture.clone()).await;
        let Some(Said::Response { message, .. }) = capture.take() else { return Err(Failure::Silent) };
        let answer = Layout::read(&message).and_then(|layout| Answer::keep(&message, &layout));
        let entry = Arc::new(Entry::unkept(answer.map_err(|_malformed| Failure::Refused)?, now.mono));
        Ok(Found { entry, verbatim: Some(message) })
    }
}

/// hickory's word for a transport.
pub(super) fn protocol(transport: Transport) -> Protocol {
    match transport {
        Transport::Udp => Protocol::Udp,
        // The encrypted ones are features of hickory; what a handler sees of them is a stream.
        Transport::Tcp | Transport::Dot | Transport::Doh | Transport::Doq => Protocol::Tcp,
    }
}
