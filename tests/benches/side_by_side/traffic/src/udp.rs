//! Load over UDP, batched, so that one processor can keep a fast server busy.

use std::error::Error;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::datagrams::{BATCH, Datagrams, enlarge};
use crate::options::Options;
use crate::questions::Questions;
use crate::tally::Tally;

/// Sockets, so that a server that gives each flow to one of its threads has something to share out.
const SOCKETS: usize = 8;
/// A query without a response after this time is lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// Queries sent by one call at a fixed rate: few, so that they do not come in gusts.
const AT_A_RATE: usize = 4;
/// Time between two looks at which queries are lost.
const SWEEP: Duration = Duration::from_millis(50);

/// Asks for `options.time`, then waits for what is still open.
///
/// # Errors
/// The operating system's, when a socket can't be had.
pub(crate) fn load(port: u16, questions: Questions, options: &Options) -> Result<Tally, Box<dyn Error>> {
    let mut flows = (0..SOCKETS).map(|_number| Flow::new(port)).collect::<Result<Vec<_>, _>>()?;
    let mut run = Run { questions, tally: Tally::default(), datagrams: Datagrams::new() };
    let begin = Instant::now();
    let (mut now, mut swept, mut turn) = (begin, begin, 0);
    while now < begin + options.time || flows.iter().any(|flow| flow.open > 0) {
        let mut idle = true;
        for flow in flows.iter_mut().filter(|flow| flow.open > 0) {
            idle &= run.receive(flow)? == 0;
        }
        if now < begin + options.time {
            // Each turn begins with another flow, so that a low rate is spread over all of them.
            for number in 0..SOCKETS {
                let due = run.due(options, now - begin);
                let flow = &mut flows[(turn + number) % SOCKETS];
                let room = (options.window / SOCKETS).max(1).saturating_sub(flow.open);
                idle &= run.send(flow, due.min(room)) == 0;
            }
            turn += 1;
        }
        if idle {
            rest(&flows, options.rate)?;
        }
        now = Instant::now();
        if now - swept > SWEEP {
            swept = now;
            run.tally.lost += flows.iter_mut().map(|flow| flow.give_up(now)).sum::<u64>();
        }
    }
    run.tally.time = options.time;
    Ok(run.tally)
}

/// Waits until there is something to read or, at a rate, something to send.
fn rest(flows: &[Flow], rate: u64) -> nix::Result<()> {
    let pause = Duration::from_micros(if rate > 0 { 20 } else { 200 });
    let mut polled: Vec<_> = flows.iter().map(|flow| PollFd::new(flow.socket.as_fd(), PollFlags::POLLIN)).collect();
    ppoll(&mut polled, Some(TimeSpec::from(pause)), None).map(|_ready| ())
}

/// One socket and its open queries.
struct Flow {
    socket: UdpSocket,
    /// When the query of each id was sent, while it is open.
    sent_at: Vec<Option<Instant>>,
    next_id: u16,
    open: usize,
}

impl Flow {
    fn new(port: u16) -> Result<Self, Box<dyn Error>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect((Ipv4Addr::LOCALHOST, port))?;
        enlarge(&socket)?;
        Ok(Self { socket, sent_at: vec![None; 1 << 16], next_id: 0, open: 0 })
    }

    fn give_up(&mut self, now: Instant) -> u64 {
        let mut lost = 0;
        for slot in &mut self.sent_at {
            if slot.take_if(|at| now - *at > PATIENCE).is_some() {
                lost += 1;
                self.open -= 1;
            }
        }
        lost
    }
}

struct Run {
    questions: Questions,
    tally: Tally,
    datagrams: Datagrams,
}

impl Run {
    /// Queries that may be sent by the next call.
    fn due(&self, options: &Options, since: Duration) -> usize {
        if options.rate == 0 {
            return BATCH / 2;
        }
        let planned = u128::from(options.rate) * since.as_nanos() / 1_000_000_000;
        usize::try_from(planned.saturating_sub(self.tally.sent.into())).unwrap_or(AT_A_RATE).min(AT_A_RATE)
    }

    fn send(&mut self, flow: &mut Flow, count: usize) -> usize {
        if count == 0 {
            return 0;
        }
        let ids = (0..count).map(|step| flow.next_id.wrapping_add(u16::try_from(step).unwrap_or_default()));
        for ((id, room), size) in ids.zip(self.datagrams.rooms.iter_mut()).zip(&mut self.datagrams.sizes) {
            *size = self.questions.write(id, room);
        }
        let now = Instant::now();
        let taken = self.datagrams.send(&flow.socket, count);
        for _query in 0..taken {
            let slot = &mut flow.sent_at[usize::from(flow.next_id)];
            if slot.replace(now).is_some() {
                self.tally.lost += 1;
            } else {
                flow.open += 1;
            }
            flow.next_id = flow.next_id.wrapping_add(1);
        }
        self.tally.sent += taken as u64;
        taken
    }

    /// Reads what is there; returns how many responses it was.
    fn receive(&mut self, flow: &mut Flow) -> nix::Result<usize> {
        let mut all = 0;
        loop {
            let count = match self.datagrams.receive(&flow.socket, false) {
                Ok(count) => count,
                // Refused: the server is not there, or no longer; its queries are counted as lost.
                Err(nix::Error::EAGAIN | nix::Error::EINTR | nix::Error::ECONNREFUSED) => return Ok(all),
                Err(error) => return Err(error),
            };
            let now = Instant::now();
            for (room, size) in self.datagrams.rooms.iter().zip(&self.datagrams.sizes).take(count) {
                let id = usize::from(u16::from_be_bytes([room[0], room[1]]));
                if let (12.., Some(at)) = (*size, flow.sent_at[id].take()) {
                    self.tally.answered(room[3], now - at);
                    flow.open -= 1;
                }
            }
            all += count;
            if count < BATCH {
                return Ok(all);
            }
        }
    }
}
