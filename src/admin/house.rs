//! The running server as handlers of the admin server ask it.

use std::path::Path;
use std::sync::Arc;

use super::caller::Rules;
use crate::access::Access;
use crate::audit::Author;
use crate::orders::{Answer, Request};
use crate::policy::Policy;
use crate::time::Now;

/// The running server. Every method may block: each is called on a thread that may.
pub trait House: Send + Sync + 'static {
    /// Does or tells what the command line can ask for as well, and returns when it is done.
    fn carry(&self, request: Request, author: Author) -> Answer;

    /// The moment. The clock is the server's.
    fn now(&self) -> Now;

    /// Where the record is, and the audit log.
    fn state_dir(&self) -> &Path;

    /// Who may use the admin server.
    fn access(&self) -> &Access;

    /// What is asked of those who come, as the configuration has it now.
    fn rules(&self) -> Arc<Rules>;

    /// The policy in force; `None`: none is, yet.
    fn policy(&self) -> Option<Arc<Policy>>;
}
