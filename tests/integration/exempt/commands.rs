//! `embargo exempt` and `embargo audit` beside a running server and without one.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::{NEITHER, ONE, rcodes};
use crate::harness::TestServer;
use crate::upstream_fake::FakeUpstream;

async fn embargo(state_dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_embargo"));
    command.args(arguments).arg("--state-dir").arg(state_dir).env_clear();
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn json_of(state_dir: &Path, arguments: &[&str]) -> Value {
    let output = embargo(state_dir, &[arguments, &["--json"]].concat()).await;
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

const ADD: [&str; 12] = [
    "exempt",
    "add",
    "--client",
    "127.0.0.2",
    "--ban",
    "vendor",
    "--owner",
    "J. Doe",
    "--reason",
    "removal tool",
    "--for",
    "1h",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_exemption_is_added_listed_revoked_and_audited_by_commands() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("vendor", "a.example").upstream(&upstream).start().await;
    let state = server.state_dir();
    let added = json_of(&state, &[&ADD[..], &["--ticket", "CHG-7"]].concat()).await;
    assert_eq!((added["id"].as_str(), added["state"].as_str()), (Some("2"), Some("live")));
    assert_eq!(rcodes(&server).await, ONE);
    let listed = json_of(&state, &["exempt", "list"]).await;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    for (field, value) in [
        ("client", "127.0.0.2"),
        ("ban", "vendor"),
        ("owner", "J. Doe"),
        ("reason", "removal tool"),
        ("ticket", "CHG-7"),
    ] {
        assert_eq!(listed[0][field], value, "{field}");
    }
    assert!(listed[0]["uid"].is_u64() && listed[0]["left_seconds"].as_u64() > Some(3_500), "{listed}");

    let revoked = embargo(&state, &["exempt", "revoke", "2"]).await;
    assert_eq!(String::from_utf8_lossy(&revoked.stdout), "Exemption 2 is revoked.\n");
    assert_eq!(rcodes(&server).await, NEITHER);
    assert_eq!(json_of(&state, &["exempt", "list"]).await, serde_json::json!([]));
    assert_eq!(json_of(&state, &["exempt", "list", "--all"]).await[0]["state"], "revoked");
    assert_eq!(embargo(&state, &["exempt", "revoke", "2"]).await.status.code(), Some(2));

    let _directory = server.stop().await;
    let audit = json_of(&state, &["audit"]).await;
    assert_eq!((&audit["intact"], &audit["entries"][1]["granted"]["ticket"]), (&true.into(), &"CHG-7".into()));
    assert_eq!((&audit["entries"][2]["revoked"], &audit["entries"][2]["uid"]), (&2.into(), &listed[0]["uid"]));
    let head = audit["head"].as_str().unwrap();
    assert!(embargo(&state, &["audit", "--verify", "--noted", head]).await.status.success());
    assert_eq!(embargo(&state, &["audit", "--verify", "--noted", "00"]).await.status.code(), Some(3));
    assert_eq!(json_of(&state, &["exempt", "list", "--all"]).await[0]["state"], "revoked", "without a server too");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_nothing_is_granted_and_the_way_out_is_said() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&ADD[..], &["exempt", "revoke", "1"]] {
        let output = embargo(directory.path(), arguments).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{told}");
        assert!(told.contains("start the server") && told.contains("[[exemption]]"), "{told}");
    }
    // Nothing was read: that nobody is exempt, or that all is intact, would be made up.
    for arguments in [&["exempt", "list"][..], &["audit", "--verify"], &["audit"], &["exempt", "list", "--json"]] {
        let output = embargo(directory.path(), arguments).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{arguments:?}: {output:?}");
        assert!(told.contains("no record here"), "{told}");
    }
    assert!(!directory.path().join("audit.log").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_told_of_by_every_command() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("vendor", "a.example").upstream(&upstream).start().await;
    let state = server.state_dir();
    json_of(&state, &ADD).await;
    let _directory = server.stop().await;
    let file = state.join("audit.log");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("J. Doe", "A. Roe")).unwrap();
    let audit = embargo(&state, &["audit", "--verify"]).await;
    assert_eq!(audit.status.code(), Some(3), "{audit:?}");
    assert!(String::from_utf8_lossy(&audit.stderr).contains("damaged at entry 2"), "{audit:?}");
    let list = embargo(&state, &["exempt", "list"]).await;
    assert!(String::from_utf8_lossy(&list.stderr).contains("damaged at entry 2"), "{list:?}");
}
