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
use super::ending::Ending;
use super::next::{Failure, Found, Next};

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
        let Some(Ending::Response { message, .. }) = capture.take() else { return Err(Failure::Silent) };
        let layout = Layout::read(&message).map_err(|_malformed| Failure::Refused)?;
        // Screened was the name that the client asked for, and an answer is cut to size by the length of its question.
        if (&layout.qname, layout.qtype) != (&query.name, query.qtype) {
            return Err(Failure::Refused);
        }
        let answer = Answer::keep(&message, &layout).map_err(|_malformed| Failure::Refused)?;
        let entry = Arc::new(Entry::unkept(answer, true, now.mono));
        Ok(Found { verbatim: Some(message), ..Found::kept(entry) })
    }
}

/// hickory's word for a transport.
fn protocol(transport: Transport) -> Protocol {
    match transport {
        Transport::Udp => Protocol::Udp,
        // The encrypted ones are features of hickory; what a handler sees of them is a stream.
        Transport::Tcp | Transport::Dot | Transport::Doh | Transport::Doq => Protocol::Tcp,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use async_trait::async_trait;
    use hickory_server::net::runtime::Time;
    use hickory_server::proto::op::Metadata;
    use hickory_server::server::{ResponseHandler, ResponseInfo};
    use hickory_server::zone_handler::MessageResponseBuilder;

    use super::*;
    use crate::time::Timestamp;

    const SHORT: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";
    const LONG: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x06longer\x07example\0\0\x01\0\x01";

    /// Answers the short question, whatever it is asked.
    struct Confused;

    #[async_trait]
    impl RequestHandler for Confused {
        async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut to: R) -> ResponseInfo {
            let other = Request::from_bytes(SHORT.to_vec(), request.src(), request.protocol()).unwrap();
            let response = MessageResponseBuilder::from_message_request(&other);
            let metadata = Metadata::response_from_request(&other.metadata);
            to.send_response(response.build(metadata, [], [], [], [])).await.unwrap()
        }
    }

    #[tokio::test]
    async fn an_answer_to_another_question_is_no_answer() {
        let client = Client::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)), Transport::Udp);
        let now = Now { wall: Timestamp::UNIX_EPOCH, mono: crate::time::Mono(0) };
        let ask =
            async |message| Wrapped::new(Confused).ask(&Query::read(message).unwrap(), &client, now).await.map(drop);
        assert_eq!(ask(SHORT).await, Ok(()));
        assert_eq!(ask(LONG).await, Err(Failure::Refused));
    }
}
