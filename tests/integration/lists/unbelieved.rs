//! What a source may send that is no list, and that whatever it sends, the list before stays in force.

use std::fmt::Write as _;
use std::io::Write as _;

use embargo::app::control::Request;
use embargo::wire::rcode;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::subscribed::{comes, fetched, rcode_of, subscribed};
use super::web::{Page, Web};
use crate::harness::{RunningServer, TestServer};
use crate::upstream_fake::FakeUpstream;
use crate::upstream_fake::certificates::Authority;

fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn names(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        writeln!(text, "n{number}.example").unwrap();
        text
    })
}

/// A server that enforces 100 names of a list.
async fn enforcing(web: &Web, upstream: &FakeUpstream, more: &str) -> RunningServer {
    web.put("/names", Page::new(names(100)));
    let settings = subscribed(&web.url("/names"), more);
    let server = TestServer::new().upstream(upstream).setting(&settings).start().await;
    assert_eq!(fetched(&server).await[0]["rules"], 100);
    server
}

/// Whatever is at the source, the list before stays, and why is told.
async fn stays(server: &RunningServer, result: &str, part: &str) {
    let rows = fetched(server).await;
    let error = rows[0]["error"].as_str().unwrap_or_default();
    assert!(error.contains(part), "{error:?} does not say {part:?}");
    assert_eq!((&rows[0]["result"], &rows[0]["rules"]), (&result.into(), &100.into()), "{error}");
    assert_eq!(rcode_of(server, "n99.example").await, rcode::NXDOMAIN, "{part}");
    let left = std::fs::read_dir(server.state_dir().join("lists/far")).unwrap().count();
    assert_eq!(left, 2, "nothing is left of what was refused: {part}");
}

#[tokio::test]
async fn what_is_no_list_leaves_the_list_before_in_force() {
    let (web, upstream) = (Web::start().await, FakeUpstream::start().await);
    let server = enforcing(&web, &upstream, "size_max = \"64KiB\"").await;
    let list = names(100);
    let bomb = gzip(&vec![b'a'; 32 << 20]);
    assert!(bomb.len() < 64 << 10);
    for (page, result, part) in [
        (Page::new("<!DOCTYPE html>\n<p>Log in first.</p>\n"), "refused", "is a page in HTML or XML, no list"),
        (Page::new(""), "refused", "holds no rule"),
        (Page::new("# nothing\n"), "refused", "holds no rule"),
        (Page::new(vec![0_u8, 1, 2, 0, 255, 254, 0, 10]), "refused", "is no text"),
        (Page::new("{\"message\": \"rate limit exceeded\"}\n"), "refused", "no line was understood"),
        (Page::new(list.clone()).cut_after(700), "failed", "no whole response"),
        (
            Page::new(list.clone()).unmarked().cut_after(700),
            "refused",
            "ends within a line, and its server says neither",
        ),
        (Page::new(names(40)).unmarked(), "refused", "it has shrunk from 100 to 40 rules"),
        (Page::new(format!("{list}<html>\n<body>502\n")), "refused", "/names:101:1: is a page in HTML or XML"),
        (Page::new(format!("{list}\n  <!doctype HTML>\n")), "refused", "/names:102:1: is a page in HTML or XML"),
        (Page::new(list.clone()).field("Content-Type", "Text/HTML; charset=utf-8"), "refused", "sends `text/html`"),
        (
            Page::new(list.clone()).field("Content-Type", "application/problem+json"),
            "refused",
            "problem+json`, which no",
        ),
        (Page::new(names(10_000)), "refused", "more than 65536 octets"),
        (Page::new(bomb).field("Content-Encoding", "gzip"), "refused", "more than 65536 octets"),
        (Page::new(list.clone()).field("Content-Encoding", "gzip"), "failed", "can't be unpacked"),
        (Page::new(&gzip(list.as_bytes())[..200]).field("Content-Encoding", "gzip"), "failed", "can't be unpacked"),
        (Page::status(500), "failed", "the server answers 500"),
        (Page::status(304), "unchanged", ""),
        (Page::to("/names"), "failed", "redirected more than 5 times"),
        (Page::to("file:///etc/passwd"), "failed", "`file://` is not spoken"),
        (Page::to("http://169.254.169.254/"), "failed", "169.254.169.254, which is no public address"),
    ] {
        web.put("/names", page);
        stays(&server, result, part).await;
    }
    for page in [
        Page::new(gzip(list.as_bytes())).field("Content-Encoding", "gzip"),
        Page::new(list.clone()).unmarked(),
        Page::new(list.clone()).field("Content-Type", "text/plain; charset=utf-8"),
        Page::new(list.clone()).field("Content-Type", "application/octet-stream"),
    ] {
        web.put("/names", page);
        assert_eq!(fetched(&server).await[0]["result"], "unchanged", "the same list in another way");
    }
    assert!(server.metric("list_fetches_total", &[("list", "far"), ("result", "refused")]).await >= 7);
}

#[tokio::test]
async fn a_source_that_sends_no_more_is_given_up_in_time() {
    let (web, upstream) = (Web::start().await, FakeUpstream::start().await);
    // Until it is in force it has all the time that a busy machine needs.
    let server = enforcing(&web, &upstream, "").await;
    server.change_settings(&subscribed(&web.url("/names"), "time_max = \"1s\"")).await;
    web.put("/names", Page::new(names(200)).hanging_after(1_000));
    stays(&server, "failed", "it has not come within 1s, which is time_max").await;
}

#[tokio::test]
async fn words_are_no_first_version_of_a_list_unless_the_operator_has_written_its_format() {
    let (web, upstream) = (Web::start().await, FakeUpstream::start().await);
    let words = "The server lists.example is being repaired.\nPlease come back later, or ask\nstaff.example\n";
    web.put("/names", Page::new(words));
    let settings = subscribed(&web.url("/names"), "");
    let server = TestServer::new().upstream(&upstream).setting(&settings).start().await;
    let row = fetched(&server).await[0].clone();
    assert_eq!((&row["result"], &row["fetched"]), (&"refused".into(), &Value::Null), "{row}");
    assert!(row["error"].as_str().unwrap().contains("2 lines that are not understood and 1 rules"), "{row}");
    assert_eq!(rcode_of(&server, "staff.example").await, rcode::NOERROR);

    let page = Page::new(words).field("Content-Type", "text/html");
    web.put("/names", page);
    server.change_settings(&subscribed(&web.url("/names"), "format = \"domains\"")).await;
    comes(&server).await;
    assert_eq!(rcode_of(&server, "staff.example").await, rcode::NXDOMAIN, "it is what the operator says it is");
}

#[tokio::test]
async fn a_list_that_has_lost_or_gained_too_much_is_taken_only_when_an_operator_says_so() {
    let (web, upstream) = (Web::start().await, FakeUpstream::start().await);
    let server = enforcing(&web, &upstream, "shrink_max = \"10%\"\ngrowth_max = \"900%\"").await;
    web.put("/names", Page::new(names(89)));
    stays(&server, "refused", "it has shrunk from 100 to 89 rules, more than shrink_max = \"10%\" allows").await;
    web.put("/names", Page::new(names(1_001)));
    stays(&server, "refused", "it has grown from 100 to 1001 rules").await;

    web.put("/names", Page::new(names(3)));
    let rows = server.control(Request::ListsFetch { ids: vec!["far".to_owned()], any_size: true }).await;
    assert_eq!((&rows[0]["result"], &rows[0]["error"]), (&"changed".into(), &Value::Null));
    assert_eq!(rcode_of(&server, "n99.example").await, rcode::NOERROR);
    assert_eq!(rcode_of(&server, "n2.example").await, rcode::NXDOMAIN);
}

#[tokio::test]
async fn a_strict_list_with_one_bad_line_is_not_taken_and_a_lenient_one_without_it() {
    let (web, upstream) = (Web::start().await, FakeUpstream::start().await);
    let server = enforcing(&web, &upstream, "strict = true\nformat = \"domains\"").await;
    web.put("/names", Page::new(format!("{}bad..name\n", names(100))));
    stays(&server, "refused", "/names:101:5: ").await;

    server.change_settings(&subscribed(&web.url("/names"), "")).await;
    comes(&server).await;
    assert_eq!(server.metric("list_rejected_lines", &[("list", "far/list.txt")]).await, 1);
}

#[tokio::test]
async fn rules_of_a_stranger_that_ask_for_a_sinkhole_of_ours_keep_no_other_list_out() {
    let (web, upstream) = (Web::start().await, FakeUpstream::start().await);
    let server = enforcing(&web, &upstream, "format = \"rules\"").await;
    web.put("/names", Page::new(format!("{}sink.example update installed sinkhole\n", names(100))));
    assert_eq!(fetched(&server).await[0]["result"], "changed");
    assert_eq!(server.metric("config_last_reload_successful", &[]).await, 1);
    assert_eq!(rcode_of(&server, "sink.example").await, rcode::NXDOMAIN);
}

#[tokio::test]
async fn nobody_is_led_out_of_encryption() {
    let authority = Authority::new();
    let (web, plain) = (Web::start_tls(&authority.issue(&["127.0.0.1"])).await, Web::start().await);
    web.put("/names", Page::to(&plain.url("/names")));
    plain.put("/names", Page::new("far.example\n"));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, authority.pem()).unwrap();
    let settings = subscribed(&web.url("/names"), &format!("ca_file = \"{}\"", path.display()));
    let server = TestServer::new().setting(&settings).start().await;
    let rows = fetched(&server).await;
    assert!(rows[0]["error"].as_str().unwrap().contains("which is not encrypted"), "{rows}");
    assert!(plain.requests().is_empty());
}
