//! A response caught as octets: how our own listeners get from a handler what they send, and how a foreign handler's answer
//! is read before it is given out.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use hickory_server::net::NetError;
use hickory_server::proto::rr::Record;
use hickory_server::proto::serialize::binary::BinEncoder;
use hickory_server::server::{ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponse;

use super::client::Client;
use super::ending::Ending;
use crate::metrics::Outcome;

/// Takes one response in place of a socket.
#[derive(Clone, Debug)]
pub(super) struct Capture {
    /// Who asks: hickory's `Request` knows its address, and not how it came.
    pub(super) client: Client,
    ending: Arc<Mutex<Option<Ending>>>,
}

impl Capture {
    /// For a query of `client`.
    pub(super) fn of(client: Client) -> Self {
        Self { client, ending: Arc::default() }
    }

    /// Keeps how the query ended; the first word counts.
    pub(super) fn put(&self, ending: Ending) {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(ending);
    }

    /// How the query ended, if anything was said.
    pub(super) fn take(&self) -> Option<Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait]
impl ResponseHandler for Capture {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let mut message = Vec::with_capacity(512);
        let info = response.destructive_emit(&mut BinEncoder::new(&mut message))?;
        let rcode = u16::from(info.response_code);
        self.put(Ending::Response { message, outcome: Outcome::Forwarded, rcode });
        Ok(info)
    }
}
