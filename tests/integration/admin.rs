//! The admin HTTP server as Prometheus, Kubernetes and rude clients see it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use embargo::admin::{self, Check, Desk, Limits, Readiness};
use embargo::metrics::Metrics;
use tokio_util::sync::CancellationToken;

/// How long a test waits before it calls a connection hung.
const PATIENCE: Duration = Duration::from_secs(20);

struct Admin {
    address: SocketAddr,
    stop: CancellationToken,
    runtime: tokio::runtime::Runtime,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

fn warned() -> Readiness {
    Readiness::of(vec![Check::ok("policy", ""), Check::warning("store", "disk full")])
}

fn desk(readiness: fn() -> Readiness) -> Desk {
    Desk::new(Arc::new(Metrics::new()), || (), readiness)
}

impl Admin {
    fn start(desk: Desk) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let served = runtime.spawn(admin::serve(listener, desk, stop.clone()));
        Self { address, stop, runtime, served }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends octets as they are; returns what came back until the server closed.
    fn send(&self, octets: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may close before it has read everything.
        let _closed_early = stream.write_all(octets);
        read_to_close(&mut stream)
    }

    fn request(&self, method: &str, target: &str) -> String {
        self.send(format!("{method} {target} HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n").as_bytes())
    }

    fn get(&self, target: &str) -> String {
        self.request("GET", target)
    }

    fn stop(self) {
        self.stop.cancel();
        self.runtime.block_on(self.served).unwrap().unwrap();
    }
}

fn read_to_close(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    match stream.read_to_end(&mut read) {
        Ok(_) => (),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8(read).unwrap()
}

fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or("none")
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").map_or("", |(_head, body)| body)
}

#[test]
fn metrics_are_text_0_0_4_and_gauges_are_brought_up_to_date_before() {
    let scrapes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&scrapes);
    let metrics = Arc::new(Metrics::new());
    let before = move || {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let desk = Desk::new(metrics, before, warned);
    let admin = Admin::start(desk);

    let page = admin.get("/metrics");

    assert_eq!(status(&page), "200");
    assert!(page.to_lowercase().contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(body(&page).contains("\nembargo_build_info{"));
    assert_eq!(scrapes.load(Ordering::Relaxed), 1);
}

#[test]
fn every_response_forbids_caching_sniffing_and_framing() {
    let admin = Admin::start(desk(warned));
    for target in ["/", "/metrics", "/livez", "/readyz", "/nowhere"] {
        let response = admin.get(target).to_lowercase();
        for header in ["cache-control: no-store", "x-content-type-options: nosniff", "frame-ancestors 'none'"] {
            assert!(response.contains(header), "{target} lacks {header}");
        }
    }
}

#[test]
fn a_warning_is_ready_and_told_only_when_asked() {
    let admin = Admin::start(desk(warned));
    assert_eq!(body(&admin.get("/livez")), "ok\n");
    assert_eq!(body(&admin.get("/readyz")), "ok\n");
    let verbose = admin.get("/readyz?verbose");
    assert_eq!(status(&verbose), "200");
    assert_eq!(body(&verbose), "[+]policy ok\n[!]store warning: disk full\nreadyz check passed\n");
}

#[test]
fn what_is_not_ready_says_why_unasked() {
    let admin = Admin::start(desk(|| Readiness::of(vec![Check::failed("policy", "none in force")])));
    let response = admin.get("/readyz");
    assert_eq!(status(&response), "503");
    assert_eq!(body(&response), "[-]policy failed: none in force\nreadyz check failed\n");
    assert_eq!(status(&admin.get("/livez")), "200");
}

#[test]
fn a_check_that_panics_is_a_500_and_not_the_end() {
    let admin = Admin::start(desk(|| panic!("meant to be")));
    assert_eq!(status(&admin.get("/readyz")), "500");
    assert_eq!(status(&admin.get("/livez")), "200");
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let admin = Admin::start(desk(warned));
    let response = admin.request("HEAD", "/livez");
    assert_eq!(status(&response), "200");
    assert!(response.to_lowercase().contains("content-length: 3\r\n"));
    assert_eq!(body(&response), "");
}

#[test]
fn other_paths_are_404_and_other_methods_405() {
    let admin = Admin::start(desk(warned));
    for target in ["/nowhere", "/metrics/", "//metrics", "/metrics/../livez", "/%6detrics%00"] {
        assert_eq!(status(&admin.get(target)), "404", "{target}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let response = admin.request(method, "/metrics");
        assert_eq!(status(&response), "405", "{method}");
        assert!(response.to_lowercase().contains("allow: get,head"), "{method}");
    }
}

#[test]
fn a_hostile_host_changes_nothing_and_is_never_repeated() {
    let admin = Admin::start(desk(warned));
    for target in ["/", "/metrics", "/nowhere"] {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: evil.test\"><script>\r\nX-Forwarded-Host: evil.test\r\nConnection: close\r\n\r\n"
        );
        let response = admin.send(request.as_bytes());
        assert!(!response.contains("evil"), "{target}");
    }
}

#[test]
fn a_head_too_large_is_refused() {
    let admin = Admin::start(desk(warned));
    let mut request = b"GET /livez HTTP/1.1\r\nHost: x.test\r\nX-Long: ".to_vec();
    request.resize(64 << 10, b'a');
    let response = admin.send(&request);
    assert!(["431", "none"].contains(&status(&response)), "{response}");

    let many = "X-A: b\r\n".repeat(1000);
    let response = admin.send(format!("GET /livez HTTP/1.1\r\nHost: x.test\r\n{many}\r\n").as_bytes());
    assert!(["431", "none"].contains(&status(&response)), "{response}");
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    let mut desk = desk(warned);
    desk.limits = Limits { header_timeout: Duration::from_millis(50), ..Limits::default() };
    let admin = Admin::start(desk);
    for beginning in ["", "GET", "GET /livez HTTP/1.1\r\nHost: x.test\r\n"] {
        let response = admin.send(beginning.as_bytes());
        assert!(["408", "none"].contains(&status(&response)), "{response}");
    }
}

#[test]
fn an_idle_connection_is_closed() {
    let mut desk = desk(warned);
    desk.limits = Limits { header_timeout: Duration::from_millis(50), ..Limits::default() };
    let admin = Admin::start(desk);
    let response = admin.send(b"GET /livez HTTP/1.1\r\nHost: x.test\r\n\r\n");
    assert_eq!(status(&response), "200");
}

#[test]
fn a_connection_ends_even_if_requests_never_do() {
    let mut desk = desk(warned);
    desk.limits = Limits { connection_max: Duration::from_millis(50), ..Limits::default() };
    let admin = Admin::start(desk);
    let mut stream = admin.connect();
    let mut answer = [0; 4096];
    for _ in 0..1_000_000 {
        let sent = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x.test\r\n\r\n");
        if sent.is_err() || matches!(stream.read(&mut answer), Ok(0) | Err(_)) {
            return;
        }
    }
    panic!("the connection is still open");
}

#[test]
fn a_request_that_takes_too_long_is_503() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let mut desk = Desk::new(
        Arc::new(Metrics::new()),
        || (),
        move || {
            let _released = wait.lock().unwrap().recv_timeout(PATIENCE);
            warned()
        },
    );
    desk.limits = Limits { request_timeout: Duration::from_millis(50), ..Limits::default() };
    let admin = Admin::start(desk);
    assert_eq!(status(&admin.get("/readyz")), "503");
    assert_eq!(status(&admin.get("/livez")), "200");
    drop(release);
}

#[test]
fn pipelined_rubbish_gets_its_answer_and_then_the_door() {
    let admin = Admin::start(desk(warned));
    let response = admin.send(b"GET /livez HTTP/1.1\r\nHost: x.test\r\n\r\n\x00\x01\xffrubbish\r\n\r\n");
    assert_eq!(status(&response), "200");
    assert_eq!(response.matches("HTTP/1.1 200").count(), 1);
    for rubbish in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n\r\n\r\n\0"] {
        assert_ne!(status(&admin.send(rubbish)), "200");
    }
    assert_eq!(status(&admin.get("/livez")), "200");
}

#[test]
fn a_body_is_never_waited_for() {
    let admin = Admin::start(desk(warned));
    let request = b"POST /metrics HTTP/1.1\r\nHost: x.test\r\nContent-Length: 4294967296\r\n\r\nabc";
    assert_eq!(status(&admin.send(request)), "405");
}

#[test]
fn connections_past_the_limit_wait_until_one_ends() {
    let mut desk = desk(warned);
    desk.limits = Limits { connections_max: 1, ..Limits::default() };
    let admin = Admin::start(desk);
    let first = admin.connect();
    let mut second = admin.connect();
    second.write_all(b"GET /livez HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n").unwrap();
    drop(first);
    assert_eq!(status(&read_to_close(&mut second)), "200");
}

#[test]
fn a_stop_finishes_the_request_in_flight_and_takes_no_more() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (entered, inside) = std::sync::mpsc::channel::<()>();
    let locked = std::sync::Mutex::new((wait, entered));
    let admin = Admin::start(Desk::new(
        Arc::new(Metrics::new()),
        || (),
        move || {
            let (wait, entered) = &*locked.lock().unwrap();
            entered.send(()).unwrap();
            let _released = wait.recv_timeout(PATIENCE);
            warned()
        },
    ));
    let mut stream = admin.connect();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x.test\r\n\r\n").unwrap();
    inside.recv_timeout(PATIENCE).unwrap();
    let idle = admin.connect();
    let address = admin.address;

    admin.stop.cancel();
    release.send(()).unwrap();

    assert_eq!(status(&read_to_close(&mut stream)), "200");
    admin.stop();
    assert!(TcpStream::connect(address).is_err());
    drop(idle);
}
