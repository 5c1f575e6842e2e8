//! Who is let in, and by what.

use super::client::{ask, audit, get, token, user};
use crate::harness::{TestServer, sum};

#[tokio::test]
async fn whoever_is_here_may_look_on_until_there_is_somebody_and_never_change_anything() {
    let server = TestServer::new().start().await;
    assert_eq!(get(&server, "/api/v1/status").send().await.status, 200);
    let by_proxy = get(&server, "/api/v1/status").header("X-Forwarded-For: 192.0.2.7").send().await;
    assert_eq!(by_proxy.status, 401, "what a proxy passes on does not come from here");
    let change = ask(&server, "POST", "/api/v1/reload").json(&serde_json::json!({})).send().await;
    assert_eq!((change.status, change.header("www-authenticate").is_some()), (401, true), "{change:?}");

    let token = token(&server, "grafana", "read").await;

    assert_eq!(get(&server, "/api/v1/status").send().await.status, 401);
    assert_eq!(get(&server, "/api/v1/status").token(&token).send().await.status, 200);
    assert_eq!(get(&server, "/metrics").send().await.status, 200, "what was open stays open");
}

#[tokio::test]
async fn looking_on_without_a_token_can_be_switched_off() {
    let server = TestServer::new().setting("[access]\nloopback_reads = false").start().await;
    assert_eq!(get(&server, "/api/v1/status").send().await.status, 401);
    assert_eq!(get(&server, "/api/v1/openapi.json").send().await.status, 200);
    server.change_settings("[access]\nloopback_reads = true").await;
    assert_eq!(get(&server, "/api/v1/status").send().await.status, 200, "a reload suffices");
}

#[tokio::test]
async fn a_token_that_was_revoked_is_nobodys_at_once() {
    let server = TestServer::new().start().await;
    let (first, second) = (token(&server, "first", "read").await, token(&server, "second", "admin").await);
    assert_eq!(get(&server, "/api/v1/bans").token(&first).send().await.status, 200);
    server.control(embargo::app::control::Request::TokenRevoke("first".to_owned())).await;
    let refused = get(&server, "/api/v1/bans").token(&first).send().await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("content-type").unwrap().starts_with("application/problem+json"), "{refused:?}");
    for wrong in ["Bearer", "Bearer ", "Basic YTpi", "x", &format!("Basic {second}")] {
        let refused = get(&server, "/api/v1/bans").header(&format!("Authorization: {wrong}")).send().await;
        assert_eq!(refused.status, 401, "{wrong}");
    }
    let entries = audit(&server, &second).await;
    assert_eq!(entries[0]["event"]["did"]["what"], "token_revoke");
    assert!(sum(&server.metrics().await, "admin_refused_total", &[("reason", "unknown")]) >= 6);
}

#[tokio::test]
async fn a_server_that_is_called_otherwise_shows_nothing_but_what_is_open_to_all() {
    let server = TestServer::new().setting("[access]\nhosts = [\"Embargo.Example.org\"]").start().await;
    for (host, expected) in [
        ("embargo.example.org:8053", 200),
        ("127.0.0.1:8053", 200),
        ("rebound.test:8053", 421),
        ("rebound.test\"><script>", 421),
        ("localhost, rebound.test", 421),
    ] {
        let answer = get(&server, "/api/v1/status").host(host).send().await;
        assert_eq!(answer.status, expected, "{host}");
        assert!(!answer.body.contains("rebound"), "{answer:?}");
        assert_eq!(get(&server, "/metrics").host(host).send().await.status, 200, "{host}");
    }
    let two = get(&server, "/api/v1/status").header("Host: rebound.test").send().await;
    assert!([400, 421].contains(&two.status), "{two:?}");
}

/// The cookie that an answer sets.
fn cookie(answer: &super::client::Answer) -> String {
    let set = answer.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_user_logs_in_by_a_form_and_changes_something_only_by_a_page_of_ours() {
    let server = TestServer::new().start().await;
    user(&server, "alice", "operate", "correct horse").await;
    let form = get(&server, "/login?next=/devices").send().await;
    assert!(form.status == 200 && form.body.contains("value=\"/devices\""), "{form:?}");
    let wrong = ask(&server, "POST", "/login").form("user=alice&password=wrong+horse").send().await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None));

    let right = ask(&server, "POST", "/login").form("user=alice&password=correct+horse&next=/devices").send().await;
    assert_eq!((right.status, right.header("location").as_deref()), (303, Some("/devices")), "{right:?}");
    let cookie = format!("Cookie: {}", cookie(&right));
    let me = get(&server, "/api/v1/me").header(&cookie).send().await.json();
    assert_eq!((&me["by"], &me["scopes"][0]), (&"user:alice".into(), &"operate".into()));

    let csrf = me["csrf"].as_str().unwrap();
    let empty = serde_json::json!({});
    let reload = || ask(&server, "POST", "/api/v1/reload").header(&cookie).json(&empty);
    assert_eq!(reload().send().await.status, 403, "a page elsewhere could have sent that");
    let shown = format!("X-CSRF-Token: {csrf}");
    assert_eq!(reload().header(&shown).header("Origin: http://evil.test").send().await.status, 403);
    assert_eq!(reload().header(&shown).header("Sec-Fetch-Site: cross-site").send().await.status, 403);
    assert_eq!(reload().header("X-CSRF-Token: x").send().await.status, 403);
    assert_eq!(reload().header(&shown).header("Origin: http://localhost").send().await.status, 200);

    let out = ask(&server, "POST", "/logout").header(&cookie).form(&format!("csrf={csrf}")).send().await;
    assert_eq!(out.status, 303);
    assert_eq!(get(&server, "/api/v1/status").header(&cookie).send().await.status, 401);
}

#[tokio::test]
async fn another_password_ends_the_sessions_of_the_one_before() {
    let server = TestServer::new().start().await;
    user(&server, "alice", "read", "correct horse").await;
    let right = ask(&server, "POST", "/login").form("user=alice&password=correct+horse").send().await;
    let cookie = format!("Cookie: {}", cookie(&right));
    assert_eq!(get(&server, "/api/v1/status").header(&cookie).send().await.status, 200);
    let password = embargo::access::hashed("battery staple").unwrap();
    server.control(embargo::app::control::Request::UserPassword { name: "alice".to_owned(), password }).await;
    assert_eq!(get(&server, "/api/v1/status").header(&cookie).send().await.status, 401);
}

#[tokio::test]
async fn a_token_logs_in_as_well_and_brute_force_has_to_wait() {
    let server = TestServer::new().start().await;
    let token = token(&server, "browser", "read").await;
    let right = ask(&server, "POST", "/login").form(&format!("user=&password={token}")).send().await;
    assert_eq!(right.status, 303);
    let mut last = None;
    for _ in 0..6 {
        last = Some(ask(&server, "POST", "/login").form("user=&password=guess").send().await);
    }
    let last = last.unwrap();
    assert_eq!((last.status, last.header("retry-after").is_some()), (429, true), "{last:?}");
    let waiting = ask(&server, "POST", "/login").form(&format!("user=&password={token}")).send().await;
    assert_eq!(waiting.status, 429, "whoever is right waits as well: else the answer would tell");
    let page = server.metrics().await;
    let logins = |outcome| sum(&page, "admin_logins_total", &[("outcome", outcome)]);
    assert_eq!((logins("success"), logins("failure"), logins("throttled")), (1, 5, 2));
}

#[tokio::test]
async fn a_proxy_says_who_is_there_and_nobody_else_does() {
    let header = "X-Forwarded-User: bob";
    let server = TestServer::new().setting("[access]\nloopback_reads = false").start().await;
    assert_eq!(get(&server, "/api/v1/me").header(header).send().await.json()["by"], serde_json::Value::Null);
    server.change_settings("[access]\nproxies = [\"127.0.0.1\"]").await;
    assert_eq!(get(&server, "/api/v1/status").send().await.status, 401, "what comes by a proxy comes from elsewhere");
    let settings = "[access]\nloopback_reads = false\nproxies = [\"127.0.0.1\"]\nforwarded_scopes = [\"approve\"]";
    server.change_settings(settings).await;
    let me = get(&server, "/api/v1/me").header(header).send().await.json();
    assert_eq!((&me["by"], &me["scopes"]), (&"forwarded:bob".into(), &serde_json::json!(["approve"])));
    let two = get(&server, "/api/v1/me").header(header).header("X-Forwarded-User: root").send().await;
    assert_eq!(two.status, 400);
    let wanted = serde_json::json!({"client": "192.0.2.7", "ban": "unrelated", "lasts_seconds": 60, "owner": "o", "reason": "r"});
    let add = || ask(&server, "POST", "/api/v1/exemptions").header(header).json(&wanted);
    assert_eq!(add().send().await.status, 403, "a browser sends that by itself");
    let csrf = format!("X-CSRF-Token: {}", me["csrf"].as_str().unwrap());
    let added = add().header(&csrf).send().await;
    assert_eq!((added.status, &added.json()["by"]), (201, &"forwarded:bob".into()));
    user(&server, "bob", "read", "correct horse").await;
    let me = get(&server, "/api/v1/me").header(header).send().await.json();
    assert_eq!(me["scopes"], serde_json::json!(["read"]), "the local user of that name goes before");
}

#[tokio::test]
async fn an_access_file_that_cannot_be_read_lets_nobody_in() {
    let server = TestServer::new().start().await;
    let token = token(&server, "a", "admin").await;
    std::fs::write(embargo::access::path(&server.state_dir()), "{").unwrap();
    for answer in
        [get(&server, "/api/v1/status").send().await, get(&server, "/api/v1/status").token(&token).send().await]
    {
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    assert_eq!(get(&server, "/metrics").send().await.status, 200);
}

#[tokio::test]
async fn over_tls_the_server_shows_its_certificate_and_the_one_that_takes_its_place() {
    use embargo::tls::{ClientTls, Identity};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let directory = tempfile::tempdir().unwrap();
    let write = |root: &std::path::Path| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        std::fs::write(root.join("chain.pem"), &chain).unwrap();
        std::fs::write(root.join("key.pem"), &key).unwrap();
        Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()
    };
    let first = write(directory.path());
    let (root, settings) = (directory.path().to_owned(), "[access]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"");
    let server = TestServer::after(directory).setting(settings).start().await;
    let speak = async |identity: &Identity| {
        let stream = tokio::net::TcpStream::connect(server.admin()).await.unwrap();
        let mut stream = ClientTls::only(identity).unwrap().connect("localhost", stream).await?;
        stream.write_all(b"GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut text = String::new();
        let _ended_without_a_word = stream.read_to_string(&mut text).await;
        Ok::<_, std::io::Error>(text)
    };
    assert!(speak(&first).await.unwrap().starts_with("HTTP/1.1 200"));
    let mut clear = tokio::net::TcpStream::connect(server.admin()).await.unwrap();
    clear.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut octets = Vec::new();
    let _reset = clear.read_to_end(&mut octets).await;
    assert!(!octets.starts_with(b"HTTP"), "{octets:?}");

    let second = write(&root);
    server.reload().await;

    assert!(speak(&second).await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(speak(&first).await.is_err(), "it is another one now");
}
