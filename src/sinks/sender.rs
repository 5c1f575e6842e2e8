//! Brings the stream of rows to one receiver, from where it was the last time, again and again until it has them.
//!
//! ```text
//! spool ─► rows ─► messages ─► receiver ─► taken ─► noted: only then are they behind
//! ```
//! A stream tells nobody what its receiver has read. Rows count as taken when the receiver's system has acknowledged their
//! octets and the connection is still there some seconds later; what was sent after that comes once more over the next
//! connection, with the same ids.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::config::SinkConfig;
use super::error::SendError;
use super::event::Mark;
use super::fields::Observer;
use super::line::{Given, Line};
use super::messages::Messages;
use super::pace::Pace;
use super::places::Places;
use super::spool::{Reader, Spool};
use crate::clock::Clock;
use crate::metrics::{SinkCells, SinkLoss};
use crate::priority::beside;
use crate::upstream::Questions;

/// After a failure it is tried again after this, then after twice that, and so on up to the last.
const AGAIN: std::ops::RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(10);
/// The same of a webhook: whoever runs it has more to do than to hear from us.
const WEBHOOK_AGAIN_MAX: Duration = Duration::from_secs(60);
/// A receiver that wants to be left alone is left alone for so long at most.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// A connection that is still there after this has carried what was acknowledged before to its receiver.
const SETTLED: Duration = Duration::from_secs(2);
/// What is not acknowledged after this never will be.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(60);
/// Pieces of the stream that may be on their way: some thousand rows each.
const SENT_MAX: usize = 256;

/// Sends to one receiver.
pub(super) struct Sender {
    config: SinkConfig,
    places: Arc<Places>,
    spool: Arc<Spool>,
    /// Lent to the thread that reads.
    reader: Option<Reader>,
    cells: SinkCells,
    questions: Arc<dyn Questions>,
    clock: Clock,
    observer: Arc<Observer>,
    line: Line,
    pace: Pace,
    /// Up to here the receiver has everything.
    taken: Mark,
    /// What it was sent since, and when.
    sent: VecDeque<Sent>,
    trouble: bool,
}

/// Rows on their way.
struct Sent {
    upto: Mark,
    attempts: u64,
    at: Instant,
}

/// What became of a turn.
enum Turn {
    /// There may be more to do.
    Again,
    /// It was told to stop.
    Stopped,
}

/// What all senders share.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) spool: Arc<Spool>,
    pub(super) places: Arc<Places>,
    pub(super) questions: Arc<dyn Questions>,
    pub(super) clock: Clock,
    pub(super) observer: Arc<Observer>,
}

impl Sender {
    pub(super) fn new(config: SinkConfig, cells: SinkCells, around: Surroundings) -> Self {
        let Surroundings { spool, places, questions, clock, observer } = around;
        let taken = places.of(&config.id).unwrap_or_else(|| spool.head());
        let reader = Some(Reader::new(Arc::clone(&spool), taken));
        let (line, sent, pace) = (Line::Closed, VecDeque::new(), Pace::of(&config.kind));
        let trouble = false;
        Self { config, places, spool, reader, cells, questions, clock, observer, line, pace, taken, sent, trouble }
    }

    /// Sends until told to stop, and then what has come until then, unless the receiver takes it too slowly for `grace`.
    pub(super) async fn run(mut self, stop: CancellationToken, grace: Duration) {
        let mut grows = self.spool.grows();
        let mut again = *AGAIN.start();
        loop {
            match self.turn(&mut grows, &stop).await {
                Ok(Turn::Again) => {
                    if std::mem::take(&mut self.trouble) {
                        tracing::info!(sink = &*self.config.id, "A sink takes what it is sent again.");
                    }
                    self.cells.up.set(1);
                    again = *AGAIN.start();
                }
                Ok(Turn::Stopped) => break,
                Err(error) => {
                    let wait = error.retry_after().map_or(again, |after| after.min(RETRY_AFTER_MAX).max(again));
                    self.failed(&error, wait);
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = sleep(wait) => (),
                    }
                    let most = if self.config.kind.wants_first() { WEBHOOK_AGAIN_MAX } else { *AGAIN.end() };
                    again = (again * 2).min(most);
                }
            }
        }
        drop(tokio::time::timeout(grace, self.finish()).await);
    }

    /// Says once of a series of failures what is wrong, and goes back to what the receiver surely has.
    fn failed(&mut self, error: &SendError, again: Duration) {
        self.cells.failures.inc();
        self.cells.up.set(0);
        let sink = &*self.config.id;
        if std::mem::replace(&mut self.trouble, true) {
            tracing::debug!(sink, %error, ?again, "A sink still does not take what it is sent.");
        } else {
            tracing::warn!(sink, %error, "A sink does not take what it is sent: what is recorded waits for it on the disk.");
        }
        self.line = Line::Closed;
        self.go_back();
    }

    fn go_back(&mut self) {
        self.sent.clear();
        match &mut self.reader {
            Some(reader) => reader.go_back(self.taken),
            // It went with a thread that died.
            None => self.reader = Some(Reader::new(Arc::clone(&self.spool), self.taken)),
        }
    }

    /// Sends what there is, or waits for it.
    async fn turn(&mut self, grows: &mut watch::Receiver<Mark>, stop: &CancellationToken) -> Result<Turn, SendError> {
        grows.borrow_and_update();
        self.settle().await?;
        let is_full = self.sent.len() >= SENT_MAX;
        if !is_full && self.send_some().await? {
            return Ok(if stop.is_cancelled() { Turn::Stopped } else { Turn::Again });
        }
        let settled = self.sent.front().map(|first| first.at + SETTLED);
        tokio::select! {
            () = stop.cancelled() => return Ok(Turn::Stopped),
            // The spool outlives its readers.
            _grown = grows.changed(), if !is_full => (),
            () = until(settled) => (),
            () = until(self.pace.opens(Instant::now())) => (),
            () = self.line.ended() => {
                self.line = Line::Closed;
                if !self.sent.is_empty() {
                    return Err(SendError::Closed);
                }
            }
        }
        Ok(Turn::Again)
    }

    /// Sends the next rows; says whether there were any, or a gap.
    async fn send_some(&mut self) -> Result<bool, SendError> {
        if self.pace.opens(Instant::now()).is_some() {
            return Ok(false);
        }
        let from = self.reader.as_ref().map_or(self.taken, Reader::place);
        let messages = self.read().await?;
        if messages.upto == from {
            return Ok(false);
        }
        if messages.ends.is_empty() {
            // What nobody wants of it is behind it too.
            if self.sent.is_empty() && messages.upto > self.taken {
                self.take(messages.upto, 0).await?;
            }
            return Ok(true);
        }
        if matches!(self.line, Line::Closed) {
            self.line = Line::open(&self.config.kind, &self.questions).await?;
        }
        let (upto, attempts) = (messages.upto, messages.attempts);
        self.pace.count(Instant::now());
        if let Given::Refused(code) = self.line.send(messages, self.clock.now().wall).await? {
            self.cells.lost(SinkLoss::Refused).add(attempts);
            let sink = &*self.config.id;
            tracing::warn!(sink, code, attempts, "A sink has refused what it was sent; that is not sent again.");
            return self.take(upto, 0).await.map(|()| true);
        }
        self.sent.push_back(Sent { upto, attempts, at: Instant::now() });
        if !self.line.settles() {
            self.take_all(Instant::now()).await?;
        }
        Ok(true)
    }

    /// Reads the next rows and makes messages of them; those of a file are in it then. A gap is counted.
    async fn read(&mut self) -> Result<Messages, SendError> {
        let Some(mut reader) = self.reader.take() else { return Err(SendError::Closed) };
        let (kind, observer, stream) =
            (self.config.kind.clone(), Arc::clone(&self.observer), Arc::clone(&self.spool.stream));
        let read = beside(move || {
            let read = reader.read().map(|piece| {
                let (overflowed, damaged) = (piece.overflowed, piece.damaged);
                (Messages::of(piece, &kind, &observer, &stream), overflowed, damaged)
            });
            (reader, read)
        });
        let (reader, read) = read.await.map_err(SendError::Spool)?;
        self.reader = Some(reader);
        let (messages, overflowed, damaged) = read.map_err(SendError::Spool)?;
        if overflowed + damaged > 0 {
            self.cells.lost(SinkLoss::Overflow).add(overflowed);
            self.cells.lost(SinkLoss::Damage).add(damaged);
            tracing::warn!(
                sink = &*self.config.id,
                overflowed,
                damaged,
                "Attempts will never be sent to a sink: they went to make room for later ones, or could not be read."
            );
            // Never to be counted twice: behind the gap is where it goes on.
            match self.sent.back_mut() {
                Some(last) => last.upto = messages.upto,
                None => self.take(messages.upto, 0).await?,
            }
        }
        Ok(messages)
    }

    /// Notes what the receiver has by now.
    async fn settle(&mut self) -> Result<(), SendError> {
        let now = Instant::now();
        if self.line.is_taken() {
            return self.take_all(now.checked_sub(SETTLED).unwrap_or(now)).await;
        }
        match self.sent.front() {
            Some(first) if now.duration_since(first.at) > UNACKNOWLEDGED_MAX => {
                Err(SendError::Stuck(UNACKNOWLEDGED_MAX))
            }
            _waiting => Ok(()),
        }
    }

    /// The receiver has what was sent until then.
    async fn take_all(&mut self, until: Instant) -> Result<(), SendError> {
        let (mut upto, mut attempts) = (self.taken, 0);
        while let Some(sent) = self.sent.front().filter(|sent| sent.at <= until) {
            upto = sent.upto;
            attempts += sent.attempts;
            self.sent.pop_front();
        }
        if upto == self.taken { Ok(()) } else { self.take(upto, attempts).await }
    }

    async fn take(&mut self, upto: Mark, attempts: u64) -> Result<(), SendError> {
        self.taken = upto;
        let (places, id) = (Arc::clone(&self.places), Arc::clone(&self.config.id));
        let noted = beside(move || places.note(&id, upto)).await;
        // It is sent once more after a restart: no reason to send it once more now.
        if let Err(error) = noted.and_then(|noted| noted) {
            tracing::debug!(sink = &*self.config.id, %error, "How far a sink has come could not be written.");
        }
        self.cells.delivered.add(attempts);
        Ok(())
    }

    /// Sends the rest, and waits until the receiver has it.
    async fn finish(&mut self) -> Result<(), SendError> {
        while !self.trouble && self.send_some().await? {}
        while !self.sent.is_empty() && !self.line.is_taken() {
            sleep(Duration::from_millis(10)).await;
        }
        std::mem::replace(&mut self.line, Line::Closed).close().await;
        self.take_all(Instant::now()).await
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
