//! Starting: what stands in the way is named, with the way out, and the exit code says which kind it is.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::process::Output;

use tempfile::TempDir;

use super::client::{A, NXDOMAIN, ask};
use super::process::{SOON, free_address, until};
use super::server::{Setup, embargo};
use super::unbound::Unbound;

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let state = TempDir::new().unwrap();
    let Output { status, stdout, stderr } =
        embargo().args(arguments).env("STATE_DIRECTORY", state.path()).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

#[test]
fn a_taken_port_is_named_with_the_way_out() {
    for udp in [true, false] {
        let address = free_address();
        let _udp = udp.then(|| UdpSocket::bind(address).unwrap());
        let _tcp = (!udp).then(|| TcpListener::bind(address).unwrap());
        let (code, said) = run(&["--listen", &address.to_string(), "--admin", "127.0.0.1:0"]);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(&format!("{address} is taken")), "{said}");
        assert!(said.contains("name another address"), "the way out: {said}");
    }
}

#[test]
fn a_taken_admin_port_is_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = run(&["--listen", &free_address().to_string(), "--admin", &address]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(&address), "{said}");
}

#[test]
fn mistakes_are_told_all_at_once_before_anything_listens() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("embargo.toml");
    fs::write(&file, "lisen = []\nadmin = \"nowhere\"\n[upstream]\nservers = [\"sdns://x\"]\n").unwrap();
    for command in [&["check"][..], &["run"], &[]] {
        let (code, said) = run(&[command, &["--config", file.to_str().unwrap()]].concat());
        assert_eq!(code, Some(1), "{said}");
        for place in ["embargo.toml:1:1", "embargo.toml:2:9", "embargo.toml:4:12"] {
            assert!(said.contains(place), "{place}: {said}");
        }
        assert!(said.contains("^^^^^") && said.contains("listen"), "{said}");
    }
}

#[test]
fn the_shipped_configuration_and_lists_have_no_mistake() {
    let (code, said) = run(&["check", "--config", concat!(env!("CARGO_MANIFEST_DIR"), "/config/embargo.toml")]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn usage_and_nobody_to_reach_have_codes_of_their_own() {
    assert_eq!(run(&["--no-such-flag"]).0, Some(2));
    assert_eq!(run(&["explain"]).0, Some(2));
    assert_eq!(run(&["status"]).0, Some(3));
    assert_eq!(run(&["healthcheck", "--admin", &free_address().to_string()]).0, Some(3));
}

#[test]
fn a_plain_list_on_the_command_line_is_a_ban_of_its_own() {
    let unbound = Unbound::start();
    let directory = TempDir::new().unwrap();
    let list = directory.path().join("more.txt");
    fs::write(&list, "# names\nextra.many.test\n\nnot a name\n").unwrap();
    let address = free_address();
    let mut command = embargo();
    command.args([
        "--listen",
        &address.to_string(),
        "--admin",
        "127.0.0.1:0",
        "--upstream",
        &unbound.address.to_string(),
    ]);
    command.arg("--list").arg(&list).env("STATE_DIRECTORY", directory.path()).current_dir(directory.path());
    let server = super::process::Running::start(&command, &directory.path().join("log"));

    until("the list is in force", SOON, || {
        ask(address, "a.extra.many.test", A).ok().filter(|rcode| *rcode == NXDOMAIN)
    });
    assert!(server.log().contains("more.txt:4"), "a bad line is shown: {}", server.log());
}

#[test]
fn a_damaged_store_is_said_in_the_log_and_left_as_it_is_and_dns_goes_on() {
    let unbound = Unbound::start();
    let setup = Setup::new(&[unbound.address]);
    let store = setup.state().join("embargo.db");
    fs::create_dir_all(setup.state()).unwrap();
    fs::write(&store, "no database".repeat(500)).unwrap();

    let server = setup.start();

    assert_eq!(ask(server.dns, "downloads.upd.kaspersky.com", A).unwrap(), NXDOMAIN);
    until("the log says it", SOON, || server.log().contains("damaged").then_some(()));
    assert_eq!(fs::read(&store).unwrap(), "no database".repeat(500).as_bytes(), "evidence is never deleted");
    assert_eq!(server.command(&["attempts"]).status.code(), Some(3));
}

#[test]
fn the_healthcheck_of_a_running_server_is_good() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();
    assert_eq!(server.command(&["healthcheck"]).status.code(), Some(0));
    let status = server.json(&["status"]);
    assert!(status.is_object(), "{status}");
}
