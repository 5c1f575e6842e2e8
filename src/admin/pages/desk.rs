//! What a page reads: the record, the policy in force, the running server, and who looks.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::Value;

use super::memo::Memo;
use super::trouble::Trouble;
use crate::access::Scope;
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::ran::{self, Passing};
use crate::admin::{Command, House, Room};
use crate::audit::Author;
use crate::identity::Devices;
use crate::journal::Store;
use crate::orders::{Answer, Request};
use crate::policy::{Ban, Policy};
use crate::report::{Asked, ExceptionRow, Format, SigningKey};
use crate::time::Timestamp;

/// What a page reads.
pub(super) struct Desk<'r> {
    house: &'r dyn House,
    pub(super) memo: &'r Arc<Memo>,
    call: &'r Call,
}

impl<'r> Desk<'r> {
    /// For one request.
    ///
    /// # Errors
    /// There is no server behind this.
    pub(super) fn of(room: &'r Room, call: &'r Call) -> Result<Self, Problem> {
        Ok(Self { house: room.house()?, memo: &room.memo, call })
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.house.now().wall
    }

    /// The record as it is now.
    pub(super) fn store(&self) -> Result<Store, Trouble> {
        Ok(Store::open_read_only(self.state_dir())?)
    }

    /// Where it is.
    pub(super) fn state_dir(&self) -> &Path {
        self.house.state_dir()
    }

    /// The policy in force.
    pub(super) fn policy(&self) -> Option<Arc<Policy>> {
        self.house.policy()
    }

    /// How the server is, as `embargo status --json` says it.
    pub(super) fn status(&self) -> Value {
        match self.house.carry(Request::Status, Author::default()) {
            Answer::Done(status) => status,
            Answer::Failed(_) | Answer::Wrong(_) => Value::Null,
        }
    }

    /// Who is who.
    pub(super) fn devices(&self) -> Arc<Devices> {
        self.house.devices()
    }

    /// The name that stands now for the device that the record calls so.
    pub(super) fn device_now(&self, recorded: &str) -> String {
        let known = recorded.parse().ok().and_then(|identifier| self.house.device(&[identifier]));
        known.unwrap_or_else(|| recorded.to_owned())
    }

    /// The device that holds an address now.
    pub(super) fn held_by(&self, address: IpAddr) -> Option<String> {
        self.house.held_by(address)
    }

    /// What a change would do, as `embargo preview --json` says it: by these flags, and by a list.
    pub(super) fn preview(&self, flags: &[String], list: Option<&str>) -> Result<Value, Trouble> {
        let passing = list.map(|list| Passing::new(self.house, list)).transpose().map_err(told)?;
        let flags = flags.iter().cloned().chain(passing.as_ref().map(Passing::flag));
        let arguments = std::iter::once("--json".to_owned()).chain(flags).collect();
        ran::json(self.house, &Command { verb: "preview", on_disk: true, arguments }).map_err(told)
    }

    /// Exemptions of the configuration that could spare somebody this ban.
    pub(super) fn configured(&self, ban: &Ban) -> Vec<ExceptionRow> {
        self.house.exceptions_of(ban)
    }

    /// A report about a ban, sealed.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn report(
        &self,
        ban: &Ban,
        asked: &Asked,
        site: Option<&str>,
        format: Format,
    ) -> Result<String, String> {
        self.house.report(ban, asked, site, format)
    }

    /// The key that signs reports. One that others can read is as good as none.
    pub(super) fn key(&self) -> Option<SigningKey> {
        SigningKey::of(self.state_dir()).ok().flatten()
    }

    /// Every mistake in the files on the disk as they are now, and what would be in force by them.
    pub(super) fn on_disk(&self) -> (Vec<String>, Option<Policy>) {
        self.house.on_disk()
    }

    /// Who looks, where somebody has shown who they are.
    pub(super) fn who(&self) -> Option<&str> {
        self.call.caller.by.as_deref()
    }

    /// What forms have to send along.
    pub(super) fn csrf(&self) -> Option<&str> {
        self.call.caller.csrf.as_deref()
    }

    /// Whether whoever looks may do that by a form.
    pub(super) fn may(&self, scope: Scope) -> bool {
        self.csrf().is_some() && self.call.caller.scopes.allow(scope)
    }
}

/// Why a command has printed nothing.
fn told(problem: Problem) -> Trouble {
    match problem.status {
        StatusCode::UNPROCESSABLE_ENTITY => Trouble::Wrong(problem.detail),
        _ => Trouble::File(problem.detail),
    }
}
