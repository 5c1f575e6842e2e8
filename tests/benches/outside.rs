//! What a question to an upstream costs, asked on a serving thread: `cargo bench --bench outside`.
//!
//! The time is that of both ends on one processor, the kernel's share included, which is the greater part. How much of it
//! is ours says callgrind: `valgrind --tool=callgrind --toggle-collect='*Outside*receive*' …/outside-* --bench --profile-time 2`.
#![expect(clippy::unwrap_used, reason = "a bench that can't be set up ends there")]

use std::hint::black_box;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use embargo::socket::{BATCH, Incoming, Outgoing};
use embargo::time::Mono;
use embargo::upstream::{AskRef, Config, Observer, Outside, Server, Servers, Unobserved, Upstreams};
use embargo::wire::{CLASS_IN, LowerName, qtype};

/// An upstream that answers everything at once with one address.
struct Upstream {
    socket: UdpSocket,
    incoming: Incoming,
    outgoing: Outgoing<()>,
}

impl Upstream {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self { socket, incoming: Incoming::new(), outgoing: Outgoing::new() }
    }

    fn answer(&mut self) {
        let count = self.incoming.receive(&self.socket).unwrap();
        for slot in 0..count {
            let query = self.incoming.datagram(slot).unwrap();
            let question = query.octets.len() - 11;
            let mut answer = self.outgoing.spare();
            answer.extend_from_slice(&query.octets[..2]);
            answer.extend_from_slice(b"\x81\x80\0\x01\0\x01\0\0\0\x01");
            answer.extend_from_slice(&query.octets[12..question]);
            answer.extend_from_slice(b"\xC0\x0C\0\x01\0\x01\0\0\x01\x2C\0\x04\xC0\0\x02\x01");
            answer.extend_from_slice(&query.octets[question..]);
            self.outgoing.push(answer, Some(query.source), query.local, ());
        }
        self.outgoing.send(&self.socket, |(), _taken| ());
    }
}

fn asked(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut upstream = Upstream::new();
    let server = Server::plain(upstream.socket.local_addr().unwrap());
    let observer: Arc<dyn Observer> = Arc::new(Unobserved);
    let inside = runtime.enter();
    let upstreams = Arc::new(Upstreams::new(&Config::new(Servers::new(vec![server]).unwrap()), &observer));
    drop(inside);
    let mut outside = Outside::new(Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap())).unwrap();
    let name = |number: usize| LowerName::parse(&format!("host{number}.department.example")).unwrap();
    let names: Vec<_> = (0..BATCH).map(name).collect();
    let (mut now, mut settled) = (Mono(1), 0_usize);
    let mut group = criterion.benchmark_group("upstream");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("64 questions, asked and settled", |bencher| {
        bencher.iter(|| {
            now = now.plus(Duration::from_millis(1));
            for name in &names {
                let ask = AskRef::new(black_box(name), qtype::A, CLASS_IN, false, false);
                outside.ask(&upstreams, ask, 7_u32, now).unwrap();
            }
            outside.flush(now, |_token, end| assert!(end.is_ok()));
            while outside.open() > 0 {
                upstream.answer();
                outside.wait(Duration::from_secs(1)).unwrap();
                outside.receive(now, |_token, end| settled += usize::from(black_box(end.unwrap()).rcode == 0));
            }
        });
    });
    group.finish();
    black_box(settled);
}

criterion_group!(benches, asked);
criterion_main!(benches);
