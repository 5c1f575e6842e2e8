//! `embargo healthcheck`: whether a server answers DNS and calls itself ready. For containers and service managers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::EXIT_CODES;
use super::console::Console;
use super::failure::Failure;
use super::query::{answers, message};
use crate::config;
use crate::socket::reachable;
use crate::tls::{ClientTls, Identity};
use crate::wire::{CLASS_CH, LowerName, qtype};

/// A server that takes longer is not healthy.
const PATIENCE: Duration = Duration::from_secs(2);
/// Octets of an admin reply's first line that are read.
const REPLY_MAX: u64 = 4 << 10;

/// Ask the server whether it answers DNS and is ready
#[derive(Debug, Args)]
#[command(after_long_help = format!("{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Healthcheck {
    /// One JSON object of {healthy, dns: [{address, ok, error}], admin: {address, ok, error}}
    #[arg(long)]
    json: bool,
    /// Configuration file of the server
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Addresses that the server was told to serve DNS on
    #[arg(long, value_name = "ADDR", num_args = 1..)]
    listen: Vec<String>,
    /// Address of its admin HTTP server, or `off`
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
}

const NOTES: &str = "\
Sends one query over UDP to each address that the server listens on (class CH, which it answers itself: no upstream \
is asked and nothing is recorded), then reads /readyz. Not healthy is exit code 3.

Example, in a container file:
  HEALTHCHECK CMD [\"embargo\", \"healthcheck\"]";

/// What `--json` prints; its names are an interface.
#[derive(Debug, Serialize)]
struct Health {
    healthy: bool,
    dns: Vec<Probe>,
    admin: Option<Probe>,
}

/// One address that was tried.
#[derive(Debug, Serialize)]
struct Probe {
    address: SocketAddr,
    ok: bool,
    error: Option<String>,
}

impl Probe {
    fn of(address: SocketAddr, tried: io::Result<()>) -> Self {
        Self { address, ok: tried.is_ok(), error: tried.err().map(|error| error.to_string()) }
    }
}

impl Healthcheck {
    /// Asks and tells.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let args = config::Args {
            config: self.config,
            listen: self.listen,
            admin: self.admin,
            // Nothing is kept here, so a container without a place for state is no reason to fail.
            state_dir: Some(PathBuf::new()),
            ..config::Args::default()
        };
        let loaded = config::load(&args, &console.environment).map_err(Failure::Mistakes)?;
        let (settings, identity) = (loaded.settings, loaded.admin_identity);
        let probe = |&address: &SocketAddr| Probe::of(reachable(address), ask_dns(reachable(address)));
        let dns: Vec<Probe> = settings.listen.iter().map(probe).collect();
        let admin =
            settings.admin.map(reachable).map(|address| Probe::of(address, ask_admin(address, identity.as_ref())));
        // An address that the machine may not have fails nobody, as it did not fail the start, but one must answer.
        let excused = |probe: &Probe| settings.listen_is_optional(probe.address);
        let answered = dns.iter().any(|probe| probe.ok) && dns.iter().all(|probe| probe.ok || excused(probe));
        let health = Health { healthy: answered && admin.as_ref().is_none_or(|admin| admin.ok), dns, admin };
        if self.json {
            console.json(&health)?;
        } else {
            tell(&health, console.out)?;
        }
        if health.healthy { Ok(()) } else { Err(Failure::Unhealthy) }
    }
}

fn tell(health: &Health, out: &mut dyn Write) -> io::Result<()> {
    let probes = health.dns.iter().map(|probe| ("dns", probe)).chain(health.admin.iter().map(|probe| ("admin", probe)));
    for (what, probe) in probes {
        writeln!(out, "{what:<5} {} {}", probe.address, probe.error.as_deref().unwrap_or("ok"))?;
    }
    writeln!(out, "{}", if health.healthy { "healthy" } else { "not healthy" })
}

/// Any response will do, REFUSED too: it comes from the server itself.
fn ask_dns(address: SocketAddr) -> io::Result<()> {
    let local: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((local, 0))?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = LowerName::parse("id.server").map_err(io::Error::other)?;
    let query = message(rand::random(), &name, qtype::TXT, CLASS_CH);
    socket.send(&query)?;
    let mut response = [0; 512];
    let length = socket.recv(&mut response).map_err(in_words)?;
    if answers(&response[..length], &query) { Ok(()) } else { Err(io::Error::other("the response is another query's")) }
}

/// Over TLS where the server has a certificate for that: it must be this one.
fn ask_admin(address: SocketAddr, identity: Option<&Identity>) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(in_words)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    match identity {
        None => ask_ready(stream, address),
        Some(identity) => {
            let tls = ClientTls::only(identity).map_err(io::Error::other)?;
            ask_ready(tls.over(&address.ip().to_string(), stream)?, address)
        }
    }
}

fn ask_ready(mut stream: impl Read + Write, address: SocketAddr) -> io::Result<()> {
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut reply = Vec::new();
    BufReader::new(stream.take(REPLY_MAX)).read_until(b'\n', &mut reply).map_err(in_words)?;
    let status = reply.split(|&octet| octet == b' ').nth(1).unwrap_or_default();
    match status {
        b"200" => Ok(()),
        b"503" => Err(io::Error::other("/readyz says that it is not ready")),
        _ => Err(io::Error::other("/readyz gave no status that is known")),
    }
}

/// A timeout has two names on sockets, and neither says what happened.
fn in_words(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", PATIENCE.as_secs()))
        }
        _ => error,
    }
}
