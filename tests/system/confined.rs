//! Started as root: sockets on ports that need a privilege, then another user without any, confined to its files.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use super::client::{A, NXDOMAIN, ask};
use super::process::{SOON, not_tested, until};
use super::server::{Server, Setup};

/// What every Unix has.
const USER: &str = "nobody";

/// A server that is to become that user.
pub(crate) fn setup(dns: SocketAddr) -> Option<Setup> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = passwd.lines().find_map(|line| line.strip_prefix("nobody:"));
    let ids: Vec<u32> = entry?.split(':').skip(1).take(2).filter_map(|id| id.parse().ok()).collect();
    let [uid, gid] = ids[..] else { return None };
    if !is_root {
        return None;
    }
    let setup = Setup::new(&["127.0.0.1:9".parse().unwrap()]).setting("process", &format!("user = \"{USER}\"")).at(dns);
    let state = setup.state().to_owned();
    fs::create_dir_all(&state).unwrap();
    chown(&state, Some(uid), Some(gid)).unwrap();
    fs::set_permissions(state.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    Some(setup)
}

/// Of every thread of a process, the values of a field of its status.
fn of_threads(process: u32, field: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let status = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok());
    let value = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let mut values: Vec<String> = status.filter_map(value).collect();
    values.sort();
    values.dedup();
    values
}

fn is_powerless(server: &mut Server) {
    let process = server.running().child.id();
    let ids = of_threads(process, "Uid:");
    assert!(ids.len() == 1 && !ids[0].split(' ').any(|id| id == "0"), "every thread is another's: {ids:?}");
    assert_eq!(of_threads(process, "CapEff:"), ["0000000000000000"]);
    assert_eq!(of_threads(process, "CapPrm:"), ["0000000000000000"]);
}

#[test]
fn root_is_given_up_once_port_53_is_bound_and_all_goes_on() {
    let dns = "127.0.0.53:53".parse().unwrap();
    let Some(setup) = setup(dns) else {
        return not_tested("giving up root: this is not root");
    };
    let mut server = setup.start();
    is_powerless(&mut server);
    assert_eq!(ask(dns, "x.upd.kaspersky.com", A).unwrap(), NXDOMAIN);
    server.at_rest();
    assert_eq!(server.json(&["clients"]).as_array().unwrap().len(), 1);

    let list = server.list("kaspersky/rules.txt");
    let rules = fs::read_to_string(&list).unwrap() + "added.test  update  installed\n";
    fs::write(&list, rules).unwrap();
    until("the list is reloaded", SOON, || (ask(dns, "added.test", A).ok() == Some(NXDOMAIN)).then_some(()));

    assert!(server.take_over().success(), "{}", server.log());
    is_powerless(&mut server);
    assert_eq!(ask(dns, "added.test", A).unwrap(), NXDOMAIN);
    server.at_rest();
    assert_eq!(
        server
            .json(&["attempts"])
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["qname"] == "x.upd.kaspersky.com")
            .count(),
        1
    );
    assert!(server.stop().success());
    let log = server.log();
    assert!(log.contains("root is given up"), "{log}");
    if Path::new("/sys/kernel/security/landlock").exists() || log.contains("Landlock).") {
        assert!(log.contains("abi="), "{log}");
    }
}

#[test]
fn a_state_directory_of_somebody_else_and_an_unknown_user_are_named_with_the_way_out() {
    let Some(setup) = setup("127.0.0.54:53".parse().unwrap()) else {
        return not_tested("giving up root: this is not root");
    };
    chown(setup.state(), Some(0), Some(0)).unwrap();
    let mut server = setup.start_unready();
    assert_eq!(server.running().ended(SOON).code(), Some(3), "{}", server.log());
    assert!(server.log().contains("chown -R nobody: "), "{}", server.log());
    let config = fs::read_to_string(server.config()).unwrap().replace(USER, "no-such-user");
    fs::write(server.config(), config).unwrap();
    server.restart_unready();
    assert_eq!(server.running().ended(SOON).code(), Some(3), "{}", server.log());
    assert!(server.log().contains("knows no user `no-such-user`"), "{}", server.log());
}
