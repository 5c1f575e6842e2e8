//! Forwarding as the upstreams see it: what is sent, what is believed, who is asked when, and who is asked no more.

mod encrypted;
mod failover;
mod lies;
mod names;
mod order;
mod outside;
mod query;
mod stream;

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use embargo::upstream::{
    Ask, BadPacket, Config, FailReason, Observer, Response, Server, Servers, UpstreamError, Upstreams,
};
use embargo::wire::{Name, qtype, rcode};
use futures_util::future::join_all;
use tokio::sync::watch;

use crate::upstream_fake::{A, AD, Act, CD, FakeUpstream, QR, RA, RD, Reply as Built, Seen, TC, reply, wire};

/// What a forger would have the client believe.
const FORGED: [u8; 4] = [203, 0, 113, 66];
const TRUE: [u8; 4] = [192, 0, 2, 1];

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// These upstreams over UDP, with the shipped times.
fn config(upstreams: &[SocketAddr]) -> Config {
    Config::new(Servers::new(upstreams.iter().copied().map(Server::plain).collect()).unwrap())
}

/// These upstreams over TCP.
fn tcp(upstreams: &[SocketAddr]) -> Config {
    Config::new(Servers::new(upstreams.iter().copied().map(Server::tcp).collect()).unwrap())
}

/// The same with times so short that silence is soon over.
fn hasty(upstreams: &[SocketAddr]) -> Config {
    Config {
        hedge: ms(40),
        retry: ms(120),
        patience: ms(200),
        deadline: ms(300),
        exchange_max: ms(600),
        probe_interval: ms(100),
        ..config(upstreams)
    }
}

/// One event that an observer was told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Answered(usize, u16),
    Failed(usize, FailReason),
    Ignored(usize, BadPacket),
    Health(usize, bool),
}

/// Keeps every event, and wakes whoever waits for one.
#[derive(Clone)]
struct Recorder(watch::Sender<Vec<Event>>);

impl Recorder {
    fn new() -> Self {
        Self(watch::channel(Vec::new()).0)
    }

    fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(self.clone())
    }

    fn add(&self, event: Event) {
        self.0.send_modify(|events| events.push(event));
    }

    fn count(&self, event: Event) -> usize {
        self.0.borrow().iter().filter(|&&other| other == event).count()
    }

    /// Returns when this event has come at least this often.
    async fn has_seen(&self, event: Event, times: usize) {
        let seen = |events: &Vec<Event>| events.iter().filter(|&&other| other == event).count() >= times;
        self.0.subscribe().wait_for(seen).await.unwrap();
    }
}

impl Observer for Recorder {
    fn answered(&self, upstream: usize, rcode: u16, _seconds: f64) {
        self.add(Event::Answered(upstream, rcode));
    }

    fn failed(&self, upstream: usize, reason: FailReason) {
        self.add(Event::Failed(upstream, reason));
    }

    fn ignored(&self, upstream: usize, reason: BadPacket) {
        self.add(Event::Ignored(upstream, reason));
    }

    fn health(&self, upstream: usize, healthy: bool) {
        self.add(Event::Health(upstream, healthy));
    }
}

fn start(config: &Config) -> (Upstreams, Recorder) {
    let recorder = Recorder::new();
    (Upstreams::new(config, &recorder.observer()), recorder)
}

fn question(name: &str) -> Ask {
    let name = Name::parse(name).unwrap();
    Ask { name, qtype: qtype::A, qclass: 1, dnssec_ok: false, checking_disabled: false, subnet: None }
}

/// The RDATA of the last address in the response.
fn address(response: &Response) -> Option<[u8; 4]> {
    let record = response.layout.records.iter().rev().find(|record| record.rtype == qtype::A)?;
    response.message[record.rdata.clone()].try_into().ok()
}

fn answer(seen: &Seen) -> Vec<Act> {
    vec![Act::Send(reply(seen).a(TRUE).octets())]
}

fn once(built: Built) -> Vec<Act> {
    vec![Act::Send(built.octets())]
}

/// An address where nobody listens: a socket was there and is gone.
fn nobody() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).unwrap()
}
