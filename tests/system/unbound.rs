//! Unbound as the upstream: a real validating resolver that has the whole name space in zones of its own.
//!
//! The root zone here holds what the tests ask for, the shipped bans' names included, so that a leak would be answered and
//! seen. `signed.test` is signed, `bogus.test` too, but one of its records was changed afterwards.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::client::{A, ask};
use super::process::{Running, SOON, free_address, printed, until};

/// Everything that exists, beside the signed zones. Addresses are of RFC 5737 and RFC 3849.
const ROOT_ZONE: &str = r#"
$TTL 3600
.                                IN SOA   ns.test. hostmaster.test. 1 3600 600 86400 300
.                                IN NS    ns.test.
ns.test.                         IN A     127.0.0.1
plain.test.                      IN A     192.0.2.10
plain.test.                      IN AAAA  2001:db8::10
plain.test.                      IN MX    10 mail.test.
plain.test.                      IN TXT   "as it is" "in two strings"
plain.test.                      IN HTTPS 1 . alpn=h2
alias.test.                      IN CNAME plain.test.
led.test.                        IN CNAME downloads.upd.kaspersky.com.
*.many.test.                     IN A     192.0.2.11
cyberkaspersky.com.              IN A     192.0.2.12
www.cyberkaspersky.com.          IN A     192.0.2.12
kaspersky.com.                   IN A     192.0.2.13
www.kaspersky.com.               IN A     192.0.2.14
downloads.upd.kaspersky.com.     IN A     192.0.2.15
ksc.kaspersky.com.               IN A     192.0.2.16
a.ksc.kaspersky.com.             IN A     192.0.2.17
s.scr.kaspersky-labs.com.        IN A     192.0.2.18
"#;

/// A zone to be signed.
const SIGNED_ZONE: &str = r#"
$TTL 3600
@     IN SOA ns.test. hostmaster.test. 1 3600 600 86400 300
@     IN NS  ns.test.
www   IN A   192.0.2.20
www   IN TXT "signed"
long  IN TXT "%LONG%"
"#;

/// A resolver that runs.
#[derive(Debug)]
pub(crate) struct Unbound {
    /// Where it answers, over UDP and TCP.
    pub(crate) address: SocketAddr,
    /// Where it answers over TLS and over HTTPS, if it does.
    pub(crate) secure: Option<Secure>,
    running: Running,
    directory: TempDir,
}

/// Addresses of encrypted transports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secure {
    pub(crate) tls: SocketAddr,
    pub(crate) https: SocketAddr,
}

/// The zones of most tests.
const ZONES: [(&str, &str); 3] = [(".", "root.zone"), ("signed.test.", "signed.zone"), ("bogus.test.", "bogus.zone")];

impl Unbound {
    /// Starts it and waits for its first answer.
    pub(crate) fn start() -> Self {
        Self::with(&ZONES, write_zones)
    }

    /// The same, over TLS and HTTPS too, with `server.pem` and `server.key` of this directory.
    pub(crate) fn start_with_tls(certificates: &Path) -> Self {
        let secure = Secure { tls: free_address(), https: free_address() };
        let (tls, https, certificates) = (secure.tls.port(), secure.https.port(), certificates.display());
        let lines = format!(
            r#"
    interface: 127.0.0.1@{tls}
    interface: 127.0.0.1@{https}
    tls-port: {tls}
    https-port: {https}
    tls-service-pem: "{certificates}/server.pem"
    tls-service-key: "{certificates}/server.key""#
        );
        Self::by(&ZONES, write_zones, Some(secure), &lines)
    }

    /// Starts it with these zones, each a name and a file, which `write` makes in the directory it is given; the file `anchors`
    /// has the keys that it trusts.
    pub(crate) fn with(zones: &[(&str, &str)], write: impl Fn(&Path)) -> Self {
        Self::by(zones, write, None, "")
    }

    fn by(zones: &[(&str, &str)], write: impl Fn(&Path), secure: Option<Secure>, lines: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let address = free_address();
        write(directory.path());
        fs::write(directory.path().join("unbound.conf"), configuration(address, directory.path(), zones, lines))
            .unwrap();
        let running = spawn(directory.path());
        let unbound = Self { address, secure, running, directory };
        unbound.wait();
        unbound
    }

    /// The keys that vouch for the signed zones, as BIND's programs read them.
    pub(crate) fn anchors_for_bind(&self) -> String {
        let anchors = fs::read_to_string(self.directory.path().join("anchors")).unwrap();
        let mut text = "trust-anchors {\n".to_owned();
        for line in anchors.lines().filter(|line| line.contains(" DNSKEY ")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = words.iter().position(|word| *word == "DNSKEY").unwrap();
            let [flags, protocol, algorithm] = words[at + 1..at + 4] else { panic!("{line}") };
            let key = words[at + 4..].concat();
            writeln!(text, "  {} static-key {flags} {protocol} {algorithm} \"{key}\";", words[0]).unwrap();
        }
        text + "};\n"
    }

    /// A file with the keys that it trusts.
    pub(crate) fn anchors(&self) -> PathBuf {
        self.directory.path().join("anchors")
    }

    /// Stops it without a word.
    pub(crate) fn kill(&mut self) {
        self.running.kill();
    }

    /// Starts it again where it was.
    pub(crate) fn restart(&mut self) {
        self.running = spawn(self.directory.path());
        self.wait();
    }

    fn wait(&self) {
        until("Unbound answers", SOON, || ask(self.address, "plain.test", A).ok());
    }
}

fn spawn(directory: &Path) -> Running {
    let mut command = Command::new("unbound");
    command.arg("-d").arg("-c").arg(directory.join("unbound.conf"));
    Running::start(&command, &directory.join("unbound.log"))
}

fn configuration(address: SocketAddr, directory: &Path, zones: &[(&str, &str)], lines: &str) -> String {
    let port = address.port();
    let directory = directory.display();
    let mut text = format!(
        r#"server:
    directory: "{directory}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    logfile: ""
    interface: 127.0.0.1@{port}{lines}
    access-control: 127.0.0.0/8 allow
    # Whatever it wanted to ask elsewhere could not leave this machine.
    outgoing-interface: 127.0.0.1
    module-config: "validator iterator"
    trust-anchor-file: "anchors"
    ede: yes
    # Otherwise it denies these by itself (RFC 6761).
    local-zone: "test." nodefault
remote-control:
    control-enable: no
"#
    );
    for (zone, file) in zones {
        write!(
            text,
            "auth-zone:\n    name: \"{zone}\"\n    zonefile: \"{file}\"\n    for-downstream: no\n    for-upstream: yes\n    \
             fallback-enabled: no\n"
        )
        .unwrap();
    }
    text
}

fn write_zones(directory: &Path) {
    fs::write(directory.join("root.zone"), ROOT_ZONE).unwrap();
    let anchors = sign("signed.test", directory) + &sign("bogus.test", directory);
    fs::write(directory.join("anchors"), anchors).unwrap();
    let signed = fs::read_to_string(directory.join("bogus.zone")).unwrap();
    fs::write(directory.join("bogus.zone"), signed.replace("192.0.2.20", "192.0.2.66")).unwrap();
}

/// Signs a zone with keys made for it; returns the key that vouches for it.
fn sign(zone: &str, directory: &Path) -> String {
    // Too long for a datagram of the usual size.
    let body = SIGNED_ZONE.replace("%LONG%", &["x".repeat(250).as_str(); 8].join("\" \""));
    let (name, _) = zone.split_once('.').unwrap();
    sign_as(zone, name, &body, directory)
}

/// Signs a zone with this body into `<name>.zone`, beside it `dsset-<zone>.`; returns the key that vouches for it.
pub(crate) fn sign_as(zone: &str, name: &str, body: &str, directory: &Path) -> String {
    sign_more(zone, name, body, &[], directory)
}

/// The same with further arguments of `dnssec-signzone`: by hashes of names (`-3`), with opt-out (`-A`).
pub(crate) fn sign_more(zone: &str, name: &str, body: &str, more: &[&str], directory: &Path) -> String {
    let directory_name = directory.to_str().unwrap();
    let key = |flags: &[&str]| {
        let common = ["-q", "-a", "ECDSAP256SHA256", "-K", directory_name];
        let made = printed("dnssec-keygen", common.iter().chain(flags).chain(&[zone]));
        fs::read_to_string(directory.join(format!("{}.key", made.trim()))).unwrap()
    };
    let (signing, vouching) = (key(&[]), key(&["-f", "KSK"]));
    let unsigned = directory.join(format!("{name}.unsigned"));
    let origin = format!("{}.", zone.trim_end_matches('.'));
    fs::write(&unsigned, format!("$ORIGIN {origin}\n{body}\n{signing}{vouching}")).unwrap();
    let signed = directory.join(format!("{name}.zone"));
    // `-d`: the set of DS records is not left in the working directory.
    let arguments =
        ["-K", directory_name, "-d", directory_name, "-O", "full", "-o", zone, "-f", signed.to_str().unwrap()];
    printed("dnssec-signzone", arguments.iter().chain(more).chain(&[unsigned.to_str().unwrap()]));
    vouching
}
