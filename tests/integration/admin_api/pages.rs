//! The dashboard as a browser, a screen reader and somebody with bad intentions see it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use embargo::app::control::{Exempt, Request};
use embargo::audit::Written;
use embargo::wire::{qtype, rcode};

use super::client::{Answer, ask, audit, get, token};
use crate::harness::{Question, RunningServer, TestServer};
use crate::upstream_fake::FakeUpstream;
use crate::whom::ask_from;

/// What no page may hold as it is.
const HOSTILE: [&str; 4] =
    ["<img src=x onerror=alert(1)>", "\"><script>alert(2)</script>", "'><svg/onload=alert(3)>", "</td></table><b>"];
const CLIENT: [u8; 4] = [127, 0, 5, 7];
/// Pages that a walk looks at, at most.
const PAGES_MAX: usize = 400;

/// A server whose record, leases, audit log and bans hold what somebody hostile would have put there.
pub(super) async fn attacked(directory: &Path) -> RunningServer {
    let leases = directory.join("dnsmasq.leases");
    std::fs::write(&leases, format!("0 52:54:00:00:00:0a 127.0.5.7 {} *\n", HOSTILE[3])).unwrap();
    let settings = format!(
        "[[leases]]\nfile = \"{}\"\nformat = \"dnsmasq\"\n[[group]]\nid = \"hq\"\nkind = \"site\"\nnetworks = [\"127.0.5.0/24\"]\n",
        leases.display()
    );
    let declared = format!(
        "title = '''{}'''\nvendor = '''{}'''\n[[milestone]]\ndate = 2026-01-01\ntext = '''{}'''\n",
        HOSTILE[0], HOSTILE[1], HOSTILE[0]
    );
    let upstream = FakeUpstream::start().await;
    let rules = "a.example update installed\nwww.b.example web visit enforce\n";
    let server = TestServer::new().ban_with("vendor", &declared, rules).upstream(&upstream).setting(&settings);
    let server = server.start().await;
    let names = HOSTILE.map(|text| text.replace('.', "\\046") + ".a.example");
    for name in names.iter().map(String::as_str).chain(["x.a.example", "www.b.example"]) {
        for client in [CLIENT, [127, 0, 5, 8], [127, 0, 6, 9]] {
            let answer = ask_from(&server, client, &Question::new(name, qtype::A)).await;
            assert_eq!(answer.rcode(), rcode::NXDOMAIN, "{name}");
        }
    }
    let terms = Written {
        client: Some("127.0.5.9".to_owned()),
        ban: Some("vendor".to_owned()),
        owner: HOSTILE[2].to_owned(),
        reason: format!("=cmd() {}", HOSTILE[1]),
        endless: true,
        ..Written::default()
    };
    server.control(Request::ExemptAdd(Box::new(Exempt { terms, lasts_ms: None, is_site: false }))).await;
    server.control(Request::Flush).await;
    server
}

/// The tags of a page with their fields, as our own writer writes them.
fn tags(page: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some((_text, tag)) = rest.split_once('<') {
        let (tag, behind) = tag.split_once('>').unwrap();
        rest = behind;
        let (name, mut fields) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut found = BTreeMap::new();
        while !fields.trim().is_empty() {
            let fields_now = fields.trim_start();
            let (field, behind) = fields_now.split_at(fields_now.find(['=', ' ']).unwrap_or(fields_now.len()));
            let (value, behind) = match behind.strip_prefix("=\"") {
                Some(value) => value.split_once('"').unwrap(),
                None => ("", behind),
            };
            found.insert(field.to_owned(), value.replace("&amp;", "&").replace("&quot;", "\""));
            fields = behind;
        }
        tags.push((name.to_owned(), found));
    }
    tags
}

/// What is wrong with a page; its links.
fn look(target: &str, answer: &Answer) -> (Vec<String>, Vec<String>) {
    let mut wrong = Vec::new();
    let tags = tags(&answer.body);
    let mut ids = BTreeSet::new();
    let (mut links, mut wanted) = (Vec::new(), Vec::new());
    for (name, fields) in &tags {
        if let Some(id) = fields.get("id").filter(|id| !ids.insert((*id).clone())) {
            wrong.push(format!("two elements have the id {id}"));
        }
        for field in ["href", "src", "action"] {
            if let Some(link) = fields.get(field) {
                if !link.starts_with('/') && !link.starts_with('#') || link.starts_with("//") {
                    wrong.push(format!("{name} leads to {link}"));
                }
                links.extend((field == "href" || field == "src").then(|| link.clone()));
            }
        }
        wanted.extend(
            ["for", "aria-labelledby"].iter().filter_map(|field| fields.get(*field)).flat_map(|ids| ids.split(' ')),
        );
        wrong.extend(
            fields
                .keys()
                .filter(|field| field.starts_with("on") || *field == "style")
                .map(|field| format!("{name} has {field}")),
        );
        if (name == "style" || name == "script") && !fields.contains_key("src") {
            wrong.push(format!("{name} stands in the page"));
        }
        if name == "th" && !fields.contains_key("scope") {
            wrong.push("a head of a table has no scope".to_owned());
        }
    }
    wrong.extend(wanted.into_iter().filter(|id| !ids.contains(*id)).map(|id| format!("nothing has the id {id}")));
    let count = |wanted: &str| tags.iter().filter(|(name, _fields)| name == wanted).count();
    for (element, number) in [("h1", 1), ("main", 1), ("nav", 1), ("header", 1), ("footer", 1)] {
        if count(element) != number {
            wrong.push(format!("{} times {element}", count(element)));
        }
    }
    if count("table") != count("caption") {
        wrong.push("a table has no caption".to_owned());
    }
    wrong.extend(HOSTILE.iter().filter(|text| answer.body.contains(*text)).map(|text| format!("holds {text}")));
    for line in [
        "content-security-policy: default-src 'none'; style-src 'self'; script-src 'self'",
        "x-content-type-options: nosniff",
    ] {
        if !answer.head.contains(line) {
            wrong.push(format!("is sent without {line}"));
        }
    }
    (wrong.into_iter().map(|wrong| format!("{target}: {wrong}")).collect(), links)
}

#[tokio::test]
async fn every_page_that_a_link_leads_to_is_there_whole_and_holds_nothing_that_a_client_slipped_in() {
    let directory = tempfile::tempdir().unwrap();
    let server = attacked(directory.path()).await;
    let (mut open, mut known) =
        (VecDeque::from(["/".to_owned(), "/devices?find=127.0.6.9".to_owned()]), BTreeSet::new());
    let (mut wrong, mut seen) = (Vec::new(), 0);
    // Each place with each set of fields once: the values of a sort or a site do not matter here.
    let shape = |target: &str| {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let names: Vec<&str> = query.split('&').map(|field| field.split('=').next().unwrap_or_default()).collect();
        format!("{path}?{}", names.join("&"))
    };
    while let Some(target) = open.pop_front() {
        seen += 1;
        let answer = get(&server, target.clone()).send().await;
        if answer.status != 200 {
            wrong.push(format!("{target}: {} {}", answer.status, answer.body));
            continue;
        }
        let is_page = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"))
            && !target.starts_with("/reports/");
        if answer.header("content-type").is_some_and(|kind| kind.starts_with("text/csv")) {
            assert!(!answer.body.contains("\"=cmd"), "{target}: {}", answer.body);
        }
        if !is_page {
            continue;
        }
        let (complaints, links) = look(&target, &answer);
        wrong.extend(complaints);
        for link in links {
            let link = link.split('#').next().unwrap_or_default().to_owned();
            if !link.is_empty() && seen + open.len() < PAGES_MAX && known.insert(shape(&link)) {
                open.push_back(link);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 60, "{seen}");
    for place in ["/devices", "/activity", "/bans/vendor", "/reports", "/system", "/devices/0"] {
        assert!(known.contains(&format!("{place}?")), "{place} is reached: {known:?}");
    }
}

#[tokio::test]
async fn a_number_leads_to_exactly_its_rows() {
    let directory = tempfile::tempdir().unwrap();
    let server = attacked(directory.path()).await;
    let page = get(&server, "/?ban=vendor").send().await.body;
    let (_before, tile) = page.split_once("class=now").unwrap();
    assert!(tile.starts_with("\"><b>3</b>"), "{tile:.200}");
    let devices = get(&server, "/devices?ban=vendor&class=now&csv=devices").send().await.body;
    assert_eq!(devices.lines().count(), 1 + 3, "{devices}");
    let hq = get(&server, "/devices?ban=vendor&site=hq&sort=devices.device&csv=devices").send().await.body;
    let told: Vec<&str> = hq.lines().skip(1).map(|line| line.split(',').next().unwrap_or_default()).collect();
    assert_eq!(told, ["\"127.0.5.8\"", "\"mac:52:54:00:00:00:0a\""]);
    // Five names of the ban that prove something, from each of three clients; and one that was visited.
    let lookups: u64 = hq.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(lookups, 10);
    let of_device = "/activity?ban=vendor&evidence=installed&device=mac:52:54:00:00:00:0a&csv=attempts";
    let rows = get(&server, of_device).send().await.body;
    assert_eq!(rows.lines().count(), 1 + 5, "{rows}");
    let visits = get(&server, "/activity?ban=vendor&evidence=visit&csv=attempts").send().await.body;
    assert_eq!(visits.lines().count(), 1 + 3, "{visits}");
}

#[tokio::test]
async fn what_can_not_be_meant_is_said_and_nothing_else_happens() {
    let server = TestServer::new().ban("vendor", "a.example").start().await;
    for (target, status) in [
        ("/devices?days=0", 400),
        ("/devices?class=all", 400),
        ("/devices?evidence=some", 400),
        ("/?ban=nobody", 404),
        ("/?site=nowhere", 404),
        ("/?baseline=yesterday", 400),
        ("/activity?client=x", 400),
        ("/activity?since=soon", 400),
        ("/activity?action=%3Cscript%3E", 400),
        ("/activity?after=%5B1%5D", 400),
        ("/activity?name=%FF", 400),
        ("/activity?csv=nothing", 404),
        ("/devices/4000000000", 404),
        ("/devices/..%2f..%2fetc%2fpasswd", 404),
        ("/bans/%3Cb%3E", 404),
        ("/assets/..%2fmod.rs", 404),
        ("/reports/report.html", 404),
        ("/reports/report.html?ban=vendor&from=2026-01-02&to=2026-01-01&baseline=2026-01-01", 400),
        ("/reports/other.html?ban=vendor", 404),
    ] {
        let answer = get(&server, target).send().await;
        assert_eq!(answer.status, status, "{target}: {}", answer.body);
        assert!(!answer.body.contains("<script>") && !answer.body.contains("<b>\""), "{target}");
    }
    let by_another_name = get(&server, "/devices").host("evil.example").send().await;
    assert_eq!((by_another_name.status, by_another_name.body.contains("<table")), (421, false));
    let many = format!("/activity?{}", "a=b&".repeat(64));
    assert_eq!(get(&server, many).send().await.status, 400);
}

#[tokio::test]
async fn a_page_with_all_that_it_asks_for_is_light_and_its_files_are_kept_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let server = attacked(directory.path()).await;
    let page = get(&server, "/").send().await;
    let mut weight = page.body.len();
    let files: Vec<String> = tags(&page.body)
        .into_iter()
        .filter_map(|(name, fields)| fields.get(if name == "script" { "src" } else { "href" }).cloned())
        .collect();
    let files: BTreeSet<_> = files.into_iter().filter(|file| file.starts_with("/assets/")).collect();
    assert_eq!(files.len(), 5, "{files:?}");
    for file in files {
        let answer = get(&server, &file).send().await;
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(answer.header("cache-control").as_deref(), Some("public, max-age=31536000, immutable"));
        weight += answer.body.len();
    }
    assert!(weight <= 200 << 10, "{weight}");
}

#[tokio::test]
async fn only_a_form_of_ours_by_somebody_who_may_changes_something_and_the_audit_names_them() {
    let server = TestServer::new().ban("vendor", "a.example").start().await;
    let granting = token(&server, "soc", "approve,operate").await;
    let looking = token(&server, "audit", "read").await;
    let enter = async |token: &str| {
        let answer = ask(&server, "POST", "/login").form(&format!("user=&password={token}")).send().await;
        assert_eq!(answer.status, 303, "{answer:?}");
        format!("Cookie: {}", answer.header("set-cookie").unwrap().split(';').next().unwrap())
    };
    let (may, may_not) = (enter(&granting).await, enter(&looking).await);
    let page = get(&server, "/system").header(&may).send().await.body;
    let csrf = page.split_once("name=\"csrf\" value=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    assert!(page.contains("action=\"/system/exempt\"") && page.contains("action=\"/system/reload\""));
    let page = get(&server, "/system").header(&may_not).send().await.body;
    assert!(!page.contains("action=\"/system/") && page.contains("action=\"/logout\""));

    let wanted = "client=192.0.2.7&ban=vendor&days=3&owner=J.+Doe&reason=removal+tool";
    let send = |cookie: &str, target: &str, form: String| ask(&server, "POST", target).header(cookie).form(&form);
    assert_eq!(send(&may, "/system/exempt", wanted.to_owned()).send().await.status, 403, "without what our form holds");
    assert_eq!(send(&may_not, "/system/exempt", format!("{wanted}&csrf={csrf}")).send().await.status, 403);
    let elsewhere = send(&may, "/system/exempt", format!("{wanted}&csrf={csrf}")).header("Origin: http://evil.example");
    assert_eq!(elsewhere.send().await.status, 403);
    let mistaken =
        send(&may, "/system/exempt", format!("client=192.0.2.7&ban=nobody&days=3&owner=a&reason=b&csrf={csrf}"));
    let mistaken = mistaken.send().await;
    assert!(mistaken.status == 400 && mistaken.body.contains("unknown ban"), "{mistaken:?}");
    assert!(!get(&server, "/system").header(&may).send().await.body.contains("removal tool"));

    assert_eq!(send(&may, "/system/exempt", format!("{wanted}&csrf={csrf}")).send().await.status, 303);
    let page = get(&server, "/system").header(&may).send().await.body;
    assert!(page.contains("removal tool") && page.contains("token:soc"), "{page}");
    let entries = audit(&server, &granting).await;
    let granted = entries.iter().find(|entry| entry.to_string().contains("removal tool")).unwrap();
    let id = granted["number"].to_string();
    assert!(granted.to_string().contains("token:soc"), "{granted}");
    assert_eq!(send(&may, "/system/revoke", format!("id={id}&csrf={csrf}")).send().await.status, 303);
    assert_eq!(send(&may, "/system/reload", format!("csrf={csrf}")).send().await.status, 303);
    assert!(get(&server, "/system").header(&may).send().await.body.contains("revoked"));
}
