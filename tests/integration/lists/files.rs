//! Lists on disk, changed in every way that tools change them: each is noticed, and never half of a list is in force.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use embargo::app::control::Request;
use embargo::wire::{qtype, rcode};

use super::PATIENCE;
use super::unbelieved::names;
use crate::harness::{RunningServer, TestServer};
use crate::upstream_fake::FakeUpstream;

/// A server with this file as a further list.
async fn listing(upstream: &FakeUpstream, list: &Path) -> RunningServer {
    let settings = format!("[[list]]\nfile = \"{}\"\n", list.display());
    TestServer::new().upstream(upstream).setting(&settings).start().await
}

/// Waits for the change and takes it over; then only `banned` is banned of the two names.
async fn follows(server: &RunningServer, banned: &str, other: &str) {
    tokio::time::timeout(PATIENCE, server.files_changed()).await.expect("the change is noticed");
    server.reload().await;
    assert_eq!(server.query(banned, qtype::A).await.rcode(), rcode::NXDOMAIN, "{banned}");
    assert_eq!(server.query(other, qtype::A).await.rcode(), rcode::NOERROR, "{other}");
}

#[tokio::test]
async fn a_list_replaced_by_rename_is_followed() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let (list, new) = (directory.path().join("names.txt"), directory.path().join("names.txt.new"));
    fs::write(&list, "old.example\n").unwrap();
    let server = listing(&upstream, &list).await;
    fs::write(&new, "new.example\n").unwrap();
    fs::rename(&new, &list).unwrap();
    follows(&server, "new.example", "old.example").await;
}

#[tokio::test]
async fn a_list_that_is_a_link_is_followed_when_the_link_or_what_it_leads_to_changes() {
    let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let upstream = FakeUpstream::start().await;
    let (list, new) = (directory.path().join("names.txt"), directory.path().join("names.new"));
    let (first, second) = (elsewhere.path().join("first"), elsewhere.path().join("second"));
    fs::write(&first, "old.example\n").unwrap();
    fs::write(&second, "new.example\n").unwrap();
    symlink(&first, &list).unwrap();
    let server = listing(&upstream, &list).await;
    symlink(&second, &new).unwrap();
    fs::rename(&new, &list).unwrap();
    follows(&server, "new.example", "old.example").await;
    // In a directory that nobody watches: the next look finds it.
    fs::write(&second, "old.example\n").unwrap();
    follows(&server, "old.example", "new.example").await;
}

#[tokio::test]
async fn lists_of_a_volume_that_kubernetes_exchanges_as_a_whole_are_followed() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let volume = directory.path();
    // As kubelet lays a ConfigMap out: names lead through `..data`, which alone is exchanged.
    let version = |name: &str, text: &str| {
        fs::create_dir(volume.join(name)).unwrap();
        fs::write(volume.join(name).join("names.txt"), text).unwrap();
    };
    version("..2026_01", "old.example\n");
    symlink("..2026_01", volume.join("..data")).unwrap();
    symlink("..data/names.txt", volume.join("names.txt")).unwrap();
    let server = listing(&upstream, &volume.join("names.txt")).await;
    version("..2026_02", "new.example\n");
    symlink("..2026_02", volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    fs::remove_dir_all(volume.join("..2026_01")).unwrap();
    follows(&server, "new.example", "old.example").await;
}

#[tokio::test]
async fn a_list_that_is_being_written_is_not_read_before_it_rests_and_one_cut_to_nothing_changes_nothing() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let list = directory.path().join("names.txt");
    fs::write(&list, "old.example\n").unwrap();
    let server = listing(&upstream, &list).await;
    // Cut, as an editor that writes in place does, and not yet written.
    fs::write(&list, "").unwrap();
    server.reload().await;
    assert_eq!(server.metric("config_last_reload_successful", &[]).await, 0);
    assert_eq!(server.query("old.example", qtype::A).await.rcode(), rcode::NXDOMAIN, "the policy before stays");
    fs::write(&list, "new.example\n").unwrap();
    follows(&server, "new.example", "old.example").await;
    assert_eq!(server.metric("config_last_reload_successful", &[]).await, 1);
}

#[tokio::test]
async fn a_list_that_goes_and_comes_back_is_followed_and_its_policy_stays_meanwhile() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let list = directory.path().join("names.txt");
    fs::write(&list, "old.example\n").unwrap();
    let server = listing(&upstream, &list).await;
    fs::remove_file(&list).unwrap();
    tokio::time::timeout(PATIENCE, server.files_changed()).await.expect("the change is noticed");
    server.reload().await;
    assert_eq!(server.metric("config_last_reload_successful", &[]).await, 0);
    assert_eq!(server.query("old.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
    fs::write(&list, "new.example\n").unwrap();
    follows(&server, "new.example", "old.example").await;
}

#[tokio::test]
async fn a_long_list_of_the_operator_s_own_that_has_lost_most_of_its_rules_is_taken_only_when_he_says_so() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let list = directory.path().join("names.txt");
    fs::write(&list, names(2_000)).unwrap();
    let server = listing(&upstream, &list).await;
    let label = [("list", "names/names.txt")];
    let reloaded = async |banned: u16| {
        let good = server.metric("list_last_reload_successful", &label).await;
        (good, server.query("n1999.example", qtype::A).await.rcode() == banned)
    };

    fs::write(&list, names(900)).unwrap();
    server.reload().await;
    assert_eq!(reloaded(rcode::NXDOMAIN).await, (0, true), "as it was");
    let status = server.control(Request::Status).await;
    let mistake = status["last_reload"]["mistakes"].to_string();
    assert!(mistake.contains("names.txt: it has shrunk from 2000 to 900 rules"), "{mistake}");
    assert!(mistake.contains("`embargo reload --any-size` takes it"), "{mistake}");
    server.reload().await;
    assert_eq!(reloaded(rcode::NXDOMAIN).await, (0, true), "to ask again is not to say so");

    let reload = server.control(Request::ReloadAnySize).await;
    assert_eq!(reload["ok"], true, "{reload}");
    assert_eq!(reloaded(rcode::NOERROR).await, (1, true));
    fs::write(&list, names(1)).unwrap();
    server.reload().await;
    assert_eq!(server.query("n899.example", qtype::A).await.rcode(), rcode::NOERROR, "a short list is edited at will");
}

#[tokio::test]
async fn how_much_a_list_of_the_operator_s_own_may_lose_is_a_setting() {
    let (directory, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().await);
    let list = directory.path().join("names.txt");
    fs::write(&list, names(2_000)).unwrap();
    let settings = |percent: u32| format!("[[list]]\nfile = \"{}\"\nshrink_max = \"{percent}%\"\n", list.display());
    let server = TestServer::new().upstream(&upstream).setting(&settings(5)).start().await;
    fs::write(&list, names(1_800)).unwrap();
    server.reload().await;
    assert_eq!(server.query("n1999.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
    server.change_settings(&settings(100)).await;
    assert_eq!(server.query("n1999.example", qtype::A).await.rcode(), rcode::NOERROR);
}
