//! Exemptions in a whole server: whom they free, in what, and until when.

mod commands;
mod kept;

use std::time::Duration;

use embargo::app::control::{self, ControlError, Exempt, Request};
use embargo::audit::Written;
use embargo::clock::{Clock, Hands};
use embargo::metrics::Did;
use embargo::time::{Mono, Now};
use embargo::wire::{qtype, rcode};
use serde_json::Value;

use crate::harness::{Question, RunningServer, TestServer};
use crate::upstream_fake::FakeUpstream;
use crate::whom::ask_from;

/// Whom most of these tests free.
const FREED: [u8; 4] = [127, 0, 0, 2];
const OTHER: [u8; 4] = [127, 0, 0, 1];

const GROUPS: &str = r#"
[[group]]
id = "berlin"
kind = "site"
networks = ["127.0.1.0/24"]

[[group]]
id = "lab"
networks = ["127.0.1.128/25", "127.0.2.0/24"]
"#;

fn clock() -> (Clock, Hands) {
    Clock::manual(Now { wall: "2027-01-31T12:00:00Z".parse().unwrap(), mono: Mono(1_000_000) })
}

/// The ban `vendor` spared to [`FREED`] for 20 seconds.
fn freed() -> Exempt {
    let terms = Written {
        client: Some("127.0.0.2".to_owned()),
        ban: Some("vendor".to_owned()),
        owner: "J. Doe".to_owned(),
        reason: "removal tool".to_owned(),
        ..Written::default()
    };
    Exempt { terms, lasts_ms: Some(20_000), is_site: false }
}

fn for_group(group: &str, is_site: bool) -> Exempt {
    let asked = freed();
    let terms = Written { client: None, group: Some(group.to_owned()), ..asked.terms };
    Exempt { terms, is_site, ..asked }
}

fn of(ban: Option<&str>, category: Option<&str>, name: Option<&str>) -> Exempt {
    let (asked, text) = (freed(), |text: Option<&str>| text.map(str::to_owned));
    let terms = Written { ban: text(ban), category: text(category), name: text(name), ..asked.terms };
    Exempt { terms, ..asked }
}

async fn ask(server: &RunningServer, request: Request) -> Result<Value, ControlError> {
    let state_dir = server.state_dir();
    tokio::task::spawn_blocking(move || control::ask(&state_dir, &request, Duration::from_secs(10))).await.unwrap()
}

async fn add(server: &RunningServer, exempt: Exempt) -> Value {
    ask(server, Request::ExemptAdd(Box::new(exempt))).await.unwrap()
}

#[track_caller]
fn refused(answer: Result<Value, ControlError>, part: &str) {
    let why = answer.unwrap_err().to_string();
    assert!(why.contains(part), "{why}");
}

async fn rcode_of(server: &RunningServer, client: [u8; 4], name: &str) -> u16 {
    ask_from(server, client, &Question::new(name, qtype::A)).await.rcode()
}

/// Those of the freed client and of another for a name of the ban.
async fn rcodes(server: &RunningServer) -> (u16, u16) {
    (rcode_of(server, FREED, "a.example").await, rcode_of(server, OTHER, "a.example").await)
}

const NEITHER: (u16, u16) = (rcode::NXDOMAIN, rcode::NXDOMAIN);
const ONE: (u16, u16) = (rcode::NOERROR, rcode::NXDOMAIN);

#[tokio::test]
async fn an_exemption_frees_that_client_only_and_ends_on_time_and_no_answer_outlives_it() {
    let (upstream, (clock, hands)) = (FakeUpstream::start().await, clock());
    let server = TestServer::new().clock(&clock).ban("vendor", "a.example").upstream(&upstream).start().await;
    assert_eq!(rcodes(&server).await, NEITHER);

    let row = add(&server, freed()).await;
    assert_eq!((row["until"].as_str(), row["left_seconds"].as_u64()), (Some("2027-01-31T12:00:20.000Z"), Some(20)));
    assert_eq!(rcodes(&server).await, ONE, "it is in force when it is answered");
    for (passed_ms, ttl) in [(0, 20), (8_500, 11), (11_499, 0)] {
        hands.advance(Duration::from_millis(passed_ms));
        let answer = ask_from(&server, FREED, &Question::new("a.example", qtype::A)).await;
        assert_eq!(answer.rcode(), rcode::NOERROR);
        assert!(answer.answers()[0].2 <= ttl, "{:?}", answer.answers());
    }
    assert_eq!(server.metric("exemptions", &[("ban", "vendor")]).await, 1);
    hands.advance(Duration::from_millis(1));
    assert_eq!(rcodes(&server).await, NEITHER);

    let attempts = server.attempts().await;
    let spared: u64 = attempts.iter().filter(|row| row.action == Did::Exempt).map(|row| row.count).sum();
    assert_eq!((spared, attempts.iter().map(|row| row.count).sum::<u64>()), (4, 9), "all are recorded");
}

#[tokio::test]
async fn an_exemption_that_is_revoked_frees_nobody() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("vendor", "a.example").upstream(&upstream).start().await;
    let row = add(&server, freed()).await;
    let id = row["id"].as_str().unwrap().to_owned();
    assert_eq!(rcodes(&server).await, ONE);

    ask(&server, Request::ExemptRevoke(id.clone())).await.unwrap();
    assert_eq!(rcodes(&server).await, NEITHER);
    refused(ask(&server, Request::ExemptRevoke(id)).await, "no exemption 2 is in force");
    refused(ask(&server, Request::ExemptRevoke("x\u{1b}".to_owned())).await, "is no id");
}

#[tokio::test]
async fn groups_and_sites_are_freed_and_ones_that_there_are_not_are_refused() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("vendor", "a.example").upstream(&upstream).setting(GROUPS).start().await;
    add(&server, for_group("berlin", true)).await;
    assert_eq!(rcode_of(&server, [127, 0, 1, 7], "a.example").await, rcode::NOERROR);
    assert_eq!(rcode_of(&server, [127, 0, 2, 7], "a.example").await, rcode::NXDOMAIN);
    add(&server, for_group("lab", false)).await;
    assert_eq!(rcode_of(&server, [127, 0, 2, 7], "a.example").await, rcode::NOERROR);
    assert_eq!(rcodes(&server).await, NEITHER);

    let add = async |exempt| ask(&server, Request::ExemptAdd(Box::new(exempt))).await;
    refused(add(for_group("lab", true)).await, "unknown site `lab`; known: berlin");
    refused(add(for_group("labs", false)).await, "unknown group `labs`; known: lab, berlin");
    refused(add(of(Some("vendr"), None, None)).await, "unknown ban `vendr`; known: vendor, unrelated");
    refused(add(of(None, Some("updates"), None)).await, "unknown category `updates`; known: uncategorised");
    refused(add(Exempt { lasts_ms: Some(0), ..freed() }).await, "the end has passed already");
    refused(add(Exempt { lasts_ms: None, ..freed() }).await, "exactly one of `until` and `endless`");
    refused(add(Exempt { lasts_ms: Some(u64::MAX), ..freed() }).await, "too far away");
}

#[tokio::test]
async fn one_of_a_group_that_is_gone_is_told_of_before_another_group_gets_that_id() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("vendor", "a.example").upstream(&upstream).setting(GROUPS).start().await;
    add(&server, for_group("lab", false)).await;
    let state = async || ask(&server, Request::ExemptList { all: false }).await.unwrap()[0]["state"].clone();
    assert_eq!(state().await, "live");
    server.change_settings("").await;
    assert_eq!(state().await, "idle");
    let listed = ask(&server, Request::ExemptList { all: true }).await.unwrap();
    assert_eq!(listed[0]["state"], "idle");
    server.change_settings(GROUPS).await;
    assert_eq!(state().await, "live");
    server.change_settings("").await;
    ask(&server, Request::ExemptRevoke("2".to_owned())).await.unwrap();
    assert_eq!(ask(&server, Request::ExemptList { all: false }).await.unwrap(), serde_json::json!([]));
}

#[tokio::test]
async fn a_name_or_category_is_freed_whatever_its_ban_and_nothing_else_of_it() {
    let upstream = FakeUpstream::start().await;
    let bans = TestServer::new().ban("one", "a.example update\nb.example web\n").ban("two", "x.a.example update\n");
    let server = bans.upstream(&upstream).start().await;
    add(&server, of(None, None, Some("x.a.example"))).await;
    assert_eq!(rcode_of(&server, FREED, "y.x.a.example").await, rcode::NOERROR);
    assert_ne!(rcode_of(&server, FREED, "y.a.example").await, rcode::NOERROR);
    add(&server, of(None, Some("update"), None)).await;
    assert_eq!(rcode_of(&server, FREED, "y.a.example").await, rcode::NOERROR);
    let other = ask_from(&server, FREED, &Question::new("b.example", qtype::A)).await;
    assert!(other.answers().is_empty(), "of another category");
    assert_eq!(server.metric("exemptions", &[("ban", "*")]).await, 2);
}

#[tokio::test]
async fn what_stands_in_the_configuration_takes_effect_by_a_reload_and_is_listed() {
    let (upstream, (clock, hands)) = (FakeUpstream::start().await, clock());
    let server = TestServer::new().clock(&clock).ban("vendor", "a.example").upstream(&upstream).start().await;
    let rest = "ban = \"vendor\"\nowner = \"soc\"\nreason = \"test\"\n";
    let settings = format!(
        "{GROUPS}[[exemption]]\nclients = [\"127.0.0.2\"]\nuntil = 2027-01-31T12:00:10Z\n{rest}\
         [[exemption]]\ngroups = [\"lab\"]\nendless = true\n{rest}"
    );
    server.change_settings(&settings).await;
    assert_eq!(rcodes(&server).await, ONE);
    assert_eq!(rcode_of(&server, [127, 0, 2, 7], "a.example").await, rcode::NOERROR);
    let listed = ask(&server, Request::ExemptList { all: false }).await.unwrap();
    let ids: Vec<_> = listed.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["file:1", "file:2"]);
    refused(ask(&server, Request::ExemptRevoke("file:1".to_owned())).await, "stands in the configuration");

    hands.advance(Duration::from_secs(10));
    assert_eq!(rcodes(&server).await, NEITHER);
    let listed = ask(&server, Request::ExemptList { all: true }).await.unwrap();
    assert_eq!(
        (&listed[0]["state"], &listed[1]["state"], &listed[1]["until"]),
        (&"expired".into(), &"live".into(), &Value::Null)
    );
    server.change_settings("").await;
    assert_eq!(rcode_of(&server, [127, 0, 2, 7], "a.example").await, rcode::NXDOMAIN);
}
