//! Devices that exemptions and groups name: they are met as such wherever they are.

use std::path::Path;
use std::time::Duration;

use embargo::app::control::{self, Exempt, Request};
use embargo::audit::Written;
use embargo::wire::{qtype, rcode};
use serde_json::Value;

use crate::harness::{Question, RunningServer, TestServer};
use crate::upstream_fake::FakeUpstream;
use crate::whom::ask_from;

const A: &str = "00:16:3e:00:00:0a";
const B: &str = "00:16:3e:00:00:0b";
const HEADER: &str = "address,mac,duid\n";

/// Has the table say who holds which address.
fn write(file: &Path, rows: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, format!("{HEADER}{rows}")).unwrap();
    std::fs::rename(beside, file).unwrap();
}

async fn start(file: &Path, upstream: &FakeUpstream, settings: &str) -> RunningServer {
    let leases = format!("[[leases]]\nfile = \"{}\"\nformat = \"csv\"\n{settings}", file.display());
    TestServer::new().ban("vendor", "a.example").upstream(upstream).setting(&leases).start().await
}

/// Whether the client with these last two octets gets an answer for a banned name.
async fn is_free(server: &RunningServer, client: [u8; 2]) -> bool {
    let client = [127, 0, client[0], client[1]];
    ask_from(server, client, &Question::new("a.example", qtype::A)).await.rcode() == rcode::NOERROR
}

fn exempt(device: &str) -> Exempt {
    let terms = Written {
        client: Some(device.to_owned()),
        ban: Some("vendor".to_owned()),
        owner: "J. Doe".to_owned(),
        reason: "removal tool".to_owned(),
        ..Written::default()
    };
    Exempt { terms, lasts_ms: Some(60_000), is_site: false }
}

async fn embargo(server: &RunningServer, arguments: &[&str]) -> Value {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_embargo"));
    command.args(arguments).arg("--state-dir").arg(server.state_dir()).env_clear();
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_device_that_is_exempt_stays_so_when_its_address_changes_and_nobody_else_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table.csv");
    write(&file, &format!("127.0.1.7,{A},\n127.0.1.8,{B},\n"));
    let upstream = FakeUpstream::start().await;
    let server = start(&file, &upstream, "").await;
    let row = server.control(Request::ExemptAdd(Box::new(exempt(&format!("mac:{A}"))))).await;
    assert_eq!(row["client"], format!("mac:{A}"));
    assert!(is_free(&server, [1, 7]).await && !is_free(&server, [1, 8]).await);

    // Each takes the address of the other.
    write(&file, &format!("127.0.1.8,{A},\n127.0.1.7,{B},\n"));
    server.follow_leases().await;
    assert!(is_free(&server, [1, 8]).await && !is_free(&server, [1, 7]).await);

    // Known by something better than the identifier that it was exempt by, and at two addresses at once.
    write(&file, &format!("127.0.1.8,{A},00:03\n127.0.1.9,,00:03\n"));
    server.follow_leases().await;
    assert!(is_free(&server, [1, 8]).await && is_free(&server, [1, 9]).await);

    write(&file, "");
    server.follow_leases().await;
    assert!(!is_free(&server, [1, 8]).await, "an address that nobody holds is nobody's");
}

#[tokio::test]
async fn who_can_be_anybody_is_not_exempt() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table.csv");
    write(&file, "");
    let upstream = FakeUpstream::start().await;
    let server = start(&file, &upstream, "").await;
    let (state_dir, asked) = (server.state_dir(), Request::ExemptAdd(Box::new(exempt("host:anna-pc"))));
    let answer = tokio::task::spawn_blocking(move || control::ask(&state_dir, &asked, Duration::from_secs(10)));
    let why = answer.await.unwrap().unwrap_err().to_string();
    assert!(why.contains("what a device calls itself"), "{why}");
}

#[tokio::test]
async fn a_device_is_of_its_group_at_whatever_address_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table.csv");
    write(&file, &format!("127.0.1.7,{A},\n"));
    let group = format!(
        "[[group]]\nid = \"lab\"\ndevices = [\"mac:{A}\"]\n[[ban.vendor.for]]\ngroups = [\"lab\"]\nmode = \"observe\"\n"
    );
    let upstream = FakeUpstream::start().await;
    let server = start(&file, &upstream, &group).await;
    assert!(is_free(&server, [1, 7]).await && !is_free(&server, [1, 8]).await);
    write(&file, &format!("127.0.1.8,{A},\n"));
    server.follow_leases().await;
    assert!(is_free(&server, [1, 8]).await && !is_free(&server, [1, 7]).await);

    // The command line knows it by the record.
    let config = server.state_dir().parent().unwrap().join("embargo.toml");
    server.attempts().await;
    let asked = ["explain", "a.example", "--client", "127.0.1.8", "--json", "--config", config.to_str().unwrap()];
    let explained = embargo(&server, &asked).await;
    assert_eq!((&explained["verdict"], &explained["groups"][0]), (&"observe".into(), &"lab".into()), "{explained}");
    assert_eq!(explained["device"], format!("mac:{A}"));
}
