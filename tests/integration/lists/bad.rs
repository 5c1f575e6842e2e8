//! What a list may be that is not as it should be, and the tests that hold the server to what it does then: the policy before
//! stays, a message says where, a metric says which list. The [`rows`] are tried here, on a file and on a list at a URL.
//!
//! ```text
//! truncated, empty, binary, HTML       whatever_a_list_becomes_the_policy_before_stays_or_all_that_is_good_in_it_counts
//!                                      a_list_that_was_cut_in_place_or_became_something_else_leaves_the_policy_before_in_force
//!                                      at_a_start_a_list_that_was_cut_is_compared_with_the_last_good_copy
//!                                      what_is_no_list_leaves_the_list_before_in_force
//! 10 million lines, 1 GB               a_list_that_is_too_large_is_refused_before_it_is_read
//!                                      a_bomb_ends_at_the_limit_and_what_is_cut_or_broken_is_no_list
//! CRLF, BOM, Latin-1, tabs             whatever_a_list_becomes_the_policy_before_stays_or_all_that_is_good_in_it_counts
//!                                      other_encodings_are_told_once_and_comments_in_them_are_no_fault
//! 64-octet labels, 256-octet names     whatever_a_list_becomes_the_policy_before_stays_or_all_that_is_good_in_it_counts
//! duplicates, contradictions           whatever_a_list_becomes_the_policy_before_stays_or_all_that_is_good_in_it_counts
//!                                      of_rules_that_contradict_each_other_it_is_told_which_holds
//! loops                                a_list_that_leads_back_to_this_server_is_refused
//!                                      a_zone_of_ours_is_no_list_of_ours_and_a_partner_is_told_of
//!                                      servers_that_forward_to_each_other_find_out_and_ask_again_when_the_circle_is_broken
//! wrong TSIG                           with_a_key_only_what_is_signed_by_it_to_the_end_counts with_a_key_only_a_signed_notice_wakes_us
//! a transfer cut in the middle         a_zone_is_enforced_follows_notices_survives_faults_and_a_start_without_its_primary
//! clock jumps                          a_list_stays_in_force_and_is_asked_for_whatever_the_clock_says
//! replaced by rename                   a_list_replaced_by_rename_is_followed
//! a symbolic link                      a_list_that_is_a_link_is_followed_when_the_link_or_what_it_leads_to_changes
//! the `..data` of Kubernetes           lists_of_a_volume_that_kubernetes_exchanges_as_a_whole_are_followed
//! partially written                    a_list_that_is_written_piece_by_piece_is_waited_for_and_no_half_of_it_is_ever_in_force
//!                                      whoever_writes_in_place_is_waited_for_and_nobody_who_exchanges_a_file
//! gone                                 a_list_that_goes_and_comes_back_is_followed_and_its_policy_stays_meanwhile
//! ```

use std::fs::{self, File};
use std::time::Duration;

use embargo::app::control::Request;
use embargo::clock::Clock;
use embargo::config::{Origin, Reading, list_policy, read_list};
use embargo::policy::Strictness;
use embargo::wire::rcode;

use super::subscribed::{fetched, rcode_of, subscribed};
use super::unbelieved::names;
use super::web::{Page, Web};
use super::written::listed;
use crate::harness::{RunningServer, TestServer};
use crate::upstream_fake::FakeUpstream;

/// What becomes of a list.
enum Then {
    /// The policy before stays, and the message has this.
    Refused(&'static str),
    /// All but so many lines are in force, and the first message has this, if there is one.
    Counts(u64, &'static str),
}

/// What stands behind a hundred good lines; and what then.
fn rows() -> Vec<(&'static str, Vec<u8>, Then)> {
    use Then::{Counts, Refused};
    let label = |octets: usize| format!("{}.example\nlast.example\n", "l".repeat(octets)).into_bytes();
    // On the wire: three labels with their lengths, one more, `example`, and the root.
    let name = |octets: usize| {
        let (long, short) = ("l".repeat(63), "s".repeat(octets - 3 * 64 - 8 - 2));
        format!("{long}.{long}.{long}.{short}.example\nlast.example\n").into_bytes()
    };
    let latin_1 = b"caf\xe9.example\n# caf\xe9\nlast.example\n";
    vec![
        ("HTML", b"<html>\n<p>x.example\n".to_vec(), Refused(":101:1: is a page in HTML or XML, no list")),
        ("XML", b"  <?xml version=\"1.0\"?>\n".to_vec(), Refused(":101:1: is a page in HTML or XML, no list")),
        ("binary", b"\x7fELF\x02\x01\x01\0\0\n".to_vec(), Refused(":101:8: holds a zero octet here: it is no text")),
        ("UTF-16", b"x\0.\0e\0\n\0".to_vec(), Refused(":101:2: holds a zero octet here: it is no text")),
        ("CRLF", b"x.example\r\nlast.example\r\n".to_vec(), Counts(0, "")),
        ("CR alone", b"x.example\rlast.example\nlast.example\n".to_vec(), Counts(1, ":101:10: warning: ")),
        ("tabs", b"\tlast.example\t# why\n\t\n".to_vec(), Counts(0, "")),
        ("Latin-1", latin_1.to_vec(), Counts(1, ":101:4: warning: is not UTF-8 from here")),
        ("BOM inside", b"\xef\xbb\xbfx.example\nlast.example\n".to_vec(), Counts(0, "")),
        ("64-octet label", label(64), Counts(1, ":101:64: warning: label is longer than 63 octets")),
        ("63-octet label", label(63), Counts(0, "")),
        ("256-octet name", name(256), Counts(1, ":101:254: warning: name is longer than 255 octets")),
        ("255-octet name", name(255), Counts(0, "")),
        (
            "endless line",
            [vec![b'a'; 100_000], b"\nlast.example\n".to_vec()].concat(),
            Counts(1, ":101:1: warning: line"),
        ),
        ("duplicates", b"n1.example\nN1.EXAMPLE.\nlast.example\n".to_vec(), Counts(0, "")),
        ("public suffix", b"com\nlast.example\n".to_vec(), Counts(1, "")),
        ("rubbish", b"a..b\n-\nb c\nlast.example\n".to_vec(), Counts(3, ":101:3: warning: label is empty")),
    ]
}

/// Octets as their reader describes the first bad line of them; nothing if none is bad.
fn described(octets: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("list");
    fs::write(&path, octets).unwrap();
    let reading = Reading { format: None, strictness: Strictness::Lenient };
    let read = read_list(&Origin::File(path), reading, &mut |_rule, _line| ()).unwrap();
    read.parsed.diagnostics.first().map(ToString::to_string).unwrap_or_default()
}

#[tokio::test]
async fn whatever_a_list_becomes_the_policy_before_stays_or_all_that_is_good_in_it_counts() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let (web, list, good) = (Web::start().await, directory.path().join("names.txt"), names(100));
    web.put("/names", Page::new(good.clone()));
    fs::write(&list, &good).unwrap();
    let settings = format!("{}{}", listed(&list), subscribed(&web.url("/names"), ""));
    let server = TestServer::new().upstream(&upstream).setting(&settings).start().await;
    assert_eq!(fetched(&server).await[0]["rules"], 100);
    let (own, far) = ([("list", "names/names.txt")], [("list", "far/list.txt")]);
    for (what, more, then) in rows() {
        let octets = [good.as_bytes(), &more].concat();
        fs::write(&list, &octets).unwrap();
        web.put("/names", Page::new(octets.clone()));
        let row = fetched(&server).await[0].clone();
        server.reload().await;
        let status = server.control(Request::Status).await;
        let mistakes = status["last_reload"]["mistakes"].to_string();
        assert_eq!(rcode_of(&server, "n99.example").await, rcode::NXDOMAIN, "{what}");
        let good_reload = server.metric("list_last_reload_successful", &own).await;
        match then {
            Then::Refused(part) => {
                assert!(mistakes.contains(&format!("names.txt{part}")), "{what}: {mistakes}");
                assert_eq!(good_reload, 0, "{what}");
                let error = row["error"].as_str().unwrap_or_default();
                assert!(error.contains(&format!("/names{part}")) && row["result"] == "refused", "{what}: {row}");
                assert_eq!(server.metric("list_fetch_last_successful", &[("list", "far")]).await, 0, "{what}");
                assert_eq!(rcode_of(&server, "x.example").await, rcode::NOERROR, "{what}");
            }
            Then::Counts(bad, place) => {
                assert_eq!((good_reload, &row["error"]), (1, &serde_json::Value::Null), "{what}: {mistakes}");
                for label in [&own, &far] {
                    assert_eq!(server.metric("list_rejected_lines", label).await, bad, "{what} {label:?}");
                }
                assert_eq!(rcode_of(&server, "last.example").await, rcode::NXDOMAIN, "{what}");
                let told = described(&octets);
                assert!(told.contains(place) && (bad > 0 || told.is_empty()), "{what}: {told}");
            }
        }
        // Before the next row all is as it was; what is exchanged whole is not waited for.
        fs::write(directory.path().join("new"), &good).unwrap();
        fs::rename(directory.path().join("new"), &list).unwrap();
        web.put("/names", Page::new(good.clone()));
        fetched(&server).await;
        server.reload().await;
        assert_eq!(rcode_of(&server, "last.example").await, rcode::NOERROR, "{what}");
    }
    // A mark at the beginning is what some editors write, and no part of a name.
    fs::write(&list, format!("\u{feff}first.example\r\n{good}")).unwrap();
    server.reload().await;
    assert_eq!(rcode_of(&server, "first.example").await, rcode::NXDOMAIN);
}

#[tokio::test]
async fn of_rules_that_contradict_each_other_it_is_told_which_holds() {
    let upstream = FakeUpstream::start().await;
    let rules = "a.example update installed\na.example web visit\nb.example\n!b.example\n";
    let server = TestServer::new().ban("v", rules).upstream(&upstream).start().await;
    assert_eq!(rcode_of(&server, "a.example").await, rcode::NXDOMAIN, "the first: `visit` would only be observed");
    assert_eq!(rcode_of(&server, "b.example").await, rcode::NOERROR, "the exception");
    let path = server.state_dir().parent().unwrap().join("blocklists/v/rules.txt");
    let (_policy, told) = list_policy(&path, Reading { format: None, strictness: Strictness::Strict });
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert!(told.concat().contains("rules.txt: warning: `a.example` stands already with other columns"), "{told:?}");
}

#[tokio::test]
async fn a_list_that_is_too_large_is_refused_before_it_is_read() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let list = directory.path().join("names.txt");
    fs::write(&list, names(100)).unwrap();
    let server = TestServer::new().upstream(&upstream).setting(&listed(&list)).start().await;
    // A hole: it takes no room, and to read it would take seconds.
    File::options().write(true).open(&list).unwrap().set_len((1 << 30) + 1).unwrap();
    server.reload().await;
    let status = server.control(Request::Status).await;
    let mistakes = status["last_reload"]["mistakes"].to_string();
    assert!(mistakes.contains("names.txt: is larger than 1GiB"), "{mistakes}");
    assert_eq!(server.metric("list_last_reload_successful", &[("list", "names/names.txt")]).await, 0);
    assert_eq!(rcode_of(&server, "n99.example").await, rcode::NXDOMAIN);
}

#[tokio::test]
async fn a_list_that_leads_back_to_this_server_is_refused() {
    let (web, upstream) = (Web::start().await, FakeUpstream::start().await);
    web.put("/names", Page::new("far.example\n"));
    let server = TestServer::new().upstream(&upstream).setting(&subscribed(&web.url("/names"), "")).start().await;
    fetched(&server).await;
    web.put("/names", Page::to(&format!("http://{}/metrics", server.admin())));
    let row = fetched(&server).await[0].clone();
    assert_eq!((&row["result"], &row["rules"]), (&"refused".into(), &1.into()), "{row}");
    assert_eq!(rcode_of(&server, "far.example").await, rcode::NXDOMAIN);
    // Two that lead to each other.
    web.put("/names", Page::to("/other"));
    web.put("/other", Page::to("/names"));
    let error = fetched(&server).await[0]["error"].to_string();
    assert!(error.contains("redirected more than 5 times"), "{error}");
    assert_eq!(rcode_of(&server, "far.example").await, rcode::NXDOMAIN);
}

/// A server of this state directory, at another time.
async fn at(clock: &Clock, directory: tempfile::TempDir, upstream: &FakeUpstream, settings: &str) -> RunningServer {
    TestServer::after(directory).clock(clock).upstream(upstream).setting(settings).start().await
}

#[tokio::test]
async fn a_list_stays_in_force_and_is_asked_for_whatever_the_clock_says() {
    let (web, upstream) = (Web::start().await, FakeUpstream::start().await);
    web.put("/names", Page::new("far.example\n"));
    let settings = subscribed(&web.url("/names"), "");
    let first = TestServer::new().upstream(&upstream).setting(&settings).start().await;
    fetched(&first).await;
    let mut directory = first.stop().await;
    let years = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    let now = Clock::system().now();
    for (number, wall) in [now.wall - years, now.wall + years, now.wall].into_iter().enumerate() {
        web.put("/names", Page::status(503));
        let (clock, hands) = Clock::manual(embargo::time::Now { wall, ..now });
        let server = at(&clock, directory, &upstream, &settings).await;
        assert_eq!(rcode_of(&server, "far.example").await, rcode::NXDOMAIN, "{wall}");
        hands.advance(years);
        server.reload().await;
        assert_eq!(rcode_of(&server, "far.example").await, rcode::NXDOMAIN, "{wall}");
        let new = format!("new{number}.example");
        web.put("/names", Page::new(format!("far.example\n{new}\n")));
        let row = fetched(&server).await[0].clone();
        assert!(row["error"].is_null(), "{wall}: {row}");
        assert_eq!(rcode_of(&server, &new).await, rcode::NXDOMAIN, "{wall}");
        directory = server.stop().await;
    }
}

#[test]
fn every_test_that_this_table_names_is_there() {
    assert!(crate::survives::named_tests(include_str!("bad.rs")).len() > 15);
}
