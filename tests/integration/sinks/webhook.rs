//! The first attempt of each device, posted to a server that knows nothing of our code.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use embargo::wire::qtype;
use ring::hmac;
use rustls::ServerConfig;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use super::{lost, until};
use crate::harness::{Question, RunningServer, TestServer, receive};
use crate::upstream_fake::certificates::{Authority, Certificate};
use crate::upstream_fake::{Act, FakeUpstream, reply};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What was posted.
#[derive(Clone, Debug)]
struct Post {
    head: Vec<String>,
    body: String,
}

impl Post {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn clients(&self) -> Vec<String> {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["events"].as_array().unwrap().iter().map(|event| event["client"].as_str().unwrap().to_owned()).collect()
    }
}

/// A server that answers with one status after the other, and at last always 204.
struct Hooks {
    address: SocketAddr,
    posts: Arc<Mutex<Vec<Post>>>,
    _task: AbortOnDropHandle<()>,
}

impl Hooks {
    async fn answering(statuses: &[&'static str]) -> Self {
        Self::on(statuses, None).await
    }

    async fn tls(certificate: &Certificate) -> Self {
        let (chain, key) = certificate.for_server();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        Self::on(&[], Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn on(statuses: &[&'static str], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, posts) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (theirs, mut statuses) = (Arc::clone(&posts), VecDeque::from(statuses.to_vec()));
        let task = tokio::spawn(async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                let status = statuses.pop_front().unwrap_or("204 No Content");
                match &tls {
                    None => hear(stream, status, &theirs).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            hear(stream, status, &theirs).await;
                        }
                    }
                }
            }
        });
        Self { address, posts, _task: AbortOnDropHandle::new(task) }
    }

    fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }
}

async fn hear(stream: impl AsyncRead + AsyncWrite + Unpin, status: &str, posts: &Mutex<Vec<Post>>) {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let mut post = Post { head, body: String::new() };
    let mut body = vec![0; post.field("content-length").map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    post.body = String::from_utf8(body).unwrap();
    posts.lock().unwrap().push(post);
    stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

fn webhook(url: &str, more: &str) -> String {
    format!("[[webhook]]\nid = \"hook\"\nurl = \"{url}\"\n{more}")
}

fn plain(hooks: &Hooks, more: &str) -> String {
    webhook(&format!("http://{}/first?a=b", hooks.address), &format!("internal = true\n{more}"))
}

fn banning(settings: &str) -> TestServer {
    TestServer::new().ban("vendor", "a.example update installed\nw.example web visit\n").setting(settings)
}

async fn server(settings: &str) -> RunningServer {
    banning(settings).upstream(&FakeUpstream::start().await).start().await
}

/// A client at 127.0.0.`last` asks.
async fn ask(server: &RunningServer, last: u8, name: &str) {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, last), 0)).await.unwrap();
    socket.send_to(&Question::new(name, qtype::A).octets(), server.address()).await.unwrap();
    receive(&socket).await;
}

async fn delivered(server: &RunningServer, events: u64) {
    until("the webhook has them", async || server.metric("sink_delivered_total", &[]).await == events).await;
    assert_eq!((server.metric("sink_waiting", &[]).await, lost(server).await), (0, 0));
}

#[tokio::test]
async fn each_device_is_told_once_also_across_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let hooks = Hooks::answering(&[]).await;
    let settings = plain(&hooks, &format!("secret_file = \"{}\"\n", secret.display()));
    let first = server(&settings).await;
    for _again in 0..3 {
        ask(&first, 2, "n1.a.example").await;
        ask(&first, 2, "n2.a.example").await;
    }
    delivered(&first, 1).await;
    ask(&first, 3, "n3.a.example").await;
    delivered(&first, 2).await;
    // Proves too little to be worth a message, but is the first that this device shows of it.
    ask(&first, 3, "w.example").await;
    let devices =
        async |evidence| first.metric("first_attempts_total", &[("ban", "vendor"), ("evidence", evidence)]).await;
    until("all are counted", async || devices("visit").await == 1).await;
    assert_eq!(devices("installed").await, 2);
    let state = first.stop().await;

    let second = TestServer::after(state)
        .ban("vendor", "a.example update installed\nw.example web visit\n")
        .setting(&settings)
        .start()
        .await;
    ask(&second, 3, "n4.a.example").await;
    ask(&second, 4, "n4.a.example").await;
    delivered(&second, 1).await;

    let posts = hooks.posts();
    let clients: Vec<String> = posts.iter().flat_map(Post::clients).collect();
    assert_eq!(clients, ["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
    assert_eq!(posts[0].head[0], "POST /first?a=b HTTP/1.1");
    assert_eq!(posts[0].field("content-type"), Some("application/json"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64.decode(&SECRET.as_bytes()[6..]).unwrap());
    for post in &posts {
        let [id, at] = ["webhook-id", "webhook-timestamp"].map(|name| post.field(name).unwrap());
        let signed = format!("{id}.{at}.{}", post.body);
        let signature = post.field("webhook-signature").unwrap().strip_prefix("v1,").unwrap();
        hmac::verify(&key, signed.as_bytes(), &BASE64.decode(signature.as_bytes()).unwrap()).unwrap();
    }
    let ids: std::collections::BTreeSet<_> = posts.iter().map(|post| post.field("webhook-id")).collect();
    assert_eq!(ids.len(), posts.len());
}

#[tokio::test]
async fn what_fails_comes_again_with_the_same_ids_and_what_is_refused_is_counted() {
    let hooks = Hooks::answering(&["503 Busy", "302 Found", "204 Taken", "400 No"]).await;
    let server = server(&plain(&hooks, "")).await;
    ask(&server, 2, "a.example").await;
    delivered(&server, 1).await;
    assert_eq!(server.metric("sink_failures_total", &[]).await, 2);
    ask(&server, 3, "a.example").await;
    until("it is refused", async || lost(&server).await == 1).await;
    ask(&server, 4, "a.example").await;
    until("the next is taken", async || server.metric("sink_delivered_total", &[]).await == 2).await;

    let posts = hooks.posts();
    let clients: Vec<String> = posts.iter().flat_map(Post::clients).collect();
    assert_eq!(clients, ["127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.4"]);
    assert!(posts[..3].iter().all(|post| post.field("webhook-id") == posts[0].field("webhook-id")));
    assert_eq!(server.metric("sink_lost_total", &[("reason", "refused")]).await, 1);
}

#[tokio::test]
async fn more_than_the_limit_waits_and_goes_together() {
    let hooks = Hooks::answering(&[]).await;
    let server = server(&plain(&hooks, "per_minute_max = 1\n")).await;
    ask(&server, 2, "a.example").await;
    delivered(&server, 1).await;
    for last in 3..9 {
        ask(&server, last, "a.example").await;
    }
    until("they wait", async || server.metric("sink_waiting", &[]).await == 6).await;
    assert_eq!(hooks.posts().len(), 1);
    // Another limit is another sink of the same place, which begins where it was.
    server.change_settings(&plain(&hooks, "per_minute_max = 2\n")).await;
    delivered(&server, 7).await;
    let posts = hooks.posts();
    assert_eq!(posts.len(), 2, "{posts:?}");
    // What is asked while the record is written may be written before what was asked shortly earlier.
    let mut clients = posts[1].clients();
    clients.sort();
    assert_eq!(clients, ["127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.7", "127.0.0.8"]);
}

#[tokio::test]
async fn a_name_leads_to_no_inner_host_unless_that_is_said_and_a_stranger_gets_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, pem: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, pem).unwrap();
        format!("ca_file = \"{}\"\n", path.display())
    };
    let (right, wrong) = (write("right.pem", authority.pem()), write("wrong.pem", stranger.pem()));
    let hooks = Hooks::tls(&authority.issue(&["hooks.example"])).await;
    let url = format!("https://hooks.example:{}/", hooks.address.port());
    let upstream = FakeUpstream::scripted(|seen| {
        let answer = if seen.qtype() == qtype::A { reply(seen).a([127, 0, 0, 1]) } else { reply(seen) };
        vec![Act::Send(answer.octets())]
    })
    .await;
    let server = banning(&webhook(&url, &right)).upstream(&upstream).start().await;
    ask(&server, 2, "a.example").await;
    let failures = async || server.metric("sink_failures_total", &[]).await;
    until("an inner host is not reached", async || failures().await > 0).await;
    let before = failures().await;
    server.change_settings(&webhook(&url, &format!("internal = true\n{wrong}"))).await;
    until("a stranger is not believed", async || failures().await > before).await;
    assert!(hooks.posts().is_empty());
    server.change_settings(&webhook(&url, &format!("internal = true\n{right}"))).await;
    delivered(&server, 1).await;
    assert_eq!(hooks.posts()[0].field("host"), Some(&*format!("hooks.example:{}", hooks.address.port())));
}
