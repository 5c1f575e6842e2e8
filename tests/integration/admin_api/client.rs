//! A client of the admin server that says exactly what it is told to.

use embargo::access::hashed;
use embargo::app::control::Request;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::RunningServer;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of a header, whose name is given in lower case.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let line = self.head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}: ")))?;
        Some(line.split_once(": ")?.1.trim().to_owned())
    }
}

/// One request to be.
pub(super) struct Ask<'s> {
    server: &'s RunningServer,
    method: &'static str,
    target: String,
    host: String,
    headers: Vec<String>,
    body: String,
}

pub(super) fn get(server: &RunningServer, target: impl Into<String>) -> Ask<'_> {
    ask(server, "GET", target)
}

pub(super) fn ask<'s>(server: &'s RunningServer, method: &'static str, target: impl Into<String>) -> Ask<'s> {
    let (target, host) = (target.into(), "localhost".to_owned());
    Ask { server, method, target, host, headers: Vec::new(), body: String::new() }
}

impl Ask<'_> {
    pub(super) fn token(self, token: &str) -> Self {
        self.header(&format!("Authorization: Bearer {token}"))
    }

    pub(super) fn host(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    pub(super) fn header(mut self, line: &str) -> Self {
        self.headers.push(line.to_owned());
        self
    }

    pub(super) fn json(self, body: &Value) -> Self {
        Self { body: body.to_string(), ..self.header("Content-Type: application/json") }
    }

    pub(super) fn form(self, body: &str) -> Self {
        Self { body: body.to_owned(), ..self.header("Content-Type: application/x-www-form-urlencoded") }
    }

    pub(super) async fn send(self) -> Answer {
        let Self { server, method, target, host, headers, body } = self;
        let lines: String = headers.iter().flat_map(|line| [line.as_ref(), "\r\n"]).collect();
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}{length}\r\n");
        let mut stream = TcpStream::connect(server.admin()).await.unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut read = Vec::new();
        // A server that refuses a body may close before it has read it.
        let _reset = stream.read_to_end(&mut read).await;
        let text = String::from_utf8(read).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {target}: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }
}

/// A token with these scopes.
pub(super) async fn token(server: &RunningServer, name: &str, scopes: &str) -> String {
    let request = Request::TokenAdd { name: name.to_owned(), scopes: scopes.parse().unwrap(), lasts_ms: None };
    server.control(request).await["token"].as_str().unwrap().to_owned()
}

/// A user with this password.
pub(super) async fn user(server: &RunningServer, name: &str, scopes: &str, password: &str) {
    let password = hashed(password).unwrap();
    let request = Request::UserAdd { name: name.to_owned(), scopes: scopes.parse().unwrap(), password };
    server.control(request).await;
}

/// The newest entries of the audit log, as the API has them.
pub(super) async fn audit(server: &RunningServer, token: &str) -> Vec<Value> {
    let answer = get(server, "/api/v1/audit?limit=1000").token(token).send().await;
    answer.json()["items"].as_array().unwrap().clone()
}
