//! What is told: each route answers as its description says, which the server itself checks in a debug build.

use serde_json::Value;

use super::client::{get, token};
use crate::harness::{RunningServer, TestServer};

const A: u16 = 1;
const BAN: &str = "[[law]]\nid = \"l-1\"\njurisdiction = \"X\"\ninstrument = \"I\"\ncitation = \"1 X 2\"\nsource = \"S\"\neffective = 2024-09-29\n\
                   end_use = \"no\"\n[[milestone]]\ndate = 2024-09-29\ntext = \"effective\"\n";

async fn server() -> RunningServer {
    let server = TestServer::new()
        .ban_with("acme", BAN, "upd.acme.example update installed\nwww.acme.example web visit enforce")
        .setting("[[group]]\nid = \"lab\"\nkind = \"site\"\nnetworks = [\"127.0.0.0/8\"]")
        .start()
        .await;
    for name in ["a.upd.acme.example", "b.upd.acme.example", "c.upd.acme.example"] {
        server.query(name, A).await;
    }
    server.attempts().await;
    server
}

async fn read(server: &RunningServer, target: &str) -> Value {
    let answer = get(server, target).send().await;
    assert_eq!(answer.status, 200, "{target}: {answer:?}");
    assert_eq!(answer.header("content-type").as_deref(), Some("application/json"), "{target}");
    answer.json()
}

#[tokio::test]
async fn every_route_that_reads_answers_as_it_is_described() {
    let server = server().await;
    let report = "ban=acme&from=2026-01-01&to=2026-01-31&baseline=2025-12-01";
    let document = read(&server, "/api/v1/openapi.json").await;
    for (path, operations) in document["paths"].as_object().unwrap() {
        if operations.get("get").is_none() || path.ends_with("/live") {
            continue;
        }
        let target = match path.as_str() {
            "/api/v1/bans/{id}" => "/api/v1/bans/acme".to_owned(),
            // There is none here; its own test has one.
            "/api/v1/exemptions/{id}" => continue,
            "/api/v1/policy/explain" => format!("{path}?name=a.upd.acme.example&client=127.0.0.1"),
            "/api/v1/analysis" => format!("{path}?{report}"),
            "/api/v1/reports" => format!("{path}?{report}&format=json"),
            _ => path.clone(),
        };
        read(&server, &target).await;
    }
}

#[tokio::test]
async fn attempts_come_in_pages_and_can_be_narrowed() {
    let server = server().await;
    let first = read(&server, "/api/v1/attempts?limit=2").await;
    assert_eq!(first["items"].as_array().unwrap().len(), 2, "{first}");
    let next = first["next"].as_str().unwrap();
    let second = read(&server, &format!("/api/v1/attempts?limit=2&cursor={next}")).await;
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next"]), (1, &Value::Null), "{second}");
    let mut names: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|row| row["qname"].clone())
        .collect();
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, ["a.upd.acme.example", "b.upd.acme.example", "c.upd.acme.example"]);
    for (filter, rows) in [
        ("ban=acme&evidence=installed&client=127.0.0.1", 3),
        ("ban=other", 0),
        ("evidence=visit", 0),
        ("client=192.0.2.7", 0),
        ("since=2020-01-01T00:00:00Z", 3),
        ("until=2020-01-01T00:00:00%2B01:00", 0),
        ("site=lab&category=update&action=nxdomain&pattern=upd.acme.example&name=ACME.example.", 3),
        ("name=a.upd.acme.example", 1),
        ("name=pd.acme.example", 0),
        ("device=127.0.0.1", 3),
        ("action=observe", 0),
        ("pattern=acme.example", 0),
        ("site=hq", 0),
        ("category=web", 0),
    ] {
        let page = read(&server, &format!("/api/v1/attempts?{filter}")).await;
        assert_eq!(page["items"].as_array().unwrap().len(), rows, "{filter}: {page}");
        assert_eq!(page["looked_to"], Value::Null, "to the end of the record: {page}");
    }
    for (filter, rows) in [
        ("", 1),
        ("ban=acme&evidence=installed&site=lab&client=127.0.0.1&device=127.0.0.1&since=2020-01-01T00:00:00Z", 1),
        ("device=127.0.0.2", 0),
        ("site=hq", 0),
        ("evidence=visit", 0),
        ("until=2020-01-01T00:00:00Z", 0),
    ] {
        let page = read(&server, &format!("/api/v1/clients?{filter}")).await;
        assert_eq!(page["items"].as_array().unwrap().len(), rows, "{filter}: {page}");
    }
}

#[tokio::test]
async fn cursors_lead_through_all_clients_whatever_is_recorded_meanwhile() {
    let server = server().await;
    server.query("www.acme.example", A).await;
    server.attempts().await;
    let mut evidence = Vec::new();
    let mut target = "/api/v1/clients?limit=1".to_owned();
    loop {
        let page = read(&server, &target).await;
        evidence.extend(page["items"].as_array().unwrap().iter().map(|row| row["evidence"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        target = format!("/api/v1/clients?limit=1&cursor={next}");
        // What was seen last moves to the front of whatever is ordered by that.
        server.query("d.upd.acme.example", A).await;
        server.attempts().await;
    }
    assert_eq!(evidence, ["installed", "visit"]);
}

#[tokio::test]
async fn a_ban_is_told_with_its_law_and_rules_with_their_list() {
    let server = server().await;
    let ban = read(&server, "/api/v1/bans/acme").await;
    assert_eq!((&ban["mode"], &ban["rules"], &ban["laws"][0]["bound"]), (&"enforce".into(), &2.into(), &false.into()));
    let rules = read(&server, "/api/v1/rules?ban=acme").await;
    let patterns: Vec<_> = rules["items"].as_array().unwrap().iter().map(|rule| rule["pattern"].clone()).collect();
    assert!(patterns.contains(&"upd.acme.example".into()) && patterns.len() == 2, "{rules}");
    let sites = read(&server, "/api/v1/sites?kind=site").await;
    assert_eq!((&sites["items"][0]["id"], sites["items"].as_array().unwrap().len()), (&"lab".into(), 1));
    let explained = read(&server, "/api/v1/policy/explain?name=a.upd.acme.example").await;
    assert_eq!((&explained["verdict"], &explained["pattern"]), (&"enforce".into(), &"upd.acme.example".into()));
}

#[tokio::test]
async fn a_preview_says_whom_a_change_would_touch_and_leaves_no_file() {
    let server = server().await;
    let before = std::fs::read_dir(server.state_dir()).unwrap().count();
    let ask = |body: Value| super::client::ask(&server, "POST", "/api/v1/policy/preview").token("").json(&body);
    assert_eq!(ask(serde_json::json!({})).send().await.status, 401, "no token is another thing than a wrong one");
    let token = token(&server, "a", "read").await;
    let ask = |body: Value| super::client::ask(&server, "POST", "/api/v1/policy/preview").token(&token).json(&body);
    let off = ask(serde_json::json!({"ban": "acme", "mode": "off"})).send().await;
    assert_eq!((off.status, &off.json()["releases"]["names"]), (200, &3.into()), "{off:?}");
    let list = ask(serde_json::json!({"list": "nobody.test\n"})).send().await;
    assert_eq!((list.status, &list.json()["blocks"]["names"]), (200, &0.into()), "{list:?}");
    for wrong in [serde_json::json!({"ban": "acme"}), serde_json::json!({}), serde_json::json!({"mode": "off"})] {
        assert_eq!(ask(wrong).send().await.status, 400);
    }
    assert_eq!(ask(serde_json::json!({"ban": "other", "mode": "off"})).send().await.status, 422);
    // Who may is in a file of its own by now.
    assert_eq!(std::fs::read_dir(server.state_dir()).unwrap().count(), before + 1);
}

#[tokio::test]
async fn a_report_comes_in_each_form_and_nothing_in_it_can_run() {
    let server = server().await;
    for (format, content_type) in [("html", "text/html"), ("csv", "text/csv"), ("md", "text/markdown")] {
        let target =
            format!("/api/v1/reports?ban=acme&from=2026-01-01&to=2026-01-31&baseline=2025-12-01&format={format}");
        let report = get(&server, target).send().await;
        assert_eq!(report.status, 200, "{report:?}");
        assert!(report.header("content-type").unwrap().starts_with(content_type), "{report:?}");
        assert!(report.header("content-security-policy").unwrap().contains("sandbox"), "{report:?}");
    }
    for target in
        ["/api/v1/reports?ban=acme", "/api/v1/analysis?ban=acme&from=2026-01-31&to=2026-01-01&baseline=2025-01-01"]
    {
        assert!([400, 422].contains(&get(&server, target).send().await.status), "{target}");
    }
}

#[tokio::test]
async fn attempts_are_sent_live_to_whoever_follows() {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
    let server = server().await;
    let mut stream = tokio::net::TcpStream::connect(server.admin()).await.unwrap();
    let request = "GET /api/v1/attempts/live?ban=acme HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = tokio::io::BufReader::new(stream).lines();
    let told = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the stream goes on");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str::<Value>(data).unwrap();
            }
        }
    };
    // Asked for and written again and again: when the reader looks first is its own affair.
    let asking = async {
        loop {
            server.query("live.upd.acme.example", A).await;
            server.attempts().await;
        }
    };
    let event = tokio::select! {
        event = tokio::time::timeout(std::time::Duration::from_secs(60), told) => event.expect("an event"),
        () = asking => unreachable!("it does not end"),
    };
    assert_eq!((&event["qname"], &event["ban"]), (&"live.upd.acme.example".into(), &"acme".into()));
}
