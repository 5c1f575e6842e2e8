//! Flags that several verbs take, and what they come to.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;

use super::console::Console;
use super::failure::{Failure, Usage};
use super::when::When;
use crate::config::{self, PolicyLoad};
use crate::policy::{Evidence, ListFormat, Policy};

const UPSTREAM_HELP: &str = "Servers to forward to: system, 192.0.2.1, [2001:db8::1]:53, tcp://192.0.2.1, tls://192.0.2.1#dns.example, \
                             https://192.0.2.1/dns-query#dns.example, quic://192.0.2.1#dns.example";

/// Settings that stand above those of the configuration: the flags of `run` and `check`.
#[derive(Clone, Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Settings (each overrides the configuration)")]
pub(super) struct Settings {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Addresses to serve DNS on, UDP and TCP, for example 192.0.2.53:53
    #[arg(long, value_name = "ADDR", num_args = 1..)]
    listen: Vec<String>,
    /// Address of the admin HTTP server, or `off`
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    #[arg(long, value_name = "SPEC", num_args = 1.., help = UPSTREAM_HELP)]
    upstream: Vec<String>,
    /// Directory of the record and of the control socket
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Directory of the ban folders, instead of the shipped ones
    #[arg(long, value_name = "DIR")]
    blocklists: Option<PathBuf>,
    /// Lists, each enforced as a ban of its own named after the file
    #[arg(long, value_name = "FILE", num_args = 1..)]
    list: Vec<PathBuf>,
    /// The format of those lists; by default their first lines tell
    #[arg(long, value_name = "FORMAT", requires = "list", value_parser = one_of(ListFormat::ALL, ListFormat::as_str))]
    list_format: Option<ListFormat>,
    /// Threads that read UDP, by default one for each processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
}

impl Settings {
    /// What the configuration is loaded with.
    pub(super) fn args(&self) -> config::Args {
        config::Args {
            config: self.config.clone(),
            listen: self.listen.clone(),
            admin: self.admin.clone(),
            upstream: self.upstream.clone(),
            state_dir: self.state_dir.clone(),
            blocklists: self.blocklists.clone(),
            list: self.list.clone(),
            list_format: self.list_format,
            workers: self.workers.and_then(|workers| NonZeroUsize::new(workers.into())),
        }
    }
}

/// Which bans and lists to look at: those on disk, whether a server runs with them or not.
#[derive(Clone, Debug, Default, Args)]
#[group(skip)]
pub(super) struct OnDisk {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the ban folders, instead of the configured ones
    #[arg(long, value_name = "DIR")]
    blocklists: Option<PathBuf>,
    /// A list beside the configured ones, enforced as a ban of its own; may be given several times
    #[arg(long, value_name = "FILE")]
    list: Vec<PathBuf>,
    /// The format of those lists; by default their first lines tell
    #[arg(long, value_name = "FORMAT", requires = "list", value_parser = one_of(ListFormat::ALL, ListFormat::as_str))]
    list_format: Option<ListFormat>,
}

impl OnDisk {
    /// The settings, what came of loading the policy, and the policy.
    ///
    /// # Errors
    /// Their mistakes.
    pub(super) fn load(&self, console: &Console<'_>) -> Result<(config::Settings, PolicyLoad, Policy), Failure> {
        self.load_by(console, |settings| config::policy(settings, 1))
    }

    /// The same by some way to load the policy.
    ///
    /// # Errors
    /// The same.
    pub(super) fn load_by(
        &self,
        console: &Console<'_>,
        load: impl FnOnce(&config::Settings) -> PolicyLoad,
    ) -> Result<(config::Settings, PolicyLoad, Policy), Failure> {
        let args = config::Args {
            config: self.config.clone(),
            blocklists: self.blocklists.clone(),
            list: self.list.clone(),
            list_format: self.list_format,
            ..config::Args::default()
        };
        // Only lists from elsewhere are read there, so a machine without a place for state is no reason to fail.
        let home = console.environment.home.clone().or_else(|| Some("/".into()));
        let environment = config::Environment { home, ..console.environment.clone() };
        let settings = config::load(&args, &environment).map_err(Failure::Mistakes)?.settings;
        let mut load = load(&settings);
        let Some(policy) = load.policy.take() else { return Err(Failure::Mistakes(load.diagnostics)) };
        Ok((settings, load, policy))
    }
}

/// Which state directory: that of the server that is asked, or whose record is read.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct State {
    /// State directory of the server; with it the configuration is not read
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Configuration file that names the state directory
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl State {
    /// The directory.
    ///
    /// # Errors
    /// The mistakes of the configuration, when it must be read for it.
    pub(super) fn directory(&self, console: &Console<'_>) -> Result<PathBuf, Failure> {
        // A broken configuration must not stand between an operator and the record.
        if let Some(directory) = &self.state_dir {
            return Ok(directory.clone());
        }
        Ok(self.loaded(console)?.state_dir)
    }

    /// The configuration that a server with this state directory would have.
    ///
    /// # Errors
    /// Its mistakes.
    pub(super) fn loaded(&self, console: &Console<'_>) -> Result<config::Loaded, Failure> {
        let (config, state_dir) = (self.config.clone(), self.state_dir.clone());
        let args = config::Args { config, state_dir, ..config::Args::default() };
        config::load(&args, &console.environment).map_err(Failure::Mistakes)
    }
}

/// Which rows of the record; every flag narrows.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct Rows {
    /// Only this ban, by its id
    #[arg(long, value_name = "ID")]
    pub(super) ban: Option<String>,
    /// Only this client
    #[arg(long, value_name = "IP")]
    pub(super) client: Option<IpAddr>,
    /// Only what was last seen since then: 2024-09-29 (00:00 UTC), 2024-09-29T06:00:00Z, or 24h, 7d for so long ago
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<When>,
    /// Only what was first seen until then
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<When>,
    /// Only this evidence
    #[arg(long, value_name = "GRADE", value_parser = one_of(Evidence::ALL, Evidence::as_str))]
    pub(super) evidence: Option<Evidence>,
    /// At most so many rows, the newest; by default 100 in a table and all in JSON
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: Option<u32>,
}

/// A ban that nobody has is a mistake: an empty answer would be taken for one.
///
/// # Errors
/// It names those that there are.
pub(super) fn known_bans(policy: &Policy, wanted: &[String]) -> Result<(), Failure> {
    let ids: Vec<&str> = policy.bans().iter().map(|ban| &*ban.id).collect();
    let Some(unknown) = wanted.iter().find(|ban| !ids.contains(&ban.as_str())) else { return Ok(()) };
    let message = format!("unknown ban `{unknown}`; known bans: {}\n", ids.join(", "));
    Err(Failure::Usage(Usage(Box::new(clap::Error::raw(ErrorKind::InvalidValue, message)))))
}

/// One of a set of words, so that `--help` lists them.
pub(super) fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    all: [T; N],
    as_str: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let words = PossibleValuesParser::new(all.map(as_str));
    words.try_map(move |word| all.into_iter().find(|value| as_str(*value) == word).ok_or("no such word"))
}
