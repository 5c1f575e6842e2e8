//! Encrypted transports as real clients speak them: kdig over TLS, HTTPS and QUIC, curl by DNS over HTTPS, dnsperf and h2load.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::dnsperf::Load;
use super::process::free_address;
use super::server::{Server, Setup};

/// A server on all of them. Nobody is asked: all names of these tests are its own, or banned.
struct World {
    server: Server,
    files: TempDir,
    dot: SocketAddr,
    doh: SocketAddr,
    doq: SocketAddr,
}

impl World {
    fn start() -> Self {
        let files = TempDir::new().unwrap();
        write_certificate(files.path());
        let (dot, doh, doq) = (free_address(), free_address(), free_address());
        let server = Setup::new(&["127.0.0.1:9".parse().unwrap()])
            .setting("", &format!("listen_tls = [\"{dot}\"]"))
            .setting("", &format!("listen_https = [\"{doh}\"]"))
            .setting("", &format!("listen_quic = [\"{doq}\"]"))
            .setting("tls", &format!("certificate = \"{}\"", files.path().join("chain.pem").display()))
            .setting("tls", &format!("key = \"{}\"", files.path().join("key.pem").display()))
            .setting("local", "records = [\"www.free.test A 127.0.0.1\"]")
            .start();
        Self { server, files, dot, doh, doq }
    }

    /// What kdig says over each of them.
    fn kdig(&self, name: &str) -> [String; 3] {
        [(self.dot, "+tls"), (self.doh, "+https"), (self.doq, "+quic")].map(|(at, how)| {
            let mut kdig = Command::new("kdig");
            kdig.arg(format!("@{}", at.ip())).args(["-p", &at.port().to_string(), how, "+padding", name, "A"]);
            let output = kdig.output().expect("kdig; .ci/run installs it");
            format!("{how} {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
        })
    }
}

fn write_certificate(directory: &Path) {
    let made = rcgen::generate_simple_self_signed(["dns.example".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    fs::write(directory.join("chain.pem"), made.cert.pem()).unwrap();
    fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

#[test]
fn kdig_is_answered_and_blocked_over_tls_https_and_quic_before_and_after_a_hand_over() {
    let mut world = World::start();
    for _process in 0..2 {
        for said in world.kdig("www.free.test") {
            assert!(said.contains("127.0.0.1\n") && said.contains("Received 468 B"), "{said}");
        }
        for said in world.kdig("update.kaspersky.com") {
            assert!(said.contains("status: NXDOMAIN") && said.contains("EDE: 15"), "{said}");
        }
        assert_eq!(world.server.take_over().code(), Some(0));
    }
    let attempts = world.server.json(&["attempts"]).to_string();
    for transport in ["dot", "doh", "doq"] {
        assert!(attempts.contains(&format!("\"transport\":\"{transport}\"")), "{attempts}");
    }
    assert!(world.server.stop().success());
}

#[test]
fn curl_finds_a_web_server_by_dns_over_https() {
    let world = World::start();
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--doh-url"]);
    curl.arg(format!("https://dns.example:{}/dns-query", world.doh.port()));
    curl.arg("--cacert").arg(world.files.path().join("chain.pem"));
    curl.args(["--resolve", &format!("dns.example:{}:127.0.0.1", world.doh.port())]);
    curl.arg(format!("http://www.free.test:{}/livez", world.server.admin.port()));
    let output = curl.output().expect("curl; .ci/run installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_certificate_is_exchanged_under_load_without_a_lost_query() {
    let world = World::start();
    let questions = ["www.free.test A".to_owned(), "update.kaspersky.com A".to_owned()];
    let mut over_tls = Load::start_over("dot", world.dot, &questions, 6, 2_000);
    let mut over_https = h2load(world.doh, world.files.path());
    let enough = AtomicBool::new(false);
    std::thread::scope(|threads| {
        // New connections all the while, over QUIC among others.
        let short_lived = threads.spawn(|| {
            let mut answered = 0;
            while !enough.load(Ordering::Relaxed) {
                for said in world.kdig("www.free.test") {
                    assert!(said.contains("127.0.0.1\n"), "{said}");
                }
                answered += 1;
            }
            answered
        });
        for _exchange in 0..8 {
            write_certificate(world.files.path());
            let before = world.server.json(&["status"])["last_reload"]["at"].clone();
            assert!(world.server.command(&["reload"]).status.success());
            assert_ne!(world.server.json(&["status"])["last_reload"]["at"], before);
        }
        assert!(over_tls.goes_on() && over_https.try_wait().unwrap().is_none(), "the exchanges were under load");
        enough.store(true, Ordering::Relaxed);
        assert!(short_lived.join().unwrap() > 0);
    });
    let report = over_tls.report();
    assert_eq!((report.lost, report.completed), (0, report.sent), "{report:?}");
    let output = over_https.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(&format!("{HTTPS} succeeded, 0 failed, 0 errored, 0 timeout")), "{said}");
    assert!(said.contains(&format!("{HTTPS} 2xx, 0 3xx")), "{said}");
}

/// Requests over HTTPS in that test.
const HTTPS: usize = 12_000;

/// Six seconds of requests over HTTP/2, on connections that stay. dnsperf speaks it too, and loses answers that come together.
fn h2load(server: SocketAddr, directory: &Path) -> Child {
    let query = directory.join("query");
    fs::write(&query, b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x03www\x04free\x04test\0\0\x01\0\x01").unwrap();
    let mut h2load = Command::new("h2load");
    h2load.args(["-n", &HTTPS.to_string(), "-c", "8", "-m", "10", "--rps", "250", "-d"]).arg(query);
    h2load.args(["-H", "content-type: application/dns-message", &format!("https://{server}/dns-query")]);
    h2load.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("h2load; .ci/run installs it")
}
