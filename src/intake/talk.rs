//! One sender, from its first word to its last (Frame Streams). Both ways are known: with a handshake, and one that just starts.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Around;
use super::bind::Stream;
use super::config::IntakeConfig;
use super::pairs::{Key, Pairs, Taken, Told};
use super::told::{Message, Said};
use crate::dnstap::{CONTENT_TYPE, Control, Frame, FrameError, read_frame, write_control};
use crate::metrics::{Did, IntakeCells, IntakeOutcome};
use crate::serve::Foreign;
use crate::time::Mono;

/// A sender that has not begun after this is left.
const BEGIN_MAX: Duration = Duration::from_secs(10);
/// One that does not take a word of ours either.
const SAY_MAX: Duration = Duration::from_secs(2);
/// Octets that are read at once.
const PIECE: usize = 64 << 10;

/// Why a conversation ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// What was sent is no frame.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A word at the wrong time.
    #[error("it said {0:?}, which has no place there")]
    Word(Control),
    /// Data before the start.
    #[error("it sent data before it began")]
    Early,
    /// Something else than dnstap.
    #[error("it has no dnstap")]
    Content,
    /// Silence.
    #[error("it has not begun within {BEGIN_MAX:?}")]
    Silent,
    /// The connection.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Broken {
    /// Whether it speaks another language.
    pub(super) fn is_refusal(&self) -> bool {
        !matches!(self, Self::Io(_))
    }
}

/// How far a conversation is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was said.
    New,
    /// It has what we take.
    Agreed,
    /// It tells. `true`: it waits for a word at the end.
    Telling(bool),
    /// It has told everything.
    Told,
}

struct Conversation<'a> {
    stream: Box<dyn Stream>,
    config: &'a IntakeConfig,
    cells: &'a IntakeCells,
    around: &'a Around,
    stage: Stage,
    pairs: Pairs,
    /// The second in which messages are counted, and how many came in it.
    second: (u64, u32),
}

/// Hears a sender to its end, or until told to stop.
pub(super) async fn hear(
    stream: Box<dyn Stream>,
    config: &IntakeConfig,
    cells: &IntakeCells,
    around: &Around,
    stop: &CancellationToken,
) -> Result<(), Broken> {
    let (stage, pairs) = (Stage::New, Pairs::default());
    let mut conversation = Conversation { stream, config, cells, around, stage, pairs, second: (0, 0) };
    let heard = conversation.hear(stop).await;
    // Whatever ended it: what was told is not lost.
    conversation.give_up(None);
    heard
}

impl Conversation<'_> {
    async fn hear(&mut self, stop: &CancellationToken) -> Result<(), Broken> {
        let began = Instant::now();
        let mut octets = Vec::with_capacity(PIECE);
        while self.stage != Stage::Told {
            let is_begun = matches!(self.stage, Stage::Telling(_));
            let wakes = self.pairs.next().map(|at| Instant::now() + at.since(self.now()));
            let wakes = if is_begun { wakes } else { Some(began + BEGIN_MAX) };
            octets.reserve(PIECE);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep_until(wakes.unwrap_or(began)), if wakes.is_some() => {
                    if !is_begun {
                        return Err(Broken::Silent);
                    }
                }
                read = self.stream.read_buf(&mut octets) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    self.take(&mut octets).await?;
                }
            }
            self.give_up(Some(self.now()));
        }
        Ok(())
    }

    /// Takes every frame that is there as a whole.
    async fn take(&mut self, octets: &mut Vec<u8>) -> Result<(), Broken> {
        let mut taken = 0;
        while let Some((frame, length)) = read_frame(&octets[taken..])? {
            taken += length;
            match frame {
                Frame::Control(control, types) => self.word(control, &types).await?,
                Frame::Data(_early) if !matches!(self.stage, Stage::Telling(_)) => return Err(Broken::Early),
                Frame::Data(data) => {
                    let outcome = self.message(data);
                    self.cells.ended(outcome).inc();
                }
            }
        }
        octets.drain(..taken);
        Ok(())
    }

    async fn word(&mut self, control: Control, types: &[&[u8]]) -> Result<(), Broken> {
        let has_dnstap = || if types.contains(&CONTENT_TYPE) { Ok(()) } else { Err(Broken::Content) };
        self.stage = match (self.stage, control) {
            (Stage::New, Control::Ready) => {
                has_dnstap()?;
                self.say(Control::Accept).await?;
                Stage::Agreed
            }
            (Stage::New | Stage::Agreed, Control::Start) => {
                has_dnstap()?;
                Stage::Telling(self.stage == Stage::Agreed)
            }
            (Stage::Telling(waits), Control::Stop) => {
                if waits {
                    self.say(Control::Finish).await?;
                }
                Stage::Told
            }
            _ => return Err(Broken::Word(control)),
        };
        Ok(())
    }

    async fn say(&mut self, control: Control) -> Result<(), Broken> {
        let mut octets = Vec::new();
        write_control(control, &mut octets);
        let said = timeout(SAY_MAX, self.stream.write_all(&octets)).await;
        Ok(said.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))?)
    }

    /// What becomes of one message.
    fn message(&mut self, data: &[u8]) -> IntakeOutcome {
        let now = self.around.clock.now();
        if self.is_too_many(now.mono) {
            return IntakeOutcome::Limited;
        }
        let message = match Message::read(data, now.wall) {
            Ok(Some(message)) => message,
            Ok(None) => return IntakeOutcome::PassedOver,
            Err(_malformed) => return IntakeOutcome::Malformed,
        };
        let Message { asked, key, said } = message;
        if let Said::Answered(did) = said {
            match self.pairs.answered(&key) {
                Taken::Waited(asked) => {
                    self.around.guard.record_foreign(&foreign(&asked), did);
                    return IntakeOutcome::Paired;
                }
                Taken::Recorded => return IntakeOutcome::Paired,
                Taken::Unknown => (),
            }
        }
        match (self.around.guard.is_foreign_attempt(&foreign(&asked)), said) {
            (None, _) => return IntakeOutcome::Unready,
            (Some(false), _) => return IntakeOutcome::Clean,
            (Some(true), Said::Asked) => {
                // One that there is no room for any more was not answered for longest.
                for unanswered in self.pairs.asked(key, asked, now.mono) {
                    self.around.guard.record_foreign(&foreign(&unanswered), Did::Observe);
                }
            }
            (Some(true), Said::Answered(did) | Said::Done(did)) => {
                self.around.guard.record_foreign(&foreign(&asked), did);
            }
        }
        IntakeOutcome::Attempt
    }

    /// Records what has waited long enough for its response; `None`: all.
    fn give_up(&mut self, now: Option<Mono>) {
        for unanswered in self.pairs.overdue(now) {
            self.around.guard.record_foreign(&foreign(&unanswered), Did::Observe);
        }
    }

    fn is_too_many(&mut self, now: Mono) -> bool {
        let second = now.0 / 1_000_000;
        if self.second.0 != second {
            self.second = (second, 0);
        }
        self.second.1 = self.second.1.saturating_add(1);
        self.second.1 > self.config.messages_per_second_max
    }

    fn now(&self) -> Mono {
        self.around.clock.now().mono
    }
}

fn foreign(asked: &Told) -> Foreign<'_> {
    let Told { at, client, name, qtype, transport } = asked;
    Foreign { at: *at, client: *client, name, qtype: *qtype, transport: *transport }
}

/// What tells a query from others that wait, made of its parts.
impl Key {
    pub(super) fn of(told: &Told, port: Option<u16>, id: u16) -> Self {
        Self { client: told.client, port, id, qtype: told.qtype, name: told.name.wire().into() }
    }
}
