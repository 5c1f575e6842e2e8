//! A response caught as octets: how a foreign handler's answer is read before it is given out.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use hickory_server::net::NetError;
use hickory_server::proto::rr::Record;
use hickory_server::proto::serialize::binary::BinEncoder;
use hickory_server::server::{ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponse;

use super::ending::Ending;
use crate::metrics::Outcome;

/// Takes one response in place of a socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture {
    ending: Arc<Mutex<Option<Ending>>>,
}

impl Capture {
    /// Keeps how the query ended; the first word counts.
    fn put(&self, ending: Ending) {
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
