//! `embargo lists fetch` and `status`, beside a running server and without one.

use std::path::Path;
use std::process::{Command, Output};

use embargo::app::control::{self, Request};
use embargo::wire::rcode;
use serde_json::Value;

use super::PATIENCE;
use super::subscribed::{rcode_of, subscribed};
use super::web::{Page, Web};
use crate::harness::TestServer;

async fn embargo(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_embargo"));
    command.args(arguments).env_clear();
    command.arg("--config").arg(directory.join("embargo.toml")).arg("--state-dir").arg(directory.join("state"));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn rows(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_a_list_is_fetched_for_the_next_start() {
    let (web, directory) = (Web::start().await, tempfile::tempdir().unwrap());
    web.put("/names", Page::new("far.example\n"));
    let settings = subscribed(&web.url("/names"), "");
    std::fs::write(directory.path().join("embargo.toml"), &settings).unwrap();
    let shown = embargo(directory.path(), &["lists", "status"]).await;
    assert!(shown.status.success());
    assert!(
        String::from_utf8_lossy(&shown.stdout).contains("far: it has not come yet; its ban has no rule"),
        "{shown:?}"
    );

    let fetched = embargo(directory.path(), &["lists", "fetch", "far", "--json"]).await;
    assert_eq!((&rows(&fetched)[0]["result"], &rows(&fetched)[0]["rules"]), (&"changed".into(), &1.into()));
    assert!(fetched.stderr.is_empty(), "no bar where nobody looks: {fetched:?}");
    assert_eq!(embargo(directory.path(), &["lists", "fetch", "near"]).await.status.code(), Some(3));

    drop(web);
    let failed = embargo(directory.path(), &["lists", "fetch"]).await;
    assert_eq!(failed.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&failed.stdout).contains("what is kept stays in force"), "{failed:?}");
    let server = TestServer::after(directory).setting(&settings).start().await;
    assert_eq!(rcode_of(&server, "far.example").await, rcode::NXDOMAIN);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_running_server_fetches_and_enforces_what_a_command_asks_for() {
    let web = Web::start().await;
    let server = TestServer::new().setting(&subscribed(&web.url("/names"), "")).start().await;
    web.put("/names", Page::new("far.example\n"));
    let state = server.state_dir();
    let directory = state.parent().unwrap();
    let fetched = embargo(directory, &["lists", "fetch", "--json"]).await;
    assert_eq!((fetched.status.code(), &rows(&fetched)[0]["rules"]), (Some(0), &1.into()), "{fetched:?}");
    assert_eq!(rcode_of(&server, "far.example").await, rcode::NXDOMAIN);
    let unknown = embargo(directory, &["lists", "fetch", "near"]).await;
    assert_eq!(unknown.status.code(), Some(3));
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("no list `near` comes from elsewhere; those that do: far")
    );
    assert_eq!(rows(&embargo(directory, &["lists", "status", "--json"]).await)[0]["id"], "far");
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_want_a_list_at_once_each_is_told_how_it_ended() {
    let web = Web::start().await;
    web.put("/names", Page::new("far.example\n").hanging_after(3));
    let server = TestServer::new().setting(&subscribed(&web.url("/names"), "")).start().await;
    let mut asking = tokio::task::JoinSet::new();
    for _impatient in 0..12 {
        let state_dir = server.state_dir();
        let request = Request::ListsFetch { ids: Vec::new(), any_size: false };
        asking.spawn_blocking(move || control::ask(&state_dir, &request, PATIENCE));
    }
    while web.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    for _moment in 0..1_000 {
        tokio::task::yield_now().await;
    }
    // Nobody is there any more.
    drop(web);
    for answer in asking.join_all().await {
        assert_eq!(answer.unwrap()[0]["result"], "failed");
    }
}
