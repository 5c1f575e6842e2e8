//! Settings: what was written, then what is meant.
//!
//! [`load`] reads `embargo.toml` and the flags into [`Settings`]; [`policy`] reads the ban folders and lists that they name
//! into a [`Policy`](crate::policy::Policy). Each gathers **all** mistakes and then stops. `run`, `check`, `explain`
//! and a reload take the same two steps.
//!
//! Leaves applying settings to [`app`](crate::app). The only user of `toml`.

mod access;
mod advice;
mod at;
mod ban;
mod block_page;
mod circle;
mod convert;
mod dnssec;
mod disk;
mod encrypted;
mod exemption;
mod export;
mod file;
mod further;
mod hop;
mod intake;
mod last_good;
mod leases;
mod list;
mod local;
mod logged;
mod own;
mod place;
mod policy;
mod privacy;
mod process;
mod rate_limit;
mod reader;
mod refused;
mod report;
mod settings;
mod sink;
mod stance;
mod suggest;
mod tail;
mod tls;
mod tried;
mod trust;
mod units;
mod unreadable;
mod webhook;
mod who;
mod written;
mod zone;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use access::AccessSettings;
pub use advice::advice;
pub use at::At;
pub use ban::{BanChange, Change};
pub use block_page::BlockPageSettings;
pub use disk::{Origin, ReadError};
pub use exemption::FileExemption;
pub use export::{ExportSettings, KeyFile};
pub use further::{Elsewhere, ListFile, Subscribed, Way};
pub use last_good::{LastGoodError, SavedList, last_good, last_good_list, save, saved_bans, saved_list};
pub use leases::{AssetFile, AssetsRead, LeaseFile, LeasesRead};
pub use list::{Judged, ListRead, file_digest, judge_list, list_policy, read_list, survey_list};
pub use local::{LocalLoad, local};
pub use logged::{LogFormat, LogSettings};
pub use place::{CONFIG_FILES, Environment, state_dir};
pub use policy::{LoadedFile, PolicyLoad, policy, policy_about};
pub use process::ProcessSettings;
pub use rate_limit::RateLimitSettings;
pub use report::{Every, ReportSettings};
pub use settings::{
    Allowed, Blocklists, CacheSettings, DEFAULT_LISTEN, DnssecSettings, EncryptedSettings, ForwardSettings,
    HopSettings, JournalSettings, LocalSettings, Reading, Settings, TcpSettings, TlsSettings, UpstreamSettings,
};
pub use sink::SinkSettings;
pub(crate) use suggest::nearest_first;
pub use tail::Tail;
pub use tried::{ListTried, Read, Wanting};
pub use unreadable::Unreadable;
pub use zone::ZoneList;

use crate::diag::{Diagnostic, Severity, Source};
use crate::digest::hex_digest;
use crate::policy::{ListFormat, Strictness};
use crate::tls::{Identity, Trust};
use crate::upstream::{UpstreamSpec, Validation};

/// Octets of a configuration at most.
const CONFIG_MAX: u64 = 1 << 20;

/// What the command line says; it overrides the file. Texts are as typed: they are read here, as those of the file are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    /// `--config FILE`.
    pub config: Option<PathBuf>,
    /// `--listen ADDR`, instead of the file's.
    pub listen: Vec<String>,
    /// `--admin ADDR`, or `off`.
    pub admin: Option<String>,
    /// `--upstream SPEC`, instead of the file's.
    pub upstream: Vec<String>,
    /// `--state-dir DIR`.
    pub state_dir: Option<PathBuf>,
    /// `--blocklists DIR`.
    pub blocklists: Option<PathBuf>,
    /// `--list FILE`, beside the file's.
    pub list: Vec<PathBuf>,
    /// `--list-format FORMAT`, of those lists.
    pub list_format: Option<ListFormat>,
    /// `--workers N`.
    pub workers: Option<NonZeroUsize>,
}

/// A configuration in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What it says, flags included.
    pub settings: Settings,
    /// The file; `None`: the embedded default.
    pub file: Option<PathBuf>,
    /// SHA-256 of that file's octets, in hexadecimal.
    pub digest: Option<String>,
    /// The state directory.
    pub state_dir: PathBuf,
    /// As whom clients are shown this server.
    pub identity: Option<Identity>,
    /// As whom those are shown it who come to the block page.
    pub block_page: Option<Identity>,
    /// As whom those who come to the admin server are shown it.
    pub admin_identity: Option<Identity>,
    /// What answers are validated by, if they are.
    pub validation: Option<Validation>,
    /// Whom encrypted upstreams must be vouched for by, and as whom we show ourselves to them.
    pub trust: Trust,
    /// The surroundings that it was read in.
    pub environment: Environment,
}

impl Loaded {
    /// Files and directories whose change should make the server reload.
    pub fn watched(&self) -> Vec<PathBuf> {
        let blocklists = match &self.settings.blocklists {
            Blocklists::Embedded => None,
            Blocklists::Directory(path) => Some(path.value.clone()),
        };
        let secrets = self.settings.hop.cookie_secret_file.iter().map(|path| path.value.clone());
        let lists = self.settings.lists.iter().filter_map(ListFile::watched);
        let tls = self.settings.tls.iter().chain(&self.settings.block_page.tls).chain(&self.settings.access.tls);
        let tls = tls.flat_map(|files| [&files.certificate, &files.key]);
        let tls = tls.map(|path| path.value.clone());
        let hosts = self.settings.local.hosts.iter().map(|hosts| hosts.value.clone());
        let anchors = self.settings.dnssec.trust_anchors.iter().map(|path| path.value.clone());
        let trust = self.settings.upstream.trust.paths().cloned();
        let keys = self.settings.exports.iter().filter_map(|export| export.key_file.as_ref());
        let keys = keys.map(|file| file.path.value.clone());
        let beside = blocklists.into_iter().chain(secrets).chain(lists).chain(tls).chain(hosts);
        let sinks = self.settings.sinks.iter().flat_map(SinkSettings::paths).cloned();
        let beside = beside.chain(anchors).chain(trust).chain(keys).chain(sinks);
        self.file.iter().cloned().chain(beside).collect()
    }

    /// Files whose change may mean that others hold addresses.
    pub fn lease_files(&self) -> Vec<PathBuf> {
        let assets = self.settings.assets.iter().map(|file| file.path.value.clone());
        self.settings.leases.iter().flat_map(LeaseFile::watched).chain(assets).collect()
    }

    /// Files whose change may mean other servers of the system; none where these are not asked.
    pub fn network_files(&self) -> Vec<PathBuf> {
        let forwards = self.settings.forwards.iter().flat_map(|forward| &forward.servers.value);
        let upstream = &self.settings.upstream;
        let mut specs = upstream.servers.iter().chain(&upstream.bootstrap).chain(forwards);
        if !specs.any(|spec| *spec == UpstreamSpec::System) {
            return Vec::new();
        }
        // One that is gone for a moment comes back; a directory that is not there belongs to a program that is not.
        let may_be_there = |path: &&PathBuf| path.exists() || path.parent().is_some_and(Path::is_dir);
        // What is written anew is often what a link leads to, in another directory.
        let files = self.environment.resolv_conf.iter();
        let both = |path: &PathBuf| std::iter::once(path.clone()).chain(path.canonicalize().ok());
        let mut files: Vec<PathBuf> = files.filter(may_be_there).flat_map(both).collect();
        files.sort();
        files.dedup();
        files
    }
}

/// What `check` finds.
#[derive(Debug)]
pub struct Checked {
    /// The configuration, unless it has a mistake.
    pub loaded: Option<Loaded>,
    /// The bans and lists, with their mistakes.
    pub policy: PolicyLoad,
    /// The mistakes of the configuration and the hosts file.
    pub mistakes: Vec<Diagnostic>,
}

/// Reads the configuration and lays the flags over it.
///
/// # Errors
/// Every mistake in the file and the flags.
pub fn load(args: &Args, environment: &Environment) -> Result<Loaded, Vec<Diagnostic>> {
    let Gathered { loaded, papers, mistakes, .. } = gather(args, environment);
    match loaded {
        Some(loaded) if papers.is_empty() => Ok(loaded),
        _ => Err([mistakes, papers].concat()),
    }
}

/// Reads it again while `before` is in force. Certificates and keys that can't be read, as when they are being renewed, keep
/// nobody else out: those before stay, and their mistakes are returned beside the configuration.
///
/// # Errors
/// Every other mistake, these included.
pub fn reload(
    args: &Args,
    environment: &Environment,
    before: &Loaded,
) -> Result<(Loaded, Vec<Diagnostic>), Vec<Diagnostic>> {
    let Gathered { loaded, papers, mistakes, .. } = gather(args, environment);
    let Some(mut loaded) = loaded else { return Err([mistakes, papers].concat()) };
    if let Some(file) = loaded.file.as_deref().filter(|file| before.file.as_deref() == Some(*file) && is_blank(file)) {
        let what = "is empty, as it is while it is being saved: nothing of it is taken over; if that is meant, write a comment";
        return Err(vec![Diagnostic::whole(Severity::Error, file.display().to_string(), what)]);
    }
    if !papers.is_empty() {
        (loaded.identity, loaded.trust) = (before.identity.clone(), before.trust.clone());
        loaded.block_page.clone_from(&before.block_page);
        tls::learn_names(&mut loaded.settings, loaded.identity.as_ref());
        loaded.admin_identity.clone_from(&before.admin_identity);
    }
    Ok((loaded, papers))
}

/// Whether a file has nothing in it.
fn is_blank(file: &Path) -> bool {
    std::fs::read(file).is_ok_and(|octets| octets.trim_ascii().is_empty())
}

/// Reads everything, lists included, whatever mistakes stand before them.
pub fn check(args: &Args, environment: &Environment) -> Checked {
    let Gathered { loaded, settings, papers, mut mistakes } = gather(args, environment);
    let loaded = loaded.filter(|_read| papers.is_empty());
    mistakes.extend(papers);
    mistakes.extend(local(&settings).diagnostics);
    Checked { loaded, policy: policy(&settings, 0), mistakes }
}

/// A configuration as far as it is right.
struct Gathered {
    /// The whole, but for certificates and keys that can't be read, if there is no other mistake.
    loaded: Option<Loaded>,
    settings: Settings,
    /// The mistakes of certificates and keys.
    papers: Vec<Diagnostic>,
    /// All others.
    mistakes: Vec<Diagnostic>,
}

fn gather(args: &Args, environment: &Environment) -> Gathered {
    let file = environment.config_file(args);
    let (digest, mut settings, mut mistakes) = file.as_deref().map_or_else(Default::default, read);
    lay_over(&mut settings, args, &mut mistakes);
    hop::read_secrets(&mut settings.hop, &mut mistakes);
    export::read_keys(settings.key_files(), &mut mistakes);
    let validation = dnssec::validation(&settings.dnssec, &mut mistakes);
    let state_dir = state_dir(args.state_dir.as_deref(), settings.state_dir.as_deref(), environment);
    if state_dir.is_none() {
        let message = "no state directory is known; give one, or set STATE_DIRECTORY or HOME";
        mistakes.push(Diagnostic::whole(Severity::Error, "--state-dir", message));
    }
    let mut papers = Vec::new();
    let identity = if mistakes.is_empty() { tls::identity(&mut settings, &mut papers) } else { None };
    let block_page = if mistakes.is_empty() { tls::of_block_page(&settings, &mut papers) } else { None };
    let admin_identity = settings.access.tls.as_ref().filter(|_files| mistakes.is_empty());
    let admin_identity = admin_identity.and_then(|files| tls::pair(&files.certificate, &files.key, &mut papers));
    let trust = settings.upstream.trust.read(&mut papers);
    sink::complete(&mut settings.sinks, &mut mistakes);
    further::complete(&mut settings.lists, state_dir.as_deref(), &mut mistakes);
    mistakes.extend(circle::mistakes(&settings));
    let state_dir = state_dir.filter(|_known| mistakes.is_empty());
    let loaded = state_dir.map(|state_dir| Loaded {
        settings: settings.clone(),
        file,
        digest,
        state_dir,
        identity,
        block_page,
        admin_identity,
        validation,
        trust,
        environment: environment.clone(),
    });
    Gathered { loaded, settings, papers, mistakes }
}

/// The digest and the settings of a file; the defaults beside its mistake when it can't be read at all.
fn read(path: &Path) -> (Option<String>, Settings, Vec<Diagnostic>) {
    let name: Arc<str> = path.display().to_string().into();
    let octets = match (Origin::File(path.to_path_buf())).read(CONFIG_MAX) {
        Ok(octets) => octets,
        Err(error) => {
            let mistake = Diagnostic::whole(Severity::Error, name, error.to_string());
            return (None, Settings::default(), vec![mistake]);
        }
    };
    let digest = Some(hex_digest(&octets));
    let (settings, mistakes) = match String::from_utf8(octets) {
        Ok(text) => convert::settings(&Source::new(name, text), path.parent().unwrap_or(Path::new(""))),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let source = Source::new(name, String::from_utf8_lossy(error.as_bytes()).into_owned());
            (Settings::default(), vec![source.error(at..at + 1, "is not UTF-8 from here")])
        }
    };
    (digest, settings, mistakes)
}

/// Flags over settings; a mistake in a flag points into what was typed.
fn lay_over(settings: &mut Settings, args: &Args, mistakes: &mut Vec<Diagnostic>) {
    if !args.listen.is_empty() {
        settings.listen = flags("--listen", &args.listen, convert::listen, mistakes);
    }
    if let Some(admin) = &args.admin {
        let read: Vec<Option<SocketAddr>> =
            flags("--admin", std::slice::from_ref(admin), convert::admin_address, mistakes);
        settings.admin = read.first().copied().flatten();
    }
    if !args.upstream.is_empty() {
        let read = convert::upstream_spec(!settings.upstream.bootstrap.is_empty());
        settings.upstream.servers = flags("--upstream", &args.upstream, read, mistakes);
    }
    if let Some(directory) = &args.blocklists {
        settings.blocklists = Blocklists::Directory(typed("--blocklists", directory));
    }
    let reading = Reading { format: args.list_format, strictness: Strictness::Lenient };
    let lists = args.list.iter().map(|path| ListFile::new(typed("--list", path), reading));
    settings.lists.extend(lists);
    settings.workers = args.workers.or(settings.workers);
}

/// A path with its place on the command line.
fn typed(flag: &str, path: &Path) -> At<PathBuf> {
    let source = Source::new(flag, path.display().to_string());
    At::new(path.to_path_buf(), &source, 0..source.text.len())
}

fn flags<T>(
    flag: &str,
    texts: &[String],
    read: impl Fn(&str) -> Result<T, Unreadable>,
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<T> {
    let mut values = Vec::new();
    for text in texts {
        match read(text) {
            Ok(value) => values.push(value),
            Err(error) => mistakes.push(Source::new(flag, text.as_str()).error(0..text.len(), error.to_string())),
        }
    }
    values
}

#[cfg(test)]
mod tests;
