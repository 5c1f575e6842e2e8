//! Giving up what the process does not need: root, once the sockets are bound, and all files but its own.
//!
//! Before the first thread: what is made later inherits it.

use std::fs::DirBuilder;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::handover::Before;
use super::{Failure, bind, map, state_dir};
use crate::config::{self, Args, Loaded, Settings};
use crate::confine::{ConfineError, Confined, Identity, confine_files, is_root};
use crate::intake::IntakeDoor;
use crate::serve::LOOK_UP;
use crate::sinks::SinkKind;
use crate::socket;

/// Read by the C library, by what tells of the system's name servers, and by the process about itself.
const READ: [&str; 10] =
    ["/etc", "/usr", "/lib", "/lib64", "/proc", "/sys", "/run", "/dev/null", "/dev/urandom", "/nix/store"];
/// Written by the store while it sorts more than fits in memory, or is written anew; and where `TMPDIR` says.
const WRITTEN: [&str; 2] = ["/tmp", "/var/tmp"];

/// Confines the process as its settings have it. Returns the configuration as the process can read it then.
///
/// # Errors
/// [`Failure`] that says what is missing: nothing is served with more rights than it was to have.
pub(super) fn enter(args: &Args, loaded: Loaded, before: &mut Before) -> Result<Loaded, Failure> {
    let process = loaded.settings.process.clone();
    let cannot = |error: ConfineError| Failure::Cannot(error.to_string());
    let mut dropped = false;
    if let Some(user) = &process.user {
        let identity = Identity::find(user, process.group.as_deref()).map_err(cannot)?;
        if is_root() {
            bind_all(&loaded.settings, before)?;
            identity.own(&loaded.state_dir).map_err(cannot)?;
            // Only root may raise it further; what could not be raised is said where it is shared out.
            drop(rlimit::increase_nofile_limit(u64::MAX));
            identity.take().map_err(cannot)?;
            tracing::info!(user = identity.name(), "The sockets are bound, and root is given up.");
            dropped = true;
        } else if !identity.is_current() {
            tracing::warn!(user = identity.name(), "Only root can become another user; this process stays who it is.");
        }
    }
    if !process.landlock.unwrap_or(dropped) && !dropped {
        return Ok(loaded);
    }
    if process.landlock.unwrap_or(dropped) {
        // They have to be there to be allowed.
        state_dir::make(&loaded.state_dir)?;
        for report in &loaded.settings.reports {
            // One that can't be made now is told of when there is a report to put there.
            drop(DirBuilder::new().recursive(true).mode(0o700).create(&report.directory));
        }
        let (read, written) = (read(&loaded), written(&loaded));
        match confine_files(&read, &written).map_err(cannot)? {
            Confined::By { abi } => {
                tracing::info!(abi, ?read, ?written, "Access to files is confined to these by the kernel (Landlock).");
            }
            Confined::Not => tracing::warn!("This kernel confines no access to files: it has no Landlock."),
        }
    }
    // What could be read until now may be out of reach, and then a reload would fail where nobody looks.
    let environment = loaded.environment;
    config::load(args, &environment).map_err(|mistakes| {
        tracing::error!("With the rights that are left, the configuration and its files can't be read.");
        Failure::Mistakes(mistakes)
    })
}

/// Binds what is listened on, but for what was handed over, and holds it until it is read.
fn bind_all(settings: &Settings, before: &mut Before) -> Result<(), Failure> {
    let (dns, encrypted, page) = (&settings.listen, &settings.encrypted, &settings.block_page);
    let held = before.held.left();
    // The system chooses a port that needs no privilege.
    let is_new = |address: &&std::net::SocketAddr| address.port() != 0 && !held.contains(address);
    let streams = dns.iter().chain(&encrypted.listen_tls).chain(&encrypted.listen_https).chain(&encrypted.listen_http);
    let streams = streams.chain(&settings.admin).chain(&page.http).chain(&page.https);
    let streams =
        streams.filter(is_new).map(|&address| (address, socket::tcp(address).map(|tcp| vec![OwnedFd::from(tcp)])));
    let workers = map::workers(settings);
    let datagrams = dns.iter().filter(is_new).map(|&address| {
        let sockets = socket::udp(address, workers, LOOK_UP);
        (address, sockets.map(|all| all.into_iter().map(OwnedFd::from).collect::<Vec<_>>()))
    });
    let quic = encrypted.listen_quic.iter().filter(is_new);
    let quic = quic.map(|&address| (address, socket::plain_udp(address).map(|udp| vec![OwnedFd::from(udp)])));
    for (address, bound) in streams.chain(datagrams).chain(quic) {
        match bound {
            Ok(sockets) => {
                for socket in sockets {
                    let kept = before.held.add(socket);
                    kept.map_err(|error| Failure::Cannot(bind::explain(address, &error)))?;
                }
            }
            // It is left out when its turn comes.
            Err(error) if settings.listen_is_optional(address) && bind::missing(&error) => (),
            Err(error) => return Err(Failure::Cannot(bind::explain(address, &error))),
        }
    }
    Ok(())
}

/// The folders of every file that the configuration names, since files are exchanged in their folders, and what links in them
/// lead to.
fn read(loaded: &Loaded) -> Vec<PathBuf> {
    let own = loaded.watched().into_iter().chain(loaded.lease_files()).chain(loaded.network_files());
    let real = |path: PathBuf| [path.canonicalize().ok(), Some(path)].into_iter().flatten();
    let own = own.flat_map(real).map(folder);
    distinct(READ.into_iter().map(PathBuf::from).chain(own))
}

/// What the server writes.
fn written(loaded: &Loaded) -> Vec<PathBuf> {
    let settings = &loaded.settings;
    let files = settings.sinks.iter().filter_map(|settings| match &settings.sink.kind {
        SinkKind::File(file) => Some(folder(file.path.clone())),
        SinkKind::Syslog(_) | SinkKind::Dnstap(_) | SinkKind::Webhook(_) => None,
    });
    let doors = settings.intakes.iter().filter_map(|intake| match &intake.door {
        IntakeDoor::Unix { path, .. } => Some(folder(path.clone())),
        IntakeDoor::Tcp { .. } => None,
    });
    let reports = settings.reports.iter().map(|report| report.directory.clone());
    let own = std::iter::once(loaded.state_dir.clone()).chain(files).chain(doors).chain(reports);
    distinct(own.chain(WRITTEN.into_iter().map(PathBuf::from)).chain([std::env::temp_dir()]))
}

/// A folder itself, or that of a file.
fn folder(path: PathBuf) -> PathBuf {
    if path.is_dir() {
        return path;
    }
    match path.parent() {
        Some(parent) if parent == Path::new("") => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => path,
    }
}

fn distinct(paths: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = paths.collect();
    paths.sort();
    paths.dedup();
    paths
}
