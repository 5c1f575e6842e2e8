//! Clients that send too much, too little, or what nobody can mean.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{ask, get, token};
use crate::harness::{RunningServer, TestServer};

/// Sends octets as they are; returns the status line that comes back.
async fn status(server: &RunningServer, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.admin()).await.unwrap();
    let _closed_early = stream.write_all(octets).await;
    let mut read = Vec::new();
    let _reset = stream.read_to_end(&mut read).await;
    String::from_utf8_lossy(&read).split(' ').nth(1).unwrap_or("none").to_owned()
}

#[tokio::test]
async fn a_large_body_is_refused_before_it_is_read() {
    let server = TestServer::new().start().await;
    let token = token(&server, "a", "admin").await;
    let head = |length: &str| {
        format!(
            "POST /api/v1/exemptions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nConnection: close\r\n{length}\r\n\r\n"
        )
    };
    assert_eq!(status(&server, head("Content-Length: 10485760").as_bytes()).await, "413", "nothing of it was sent");
    let mut chunks = head("Transfer-Encoding: chunked").into_bytes();
    for _ in 0..80 {
        chunks.extend_from_slice(b"400\r\n");
        chunks.resize(chunks.len() + 1024, b' ');
        chunks.extend_from_slice(b"\r\n");
    }
    assert!(["413", "none"].contains(&&*status(&server, &chunks).await));
    assert_eq!(get(&server, "/livez").send().await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_meant_is_a_problem_that_names_its_place() {
    let server = TestServer::new().ban("acme", "acme.test").start().await;
    let token = token(&server, "a", "admin").await;
    for (target, status, field) in [
        ("/api/v1/attempts?limit=0", 400, "limit"),
        ("/api/v1/attempts?limit=x", 400, "limit"),
        ("/api/v1/attempts?limit=1&limit=2", 400, "limit"),
        ("/api/v1/attempts?client=nobody", 400, "client"),
        ("/api/v1/attempts?since=yesterday", 400, "since"),
        ("/api/v1/attempts?evidence=sure", 400, "evidence"),
        ("/api/v1/attempts?cursor=%00", 400, "%00"),
        ("/api/v1/attempts?cursor=zz", 400, "cursor"),
        ("/api/v1/attempts?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OQ", 400, "cursor"),
        // Well told, and by nobody: `[1,2]`, `{}`, and a number.
        ("/api/v1/attempts?cursor=WzEsMl0", 400, "cursor"),
        ("/api/v1/clients?cursor=e30", 400, "cursor"),
        ("/api/v1/devices?cursor=MTA", 400, "cursor"),
        ("/api/v1/attempts?action=bite", 400, "action"),
        ("/api/v1/clients?name=a.example", 400, "name"),
        ("/api/v1/attempts?what=1", 400, "what"),
        ("/api/v1/attempts?until=", 400, "until"),
        ("/api/v1/attempts?ban=", 400, "ban"),
        ("/api/v1/analysis?ban=acme&from=2026-01-01&to=2026-01-31", 400, "baseline"),
        ("/api/v1/rules?ban=other", 400, "ban"),
        ("/api/v1/cache?name=..&below=true", 400, "name"),
        ("/api/v1/cache?name=a.test&type=NONE", 400, "type"),
        ("/api/v1/policy/explain", 400, "name"),
    ] {
        let answer = get(&server, target).token(&token).send().await;
        let problem = answer.json();
        assert_eq!((answer.status, problem["field"].as_str()), (status, Some(field)), "{target}: {problem}");
        assert_eq!(problem["status"], status, "{target}");
    }
    for target in [
        "/api/v1/bans/..%2f..%2fetc%2fpasswd",
        "/api/v1/bans/%ff",
        "/api/v1/nothing",
        "/api/v2/bans",
        "/api/v1/bans/a/b",
    ] {
        let answer = get(&server, target).token(&token).send().await;
        assert!([400, 404].contains(&answer.status), "{target}: {answer:?}");
    }
    let explain = get(&server, "/api/v1/policy/explain?name=--help").token(&token).send().await;
    assert!([200, 422].contains(&explain.status) && !explain.body.contains("Usage"), "{explain:?}");
}

#[tokio::test]
async fn a_body_that_cannot_be_meant_changes_nothing() {
    let server = TestServer::new().ban("acme", "acme.test").start().await;
    let token = token(&server, "a", "admin").await;
    let add = |body: &str| {
        let ask = ask(&server, "POST", "/api/v1/exemptions").token(&token);
        ask.form(body).header("Content-Type: application/json")
    };
    assert!([400, 415].contains(&add("{}").send().await.status), "two types");
    let form = ask(&server, "POST", "/api/v1/exemptions").token(&token).form("owner=a").send().await;
    assert_eq!(form.status, 415);
    let base =
        serde_json::json!({"client": "192.0.2.7", "ban": "acme", "lasts_seconds": 60, "owner": "o", "reason": "r"});
    let with = |key: &str, value: serde_json::Value| {
        let mut body = base.clone();
        body.as_object_mut().unwrap().insert(key.to_owned(), value);
        body
    };
    for body in [
        serde_json::json!(null),
        serde_json::json!([]),
        serde_json::json!({}),
        with("owner", 1.into()),
        with("owner", "".into()),
        with("owner", "a\u{1b}[2J".into()),
        with("reason", "x".repeat(60_000).into()),
        with("client", "0.0.0.0/0".into()),
        with("group", "lab".into()),
        with("site", "lab".into()),
        with("ban", "other".into()),
        with("name", "<script>".into()),
        with("lasts_seconds", 0.into()),
        with("lasts_seconds", (-1).into()),
        with("lasts_seconds", 1e300.into()),
        with("until", "2020-01-01T00:00:00Z".into()),
        with("endless", true.into()),
        with("id", "1".into()),
    ] {
        let answer = ask(&server, "POST", "/api/v1/exemptions").token(&token).json(&body).send().await;
        assert!([400, 422].contains(&answer.status), "{body}: {answer:?}");
        assert!(answer.header("content-type").unwrap().starts_with("application/problem+json"));
    }
    let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(9_000));
    let answer = ask(&server, "POST", "/api/v1/reload").token(&token).json(&serde_json::json!({})).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(add(&deep).send().await.status / 100, 4, "nested without end");
    let all = get(&server, "/api/v1/exemptions?all=true").token(&token).send().await;
    assert_eq!(all.json()["items"], serde_json::json!([]));
}

#[tokio::test]
async fn a_script_in_a_reason_stays_text() {
    let server = TestServer::new().ban("acme", "acme.test").start().await;
    let token = token(&server, "a", "admin").await;
    let reason = "<script>alert(1)</script>";
    let body =
        serde_json::json!({"client": "192.0.2.7", "ban": "acme", "endless": true, "owner": "<b>", "reason": reason});
    let granted = ask(&server, "POST", "/api/v1/exemptions").token(&token).json(&body).send().await;
    assert_eq!((granted.status, &granted.json()["reason"]), (201, &reason.into()));
    assert_eq!(granted.header("content-type").as_deref(), Some("application/json"));
    assert_eq!(granted.header("x-content-type-options").as_deref(), Some("nosniff"));
    let report = "/api/v1/reports?ban=acme&from=2026-01-01&to=2026-12-31&baseline=2025-12-01";
    let report = get(&server, report).token(&token).send().await;
    assert!(report.status == 200 && !report.body.contains("<script>alert"), "{report:?}");
}
