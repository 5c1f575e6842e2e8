//! What is kept of a list from elsewhere: damaged, gone, and kept while the policy in force is an older one.

use std::path::Path;

use embargo::app::control::Request;
use embargo::wire::rcode;
use serde_json::Value;

use super::subscribed::{comes, fetched, rcode_of, subscribed};
use super::web::{Page, Web};
use crate::harness::TestServer;
use crate::upstream_fake::FakeUpstream;

const EXPORT: &str = "[[export]]\nzone = \"rpz.test\"\nallow = [\"127.0.0.1\"]\n";

/// Files of a state directory in which `far.example` is enforced by a list whose source is down since, after `damage`.
async fn starts_after(damage: impl FnOnce(&Path), enforced: bool) {
    let (web, upstream) = (Web::start().await, FakeUpstream::start().await);
    web.put("/names", Page::new("far.example\n"));
    let settings = format!("{}{EXPORT}", subscribed(&web.url("/names"), ""));
    let server = TestServer::new().upstream(&upstream).ban("v", "near.example\n").setting(&settings).start().await;
    fetched(&server).await;
    exported(&server.state_dir(), "far.example CNAME").await;
    let directory = server.stop().await;
    damage(&directory.path().join("state"));
    web.put("/names", Page::status(503));

    let server = TestServer::after(directory).upstream(&upstream).setting(&settings).start().await;

    let expected = if enforced { (rcode::NXDOMAIN, 200) } else { (rcode::NOERROR, 503) };
    let (code, page) = server.http("/readyz?verbose").await;
    assert_eq!((rcode_of(&server, "far.example").await, code), expected, "{page}");
    assert_eq!(rcode_of(&server, "near.example").await, rcode::NXDOMAIN, "the others are enforced");
    // Other resolvers keep it in any case: whoever asked them meanwhile would have been let through.
    server.reload().await;
    exported(&server.state_dir(), "far.example CNAME").await;

    web.put("/names", Page::new("far.example\nnew.example\n"));
    // Now, or a moment ago by itself.
    comes(&server).await;
    assert_eq!(rcode_of(&server, "new.example").await, rcode::NXDOMAIN);
    assert_eq!(server.http("/readyz").await.0, 200);
    exported(&server.state_dir(), "new.example CNAME").await;
}

/// Waits until the zone for other resolvers has this.
async fn exported(state: &Path, record: &str) {
    let path = state.join("exports/rpz.test.zone");
    let written = async {
        while !std::fs::read_to_string(&path).is_ok_and(|zone| zone.contains(record)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::PATIENCE, written).await.unwrap_or_else(|_elapsed| panic!("no {record}"));
}

#[tokio::test]
async fn a_kept_list_stays_enforced_when_what_is_known_of_it_is_gone_or_rubbish() {
    starts_after(|state| std::fs::remove_file(state.join("lists/far/source.json")).unwrap(), true).await;
    starts_after(|state| std::fs::write(state.join("lists/far/source.json"), "{\"source\":").unwrap(), true).await;
}

#[tokio::test]
async fn a_kept_list_stays_enforced_when_it_is_cut_changed_or_gone() {
    starts_after(|state| std::fs::write(state.join("lists/far/list.txt"), "far.exa").unwrap(), true).await;
    starts_after(|state| std::fs::write(state.join("lists/far/list.txt"), "com\n").unwrap(), true).await;
    starts_after(|state| std::fs::remove_dir_all(state.join("lists/far")).unwrap(), true).await;
}

#[tokio::test]
async fn where_nobody_has_a_good_copy_the_server_is_not_ready_and_other_resolvers_keep_theirs() {
    let damage = |state: &Path| {
        std::fs::write(state.join("lists/far/list.txt"), "far.exa").unwrap();
        std::fs::remove_dir_all(state.join("policy")).unwrap();
    };
    starts_after(damage, false).await;
}

#[tokio::test]
async fn rules_in_force_are_not_dropped_by_a_reload_because_their_copy_is_damaged() {
    let (web, upstream) = (Web::start().await, FakeUpstream::start().await);
    web.put("/names", Page::new("far.example\n"));
    let server = TestServer::new().upstream(&upstream).setting(&subscribed(&web.url("/names"), "")).start().await;
    fetched(&server).await;
    std::fs::write(server.state_dir().join("lists/far/list.txt"), "far.exa").unwrap();
    std::fs::remove_dir_all(server.state_dir().join("policy")).unwrap();
    server.reload().await;
    assert_eq!(rcode_of(&server, "far.example").await, rcode::NXDOMAIN);
    let status = server.control(Request::Status).await;
    let mistakes = status["last_reload"]["mistakes"].to_string();
    assert!(mistakes.contains("far/list.txt: its rules stay in force until it comes again"), "{mistakes}");
    assert_eq!(server.metric("list_last_reload_successful", &[("list", "far/list.txt")]).await, 0);

    assert_eq!(fetched(&server).await[0]["error"], Value::Null, "it comes again, since nobody has it");
    assert_eq!(server.metric("list_last_reload_successful", &[("list", "far/list.txt")]).await, 1);
}

#[tokio::test]
async fn a_list_that_is_kept_and_not_in_force_is_said_to_be_so_until_it_is() {
    let (web, upstream) = (Web::start().await, FakeUpstream::start().await);
    web.put("/names", Page::new("old.example\n").etag("\"1\""));
    let server = TestServer::new()
        .upstream(&upstream)
        .ban("v", "near.example\n")
        .setting(&subscribed(&web.url("/names"), ""))
        .start()
        .await;
    fetched(&server).await;
    let rules = server.state_dir().parent().unwrap().join("blocklists/v/rules.txt");
    for (number, mended_by_a_fetch) in [(2, true), (3, false)] {
        std::fs::write(&rules, "near..example\n").unwrap();
        let name = format!("new{number}.example");
        web.put("/names", Page::new(format!("{name}\n")).etag(&format!("\"{number}\"")));
        for asked in ["first", "again, when its source says that nothing has changed"] {
            let row = fetched(&server).await[0].clone();
            let error = row["error"].as_str().unwrap_or_default();
            assert!(error.contains("kept, but not in force") && error.contains("rules.txt:1:6"), "{asked}: {row}");
            assert_eq!(row["result"], "failed", "{asked}");
            assert_eq!(rcode_of(&server, &name).await, rcode::NOERROR);
        }
        std::fs::write(&rules, "near.example\n").unwrap();
        if mended_by_a_fetch {
            assert_eq!(fetched(&server).await[0]["result"], "changed", "what is in force has");
            assert_eq!(fetched(&server).await[0]["result"], "unchanged");
        } else {
            server.reload().await;
        }
        let row = &server.control(Request::Lists).await[0];
        assert_eq!(row["error"], Value::Null, "{row}");
        assert_eq!(rcode_of(&server, &name).await, rcode::NXDOMAIN);
        assert_eq!(server.metric("list_fetch_last_successful", &[("list", "far")]).await, 1);
    }
}
