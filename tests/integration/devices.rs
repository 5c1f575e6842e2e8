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

const MAC_OPTION: u16 = 65001;
const PREMISES_OPTION: u16 = 65074;
const UMBRELLA_OPTION: u16 = 20292;
/// A forwarder that is believed.
const FORWARDER: [u8; 4] = [127, 0, 1, 53];

fn told(name: &str, code: u16, value: &[u8]) -> Question {
    Question::new(name, qtype::A).option(code, value)
}

/// The devices of the attempts with their clients, sorted.
async fn recorded(server: &RunningServer) -> Vec<(String, String)> {
    let row = |row: embargo::journal::AttemptRow| {
        (row.client.unwrap().to_string(), row.device.unwrap_or_else(|| "-".to_owned()))
    };
    let mut rows: Vec<_> = server.attempts().await.into_iter().map(row).collect();
    rows.sort();
    rows.dedup();
    rows
}

#[tokio::test]
async fn a_device_that_a_listed_forwarder_names_is_known_and_nobody_else_is_believed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table.csv");
    write(&file, &format!("192.0.2.9,{B},\n"));
    let upstream = FakeUpstream::start().await;
    let server = start_told(&file, &upstream).await;
    let mac = [0, 0x16, 0x3e, 0, 0, 0x0a];
    ask_from(&server, FORWARDER, &told("a.example", MAC_OPTION, &mac)).await;
    ask_from(&server, FORWARDER, &told("a.example", UMBRELLA_OPTION, b"ODNS\x01\0\0\x10\xC0\0\x02\x09")).await;
    ask_from(&server, FORWARDER, &told("a.example", 8, &[0, 1, 32, 0, 192, 0, 2, 8])).await;
    ask_from(&server, FORWARDER, &told("a.example", PREMISES_OPTION, b"shop\x1b[7m")).await;
    ask_from(&server, FORWARDER, &Question::new("a.example", qtype::A)).await;
    ask_from(&server, [127, 0, 1, 54], &told("a.example", MAC_OPTION, &mac)).await;
    let (forwarder, other) = ("127.0.1.53", "127.0.1.54");
    let mut expected = [
        (forwarder, format!("mac:{A}")),
        (forwarder, format!("mac:{B}")),
        (forwarder, "ip:192.0.2.8".to_owned()),
        (forwarder, "cpe:shop??7m".to_owned()),
        (forwarder, "-".to_owned()),
        (other, "-".to_owned()),
    ]
    .map(|(client, device)| (client.to_owned(), device));
    expected.sort();
    assert_eq!(recorded(&server).await, expected);

    // Whoever says it, it ends here.
    for client in [FORWARDER, [127, 0, 1, 54]] {
        ask_from(&server, client, &told("free.example", MAC_OPTION, &mac)).await;
        ask_from(&server, client, &told("free2.example", UMBRELLA_OPTION, b"ODNS\x01\0\0\x10\xC0\0\x02\x09")).await;
    }
    for seen in upstream.queries() {
        assert_eq!((seen.option(MAC_OPTION), seen.option(UMBRELLA_OPTION)), (None, None));
    }
}

async fn start_told(file: &Path, upstream: &FakeUpstream) -> RunningServer {
    // Before the first table.
    let settings =
        format!("devices_from = [\"127.0.1.53\"]\n[[leases]]\nfile = \"{}\"\nformat = \"csv\"\n", file.display());
    TestServer::new().ban("vendor", "a.example").upstream(upstream).setting(&settings).start().await
}

#[tokio::test]
async fn a_device_behind_a_forwarder_is_exempt_and_its_neighbours_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table.csv");
    write(&file, "");
    let upstream = FakeUpstream::start().await;
    let server = start_told(&file, &upstream).await;
    server.control(Request::ExemptAdd(Box::new(exempt(&format!("mac:{A}"))))).await;
    let rcode = async |last: u8| {
        let question = told("a.example", MAC_OPTION, &[0, 0x16, 0x3e, 0, 0, last]);
        ask_from(&server, FORWARDER, &question).await.rcode()
    };
    // Seen for the first time, it is looked for among those that are named within a second.
    rcode(0x0a).await;
    write(&file, &format!("192.0.2.9,{B},\n"));
    server.follow_leases().await;
    assert_eq!((rcode(0x0a).await, rcode(0x0b).await), (rcode::NOERROR, rcode::NXDOMAIN));
}

#[tokio::test]
async fn operators_merge_part_and_take_back_and_an_inventory_joins() {
    let directory = tempfile::tempdir().unwrap();
    let (file, assets) = (directory.path().join("table.csv"), directory.path().join("assets.csv"));
    write(&file, &format!("127.0.1.7,{A},\n127.0.1.8,{B},\n"));
    let inventory = "00:16:3e:00:00:0c";
    std::fs::write(&assets, format!("asset,mac\nINV-7,{inventory}\n")).unwrap();
    let upstream = FakeUpstream::start().await;
    let server = start(&file, &upstream, &format!("[[assets]]\nfile = \"{}\"\n", assets.display())).await;
    server.control(Request::ExemptAdd(Box::new(exempt(&format!("mac:{A}"))))).await;
    assert!(is_free(&server, [1, 7]).await && !is_free(&server, [1, 8]).await);

    let (one, other) = (format!("mac:{A}"), format!("mac:{B}"));
    let merged = embargo(&server, &["devices", "merge", &one, &other, "--reason", "one laptop", "--json"]).await;
    assert!(is_free(&server, [1, 8]).await, "in force when the command returns");
    let id = merged["id"].to_string();
    let names = async || {
        let rows = embargo(&server, &["clients", "--json"]).await;
        let device = |row: &Value| row["device"].as_str().unwrap_or("-").to_owned();
        let mut names: Vec<_> = rows.as_array().unwrap().iter().map(device).collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(names().await, [&*one]);
    embargo(&server, &["devices", "undo", &id, "--json"]).await;
    assert!(!is_free(&server, [1, 8]).await);

    // What DHCP has said together is parted.
    write(&file, &format!("127.0.1.7,{A},00:03\n127.0.1.8,{B},00:03\n"));
    server.follow_leases().await;
    assert!(is_free(&server, [1, 8]).await);
    embargo(&server, &["devices", "split", "duid:00:03", "--reason", "one image", "--json"]).await;
    assert!(is_free(&server, [1, 7]).await && !is_free(&server, [1, 8]).await);

    // A thing of the inventory is exempt by its number.
    server.control(Request::ExemptAdd(Box::new(exempt("asset:INV-7")))).await;
    write(&file, &format!("127.0.1.9,{inventory},\n"));
    server.follow_leases().await;
    assert!(is_free(&server, [1, 9]).await);
    let audit = embargo(&server, &["audit", "--json"]).await;
    let told = audit["entries"].to_string();
    assert!(audit["intact"] == true && told.contains("one laptop") && told.contains("\"undone\""), "{told}");
}

#[tokio::test]
async fn a_preview_leaves_alone_whoever_is_exempt_as_a_device() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table.csv");
    write(&file, &format!("127.0.1.7,{A},\n127.0.1.8,{B},\n"));
    let upstream = FakeUpstream::start().await;
    let leases = format!("[[leases]]\nfile = \"{}\"\nformat = \"csv\"\n", file.display());
    let server = TestServer::new().ban_with("vendor", "mode = \"observe\"\n", "a.example");
    let server = server.upstream(&upstream).setting(&leases).start().await;
    server.control(Request::ExemptAdd(Box::new(exempt(&format!("mac:{A}"))))).await;
    assert!(is_free(&server, [1, 7]).await && is_free(&server, [1, 8]).await);
    server.attempts().await;
    let config = server.state_dir().parent().unwrap().join("embargo.toml");
    let asked = ["preview", "--ban", "vendor", "--mode", "enforce", "--json", "--config", config.to_str().unwrap()];
    let previewed = embargo(&server, &asked).await;
    let clients: Vec<_> = previewed["clients"].as_array().unwrap().iter().map(|row| &row["client"]).collect();
    assert_eq!(clients, ["127.0.1.8"], "{previewed}");
}

#[tokio::test]
async fn a_card_has_a_maker_and_an_address_that_was_made_up_has_none() {
    let directory = tempfile::tempdir().unwrap();
    let (file, makers) = (directory.path().join("table.csv"), directory.path().join("makers"));
    write(&file, &format!("127.0.1.7,{A},\n127.0.1.8,02:16:3e:00:00:01,\n"));
    std::fs::write(&makers, "00163E Xensource\n02163E Nobody\n").unwrap();
    let upstream = FakeUpstream::start().await;
    let server = start(&file, &upstream, "").await;
    server.attempts().await;
    let rows = embargo(&server, &["devices", "--json", "--vendors", makers.to_str().unwrap()]).await;
    let mut told: Vec<_> = rows.as_array().unwrap().iter().map(|row| (&row["client"], row)).collect();
    told.sort_by_key(|(client, _row)| client.to_string());
    let [(_, card), (_, made_up)] = &told[..] else { panic!("{rows}") };
    assert_eq!(
        (&card["vendor"], &card["randomised"], &card["confidence"]),
        (&"Xensource".into(), &false.into(), &"mac".into())
    );
    assert_eq!((&made_up["vendor"], &made_up["randomised"]), (&Value::Null, &true.into()));
    assert_eq!((&card["method"], &made_up["confidence"]), (&"lease".into(), &"random_mac".into()));
}
