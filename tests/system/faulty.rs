//! An upstream of ours that is well until it is told to have a fault: over UDP and TCP on one port, octet by octet.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::process::free_address;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: every name has the address 192.0.2.11 for [`TTL`] seconds.
    None,
    /// It says nothing.
    Silent,
    /// It fails.
    Servfail,
    /// It does not serve us.
    Refused,
    /// It sends us elsewhere.
    Lame,
    /// It answers somebody else's query.
    WrongId,
    /// Its answers do not fit a datagram, and over TCP it says nothing.
    Truncated,
    /// The same, and it resets connections.
    Reset,
    /// It answers after most of the time that there is.
    Slow,
    /// It sends no DNS.
    Garbage,
    /// Nobody is there any more.
    Closed,
}

impl Fault {
    /// Every fault.
    pub(crate) const ALL: [Self; 10] = [
        Self::Silent,
        Self::Servfail,
        Self::Refused,
        Self::Lame,
        Self::WrongId,
        Self::Truncated,
        Self::Reset,
        Self::Slow,
        Self::Garbage,
        Self::Closed,
    ];
}

/// TTL of its answers, in seconds.
pub(crate) const TTL: u8 = 2;
/// How late a slow one is.
const LATE: Duration = Duration::from_millis(1_500);
/// How often it looks up from its sockets.
const LOOK: Duration = Duration::from_millis(20);

const TC: u16 = 0x8380;

/// The upstream, until it is dropped.
#[derive(Debug)]
pub(crate) struct Faulty {
    /// Where it is.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    fault: Mutex<Fault>,
    seen: AtomicU64,
    closed: AtomicBool,
}

impl Faulty {
    /// One that is well.
    pub(crate) fn start() -> Self {
        let address = free_address();
        let (udp, tcp) = (UdpSocket::bind(address).unwrap(), TcpListener::bind(address).unwrap());
        udp.set_read_timeout(Some(LOOK)).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared {
            fault: Mutex::new(Fault::None),
            seen: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        });
        let (datagrams, streams) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            thread::spawn(move || serve_datagrams(&Arc::new(udp), &datagrams)),
            thread::spawn(move || serve_streams(&tcp, &streams)),
        ];
        Self { address, shared, threads: Mutex::new(threads) }
    }

    /// From now on it has this fault.
    pub(crate) fn now_has(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = fault;
        if fault == Fault::Closed {
            self.close();
        }
    }

    /// How many queries have come over UDP.
    pub(crate) fn seen(&self) -> u64 {
        self.shared.seen.load(Ordering::Relaxed)
    }

    /// Its sockets are closed when this returns.
    fn close(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        for thread in self.threads.lock().unwrap().drain(..) {
            thread.join().unwrap();
        }
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap()
    }

    fn goes_on(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }
}

fn serve_datagrams(socket: &Arc<UdpSocket>, shared: &Shared) {
    let mut buffer = [0; 4096];
    while shared.goes_on() {
        let Ok((size, from)) = socket.recv_from(&mut buffer) else { continue };
        shared.seen.fetch_add(1, Ordering::Relaxed);
        let (query, fault) = (buffer[..size].to_vec(), shared.fault());
        let Some(response) = response(&query, fault) else { continue };
        if fault == Fault::Slow {
            let socket = Arc::clone(socket);
            thread::spawn(move || {
                thread::sleep(LATE);
                drop(socket.send_to(&response, from));
            });
        } else {
            drop(socket.send_to(&response, from));
        }
    }
}

fn serve_streams(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut open = Vec::new();
    while shared.goes_on() {
        let Ok((stream, _from)) = listener.accept() else {
            thread::sleep(LOOK);
            continue;
        };
        match shared.fault() {
            Fault::Reset => SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
            // Held open, and never read.
            Fault::Silent | Fault::Truncated => open.push(stream),
            fault => drop(thread::spawn(move || serve_stream(stream, fault))),
        }
    }
}

fn serve_stream(mut stream: TcpStream, fault: Fault) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    loop {
        let mut size = [0; 2];
        stream.read_exact(&mut size)?;
        let mut query = vec![0; usize::from(u16::from_be_bytes(size))];
        stream.read_exact(&mut query)?;
        let Some(response) = response(&query, fault) else { continue };
        stream.write_all(&u16::try_from(response.len()).unwrap().to_be_bytes())?;
        stream.write_all(&response)?;
    }
}

/// What it says to a query; nothing if nothing.
fn response(query: &[u8], fault: Fault) -> Option<Vec<u8>> {
    let mut end = 12;
    while query[end] != 0 {
        end += 1 + usize::from(query[end]);
    }
    let question = &query[12..end + 5];
    let id = u16::from_be_bytes([query[0], query[1]]);
    let message = |id: u16, flags: u16, counts: [u16; 2], records: &[u8]| {
        let head = [id, flags, 1, counts[0], counts[1], 0].map(u16::to_be_bytes).concat();
        Some([&head, question, records].concat())
    };
    let address = [&b"\xC0\x0C\0\x01\0\x01\0\0\0"[..], &[TTL], b"\0\x04\xC0\0\x02\x0B"].concat();
    match fault {
        Fault::None | Fault::Slow => message(id, 0x8180, [1, 0], &address),
        Fault::Silent | Fault::Closed => None,
        Fault::Servfail => message(id, 0x8182, [0, 0], &[]),
        Fault::Refused => message(id, 0x8185, [0, 0], &[]),
        Fault::Lame => message(id, 0x8100, [0, 1], b"\xC0\x0C\0\x02\0\x01\0\0\0\x3C\0\x02\xC0\x0C"),
        Fault::WrongId => message(id ^ 1, 0x8180, [1, 0], &address),
        Fault::Truncated | Fault::Reset => message(id, TC, [0, 0], &[]),
        Fault::Garbage => Some([&query[..2], &[0xA5; 60]].concat()),
    }
}
