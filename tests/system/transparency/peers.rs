//! The peers: NSD with signed and unsigned zones, and in front of it Unbound and BIND, which validate them, and Knot Resolver.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::client::{A, NOERROR, ask};
use crate::process::{Running, SOON, free_address, printed, until};

/// The zones. The first is signed with NSEC, the second with NSEC3; the others are below the first, one signed and one not.
pub(super) const ZONES: [&str; 5] =
    ["signed.test", "hashed.test", "plain.test", "sub.signed.test", "island.signed.test"];

/// What each zone holds.
const BODY: &str = r#"$TTL 3600
@           IN SOA   ns hostmaster 1 3600 600 86400 300
@           IN NS    ns
@           IN MX    10 mail
@           IN MX    20 mail.elsewhere.test.
@           IN A     192.0.2.1
@           IN CAA   0 issue "ca.example"
ns          IN A     127.0.0.1
mail        IN A     192.0.2.2
www         IN A     192.0.2.10
www         IN A     192.0.2.11
www         IN AAAA  2001:db8::10
www         IN TXT   "as it is" "in two strings"
www         IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.10
www         IN SSHFP 4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789
www         IN LOC   52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
www         IN TYPE65280 \# 4 01020304
www         IN TYPE731   \# 6 abcdef012345
_sip._tcp   IN SRV   1 2 5060 www
_sip._tcp   IN NAPTR 100 50 "s" "SIP+D2U" "" _sip._udp
_443._tcp.www IN TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
_dns        IN SVCB  1 www alpn=dot port=853
long        IN TXT   "%LONG%"
*.wild      IN A     192.0.2.20
*.wild      IN TXT   "for everyone below"
there.wild  IN A     192.0.2.21
c1          IN CNAME c2
c2          IN CNAME c3
c3          IN CNAME c4
c4          IN CNAME c5
c5          IN CNAME www
dangling    IN CNAME nothing
away        IN CNAME www.plain.test.
dn          IN DNAME plain.test.
deep.empty  IN A     192.0.2.22
zero  0     IN A     192.0.2.23
short 2     IN A     192.0.2.24
week 604800 IN A     192.0.2.25
\000nul     IN A     192.0.2.26
dot\.in     IN A     192.0.2.27
sp\032ace   IN A     192.0.2.28
UPPER       IN A     192.0.2.29
gone        IN NS    ns.gone
ns.gone     IN A     192.0.2.53
"#;

/// NSD, and Unbound before it.
#[derive(Debug)]
pub(super) struct Peers {
    /// The authority: no recursion, AA, referrals.
    pub(super) nsd: SocketAddr,
    /// The validating resolver.
    pub(super) unbound: SocketAddr,
    _nsd: Running,
    _unbound: Running,
    directory: TempDir,
}

impl Peers {
    /// Starts both and waits until both answer.
    pub(super) fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let (nsd, unbound) = (free_address(), free_address());
        let anchors = write_zones(directory.path());
        let running_nsd = start("nsd", &["-d"], &nsd_configuration(nsd, directory.path()), directory.path());
        until("NSD answers", SOON, || ask(nsd, "www.signed.test", A).ok());
        fs::write(directory.path().join("anchors"), anchors).unwrap();
        let running_unbound =
            start("unbound", &["-d"], &unbound_configuration(unbound, nsd, directory.path()), directory.path());
        until("Unbound answers", SOON, || ask(unbound, "www.signed.test", A).ok());
        Self { nsd, unbound, _nsd: running_nsd, _unbound: running_unbound, directory }
    }

    /// BIND in front of NSD, a validating resolver too.
    pub(super) fn named(&self) -> (SocketAddr, Running) {
        let (address, directory) = (free_address(), self.directory.path());
        let running = start("named", &["-g"], &named_configuration(address, self.nsd, directory), directory);
        until("BIND answers", SOON, || (ask(address, "www.signed.test", A).ok()? == NOERROR).then_some(()));
        (address, running)
    }

    /// Knot Resolver in front of NSD; it takes everything as it is.
    pub(super) fn kresd(&self) -> (SocketAddr, Running) {
        let (address, directory) = (free_address(), self.directory.path());
        let zones: Vec<String> = ZONES.iter().map(|zone| format!("'{zone}.'")).collect();
        let configuration = format!(
            "net.listen('{}', {}, {{ kind = 'dns' }})\ncache.open(10*MB, 'lmdb://{}/cache')\ntrust_anchors.remove('.')\n\
             policy.add(policy.suffix(policy.STUB({{'{}@{}'}}), policy.todnames({{{}}})))\npolicy.add(policy.all(policy.DENY))\n",
            address.ip(),
            address.port(),
            directory.display(),
            self.nsd.ip(),
            self.nsd.port(),
            zones.join(", ")
        );
        let running = start("kresd", &["-n"], &configuration, directory);
        until("Knot Resolver answers", SOON, || (ask(address, "www.signed.test", A).ok()? == NOERROR).then_some(()));
        (address, running)
    }
}

fn start(program: &str, flags: &[&str], configuration: &str, directory: &Path) -> Running {
    let path = directory.join(format!("{program}.conf"));
    fs::write(&path, configuration).unwrap();
    let mut command = Command::new(program);
    command.args(flags).arg("-c").arg(path);
    Running::start(&command, &directory.join(format!("{program}.log")))
}

fn named_configuration(address: SocketAddr, nsd: SocketAddr, directory: &Path) -> String {
    // It asks beyond itself only below a delegation.
    let mut root = fs::read_to_string(directory.join("root.zone")).unwrap() + "ns.test. 60 IN A 127.0.0.1\n";
    let (mut zones, mut anchors) = (String::new(), String::new());
    for zone in ZONES {
        writeln!(root, "{zone}. 60 IN NS ns.test.").unwrap();
        let forwarders = format!("forwarders port {} {{ {}; }};", nsd.port(), nsd.ip());
        writeln!(zones, "zone \"{zone}\" {{ type forward; forward only; {forwarders} }};").unwrap();
    }
    fs::write(directory.join("root.named"), root).unwrap();
    for key in fs::read_to_string(directory.join("anchors")).unwrap().lines().filter(|line| !line.starts_with(';')) {
        let (owner, rest) = key.split_once(" IN DNSKEY ").unwrap();
        let mut parts = rest.splitn(4, ' ');
        let numbers: Vec<&str> = parts.by_ref().take(3).collect();
        let key = parts.next().unwrap();
        writeln!(anchors, "\"{owner}\" static-key {} \"{key}\";", numbers.join(" ")).unwrap();
    }
    let (port, directory) = (address.port(), directory.display());
    format!(
        "options {{ directory \"{directory}\"; pid-file none; session-keyfile none; listen-on port {port} {{ 127.0.0.1; }};\n\
         listen-on-v6 {{ none; }}; query-source address 127.0.0.1; recursion yes; allow-query {{ 127.0.0.0/8; }};\n\
         dnssec-validation yes; empty-zones-enable no; rrset-order {{ order none; }}; }};\ncontrols {{ }};\n\
         trust-anchors {{\n{anchors}}};\nzone \".\" {{ type primary; file \"root.named\"; }};\n{zones}"
    )
}

fn nsd_configuration(address: SocketAddr, directory: &Path) -> String {
    let (port, directory) = (address.port(), directory.display());
    let mut text = format!(
        "server:\n    ip-address: 127.0.0.1@{port}\n    username: \"\"\n    chroot: \"\"\n    zonesdir: \"{directory}\"\n    \
         database: \"\"\n    pidfile: \"{directory}/nsd.pid\"\n    xfrdfile: \"{directory}/xfrd.state\"\n    \
         xfrdir: \"{directory}\"\n    zonelistfile: \"{directory}/zone.list\"\n    server-count: 1\n    \
         rrl-ratelimit: 0\n    rrl-whitelist-ratelimit: 0\nremote-control:\n    control-enable: no\n"
    );
    for zone in ZONES {
        write!(text, "zone:\n    name: \"{zone}\"\n    zonefile: \"{zone}.zone\"\n").unwrap();
    }
    text
}

fn unbound_configuration(address: SocketAddr, nsd: SocketAddr, directory: &Path) -> String {
    let (port, directory) = (address.port(), directory.display());
    let mut text = format!(
        "server:\n    directory: \"{directory}\"\n    chroot: \"\"\n    username: \"\"\n    pidfile: \"\"\n    use-syslog: no\n    \
         logfile: \"\"\n    interface: 127.0.0.1@{port}\n    access-control: 127.0.0.0/8 allow\n    \
         outgoing-interface: 127.0.0.1\n    do-not-query-localhost: no\n    module-config: \"validator iterator\"\n    \
         trust-anchor-file: \"anchors\"\n    ede: yes\n    local-zone: \"test.\" nodefault\nremote-control:\n    \
         control-enable: no\nauth-zone:\n    name: \".\"\n    zonefile: \"root.zone\"\n    for-downstream: no\n    \
         fallback-enabled: no\n"
    );
    for zone in ZONES {
        let port = nsd.port();
        write!(text, "stub-zone:\n    name: \"{zone}\"\n    stub-addr: 127.0.0.1@{port}\n    stub-no-cache: no\n")
            .unwrap();
    }
    text
}

/// Writes and signs every zone; returns the keys that vouch for the topmost.
fn write_zones(directory: &Path) -> String {
    // Too long for a datagram of the usual size, as are the addresses.
    let mut body = BODY.replace("%LONG%", &["x".repeat(250).as_str(); 8].join("\" \""));
    for last in 0..80 {
        writeln!(body, "many IN A 198.51.100.{last}").unwrap();
    }
    // Nothing else exists, so that Unbound has no reason to ask beyond this machine.
    fs::write(
        directory.join("root.zone"),
        ". 60 IN SOA ns.test. hostmaster.test. 1 60 60 60 60\n. 60 IN NS ns.test.\n",
    )
    .unwrap();
    for zone in ["plain.test", "island.signed.test"] {
        fs::write(directory.join(format!("{zone}.zone")), format!("$ORIGIN {zone}.\n{body}")).unwrap();
    }
    sign("sub.signed.test", &body, &[], directory);
    let set = fs::read_to_string(directory.join("dsset-sub.signed.test.")).unwrap();
    let cut = "IN NS ns.%.signed.test.\nns.% IN A 127.0.0.1\n";
    let cuts = ["sub", "island"].map(|label| format!("{label} {}", cut.replace('%', label)));
    let signed = sign("signed.test", &format!("{body}{}{set}", cuts.concat()), &[], directory);
    signed + &sign("hashed.test", &body, &["-3", "-"], directory)
}

/// Signs a zone with keys made for it; returns the one that vouches for it.
fn sign(zone: &str, body: &str, more: &[&str], directory: &Path) -> String {
    let place = directory.to_str().unwrap();
    let key = |flags: &[&str]| {
        let common = ["-q", "-a", "ECDSAP256SHA256", "-K", place];
        let made = printed("dnssec-keygen", common.iter().chain(flags).chain(&[zone]));
        fs::read_to_string(directory.join(format!("{}.key", made.trim()))).unwrap()
    };
    let (signing, vouching) = (key(&[]), key(&["-f", "KSK"]));
    let (unsigned, signed) = (format!("{place}/{zone}.unsigned"), format!("{place}/{zone}.zone"));
    fs::write(&unsigned, format!("$ORIGIN {zone}.\n{body}{signing}{vouching}")).unwrap();
    let common = ["-K", place, "-d", place, "-O", "full", "-o", zone, "-f", &signed];
    printed("dnssec-signzone", common.iter().chain(more).chain(&[unsigned.as_str()]));
    vouching
}
