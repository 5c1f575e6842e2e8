//! The admin server's way to the parts.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, TryLockError};

use serde_json::Value;
use tokio::runtime::Handle;

use super::control::Carry as _;
use super::parts::Parts;
use super::reports::Making;
use super::settings;
use crate::access::Access;
use crate::admin::{Command, Desk, House, Rules};
use crate::audit::Author;
use crate::config;
use crate::identity::{Devices, Identifier};
use crate::orders::{Answer, Ran, Request};
use crate::policy::{Ban, Policy};
use crate::report::{Asked, ExceptionRow, Format};
use crate::time::{Day, Now};

/// What the admin server shows and asks. To be called within a tokio runtime.
pub(super) fn desk(parts: &Arc<Parts>) -> Desk {
    let (scrape, ready) = (Arc::clone(parts), Arc::clone(parts));
    let mut desk = Desk::new(Arc::clone(&parts.metrics), move || scrape.before_scrape(), move || ready.readiness());
    desk.tls.clone_from(&parts.admin_tls);
    desk.house = Some(Arc::new(Seen { parts: Arc::clone(parts), runtime: Handle::current() }));
    desk
}

/// The server as the admin server sees it.
struct Seen {
    parts: Arc<Parts>,
    runtime: Handle,
}

impl Seen {
    /// The command with what this server was started with.
    fn line(&self, command: &Command) -> Vec<String> {
        let (args, loaded) = (&self.parts.args, self.parts.loaded.load());
        let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
        let mut line = vec![command.verb.to_owned(), flag("state-dir", &self.parts.first.state_dir)];
        line.extend(loaded.file.as_ref().map(|file| flag("config", file)));
        if command.on_disk {
            line.extend(args.blocklists.as_ref().map(|directory| flag("blocklists", directory)));
        }
        if command.verb == "explain" {
            line.extend(args.list.iter().map(|list| flag("list", list)));
            line.extend(args.list_format.map(|format| format!("--list-format={}", format.as_str())));
        }
        line.extend(command.arguments.iter().cloned());
        line
    }
}

impl House for Seen {
    fn carry(&self, request: Request, author: Author) -> Answer {
        if !request.is_question() {
            tracing::info!(?request, by = author.by, "The admin server was asked.");
        }
        self.runtime.block_on(self.parts.carry(request, author))
    }

    fn now(&self) -> Now {
        self.parts.clock.now()
    }

    fn state_dir(&self) -> &Path {
        &self.parts.first.state_dir
    }

    fn access(&self) -> &Access {
        &self.parts.access
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.parts.loaded.load().settings.access.rules)
    }

    fn settings(&self) -> Value {
        settings::shown(&self.parts.loaded.load())
    }

    fn device(&self, identifiers: &[Identifier]) -> Option<String> {
        self.parts.devices.device(identifiers).map(|device| device.to_string())
    }

    fn held_by(&self, address: IpAddr) -> Option<String> {
        let devices = &self.parts.devices;
        let holder = devices.at(address, self.parts.clock.now().wall)?;
        Some(devices.device_of(&holder).to_string())
    }

    fn devices(&self) -> Arc<Devices> {
        Arc::clone(&self.parts.devices)
    }

    fn run(&self, command: &Command) -> Result<Ran, &'static str> {
        let verbs = self.parts.verbs.as_ref().ok_or("this process has no command line")?;
        let _one_at_a_time = match self.parts.running.try_lock() {
            Ok(alone) => alone,
            Err(TryLockError::Poisoned(alone)) => alone.into_inner(),
            Err(TryLockError::WouldBlock) => return Err("another one is being worked on; try again"),
        };
        Ok(verbs(&self.line(command), self.parts.clock.now().wall))
    }

    fn policy(&self) -> Option<Arc<Policy>> {
        self.parts.guard.in_force().map(|in_force| Arc::clone(&in_force.policy))
    }

    fn exceptions_of(&self, ban: &Ban) -> Vec<ExceptionRow> {
        self.parts.loaded.load().settings.exceptions_of(ban)
    }

    fn report(&self, ban: &Ban, asked: &Asked, site: Option<&str>, format: Format) -> Result<String, String> {
        let (loaded, policy) = (self.parts.loaded.load(), self.policy().ok_or("the lists are still being read")?);
        let (devices, today) = (&self.parts.devices, Day::of(self.parts.clock.now().wall));
        let making = Making { loaded: &loaded, policy: &policy, ban, devices, asked, site, today, by: None };
        let made = making.make(&[format]).map_err(|error| error.to_string())?;
        Ok(made.concat())
    }

    fn on_disk(&self) -> (Vec<String>, Option<Policy>) {
        let parts = &self.parts;
        match config::reload(&parts.args, &parts.first.environment, &parts.loaded.load()) {
            Ok((loaded, _papers)) => {
                let load = config::policy(&loaded.settings, 1);
                (load.diagnostics.iter().map(ToString::to_string).collect(), load.policy)
            }
            Err(mistakes) => (mistakes.iter().map(ToString::to_string).collect(), None),
        }
    }
}
