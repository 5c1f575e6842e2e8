//! A scripted upstream on loopback: UDP and TCP on one free port, every query recorded, every answer (or lie) decided by
//! the test. Messages are built here octet by octet, so that a fault in a DNS library can't hide the same fault in ours.
//!
//! ```text
//! let upstream = FakeUpstream::start().await;                                         // every name is 192.0.2.1
//! let upstream = FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).rcode(2).octets())]).await;
//! ```

pub(crate) mod certificates;
pub(crate) mod encrypted;

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use embargo::wire::edns_options;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub(crate) const A: u16 = 1;
const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;

/// Bits of the second 16 in a header.
pub(crate) const QR: u16 = 0x8000;
pub(crate) const TC: u16 = 0x0200;
pub(crate) const RD: u16 = 0x0100;
pub(crate) const RA: u16 = 0x0080;
pub(crate) const AD: u16 = 0x0020;
pub(crate) const CD: u16 = 0x0010;

/// One query as it reached the fake.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The message.
    pub(crate) octets: Vec<u8>,
    /// Whether it came over TCP.
    pub(crate) tcp: bool,
    /// Who sent it.
    pub(crate) from: SocketAddr,
    /// Which query of this fake it is, from 0.
    pub(crate) nth: usize,
}

/// One step of a script.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Send these octets: a datagram, or a frame with its length in front.
    Send(Vec<u8>),
    /// Send these octets from another port (UDP only).
    SendFromElsewhere(Vec<u8>),
    /// Let time pass.
    Wait(Duration),
    /// Close the connection, answered or not (not over UDP).
    Close,
    /// Answer with this HTTP status and nothing else (HTTP/2 only).
    Status(u16),
}

type Script = Arc<dyn Fn(&Seen) -> Vec<Act> + Send + Sync>;

/// What the sockets and the test share.
struct Shared {
    script: Mutex<Script>,
    seen: Mutex<Vec<Seen>>,
    count: watch::Sender<usize>,
    connections: watch::Sender<usize>,
}

/// A server that does what its script says, until it is dropped.
pub(crate) struct FakeUpstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

impl FakeUpstream {
    /// Answers every query with `192.0.2.1`, whatever was asked.
    pub(crate) async fn start() -> Self {
        Self::scripted(|seen| vec![Act::Send(reply(seen).a([192, 0, 2, 1]).octets())]).await
    }

    /// Reads and never answers.
    pub(crate) async fn silent() -> Self {
        Self::scripted(|_seen| Vec::new()).await
    }

    /// Does to every query what the script says; scripts of different queries run side by side.
    pub(crate) async fn scripted(script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let (udp, tcp) = bind_both().await;
        let address = udp.local_addr().unwrap();
        let shared = Shared::new(script);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(Arc::new(udp), Arc::clone(&shared)));
        tasks.spawn(serve_tcp(tcp, Arc::clone(&shared)));
        Self { address, shared, _tasks: tasks }
    }

    /// Where it listens, UDP and TCP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on another script.
    pub(crate) fn now_does(&self, script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    /// How many queries came, probes included.
    pub(crate) fn queries_seen(&self) -> usize {
        *self.shared.count.borrow()
    }

    /// How many connections were begun.
    pub(crate) fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Every query that came, in order.
    pub(crate) fn queries(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Returns when at least this many queries have come.
    pub(crate) async fn has_seen(&self, queries: usize) {
        self.shared.count.subscribe().wait_for(|&count| count >= queries).await.unwrap();
    }
}

/// UDP and TCP on the same free port: TCP picks one, and another one if UDP is taken there.
async fn bind_both() -> (UdpSocket, TcpListener) {
    for _ in 0..50 {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

impl Shared {
    fn new(script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Arc<Self> {
        let ((count, _), (connections, _)) = (watch::channel(0), watch::channel(0));
        Arc::new(Self { script: Mutex::new(Arc::new(script)), seen: Mutex::default(), count, connections })
    }

    fn connected(&self) {
        self.connections.send_modify(|count| *count += 1);
    }

    fn note(&self, octets: Vec<u8>, tcp: bool, from: SocketAddr) -> Vec<Act> {
        let mut all = self.seen.lock().unwrap();
        let seen = Seen { octets, tcp, from, nth: all.len() };
        all.push(seen.clone());
        self.count.send_replace(all.len());
        drop(all);
        let script = Arc::clone(&self.script.lock().unwrap());
        script(&seen)
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, shared: Arc<Shared>) {
    let mut running = JoinSet::new();
    let mut buffer = vec![0; 65_535];
    loop {
        // An ICMP error of an earlier answer is no reason to stop.
        let Ok((size, from)) = socket.recv_from(&mut buffer).await else { continue };
        let acts = shared.note(buffer[..size].to_vec(), false, from);
        running.spawn(act_udp(Arc::clone(&socket), from, acts));
        while running.try_join_next().is_some() {}
    }
}

async fn act_udp(socket: Arc<UdpSocket>, to: SocketAddr, acts: Vec<Act>) {
    for act in acts {
        match act {
            Act::Send(octets) => drop(socket.send_to(&octets, to).await),
            Act::SendFromElsewhere(octets) => {
                let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                drop(other.send_to(&octets, to).await);
            }
            Act::Wait(duration) => tokio::time::sleep(duration).await,
            Act::Close | Act::Status(_) => (),
        }
    }
}

async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) {
    let mut running = JoinSet::new();
    loop {
        let Ok((stream, from)) = listener.accept().await else { continue };
        shared.connected();
        running.spawn(serve_stream(stream, from, Arc::clone(&shared)));
        while running.try_join_next().is_some() {}
    }
}

/// Reads frames as they come; the scripts run side by side and share one writer, so answers may overtake each other.
async fn serve_stream<S>(stream: S, from: SocketAddr, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (answers, mut outbox) = mpsc::channel::<Option<Vec<u8>>>(64);
    let mut running = JoinSet::new();
    running.spawn(async move {
        while let Some(Some(octets)) = outbox.recv().await {
            let mut frame = u16::try_from(octets.len()).unwrap().to_be_bytes().to_vec();
            frame.extend_from_slice(&octets);
            if writer.write_all(&frame).await.is_err() {
                return;
            }
        }
        drop(writer.shutdown().await);
    });
    while let Ok(size) = reader.read_u16().await {
        let mut octets = vec![0; usize::from(size)];
        if reader.read_exact(&mut octets).await.is_err() {
            break;
        }
        running.spawn(act_tcp(answers.clone(), shared.note(octets, true, from)));
    }
}

async fn act_tcp(answers: mpsc::Sender<Option<Vec<u8>>>, acts: Vec<Act>) {
    for act in acts {
        match act {
            Act::Send(octets) => drop(answers.send(Some(octets)).await),
            Act::Close => drop(answers.send(None).await),
            Act::Wait(duration) => tokio::time::sleep(duration).await,
            Act::SendFromElsewhere(_) | Act::Status(_) => (),
        }
    }
}

impl Seen {
    fn word(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.octets[at], self.octets[at + 1]])
    }

    /// The message's id.
    pub(crate) fn id(&self) -> u16 {
        self.word(0)
    }

    /// The second 16 bits of the header.
    pub(crate) fn flags(&self) -> u16 {
        self.word(2)
    }

    /// The question's name on the wire.
    pub(crate) fn qname_wire(&self) -> &[u8] {
        let mut end = 12;
        while self.octets[end] != 0 {
            end += 1 + usize::from(self.octets[end]);
        }
        &self.octets[12..=end]
    }

    /// The question's name in lower case, for names of plain letters; the root is empty.
    pub(crate) fn qname(&self) -> String {
        let mut text = String::new();
        let mut rest = self.qname_wire();
        while let Some((&size, after)) = rest.split_first().filter(|(size, _after)| **size != 0) {
            let (label, behind) = after.split_at(usize::from(size));
            let dot = if text.is_empty() { "" } else { "." };
            write!(text, "{dot}{}", String::from_utf8_lossy(&label.to_ascii_lowercase())).unwrap();
            rest = behind;
        }
        text
    }

    /// The question's type.
    pub(crate) fn qtype(&self) -> u16 {
        self.word(12 + self.qname_wire().len())
    }

    /// The whole question.
    pub(crate) fn question(&self) -> &[u8] {
        &self.octets[12..12 + self.qname_wire().len() + 4]
    }

    /// What follows the question: nothing, or an OPT record.
    pub(crate) fn additional(&self) -> &[u8] {
        &self.octets[12 + self.question().len()..]
    }

    /// Whether the query has an OPT record.
    pub(crate) fn has_edns(&self) -> bool {
        self.word(10) == 1
    }

    /// The data of its first EDNS option of this code.
    pub(crate) fn option(&self, wanted: u16) -> Option<&[u8]> {
        let options = if self.has_edns() { &self.additional()[11..] } else { &[] };
        edns_options(options).find(|(code, _value)| *code == wanted).map(|(_code, value)| value)
    }

    /// The DO bit.
    pub(crate) fn dnssec_ok(&self) -> bool {
        self.has_edns() && self.additional()[7] & 0x80 != 0
    }
}

/// A name on the wire, from plain text; the root is empty text.
pub(crate) fn wire(name: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).unwrap());
        octets.extend_from_slice(label.as_bytes());
    }
    octets.push(0);
    octets
}

/// A response being built; starts as an empty NOERROR with the query's id and question, and an OPT if the query had one.
#[derive(Clone)]
pub(crate) struct Reply {
    id: u16,
    flags: u16,
    question: Option<Vec<u8>>,
    sections: [(u16, Vec<u8>); 3],
    options: Option<Vec<u8>>,
    owner: Vec<u8>,
    ttl: u32,
}

/// Begins a response to this query.
pub(crate) fn reply(seen: &Seen) -> Reply {
    Reply {
        id: seen.id(),
        flags: QR | RA | (seen.flags() & (RD | CD)),
        question: Some(seen.question().to_vec()),
        sections: Default::default(),
        options: seen.has_edns().then(Vec::new),
        owner: seen.qname_wire().to_vec(),
        ttl: 300,
    }
}

impl Reply {
    fn record(mut self, section: usize, owner: &[u8], rtype: u16, ttl: u32, rdata: &[u8]) -> Self {
        let (count, octets) = &mut self.sections[section];
        *count += 1;
        octets.extend_from_slice(owner);
        octets.extend_from_slice(&rtype.to_be_bytes());
        octets.extend_from_slice(&1_u16.to_be_bytes());
        octets.extend_from_slice(&ttl.to_be_bytes());
        octets.extend_from_slice(&u16::try_from(rdata.len()).unwrap().to_be_bytes());
        octets.extend_from_slice(rdata);
        self
    }

    /// Adds a record of any type to the answer section, at the end of the chain so far.
    pub(crate) fn answer(self, rtype: u16, rdata: &[u8]) -> Self {
        let (owner, ttl) = (self.owner.clone(), self.ttl);
        self.record(0, &owner, rtype, ttl, rdata)
    }

    /// The records that are added from here on have this TTL.
    pub(crate) fn ttl(mut self, ttl: u32) -> Self {
        self.ttl = ttl;
        self
    }

    /// Adds an address at the end of the chain so far.
    pub(crate) fn a(self, address: [u8; 4]) -> Self {
        self.answer(A, &address)
    }

    /// The next record stands at this name.
    pub(crate) fn at(mut self, owner: &str) -> Self {
        self.owner = wire(owner);
        self
    }

    /// Adds a CNAME; the next record stands at its target.
    pub(crate) fn cname(self, target: &str) -> Self {
        let target = wire(target);
        let mut longer = self.answer(CNAME, &target);
        longer.owner = target;
        longer
    }

    /// Adds a SOA with MINIMUM 60 to the authority section.
    pub(crate) fn soa(self, zone: &str) -> Self {
        let mut rdata = wire(&format!("ns.{zone}"));
        rdata.extend_from_slice(&wire(&format!("hostmaster.{zone}")));
        for number in [1_u32, 3600, 600, 86_400, 60] {
            rdata.extend_from_slice(&number.to_be_bytes());
        }
        self.record(1, &wire(zone), SOA, 900, &rdata)
    }

    /// Adds a name server of the zone to the authority section, and nothing else: ask there.
    pub(crate) fn referral(self, zone: &str) -> Self {
        self.record(1, &wire(zone), NS, 900, &wire(&format!("ns.{zone}")))
    }

    /// NXDOMAIN with the zone's SOA.
    pub(crate) fn nxdomain(self, zone: &str) -> Self {
        self.rcode(3).soa(zone)
    }

    /// Sets the RCODE (0 to 15).
    pub(crate) fn rcode(mut self, rcode: u16) -> Self {
        self.flags = (self.flags & !0xF) | rcode;
        self
    }

    /// Sets header bits.
    pub(crate) fn with(mut self, flags: u16) -> Self {
        self.flags |= flags;
        self
    }

    /// Clears header bits.
    pub(crate) fn without(mut self, flags: u16) -> Self {
        self.flags &= !flags;
        self
    }

    /// Sets the opcode.
    pub(crate) fn opcode(mut self, opcode: u16) -> Self {
        self.flags = (self.flags & !0x7800) | (opcode << 11);
        self
    }

    /// Another id.
    pub(crate) fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    /// Another question, class IN.
    pub(crate) fn question(mut self, name: &str, qtype: u16) -> Self {
        let mut question = wire(name);
        question.extend_from_slice(&qtype.to_be_bytes());
        question.extend_from_slice(&1_u16.to_be_bytes());
        self.question = Some(question);
        self
    }

    /// No question at all.
    pub(crate) fn no_question(mut self) -> Self {
        self.question = None;
        self
    }

    /// No OPT record.
    pub(crate) fn no_edns(mut self) -> Self {
        self.options = None;
        self
    }

    /// An extended DNS error (RFC 8914).
    pub(crate) fn ede(self, code: u16, text: &str) -> Self {
        self.option(15, &[&code.to_be_bytes(), text.as_bytes()].concat())
    }

    /// An EDNS option.
    pub(crate) fn option(mut self, code: u16, value: &[u8]) -> Self {
        let options = self.options.get_or_insert_default();
        options.extend_from_slice(&code.to_be_bytes());
        options.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        options.extend_from_slice(value);
        self
    }

    /// The message on the wire.
    pub(crate) fn octets(self) -> Vec<u8> {
        let counts = [
            u16::from(self.question.is_some()),
            self.sections[0].0,
            self.sections[1].0,
            self.sections[2].0 + u16::from(self.options.is_some()),
        ];
        let mut octets = Vec::new();
        for word in [self.id, self.flags].into_iter().chain(counts) {
            octets.extend_from_slice(&word.to_be_bytes());
        }
        octets.extend_from_slice(&self.question.unwrap_or_default());
        for (_count, section) in &self.sections {
            octets.extend_from_slice(section);
        }
        if let Some(options) = self.options {
            octets.extend_from_slice(b"\0\0\x29\x04\xD0\0\0\0\0");
            octets.extend_from_slice(&u16::try_from(options.len()).unwrap().to_be_bytes());
            octets.extend_from_slice(&options);
        }
        octets
    }
}
