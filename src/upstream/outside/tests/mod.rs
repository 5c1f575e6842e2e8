//! A thread's questions against upstreams that the test plays itself, in one thread and in a time of its own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::runtime::Runtime;

use crate::wire::{CLASS_IN, LowerName, qtype};

use super::super::message::Judged;
use super::super::{Config, FailReason, Observer, Server, Servers};
use super::*;

mod entropy;
mod failure;
mod lies;
mod limits;

/// What an observer was told.
#[derive(Default)]
struct Told {
    answered: Mutex<Vec<(usize, u16)>>,
    failed: Mutex<Vec<(usize, FailReason)>>,
    ignored: Mutex<Vec<(usize, BadPacket)>>,
}

impl Observer for Told {
    fn answered(&self, upstream: usize, rcode: u16, _seconds: f64) {
        self.answered.lock().unwrap().push((upstream, rcode));
    }

    fn failed(&self, upstream: usize, reason: FailReason) {
        self.failed.lock().unwrap().push((upstream, reason));
    }

    fn ignored(&self, upstream: usize, reason: BadPacket) {
        self.ignored.lock().unwrap().push((upstream, reason));
    }
}

/// What was reported of one question.
#[derive(Clone, Debug, PartialEq)]
enum End {
    Settled { rcode: u16, name: Vec<u8>, upstream: usize },
    Unsettled(Why),
}

/// One query as an upstream sees it.
struct Seen {
    octets: Vec<u8>,
    from: SocketAddr,
}

impl Seen {
    fn id(&self) -> u16 {
        u16::from_be_bytes([self.octets[0], self.octets[1]])
    }

    fn name(&self) -> &[u8] {
        let end = self.octets[HEADER..].iter().position(|octet| *octet == 0).unwrap();
        &self.octets[HEADER..=HEADER + end]
    }

    /// A response with this RCODE and no records.
    fn reply(&self, rcode: u8) -> Vec<u8> {
        let mut octets = self.octets[..HEADER + self.name().len() + 4].to_vec();
        octets[2] |= 0x80;
        octets[3] = 0x80 | rcode;
        octets[10..HEADER].fill(0);
        octets
    }
}

/// Upstreams, and a thread that asks them.
struct Scene {
    /// Never driven: nobody probes, unless a test waits for it.
    runtime: Runtime,
    told: Arc<Told>,
    upstreams: Arc<Upstreams>,
    fakes: Vec<UdpSocket>,
    outside: Outside<u32>,
    now: Mono,
    reported: HashMap<u32, Vec<End>>,
    unsettled: Vec<(u32, Unsettled)>,
}

const LONG: Duration = Duration::from_secs(5);

impl Scene {
    fn new(upstreams: usize) -> Self {
        Self::on("127.0.0.1:0", upstreams)
    }

    fn on(loopback: &str, upstreams: usize) -> Self {
        Self::build(loopback, upstreams, |config| config)
    }

    fn with(upstreams: usize, change: impl FnOnce(Config) -> Config) -> Self {
        Self::build("127.0.0.1:0", upstreams, change)
    }

    fn build(loopback: &str, upstreams: usize, change: impl FnOnce(Config) -> Config) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fakes: Vec<UdpSocket> = (0..upstreams).map(|_fake| fake(loopback)).collect();
        let told = Arc::new(Told::default());
        let upstreams = ask_these(&runtime, &fakes, &told, change);
        let client = Arc::new(UdpSocket::bind(loopback).unwrap());
        let outside = Outside::new(client).unwrap();
        let (reported, unsettled) = (HashMap::new(), Vec::new());
        Self { runtime, told, upstreams, fakes, outside, now: Mono(1), reported, unsettled }
    }

    /// Asks for the A records of a name; returns whether the question was taken.
    fn ask(&mut self, name: &str, token: u32) -> bool {
        let name = LowerName::parse(name).unwrap();
        let ask = AskRef::new(&name, qtype::A, CLASS_IN, false, false);
        let accepted = self.outside.ask(&self.upstreams, ask, token, self.now).is_ok();
        self.drive(|outside, now, report| outside.flush(now, report));
        accepted
    }

    /// Calls what reports, and notes what it says.
    fn drive(&mut self, what: impl FnOnce(&mut Outside<u32>, Mono, &mut Report<'_, u32>)) {
        let (reported, unsettled) = (&mut self.reported, &mut self.unsettled);
        what(&mut self.outside, self.now, &mut |token, end| {
            let end = match end {
                Ok(response) => {
                    assert!(response.message[HEADER..].starts_with(response.layout.qname.wire()), "lower case");
                    let (rcode, upstream) = (response.rcode, response.upstream);
                    End::Settled { rcode, name: response.layout.qname.wire().to_vec(), upstream }
                }
                Err(tried) => {
                    let why = tried.why();
                    unsettled.push((token, tried));
                    End::Unsettled(why)
                }
            };
            reported.entry(token).or_default().push(end);
        });
    }

    /// Waits for a packet and takes in what came.
    fn receive(&mut self) {
        assert!(!self.outside.wait(LONG).unwrap(), "nothing is for the client");
        self.drive(|outside, now, report| outside.receive(now, report));
    }

    fn expire(&mut self, after: Duration) {
        self.now = self.now.plus(after);
        self.drive(|outside, now, report| outside.expire(now, report));
    }

    /// The next query at an upstream.
    fn seen(&self, upstream: usize) -> Seen {
        let mut octets = vec![0; 1500];
        let (size, from) = self.fakes[upstream].recv_from(&mut octets).unwrap();
        octets.truncate(size);
        Seen { octets, from }
    }

    fn send(&self, upstream: usize, octets: &[u8], to: SocketAddr) {
        self.fakes[upstream].send_to(octets, to).unwrap();
    }

    fn ends(&self, token: u32) -> &[End] {
        self.reported.get(&token).map_or(&[], Vec::as_slice)
    }

    fn ignored(&self) -> Vec<BadPacket> {
        self.told.ignored.lock().unwrap().iter().map(|(_upstream, reason)| *reason).collect()
    }
}

fn fake(loopback: &str) -> UdpSocket {
    let fake = UdpSocket::bind(loopback).unwrap();
    fake.set_read_timeout(Some(LONG)).unwrap();
    fake
}

/// These fakes as upstreams.
fn ask_these(
    runtime: &Runtime,
    fakes: &[UdpSocket],
    told: &Arc<Told>,
    change: impl FnOnce(Config) -> Config,
) -> Arc<Upstreams> {
    let server = |fake: &UdpSocket| Server::plain(fake.local_addr().unwrap());
    let config = change(Config::new(Servers::new(fakes.iter().map(server).collect()).unwrap()));
    let observer: Arc<dyn Observer> = Arc::<Told>::clone(told);
    let _inside = runtime.enter();
    Arc::new(Upstreams::new(&config, &observer))
}

fn settled(name: &str, rcode: u16) -> End {
    End::Settled { rcode, name: LowerName::parse(name).unwrap().wire().to_vec(), upstream: 0 }
}

#[test]
fn an_answer_settles_its_question_once() {
    for loopback in ["127.0.0.1:0", "[::1]:0"] {
        let mut scene = Scene::on(loopback, 1);
        assert!(scene.ask("a.example", 1) && scene.ask("b.example", 2));
        let (first, second) = (scene.seen(0), scene.seen(0));
        for (seen, rcode) in [(&second, 3), (&first, 0)] {
            scene.send(0, &seen.reply(rcode), seen.from);
            scene.receive();
            let name = LowerName::read(seen.name(), 0).unwrap().0.to_string();
            let token = if name == "a.example" { 1 } else { 2 };
            assert_eq!(scene.ends(token), [settled(&name, rcode.into())]);
        }
        assert_eq!(scene.reported.len(), 2);
        assert_eq!((scene.outside.open(), scene.outside.next_expiry()), (0, None));
        let status = &scene.upstreams.status()[0];
        assert_eq!((status.queries, status.failures, status.in_flight), (2, 0, 0));
        assert_eq!(*scene.told.answered.lock().unwrap(), [(0, 3), (0, 0)]);
    }
}

#[test]
fn the_query_says_what_every_query_of_ours_says() {
    let mut scene = Scene::new(1);
    scene.ask("a.example", 1);
    let seen = scene.seen(0);
    assert_eq!(seen.octets[2..HEADER], *b"\x01\x20\0\x01\0\0\0\0\0\x01");
    assert!(seen.name().eq_ignore_ascii_case(b"\x01a\x07example\0"));
    assert_eq!(seen.octets[HEADER + 11..], *b"\0\x01\0\x01\0\0\x29\x04\xD0\0\0\0\0\0\0");
}
