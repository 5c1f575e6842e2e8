//! Who it was, by the leases of real servers: a device gets another address, another device takes the one it had, and the record
//! names each rightly, with the file of dnsmasq and with that of Kea while Kea cleans it up.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::dhcp::{BANNED, Client, Network, dhcp_server, is_ready, upstream, within};
use super::process::{Running, SOON, not_tested, printed, until};
use super::server::{Server, Setup};

/// Where the server under test is, as the leases say.
const SERVER: &str = "10.77.0.53";
/// MACs that are nobody's own (of Xen), so that they count as those of real cards.
const MACS: [&str; 2] = ["00:16:3e:00:00:0a", "00:16:3e:00:00:0b"];

/// Serves leases of the same addresses as dnsmasq does, and cleans its file up every second.
fn kea(network: &Network, directory: &Path) -> Running {
    let config = json!({"Dhcp4": {
        "interfaces-config": {"interfaces": ["bridge"]},
        "lease-database": {
            "type": "memfile", "persist": true, "name": directory.join("leases"), "lfc-interval": 1,
        },
        "valid-lifetime": 3600,
        "option-data": [{"name": "domain-name-servers", "data": SERVER}],
        "subnet4": [{"id": 1, "subnet": "10.77.0.0/24", "pools": [{"pool": "10.77.0.100-10.77.0.150"}]}],
        "loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}],
    }});
    let file = directory.join("kea.json");
    fs::write(&file, config.to_string()).unwrap();
    let mut command = within(&network.lan, &["kea-dhcp4", "-c", file.to_str().unwrap()]);
    // Where it would leave its lock and its number otherwise, nobody but its package has made room.
    command.env("KEA_PIDFILE_DIR", directory).env("KEA_LOCKFILE_DIR", directory);
    let running = Running::start(&command, &directory.join("dhcp.log"));
    until("Kea serves", SOON, || running.log().contains("DHCP4_STARTED").then_some(()));
    running
}

/// Devices in a network whose leases a server follows.
struct Case {
    clients: [Client; 2],
    server: Server,
    directory: TempDir,
    _running: [Running; 2],
    _network: Network,
}

impl Case {
    fn new(what: &str, format: &str, dhcp: fn(&Network, &Path) -> Running) -> Option<Self> {
        let Some(mut network) = Network::new() else {
            not_tested(&format!("{what}: network namespaces with a bridge are not allowed here (they take root)"));
            return None;
        };
        let directory = TempDir::new().unwrap();
        let running = [dhcp(&network, directory.path()), upstream(&network, directory.path())];
        let namespace = network.host("server", Some(SERVER));
        let clients = ["a", "b"].map(|name| Client::new(network.host(name, None)));
        for (client, mac) in clients.iter().zip(MACS) {
            printed("ip", ["-n", &client.namespace, "link", "set", "eth0", "address", mac]);
        }
        let file = directory.path().join("leases");
        until("there is a file of leases", SOON, || file.exists().then_some(()));
        let setup = Setup::new(&["10.77.0.1:5300".parse().unwrap()]).at(format!("{SERVER}:53").parse().unwrap());
        let setup = setup.setting("[leases]", &format!("file = \"{}\"\nformat = \"{format}\"", file.display()));
        let server = setup.around(&["ip", "netns", "exec", &namespace]).start_unready();
        is_ready(&server);
        Some(Self { clients, server, directory, _running: running, _network: network })
    }

    /// Has a device take a lease, of this address if it can be had, and waits until the server knows of it.
    fn take_lease(&self, device: usize, wanted: Option<&str>) -> String {
        let address = wanted
            .map_or_else(|| self.clients[device].take_lease(), |address| self.clients[device].take_lease_of(address));
        until("the server knows who has the address", SOON, || {
            (self.holder(&address).as_deref() == Some(&*format!("mac:{}", MACS[device]))).then_some(())
        });
        address
    }

    /// Who holds the address now, as the record has it.
    fn holder(&self, address: &str) -> Option<String> {
        let rows = self.server.json(&["devices", "--client", address, "--limit", "1"]);
        Some(rows[0]["device"].as_str()?.to_owned())
    }

    /// Whether anybody holds the address now.
    fn is_held(&self, address: &str) -> bool {
        let rows = self.server.json(&["devices", "--client", address, "--at", "0s"]);
        !rows.as_array().unwrap().is_empty()
    }

    /// Has a device look the banned name up.
    fn try_it(&self, device: usize) {
        assert_eq!(self.clients[device].looks_up(BANNED), None);
    }

    /// Addresses and devices of all attempts.
    fn attempts(&self) -> BTreeSet<(String, String)> {
        let rows = self.server.json(&["attempts"]);
        let text = |row: &Value, field: &str| row[field].as_str().unwrap_or("-").to_owned();
        rows.as_array().unwrap().iter().map(|row| (text(row, "client"), text(row, "device"))).collect()
    }

    /// A device has an address, gets another, and another device takes the first.
    fn run(&self, between: impl Fn(&Self)) {
        let first = self.take_lease(0, None);
        self.try_it(0);
        between(self);
        self.clients[0].give_back();
        until("the server knows that nobody has the address", SOON, || (!self.is_held(&first)).then_some(()));
        between(self);
        let wanted = if first == "10.77.0.140" { "10.77.0.141" } else { "10.77.0.140" };
        let second = self.take_lease(0, Some(wanted));
        assert_eq!(second, wanted);
        self.try_it(0);
        between(self);
        assert_eq!(self.take_lease(1, Some(&first)), first);
        self.try_it(1);
        between(self);
        self.try_it(0);
        let [a, b] = MACS.map(|mac| format!("mac:{mac}"));
        let expected = BTreeSet::from([(first.clone(), a.clone()), (first, b), (second, a)]);
        until("all of it is in the record", SOON, || (self.attempts().len() >= expected.len()).then_some(()));
        assert_eq!(self.attempts(), expected);
    }
}

#[test]
fn a_device_that_moves_and_one_that_takes_its_place_are_each_named_by_the_leases_of_dnsmasq() {
    let Some(case) = Case::new("leases of dnsmasq", "dnsmasq", dhcp_server) else { return };
    case.run(|_case| ());
}

#[test]
fn a_device_that_moves_and_one_that_takes_its_place_are_each_named_by_the_leases_of_kea_while_it_cleans_up() {
    let Some(case) = Case::new("leases of Kea", "kea", kea) else { return };
    let cleaned = case.directory.path().join("leases.2");
    case.run(|_case| {
        let modified = || fs::metadata(&cleaned).and_then(|file| file.modified()).ok();
        let before = modified();
        until("Kea has cleaned up", SOON, || (modified() > before).then_some(()));
    });
}
