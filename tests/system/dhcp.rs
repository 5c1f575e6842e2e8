//! DHCP for real: a network of namespaces in which dnsmasq leases out an address and names two servers, a client takes the
//! lease and looks names up by the system's own resolver, and the record says who it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Running, SOON, not_tested, printed, run, until};
use super::server::{Server, Setup};

/// Banned, and in the upstream's zones: what leaked would be answered.
pub(super) const BANNED: &str = "downloads.upd.kaspersky.com";
const OPEN: &str = "one.many.test";
/// Private addresses, as such a network has them; nobody outside the namespaces sees them.
const SERVERS: [&str; 2] = ["10.77.0.53", "10.77.0.54"];

/// A network: one namespace with a bridge, and others that hang on it.
pub(super) struct Network {
    pub(super) lan: String,
    hosts: Vec<String>,
}

impl Network {
    /// `None`: the kernel, or whoever runs the tests, allows none.
    pub(super) fn new() -> Option<Self> {
        let lan = format!("embargo-{}-lan", std::process::id());
        let network = Self { lan, hosts: Vec::new() };
        let allowed = run("ip", ["netns", "add", &network.lan]).status.success()
            && run("ip", ["-n", &network.lan, "link", "add", "bridge", "type", "bridge"]).status.success();
        if !allowed {
            return None;
        }
        network.ip(&network.lan, "link set lo up");
        network.ip(&network.lan, "link set bridge up");
        network.ip(&network.lan, "addr add 10.77.0.1/24 dev bridge");
        Some(network)
    }

    /// Adds a namespace with a network card, and the address if there is one already; returns its name.
    pub(super) fn host(&mut self, name: &str, address: Option<&str>) -> String {
        let host = format!("embargo-{}-{name}", std::process::id());
        printed("ip", ["netns", "add", &host]);
        self.hosts.push(host.clone());
        let port = format!("to-{name}");
        self.ip(&self.lan, &format!("link add {port} type veth peer name eth0 netns {host}"));
        self.ip(&self.lan, &format!("link set {port} master bridge up"));
        self.ip(&host, "link set lo up");
        self.ip(&host, "link set eth0 up");
        if let Some(address) = address {
            self.ip(&host, &format!("addr add {address}/24 dev eth0"));
        }
        host
    }

    #[expect(clippy::unused_self, reason = "there is no namespace without it")]
    pub(super) fn ip(&self, namespace: &str, words: &str) {
        printed("ip", ["-n", namespace].into_iter().chain(words.split(' ')));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in self.hosts.iter().chain([&self.lan]) {
            drop(run("ip", ["netns", "del", name]));
        }
    }
}

/// A program in a namespace.
pub(super) fn within(namespace: &str, words: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).args(words);
    command
}

/// Serves DHCP for the network and nothing else; names both servers.
pub(super) fn dhcp_server(network: &Network, directory: &Path) -> Running {
    let leases = format!("--dhcp-leasefile={}", directory.join("leases").display());
    let servers = format!("--dhcp-option=option:dns-server,{},{}", SERVERS[0], SERVERS[1]);
    let words = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=bridge", "--user=root"];
    let more = ["--bind-interfaces", "--dhcp-authoritative", "--no-ping", "--log-dhcp", "--pid-file="];
    let range = "--dhcp-range=10.77.0.100,10.77.0.150,1h";
    let all = [&words[..], &more, &[range, &servers, &leases]].concat();
    Running::start(&within(&network.lan, &all), &directory.join("dhcp.log"))
}

/// Serves the names of the tests, the banned ones too.
pub(super) fn upstream(network: &Network, directory: &Path) -> Running {
    let words = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=5300", "--interface=bridge", "--user=root"];
    let names = ["--address=/many.test/192.0.2.11", "--address=/kaspersky.com/192.0.2.15"];
    let more = ["--bind-interfaces", "--no-resolv", "--no-hosts", "--pid-file="];
    Running::start(&within(&network.lan, &[&words[..], &names, &more].concat()), &directory.join("upstream.log"))
}

fn server(namespace: &str, address: &str) -> Server {
    let setup = Setup::new(&["10.77.0.1:5300".parse().unwrap()]).at(format!("{address}:53").parse().unwrap());
    let server = setup.around(&["ip", "netns", "exec", namespace]).start_unready();
    is_ready(&server);
    server
}

/// Over its control socket: its addresses are in another network.
pub(super) fn is_ready(server: &Server) {
    until("the server is ready", SOON, || {
        let output = server.command(&["status", "--json"]);
        let status: Value = serde_json::from_slice(&output.stdout).ok()?;
        (status["ready"] == true).then_some(())
    });
}

/// Attempts of this client in the record of a server, which is written within a second.
fn attempts_of(server: &Server, client: &str) -> u64 {
    let rows = server.json(&["attempts", "--client", client]);
    rows.as_array().unwrap().iter().filter_map(|row| row["count"].as_u64()).sum()
}

/// What a client that takes leases has.
pub(super) struct Client {
    pub(super) namespace: String,
    /// `/etc/netns/NAME`, whose `resolv.conf` its programs see as the system's own.
    etc: PathBuf,
}

impl Client {
    pub(super) fn new(namespace: String) -> Self {
        let etc = Path::new("/etc/netns").join(&namespace);
        fs::create_dir_all(&etc).unwrap();
        fs::write(etc.join("resolv.conf"), "").unwrap();
        Self { namespace, etc }
    }

    /// Takes a lease; returns the address.
    pub(super) fn take_lease(&self) -> String {
        self.lease(&[])
    }

    /// The same, asking for this address.
    pub(super) fn take_lease_of(&self, address: &str) -> String {
        self.lease(&["-r", address])
    }

    /// Gives the lease back that it has, which takes a client that runs on.
    pub(super) fn give_back(&self) {
        let log = self.etc.join("release.log");
        let script = self.etc.join("lease.sh");
        let words = ["udhcpc", "-i", "eth0", "-f", "-R", "-t", "10", "-T", "1", "-s", script.to_str().unwrap()];
        let mut client = Running::start(&within(&self.namespace, &words), &log);
        until("the client has its lease", SOON, || client.log().contains("obtained").then_some(()));
        client.signal("TERM");
        client.ended(SOON);
    }

    fn lease(&self, flags: &[&str]) -> String {
        printed("ip", ["-n", &self.namespace, "-4", "addr", "flush", "dev", "eth0"]);
        let script = self.etc.join("lease.sh");
        let etc = self.etc.display();
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nip addr replace \"$ip/$mask\" dev \"$interface\"\n\
             for server in $dns; do echo \"nameserver $server\"; done >{etc}/resolv.new\n\
             echo 'options timeout:1 attempts:2' >>{etc}/resolv.new\n\
             mv {etc}/resolv.new {etc}/resolv.conf\necho \"$ip\" >{etc}/lease\n"
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let script = script.to_str().unwrap();
        let words = ["netns", "exec", &self.namespace, "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "10", "-T", "1"];
        printed("ip", words.into_iter().chain(["-s", script]).chain(flags.iter().copied()));
        fs::read_to_string(self.etc.join("lease")).unwrap().trim().to_owned()
    }

    /// What the system's own resolver finds, as any program on that machine would.
    pub(super) fn looks_up(&self, name: &str) -> Option<String> {
        let output = within(&self.namespace, &["getent", "ahostsv4", name]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then(|| text.split_whitespace().next().unwrap_or_default().to_owned())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.etc));
        // Only if no other namespace of this machine has files there.
        drop(fs::remove_dir("/etc/netns"));
    }
}

#[test]
fn a_client_that_dhcp_sends_here_is_recorded_by_its_lease_and_goes_on_at_the_second_server_while_the_first_is_away() {
    let Some(mut network) = Network::new() else {
        return not_tested("DHCP: network namespaces with a bridge are not allowed here (they take root)");
    };
    let directory = TempDir::new().unwrap();
    let _dhcp = dhcp_server(&network, directory.path());
    let _upstream = upstream(&network, directory.path());
    let namespaces = [network.host("one", Some(SERVERS[0])), network.host("two", Some(SERVERS[1]))];
    let client = Client::new(network.host("client", None));
    let (mut first, second) = (server(&namespaces[0], SERVERS[0]), server(&namespaces[1], SERVERS[1]));

    let lease = client.take_lease();
    assert!(lease.starts_with("10.77.0.1"), "{lease}");
    assert!(fs::read_to_string(directory.path().join("leases")).unwrap().contains(&lease));
    let resolv = fs::read_to_string(client.etc.join("resolv.conf")).unwrap();
    assert!(SERVERS.iter().all(|server| resolv.contains(server)), "{resolv}");

    assert_eq!(client.looks_up(OPEN).as_deref(), Some("192.0.2.11"));
    assert_eq!(client.looks_up(BANNED), None);
    until("the first server has it in its record", SOON, || (attempts_of(&first, &lease) > 0).then_some(()));
    assert_eq!(attempts_of(&second, &lease), 0, "the client has had no reason to ask the second");

    assert!(first.stop().success());
    assert_eq!(client.looks_up("two.many.test").as_deref(), Some("192.0.2.11"), "with the first server away");
    assert_eq!(client.looks_up(BANNED), None);
    until("the second server has it in its record", SOON, || (attempts_of(&second, &lease) > 0).then_some(()));

    let (before, other) = (attempts_of(&first, &lease), attempts_of(&second, &lease));
    first.restart_unready();
    is_ready(&first);
    assert_eq!(client.looks_up(BANNED), None);
    until("the first server records again", SOON, || (attempts_of(&first, &lease) > before).then_some(()));
    assert_eq!(attempts_of(&second, &lease), other);
}
