//! The running server as handlers of the admin server ask it.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::caller::Rules;
use crate::access::Access;
use crate::audit::Author;
use crate::identity::{Devices, Identifier};
use crate::orders::{Answer, Ran, Request};
use crate::policy::{Ban, Policy};
use crate::report::{Asked, ExceptionRow, Format};
use crate::time::Now;

/// A command of the command line.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its name.
    pub verb: &'static str,
    /// Whether it takes lists and ban folders as the server was started with.
    pub on_disk: bool,
    /// Flags as `--flag=value`, then what stands alone.
    pub arguments: Vec<String>,
}

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

    /// The settings in force, for programs.
    fn settings(&self) -> Value;

    /// What tells the device best that has these identifiers.
    fn device(&self, identifiers: &[Identifier]) -> Option<String>;

    /// What tells the device best that holds an address now.
    fn held_by(&self, address: IpAddr) -> Option<String>;

    /// Who is who.
    fn devices(&self) -> Arc<Devices>;

    /// Runs a command of the command line with these arguments, about this server's configuration and state.
    ///
    /// # Errors
    /// Why it can't be run now.
    fn run(&self, command: &Command) -> Result<Ran, &'static str>;

    /// The policy in force; `None`: none is, yet.
    fn policy(&self) -> Option<Arc<Policy>>;

    /// Exemptions of the configuration that could spare somebody this ban.
    fn exceptions_of(&self, ban: &Ban) -> Vec<ExceptionRow>;

    /// A report about a ban of the policy in force, sealed; `site`: of that one alone.
    ///
    /// # Errors
    /// Why there is none.
    fn report(&self, ban: &Ban, asked: &Asked, site: Option<&str>, format: Format) -> Result<String, String>;

    /// Every mistake in the files on the disk as they are now, and what would be in force by them.
    fn on_disk(&self) -> (Vec<String>, Option<Policy>);
}
