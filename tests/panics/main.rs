//! A fault in the server costs one query and is counted, wherever it is met. A process of its own: the count hangs on the
//! process's one panic hook.

#![expect(clippy::unwrap_used, reason = "what can't be set up fails the test there")]

use std::future::Future;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use embargo::app::count_panics;
use embargo::cache::Lookup;
use embargo::clock::Clock;
use embargo::config::{self, Args, Environment};
use embargo::journal::{self, Journal};
use embargo::metrics::Metrics;
use embargo::serve::{
    Admission, Client, Embargo, Failure, Forwarder, Found, Guard, ListenConfig, Next, Running, Sockets, StreamConfig,
    start,
};
use embargo::time::Now;
use embargo::wire::{Name, Query};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longer than anything here takes; only a fault lets the test wait for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Panics where the name says: at once, or while its answer is waited for; and once as a thread begins to read.
#[derive(Default)]
struct Faulty {
    begun: AtomicBool,
}

impl Next for Faulty {
    fn known(&self, query: &Query<'_>, _now: Now) -> Lookup {
        assert_ne!(query.name.to_string(), "at-once.example", "a fault, for once wanted");
        Lookup::Miss
    }

    fn ask(&self, query: &Query<'_>, _: &Client, _: Now) -> impl Future<Output = Result<Found, Failure>> + Send {
        let name = query.name.to_string();
        async move {
            assert_ne!(name, "waiting.example", "a fault, for once wanted");
            Err(Failure::Unreachable)
        }
    }

    fn forwarder(&self) -> Option<&Forwarder> {
        assert!(self.begun.swap(true, Ordering::Relaxed), "a fault, for once wanted");
        None
    }
}

fn question(name: &str) -> Vec<u8> {
    let header = [0xAB, 0xCD, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header, Name::parse(name).unwrap().wire(), &[0, 1, 0, 1]].concat()
}

fn limits() -> ListenConfig {
    let second = Duration::from_secs(1);
    let (connections_max, connections_per_client_max, queries_in_flight_max) = (8, 8, 8);
    let streams =
        StreamConfig { connections_max, connections_per_client_max, queries_in_flight_max, idle: second, slow: second };
    ListenConfig { waiting_max: 8, streams }
}

/// A server whose last part is faulty.
fn serve(directory: &std::path::Path, metrics: &Arc<Metrics>) -> (Running, SocketAddr, SocketAddr) {
    let list = directory.join("mine.txt");
    std::fs::write(&list, "geo.example\n").unwrap();
    let args = Args { state_dir: Some(directory.join("state")), list: vec![list], ..Args::default() };
    let loaded = config::load(&args, &Environment::default()).unwrap();
    let clock = Clock::system();
    let record = journal::Config::new(&loaded.state_dir);
    let journal = Arc::new(Journal::start(record, Arc::clone(metrics), clock.clone()).unwrap());
    let admission = Admission::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let guard = Arc::new(Guard::new(admission, journal, Arc::clone(metrics), clock.clone()));
    guard.enforce(config::policy(&loaded.settings, 1).policy.unwrap());
    let udp = embargo::socket::udp("127.0.0.1:0".parse().unwrap(), NonZeroUsize::MIN, embargo::serve::LOOK_UP).unwrap();
    let tcp = embargo::socket::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let (udp_address, tcp_address) = (udp[0].local_addr().unwrap(), tcp.local_addr().unwrap());
    let sockets = Sockets { udp, tcp: vec![tcp], ..Sockets::default() };
    let handler = Embargo::new(guard, Faulty::default());
    let running = start(handler, sockets, limits(), Arc::clone(metrics), clock).unwrap();
    (running, udp_address, tcp_address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_costs_one_query_and_is_counted_over_udp_over_tcp_and_in_tasks() {
    let directory = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    count_panics(Arc::clone(&metrics));
    let (running, udp, tcp) = serve(directory.path(), &metrics);
    let client = tokio::net::UdpSocket::from_std({
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    })
    .unwrap();
    client.connect(udp).await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(tcp).await.unwrap();

    for name in ["at-once.example", "waiting.example", "geo.example"] {
        client.send(&question(name)).await.unwrap();
        let message = question(name);
        let size = u16::try_from(message.len()).unwrap().to_be_bytes();
        stream.write_all(&[&size, &message[..]].concat()).await.unwrap();
    }

    // The banned name behind the faults is answered: neither the thread nor the connection has died.
    let mut datagram = [0; 512];
    tokio::time::timeout(PATIENCE, client.recv(&mut datagram)).await.unwrap().unwrap();
    let mut frame = [0; 14];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut frame)).await.unwrap().unwrap();
    assert_eq!((datagram[3] & 15, frame[5] & 15), (3, 3));
    drop(stream);
    running.drain(PATIENCE).await;
    let page = metrics.render();
    let counted = |series: &str| page.lines().any(|line| line == series);
    // Two of each transport, and the one of the reading thread, which went on.
    assert!(counted("embargo_panics_total 5"), "{page}");
    assert!(counted(r#"embargo_dns_dropped_total{reason="fault"} 4"#), "{page}");
    assert!(counted(r#"embargo_dns_responses_total{outcome="policy",rcode="NXDOMAIN"} 2"#), "{page}");
}
