//! A list at a URL: fetched, enforced, asked for again, signed, and kept for a start without its source.

use embargo::app::control::Request;
use embargo::wire::{qtype, rcode};
use serde_json::Value;

use super::web::{Page, Web};
use crate::harness::{RunningServer, TestServer};
use crate::upstream_fake::certificates::Authority;
use crate::upstream_fake::{A, Act, FakeUpstream, reply};

/// The configuration of one list.
pub(super) fn subscribed(url: &str, more: &str) -> String {
    format!("[[list]]\nid = \"far\"\nurl = \"{url}\"\n{more}\n")
}

/// Has every list asked for; how each is then.
pub(super) async fn fetched(server: &RunningServer) -> Value {
    server.control(Request::ListsFetch { ids: Vec::new(), any_size: false }).await
}

/// The list comes, now or a moment ago: whoever is new to a list asks for it by itself.
pub(super) async fn comes(server: &RunningServer) {
    let rows = fetched(server).await;
    assert!(rows[0]["error"].is_null() && rows[0]["fetched"].is_string(), "{rows}");
}

/// The rcode for a name over UDP.
pub(super) async fn rcode_of(server: &RunningServer, name: &str) -> u16 {
    server.query(name, qtype::A).await.rcode()
}

#[tokio::test]
async fn a_list_is_enforced_when_it_comes_follows_its_source_and_outlives_it() {
    let (web, upstream) = (Web::start().await, FakeUpstream::start().await);
    web.put("/names", Page::new("first.example\n").etag("\"1\""));
    let settings = subscribed(&web.url("/names"), "");
    let server = TestServer::new().upstream(&upstream).setting(&settings).start().await;
    let rows = fetched(&server).await;
    assert_eq!((&rows[0]["id"], &rows[0]["rules"], &rows[0]["error"]), (&"far".into(), &1.into(), &Value::Null));
    assert_eq!(rcode_of(&server, "first.example").await, rcode::NXDOMAIN);
    assert_eq!(server.metric("list_entries", &[("list", "far/list.txt")]).await, 1);

    web.put("/names", Page::new("second.example\nthird.example\n").etag("\"2\""));
    let rows = fetched(&server).await;
    assert_eq!((&rows[0]["result"], &rows[0]["rules"]), (&"changed".into(), &2.into()));
    assert_eq!(rcode_of(&server, "first.example").await, rcode::NOERROR);
    assert_eq!(rcode_of(&server, "second.example").await, rcode::NXDOMAIN);

    drop(web);
    let failed = fetched(&server).await;
    assert_eq!((&failed[0]["result"], &failed[0]["rules"]), (&"failed".into(), &2.into()));
    assert_eq!(server.metric("list_fetch_last_successful", &[("list", "far")]).await, 0);
    assert!(server.metric("list_fetch_last_success_timestamp_seconds", &[("list", "far")]).await > 1_600_000_000);
    let (code, page) = server.http("/readyz?verbose").await;
    assert!(code == 200 && page.contains("1 of 1 lists are not: far"), "{page}");

    let directory = server.stop().await;
    let server = TestServer::after(directory).upstream(&upstream).setting(&settings).start().await;
    assert_eq!(rcode_of(&server, "second.example").await, rcode::NXDOMAIN, "the source is down, its list is kept");
    assert_eq!(rcode_of(&server, "a.third.example").await, rcode::NXDOMAIN);
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again_and_reloads_nothing() {
    let web = Web::start().await;
    let page = Page::new("far.example\n").etag("\"1\"").field("Last-Modified", "Fri, 06 Nov 2026 08:49:37 GMT");
    web.put("/names", page);
    let server = TestServer::new().setting(&subscribed(&web.url("/names"), "")).start().await;
    fetched(&server).await;
    let generation = server.control(Request::Status).await["policy"]["generation"].clone();

    let rows = fetched(&server).await;

    assert_eq!((&rows[0]["result"], &rows[0]["rules"]), (&"unchanged".into(), &1.into()));
    let last = web.requests().pop().unwrap();
    assert!(last.contains("if-none-match: \"1\"\r\n"), "{last}");
    assert!(last.contains("if-modified-since: Fri, 06 Nov 2026 08:49:37 GMT\r\n"), "{last}");
    assert_eq!(server.control(Request::Status).await["policy"]["generation"], generation);
    // A server that knows nothing of versions sends the same once more.
    web.put("/names", Page::new("far.example\n"));
    assert_eq!(fetched(&server).await[0]["result"], "unchanged");
    assert_eq!(server.control(Request::Status).await["policy"]["generation"], generation);
}

#[tokio::test]
async fn a_list_that_never_came_holds_up_nothing_and_its_ban_says_so() {
    let web = Web::start().await;
    let server = TestServer::new().ban("v", "geo.example\n").setting(&subscribed(&web.url("/gone"), "")).start().await;
    assert_eq!(rcode_of(&server, "geo.example").await, rcode::NXDOMAIN);
    let rows = fetched(&server).await;
    assert_eq!(rows[0]["error"], "the server answers 404");
    assert_eq!((&rows[0]["fetched"], &rows[0]["digest"]), (&Value::Null, &Value::Null));
    let status = server.control(Request::Status).await;
    let bans = status["policy"]["bans"].as_array().unwrap();
    assert!(bans.iter().any(|ban| ban["id"] == "far" && ban["rules"] == 0), "{bans:?}");
    assert_eq!(server.metric("list_fetch_last_success_timestamp_seconds", &[("list", "far")]).await, 0);
    assert_eq!(server.metric("list_fetch_bytes", &[("list", "far")]).await, 0);
    assert_eq!(server.metric("config_last_reload_successful", &[]).await, 1);

    web.put("/gone", Page::new("far.example\n"));
    assert_eq!(fetched(&server).await[0]["result"], "changed");
    assert_eq!(rcode_of(&server, "far.example").await, rcode::NXDOMAIN);
}

#[tokio::test]
async fn a_copy_that_was_damaged_is_not_believed_and_comes_again() {
    let web = Web::start().await;
    web.put("/names", Page::new("far.example\n").etag("\"1\""));
    let settings = subscribed(&web.url("/names"), "");
    let server = TestServer::new().setting(&settings).start().await;
    fetched(&server).await;
    let directory = server.stop().await;
    std::fs::write(directory.path().join("state/lists/far/list.txt"), "other.example\n").unwrap();

    let server = TestServer::after(directory).setting(&settings).start().await;

    assert_eq!(fetched(&server).await[0]["rules"], 1);
    assert_eq!(rcode_of(&server, "far.example").await, rcode::NXDOMAIN);
    let kept = std::fs::read_to_string(server.state_dir().join("lists/far/list.txt")).unwrap();
    assert_eq!(kept, "far.example\n");
}

#[tokio::test]
async fn after_a_crash_while_a_list_was_exchanged_the_one_before_is_enforced_until_the_source_is_there() {
    let web = Web::start().await;
    web.put("/names", Page::new("far.example\n").etag("\"1\""));
    let settings = subscribed(&web.url("/names"), "");
    let server = TestServer::new().setting(&settings).start().await;
    let digest = fetched(&server).await[0]["digest"].as_str().unwrap().to_owned();
    let directory = server.stop().await;
    // What is noted first is all that there is of the new version.
    let note = directory.path().join("state/lists/far/source.json");
    let mut noted: Value = serde_json::from_slice(&std::fs::read(&note).unwrap()).unwrap();
    (noted["digest"], noted["digest_before"], noted["etag"]) = ("0".repeat(64).into(), digest.into(), "\"2\"".into());
    std::fs::write(&note, noted.to_string()).unwrap();
    web.put("/names", Page::status(503));

    let server = TestServer::after(directory).setting(&settings).start().await;
    assert_eq!(fetched(&server).await[0]["result"], "failed");
    assert_eq!(rcode_of(&server, "far.example").await, rcode::NXDOMAIN);

    web.put("/names", Page::new("new.example\n").etag("\"2\""));
    assert_eq!(fetched(&server).await[0]["result"], "changed", "what never came whole is not taken for the newest");
    assert_eq!(rcode_of(&server, "new.example").await, rcode::NXDOMAIN);
}

#[tokio::test]
async fn several_lists_are_in_force_at_once_and_one_that_is_named_no_longer_is_forgotten() {
    let web = Web::start().await;
    web.put("/a", Page::new("a.example\n"));
    web.put("/b", Page::new("||b.example^\n"));
    let both = format!(
        "[[list]]\nid = \"one\"\nurl = \"{}\"\n[[list]]\nid = \"two\"\nurl = \"{}\"\nformat = \"adblock\"\n",
        web.url("/a"),
        web.url("/b")
    );
    let server = TestServer::new().setting(&both).start().await;
    assert_eq!(fetched(&server).await.as_array().unwrap().len(), 2);
    for name in ["a.example", "b.example"] {
        assert_eq!(rcode_of(&server, name).await, rcode::NXDOMAIN, "{name}");
    }
    let kept = || {
        let entries = std::fs::read_dir(server.state_dir().join("lists")).unwrap();
        let mut kept: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        kept.sort();
        kept
    };
    web.put("/b", Page::status(503));
    assert_eq!(fetched(&server).await[1]["result"], "failed");
    server.reload().await;
    assert_eq!(kept(), ["one", "two"], "one that only failed stays");

    server.change_settings(&subscribed(&web.url("/a"), "")).await;
    let rows = fetched(&server).await;
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["id"]), (1, &"far".into()));
    assert!(!server.metrics().await.contains("embargo_list_fetch_bytes{list=\"two\"}"));
    assert_eq!(kept(), ["far"]);
    assert_eq!(rcode_of(&server, "a.example").await, rcode::NXDOMAIN);
}

#[tokio::test]
async fn a_signed_list_is_taken_with_its_signature_and_no_other() {
    let key = "minisign_key = \"RWSc3FeeM8gWj4jg5LIfl4ysDo7WkSW5u+TUZ8lptOTeM5peTCsgHCaJ\"";
    let stranger = "minisign_key = \"RWReYnN+mwz0hE8z5MtR42xaCiEYVko3ppmnMbsE/dsACm0w+ODOrozZ\"";
    let (list, signature) =
        (include_str!("../../fixtures/lists/signed.txt"), include_str!("../../fixtures/lists/signed.txt.minisig"));
    let web = Web::start().await;
    web.put("/names", Page::new(list));
    let server = TestServer::new().setting(&subscribed(&web.url("/names"), key)).start().await;
    let refused = async |part: &str| {
        let row = fetched(&server).await[0].clone();
        assert!(row["error"].as_str().unwrap().contains(part), "{row}");
        assert_eq!(row["result"], "refused");
    };
    refused("names.minisig: the server answers 404").await;
    web.put("/names.minisig", Page::new("no signature"));
    refused("no signature that can be used").await;
    web.put("/names.minisig", Page::new(signature));
    web.put("/names", Page::new("signed.example\nslipped-in.example\n"));
    refused("it is not signed by `minisign_key`").await;
    assert_eq!(rcode_of(&server, "slipped-in.example").await, rcode::SERVFAIL, "forwarded, and nobody is there");

    web.put("/names", Page::new(list));
    assert_eq!(fetched(&server).await[0]["result"], "changed");
    assert_eq!(rcode_of(&server, "signed.example").await, rcode::NXDOMAIN);

    server.change_settings(&subscribed(&web.url("/names"), stranger)).await;
    refused("it is not signed by `minisign_key`").await;
}

#[tokio::test]
async fn a_list_that_came_before_it_had_to_be_signed_is_in_force_only_when_its_signature_came_too() {
    let key = "minisign_key = \"RWSc3FeeM8gWj4jg5LIfl4ysDo7WkSW5u+TUZ8lptOTeM5peTCsgHCaJ\"";
    let (list, signature) =
        (include_str!("../../fixtures/lists/signed.txt"), include_str!("../../fixtures/lists/signed.txt.minisig"));
    let (web, upstream) = (Web::start().await, FakeUpstream::start().await);
    web.put("/names", Page::new(list).etag("\"1\""));
    let server = TestServer::new().upstream(&upstream).setting(&subscribed(&web.url("/names"), "")).start().await;
    comes(&server).await;
    assert_eq!(rcode_of(&server, "signed.example").await, rcode::NXDOMAIN);

    server.change_settings(&subscribed(&web.url("/names"), key)).await;
    assert_eq!(server.metric("config_last_reload_successful", &[]).await, 1);
    fetched(&server).await;
    assert_eq!(rcode_of(&server, "signed.example").await, rcode::NOERROR, "nobody has verified it");
    let directory = server.stop().await;
    let settings = subscribed(&web.url("/names"), key);
    let server = TestServer::after(directory).upstream(&upstream).setting(&settings).start().await;
    assert_eq!(rcode_of(&server, "signed.example").await, rcode::NOERROR, "nor any copy of it");

    // Its server says that what it has is no other than before; what counts is that it came with its signature.
    web.put("/names.minisig", Page::new(signature));
    comes(&server).await;
    assert_eq!(rcode_of(&server, "signed.example").await, rcode::NXDOMAIN);
    let directory = server.stop().await;
    web.put("/names", Page::status(503));
    let server = TestServer::after(directory).upstream(&upstream).setting(&settings).start().await;
    assert_eq!(rcode_of(&server, "signed.example").await, rcode::NXDOMAIN, "verified when it came");
}

#[tokio::test]
async fn how_it_went_with_another_url_is_not_said_of_this_one() {
    let web = Web::start().await;
    web.put("/names", Page::new("far.example\n"));
    let server = TestServer::new().setting(&subscribed(&web.url("/names"), "")).start().await;
    comes(&server).await;
    server.change_settings(&subscribed(&web.url("/gone"), "")).await;
    assert_eq!(fetched(&server).await[0]["error"], "the server answers 404");
    assert_eq!(server.metric("list_fetch_last_successful", &[("list", "far")]).await, 0);

    server.change_settings(&subscribed(&web.url("/names"), "")).await;
    let rows = server.control(Request::Lists).await;
    assert_eq!(
        (&rows[0]["error"], &rows[0]["result"]),
        (&Value::Null, &Value::Null),
        "it is not asked for again for a day"
    );
    assert!(rows[0]["fetched"].is_string(), "{rows}");
    assert_eq!(server.metric("list_fetch_last_successful", &[("list", "far")]).await, 1);
}

#[tokio::test]
async fn a_copy_that_is_damaged_while_the_server_runs_is_asked_for_soon() {
    let web = Web::start().await;
    web.put("/names", Page::new("far.example\n").etag("\"1\""));
    let server = TestServer::new().setting(&subscribed(&web.url("/names"), "")).start().await;
    comes(&server).await;
    let kept = server.state_dir().join("lists/far/list.txt");
    for damage in ["far.exa", ""] {
        std::fs::write(&kept, damage).unwrap();
        let comes_again = async {
            while std::fs::read_to_string(&kept).unwrap() != "far.example\n" {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(super::PATIENCE, comes_again).await.unwrap_or_else(|_elapsed| panic!("{damage:?} stays"));
    }
}

#[tokio::test]
async fn a_server_is_believed_by_its_authority_and_a_stranger_is_not() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let web = Web::start_tls(&authority.issue(&["127.0.0.1"])).await;
    web.put("/names", Page::new("far.example\n"));
    let directory = tempfile::tempdir().unwrap();
    let trusting = |name: &str, authority: &Authority| {
        let path = directory.path().join(name);
        std::fs::write(&path, authority.pem()).unwrap();
        subscribed(&web.url("/names"), &format!("ca_file = \"{}\"", path.display()))
    };
    let server = TestServer::new().setting(&trusting("other.pem", &stranger)).start().await;
    let rows = fetched(&server).await;
    let error = rows[0]["error"].as_str().unwrap();
    assert_eq!(error, "127.0.0.1: its certificate is signed by no authority that is believed here");
    assert_eq!(web.requests(), [""; 0]);

    server.change_settings(&trusting("own.pem", &authority)).await;
    comes(&server).await;
    assert_eq!(rcode_of(&server, "far.example").await, rcode::NXDOMAIN);
}

#[tokio::test]
async fn a_host_is_asked_of_our_upstreams_and_no_ban_keeps_it_from_us() {
    let web = Web::start().await;
    web.put("/names", Page::new("far.example\n"));
    let upstream = FakeUpstream::scripted(|seen| {
        let answer = if seen.qtype() == A { reply(seen).a([127, 0, 0, 1]) } else { reply(seen) };
        vec![Act::Send(answer.octets())]
    })
    .await;
    let url = web.url_of("lists.example", "/names");
    let server =
        TestServer::new().ban("v", "lists.example\n").upstream(&upstream).setting(&subscribed(&url, "")).start().await;
    let rows = fetched(&server).await;
    let error = rows[0]["error"].as_str().unwrap();
    assert!(error.contains("lists.example is at 127.0.0.1") && error.contains("internal = true"), "{error}");
    assert!(web.requests().is_empty(), "nobody is led to where only this server can go");

    server.change_settings(&subscribed(&url, "internal = true")).await;
    comes(&server).await;
    assert!(web.requests()[0].contains(&format!("host: {}\r\n", url.split('/').nth(2).unwrap())));
    assert_eq!(rcode_of(&server, "far.example").await, rcode::NXDOMAIN);
    assert_eq!(rcode_of(&server, "lists.example").await, rcode::NOERROR, "the name of a list is ours");
}

#[tokio::test]
async fn a_redirect_is_followed_but_never_to_a_banned_name() {
    let (web, upstream) = (Web::start().await, FakeUpstream::start().await);
    web.put("/old", Page::to("/new"));
    web.put("/new", Page::new("far.example\n"));
    web.put("/vendor", Page::to("http://cdn.vendor.example/list"));
    let server = TestServer::new()
        .ban("v", "vendor.example\n")
        .upstream(&upstream)
        .setting(&subscribed(&web.url("/old"), ""))
        .start()
        .await;
    comes(&server).await;

    server.change_settings(&subscribed(&web.url("/vendor"), "internal = true")).await;
    let rows = fetched(&server).await;
    assert_eq!(rows[0]["error"], "it is redirected to cdn.vendor.example, which is banned");
    assert!(upstream.queries().iter().all(|query| !query.qname().contains("vendor")), "nobody was asked for it");
}
