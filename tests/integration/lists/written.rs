//! Lists of the operator's own that are written in place, cut, or become something else: the policy before stays, and why is told.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use embargo::app::control::Request;
use embargo::wire::rcode;

use super::subscribed::rcode_of;
use super::unbelieved::names;
use crate::harness::{RunningServer, TestServer};
use crate::upstream_fake::FakeUpstream;

const LABEL: [(&str, &str); 1] = [("list", "names/names.txt")];

pub(super) fn listed(list: &Path) -> String {
    format!("[[list]]\nfile = \"{}\"\n", list.display())
}

/// Reads the list again: the policy before stays, and the message says this.
async fn is_refused(server: &RunningServer, part: &str) {
    server.reload().await;
    let status = server.control(Request::Status).await;
    let mistakes = status["last_reload"]["mistakes"].to_string();
    assert!(mistakes.contains(part), "{mistakes} does not say {part:?}");
    assert_eq!(server.metric("list_last_reload_successful", &LABEL).await, 0, "{part}");
    assert_eq!(rcode_of(server, "n99.example").await, rcode::NXDOMAIN, "{part}");
}

#[tokio::test]
async fn a_list_that_was_cut_in_place_or_became_something_else_leaves_the_policy_before_in_force() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let (list, whole) = (directory.path().join("names.txt"), names(100));
    fs::write(&list, &whole).unwrap();
    let server = TestServer::new().upstream(&upstream).setting(&listed(&list)).start().await;
    // In the middle of the fourth line, and of the last one.
    for (cut, part) in [
        (40, "names.txt:4:1: ends within a line and has 40 octets, not 1190 as before: it may be cut or half written"),
        (whole.len() - 3, "names.txt:100:1: ends within a line"),
    ] {
        fs::write(&list, &whole.as_bytes()[..cut]).unwrap();
        is_refused(&server, part).await;
    }
    fs::write(&list, "").unwrap();
    is_refused(&server, "names.txt: holds no rule").await;
    fs::write(&list, format!("{whole}<html>\n<body>502\n")).unwrap();
    is_refused(&server, "names.txt:101:1: is a page in HTML or XML").await;
    fs::write(&list, [whole.as_bytes(), &[0, 159, 146, 150]].concat()).unwrap();
    is_refused(&server, "names.txt:101:1: holds a zero octet").await;
    // It does not matter how it came: what was cut may have been cut before it was renamed.
    fs::write(directory.path().join("new"), &whole.as_bytes()[..40]).unwrap();
    fs::rename(directory.path().join("new"), &list).unwrap();
    is_refused(&server, "names.txt:4:1").await;

    assert_eq!(server.control(Request::ReloadAnySize).await["ok"], true, "an operator may know better");
    assert_eq!(rcode_of(&server, "n2.example").await, rcode::NXDOMAIN);
    assert_eq!(rcode_of(&server, "n99.example").await, rcode::NOERROR);
    assert_eq!(server.metric("list_last_reload_successful", &LABEL).await, 1);
}

#[tokio::test]
async fn a_list_that_is_written_piece_by_piece_is_waited_for_and_no_half_of_it_is_ever_in_force() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let list = directory.path().join("names.txt");
    fs::write(&list, names(100)).unwrap();
    let server = TestServer::new().upstream(&upstream).setting(&listed(&list)).start().await;
    let new = names(200);
    let mut file = OpenOptions::new().write(true).truncate(true).open(&list).unwrap();
    file.write_all(&new.as_bytes()[..40]).unwrap();
    let written = async {
        assert_eq!(rcode_of(&server, "n99.example").await, rcode::NXDOMAIN);
        file.write_all(&new.as_bytes()[40..1_000]).unwrap();
        assert_eq!(rcode_of(&server, "n99.example").await, rcode::NXDOMAIN);
        file.write_all(&new.as_bytes()[1_000..]).unwrap();
    };
    tokio::join!(server.reload(), written);
    if server.metric("list_last_reload_successful", &LABEL).await == 0 {
        // Where this machine was so slow that nobody could wait so long.
        server.reload().await;
    }
    for name in ["n99.example", "n199.example"] {
        assert_eq!(rcode_of(&server, name).await, rcode::NXDOMAIN, "{name}");
    }
}

#[tokio::test]
async fn a_last_line_without_an_end_counts_where_nothing_speaks_for_a_cut() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let (list, new) = (directory.path().join("names.txt"), directory.path().join("new"));
    fs::write(&list, "old.example\n").unwrap();
    let server = TestServer::new().upstream(&upstream).setting(&listed(&list)).start().await;
    let bans = async |name: &str| {
        server.reload().await;
        assert_eq!(server.metric("list_last_reload_successful", &LABEL).await, 1);
        rcode_of(&server, name).await == rcode::NXDOMAIN
    };
    // Longer than before, in place and by rename; then shorter, where no line before had an end either.
    fs::write(&list, "old.example\nin-place.example").unwrap();
    assert!(bans("in-place.example").await);
    fs::write(&new, "old.example\nin-place.example\nrenamed.example").unwrap();
    fs::rename(&new, &list).unwrap();
    assert!(bans("renamed.example").await);
    fs::write(&list, "shorter.example").unwrap();
    assert!(bans("shorter.example").await && !bans("old.example").await);
    // Cut within a line it is refused there too, and without its last line it is taken.
    fs::write(&list, "one.example\ntwo.example\nthree.example").unwrap();
    assert!(bans("three.example").await);
    fs::write(&list, "one.example\ntwo.exam").unwrap();
    server.reload().await;
    assert_eq!(server.metric("list_last_reload_successful", &LABEL).await, 0);
    assert_eq!(rcode_of(&server, "three.example").await, rcode::NXDOMAIN);
    fs::write(&list, "one.example\ntwo.example").unwrap();
    assert!(bans("two.example").await && !bans("three.example").await);
}

#[tokio::test]
async fn at_a_start_a_list_that_was_cut_is_compared_with_the_last_good_copy() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let list = directory.path().join("names.txt");
    for (before, after, part) in [
        (names(3), "n0.example\nn1.exam".to_owned(), "names.txt:2:1"),
        (names(2_000), names(900), "it has shrunk from 2000 to 900 rules"),
    ] {
        fs::write(&list, &before).unwrap();
        let first = TestServer::new().upstream(&upstream).setting(&listed(&list)).start().await;
        let state = first.stop().await;
        fs::write(&list, &after).unwrap();

        let server = TestServer::after(state).upstream(&upstream).setting(&listed(&list)).start().await;
        assert_eq!(rcode_of(&server, "n2.example").await, rcode::NXDOMAIN);
        assert_eq!(server.metric("list_last_reload_successful", &LABEL).await, 0);
        let status = server.control(Request::Status).await;
        assert_eq!(status["policy"]["last_good"], true);
        assert!(status["last_reload"]["mistakes"].to_string().contains(part), "{status}");
        // A reload compares with what is in force, whatever that is called there.
        server.reload().await;
        assert_eq!(server.metric("list_last_reload_successful", &LABEL).await, 0);

        assert_eq!(server.control(Request::ReloadAnySize).await["ok"], true);
        let names = server.metric("list_entries", &LABEL).await;
        assert_eq!(names, after.lines().count() as u64);
    }
}

#[tokio::test]
async fn at_a_start_a_short_list_that_lost_its_end_is_enforced_and_told_of() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let list = directory.path().join("names.txt");
    fs::write(&list, names(3)).unwrap();
    let first = TestServer::new().upstream(&upstream).setting(&listed(&list)).start().await;
    let state = first.stop().await;
    fs::write(&list, names(2)).unwrap();
    let loaded = embargo::config::saved_list(&state.path().join("state"), Path::new("lists/domains/names")).unwrap();
    assert!(loaded.was_cut_to(&list).unwrap());
    let server = TestServer::after(state).upstream(&upstream).setting(&listed(&list)).start().await;
    assert_eq!(rcode_of(&server, "n1.example").await, rcode::NXDOMAIN);
    assert_eq!(rcode_of(&server, "n2.example").await, rcode::NOERROR);
}

#[tokio::test]
async fn at_a_start_a_short_list_that_was_edited_is_enforced_whatever_its_end() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let list = directory.path().join("names.txt");
    fs::write(&list, names(3)).unwrap();
    let first = TestServer::new().upstream(&upstream).setting(&listed(&list)).start().await;
    let state = first.stop().await;
    fs::write(&list, "other.example").unwrap();
    let server = TestServer::after(state).upstream(&upstream).setting(&listed(&list)).start().await;
    assert_eq!(rcode_of(&server, "other.example").await, rcode::NXDOMAIN);
    assert_eq!(rcode_of(&server, "n0.example").await, rcode::NOERROR);
}

#[tokio::test]
async fn at_a_start_without_a_good_copy_a_list_is_enforced_as_it_is() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let list = directory.path().join("names.txt");
    fs::write(&list, "whole.example\nlast.example").unwrap();
    let server = TestServer::new().upstream(&upstream).setting(&listed(&list)).start().await;
    for name in ["whole.example", "last.example"] {
        assert_eq!(rcode_of(&server, name).await, rcode::NXDOMAIN, "{name}");
    }
    // A copy that nobody can believe is none: the list that is there is better than no server.
    let state = server.stop().await;
    for entry in fs::read_dir(state.path().join("state/policy")).unwrap().map(|entry| entry.unwrap().path()) {
        let copy = entry.join("lists/domains/names");
        if copy.is_file() {
            fs::write(copy, names(3_000)).unwrap();
        }
    }
    let server = TestServer::after(state).upstream(&upstream).setting(&listed(&list)).start().await;
    assert_eq!(rcode_of(&server, "whole.example").await, rcode::NXDOMAIN);
    assert_eq!(server.control(Request::Status).await["policy"]["last_good"], false);
}

#[tokio::test]
async fn ban_folders_that_are_all_gone_leave_the_policy_before_in_force_until_an_operator_says_so() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let list = directory.path().join("names.txt");
    fs::write(&list, names(100)).unwrap();
    let server = TestServer::new().ban("v", "geo.example\n").upstream(&upstream).setting(&listed(&list)).start().await;
    let folders = server.state_dir().with_file_name("blocklists");
    fs::rename(&folders, folders.with_file_name("elsewhere")).unwrap();
    // As a place to mount at is without what is mounted there.
    fs::create_dir(&folders).unwrap();

    server.reload().await;
    let status = server.control(Request::Status).await;
    let mistakes = status["last_reload"]["mistakes"].to_string();
    assert!(mistakes.contains("no ban folder is left in it"), "{mistakes}");
    assert_eq!(rcode_of(&server, "geo.example").await, rcode::NXDOMAIN);

    assert_eq!(server.control(Request::ReloadAnySize).await["ok"], true, "an operator may know better");
    assert_eq!(rcode_of(&server, "geo.example").await, rcode::NOERROR);
    assert_eq!(rcode_of(&server, "n99.example").await, rcode::NXDOMAIN);
}

#[tokio::test]
async fn an_enforced_ban_does_not_end_because_its_folder_is_gone_and_one_that_is_off_may_go() {
    let upstream = FakeUpstream::start().await;
    let start =
        async |directory| TestServer::after(directory).ban("kept", "kept.example\n").upstream(&upstream).start().await;
    let server = TestServer::new().ban("kept", "kept.example\n").ban("gone", "gone.example\n").upstream(&upstream);
    let server = server.start().await;
    let folders = server.state_dir().with_file_name("blocklists");
    fs::rename(folders.join("gone"), folders.with_file_name("elsewhere")).unwrap();
    let refused = async |server: &RunningServer| {
        let status = server.control(Request::Status).await;
        let mistakes = status["last_reload"]["mistakes"].to_string();
        assert!(mistakes.contains("the ban `gone` is enforced, and its folder is gone"), "{mistakes}");
        assert_eq!(rcode_of(server, "gone.example").await, rcode::NXDOMAIN);
        assert_eq!(rcode_of(server, "kept.example").await, rcode::NXDOMAIN);
    };
    server.reload().await;
    refused(&server).await;
    assert_eq!(server.metric("list_last_reload_successful", &[("list", "gone/rules.txt")]).await, 0);
    // As by a directory that is laid over another one, and was not when the server started.
    let server = start(server.stop().await).await;
    refused(&server).await;
    server.reload().await;
    refused(&server).await;

    // An operator who says so first.
    fs::rename(folders.with_file_name("elsewhere"), folders.join("gone")).unwrap();
    server.change_settings("[ban.gone]\nmode = \"off\"\n").await;
    assert_eq!(rcode_of(&server, "gone.example").await, rcode::NOERROR);
    fs::rename(folders.join("gone"), folders.with_file_name("elsewhere")).unwrap();
    server.change_settings("").await;
    assert_eq!(server.control(Request::Status).await["last_reload"]["ok"], true);

    // Or afterwards.
    fs::rename(folders.with_file_name("elsewhere"), folders.join("gone")).unwrap();
    server.reload().await;
    assert_eq!(rcode_of(&server, "gone.example").await, rcode::NXDOMAIN);
    fs::remove_file(folders.join("gone/ban.toml")).unwrap();
    server.reload().await;
    refused(&server).await;
    assert_eq!(server.control(Request::ReloadAnySize).await["ok"], true);
    assert_eq!(rcode_of(&server, "gone.example").await, rcode::NOERROR);
    let server = start(server.stop().await).await;
    assert_eq!(server.control(Request::Status).await["policy"]["last_good"], false);
}
