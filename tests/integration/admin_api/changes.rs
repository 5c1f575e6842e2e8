//! What is changed, by whom, and what the audit log has of it.

use serde_json::{Value, json};

use super::client::{ask, audit, get, token};
use crate::harness::TestServer;

const A: u16 = 1;

fn exemption(client: &str) -> Value {
    json!({"client": client, "ban": "acme", "lasts_seconds": 3600, "owner": "J. Doe", "reason": "removal tool"})
}

/// A body with which each change would succeed, or nearly.
fn body(path: &str) -> Value {
    match path {
        "/api/v1/exemptions" => exemption("192.0.2.7"),
        "/api/v1/cache/flush" => json!({"all": true}),
        "/api/v1/devices/words" => json!({"device": "mac:00:16:3e:12:34:56", "reason": "r"}),
        _ => json!({}),
    }
}

#[tokio::test]
async fn a_token_that_may_read_can_change_nothing_by_any_route() {
    let server = TestServer::new().ban("acme", "acme.example").start().await;
    let (reader, admin) = (token(&server, "reader", "read").await, token(&server, "admin", "admin").await);
    let before = audit(&server, &admin).await.len();
    let document = get(&server, "/api/v1/openapi.json").send().await.json();
    let mut tried = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            if method == "get" || path == "/api/v1/policy/preview" {
                continue;
            }
            let method = if method == "post" { "POST" } else { "DELETE" };
            let target = path.replace("{id}", "1");
            let refused = ask(&server, method, &*target).token(&reader).json(&body(path)).send().await;
            assert_eq!(refused.status, 403, "{method} {path}: {refused:?}");
            let unknown = ask(&server, method, &*target).json(&body(path)).send().await;
            assert_eq!(unknown.status, 401, "{method} {path}: {unknown:?}");
            tried += 1;
        }
    }
    assert!(tried >= 6, "{document}");
    assert_eq!(audit(&server, &admin).await.len(), before);
    for method in ["PUT", "PATCH", "TRACE"] {
        assert_eq!(ask(&server, method, "/api/v1/exemptions").token(&admin).send().await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_with_its_author() {
    let server = TestServer::new().ban("acme", "acme.example").start().await;
    let (operator, approver) = (token(&server, "ops", "operate").await, token(&server, "desk", "approve").await);
    let did = |entries: &[Value], what: &str| {
        let is_it = |entry: &&Value| entry["event"]["did"]["what"] == what || entry["event"].get(what).is_some();
        entries.iter().find(is_it).map_or_else(|| panic!("no {what}: {entries:?}"), |entry| entry["by"].clone())
    };
    let post = |path: &'static str, token: &str| ask(&server, "POST", path).token(token).json(&body(path));

    assert_eq!(post("/api/v1/reload", &operator).send().await.json()["ok"], true);
    assert_eq!(post("/api/v1/cache/flush", &operator).send().await.status, 200);
    assert_eq!(post("/api/v1/lists/fetch", &operator).send().await.status, 200);
    let said = post("/api/v1/devices/words", &operator).send().await;
    assert_eq!(said.status, 201, "{said:?}");
    let unsay = format!("/api/v1/devices/words/{}", said.json()["id"]);
    assert_eq!(ask(&server, "DELETE", unsay).token(&operator).send().await.status, 204);
    let granted = post("/api/v1/exemptions", &approver).send().await;
    assert_eq!((granted.status, &granted.json()["by"]), (201, &"token:desk".into()), "{granted:?}");
    let revoke = format!("/api/v1/exemptions/{}", granted.json()["id"].as_str().unwrap());
    assert_eq!(ask(&server, "DELETE", revoke).token(&approver).send().await.status, 204);

    let entries = audit(&server, &approver).await;
    for what in ["reload", "cache_flush", "lists_fetch", "split", "undone"] {
        assert_eq!(did(&entries, what), "token:ops", "{what}");
    }
    for what in ["granted", "revoked"] {
        assert_eq!(did(&entries, what), "token:desk", "{what}");
    }
    let ended = get(&server, "/api/v1/exemptions?all=true").token(&approver).send().await.json();
    assert_eq!(ended["items"][0]["revoker"], "token:desk");
}

#[tokio::test]
async fn an_exemption_of_the_api_frees_at_once_and_ends_at_once() {
    let server = TestServer::new().ban("acme", "acme.example").start().await;
    let token = token(&server, "desk", "approve").await;
    assert_eq!(server.query("a.acme.example", A).await.rcode(), 3);
    let granted = ask(&server, "POST", "/api/v1/exemptions").token(&token).json(&exemption("127.0.0.1")).send().await;
    assert_ne!(server.query("a.acme.example", A).await.rcode(), 3, "{granted:?}");
    let path = format!("/api/v1/exemptions/{}", granted.json()["id"].as_str().unwrap());
    assert_eq!(ask(&server, "DELETE", path).token(&token).send().await.status, 204);
    assert_eq!(server.query("a.acme.example", A).await.rcode(), 3);
}

#[tokio::test]
async fn two_who_change_the_same_thing_are_told_apart() {
    let server = TestServer::new().ban("acme", "acme.example").start().await;
    let token = token(&server, "desk", "approve").await;
    let granted = ask(&server, "POST", "/api/v1/exemptions").token(&token).json(&exemption("192.0.2.7")).send().await;
    let path = format!("/api/v1/exemptions/{}", granted.json()["id"].as_str().unwrap());
    let read = get(&server, &*path).token(&token).send().await;
    let tag = read.header("etag").unwrap();
    let same = get(&server, &*path).token(&token).header(&format!("If-None-Match: {tag}")).send().await;
    assert_eq!((same.status, same.body.as_str()), (304, ""));

    let delete = |tag: &str| ask(&server, "DELETE", &*path).token(&token).header(&format!("If-Match: {tag}"));
    assert_eq!(delete("\"another\"").send().await.status, 412);
    assert_eq!(delete(&tag).send().await.status, 204);
    assert_eq!(delete(&tag).send().await.status, 412, "somebody was faster");
    assert_eq!(ask(&server, "DELETE", &*path).token(&token).send().await.status, 409);
    assert_eq!(ask(&server, "DELETE", "/api/v1/exemptions/99").token(&token).send().await.status, 404);
}

#[tokio::test]
async fn what_the_audit_log_cannot_take_is_not_done_for_whoever_comes_over_the_network() {
    let server = TestServer::new().ban("acme", "acme.example").start().await;
    let token = token(&server, "ops", "admin").await;
    std::fs::remove_file(embargo::audit::path(&server.state_dir())).unwrap();
    let refused = ask(&server, "POST", "/api/v1/reload").token(&token).json(&json!({})).send().await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("audit"), "{refused:?}");
    let by_socket = server.control(embargo::app::control::Request::Reload).await;
    assert_eq!(by_socket["ok"], true, "whoever owns the files is not kept from a reload");
}
