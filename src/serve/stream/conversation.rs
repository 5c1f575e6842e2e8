//! One connection: reads, answers and writes until either side has enough. What carries it is whatever has two halves.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::metrics::{DropReason, Ledger};
use crate::serve::client::Client;
use crate::serve::door::{Begun, Door};
use crate::serve::ending::{Ending, Sent};
use crate::serve::next::Next;
use crate::serve::room::Permit;
use crate::transfer::{Outgoing, Pieces};

use super::StreamConfig;
use super::frame::{Frames, append};
use super::places::Place;

/// Responses that wait for a client to take them; with more, its queries are not read.
const UNTAKEN_MAX: usize = 4;

/// When the door stops, the rest of a query that has begun to come is waited for this long.
const HALF_READ: Duration = Duration::from_millis(200);

/// A zone must be taken within this, however slowly its messages are.
const TRANSFER_MAX: Duration = Duration::from_secs(600);

/// One response on its way to the connection's writer.
struct Ready {
    /// Its first message; most have no other.
    message: Vec<u8>,
    /// The messages of a zone behind it.
    more: Option<Pieces>,
    /// How it is counted once it is taken.
    sent: Sent,
    /// Its right to be there.
    _permit: Option<Permit>,
}

/// What reading a connection needs.
struct Conversation<'c, N> {
    door: &'c Arc<Door<N>>,
    client: Client,
    config: &'c StreamConfig,
    place: &'c Place,
    /// Cancelled when nothing more is to be read.
    hang_up: CancellationToken,
}

/// Leads a conversation, of which octets may have been read before, to its end. If the door stops first, every query read gets
/// its answer, the connection stays open, and what was read of the next query is returned. Dropped before, what was not answered
/// yet is counted by its ledger.
pub(super) async fn converse<N: Next>(
    door: &Arc<Door<N>>,
    begun: &[u8],
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    client: Client,
    config: &StreamConfig,
    place: &Place,
) -> Option<Vec<u8>> {
    // Told to a client that asks (RFC 7828), over TCP as over TLS.
    let client = client.with_idle(config.idle);
    let conversation = Conversation { door, client, config, place, hang_up: CancellationToken::new() };
    let mut frames = Frames::begun(reader, begun);
    let (sender, receiver) = mpsc::channel(UNTAKEN_MAX);
    // Queries still open hold senders of their own: the writer ends after the last of them.
    let (stopped, taken) = tokio::join!(conversation.read(&mut frames, sender), conversation.write(writer, receiver));
    if stopped && taken && !conversation.hang_up.is_cancelled() {
        return Some(frames.unread().to_vec());
    }
    shut_down(writer, config.slow).await;
    None
}

/// Says goodbye. That may be more than the operating system's, and a client may not take that either.
pub(super) async fn shut_down(writer: &mut (impl AsyncWrite + Unpin), slow: Duration) {
    let _best_effort = tokio::time::timeout(slow, writer.shutdown()).await;
}

impl<N: Next> Conversation<'_, N> {
    /// Reads queries. What needs no waiting is answered before the next one is read, so a client that takes no answers is soon
    /// not read any more and costs no memory; what has to wait goes on in a task of its own and overtakes nothing.
    /// Says whether it ended because the door stopped.
    async fn read(&self, frames: &mut Frames<impl AsyncRead + Unpin>, sender: mpsc::Sender<Ready>) -> bool {
        let Self { door, client, config, place, hang_up } = self;
        let open = Arc::new(Semaphore::new(config.queries_in_flight_max));
        loop {
            // Closed only ever by this function's caller going away, so this can't fail; to stop reading is right if it does.
            let Ok(slot) = Arc::clone(&open).acquire_owned().await else { return false };
            // While answers are open, the client may well be waiting for them in silence.
            let idle = open.available_permits() + 1 == config.queries_in_flight_max;
            let patience = if idle { config.idle } else { config.idle.max(config.slow) };
            let begins = tokio::select! {
                biased;
                () = hang_up.cancelled() => false,
                // Queries that came together were read together: those have to be answered.
                () = door.stop.cancelled(), if !frames.has_whole() => return true,
                begins = frames.begins(patience) => begins,
            };
            if !begins {
                return false;
            }
            let message = tokio::select! {
                biased;
                () = hang_up.cancelled() => None,
                () = late(door) => return frames.holds_all(),
                message = frames.message(config.slow) => message,
            };
            let Some(message) = message else { return false };
            let owed = place.owe();
            let mut ledger = door.opened(client);
            let (unanswered, permit) = match door.at_once_or_permit(&message, client, &mut ledger) {
                Begun::Ended(ending) => {
                    drop(owed);
                    let kept = door.keep_for(ending, &message, client);
                    hand_over(kept, ledger, &sender, hang_up).await;
                    continue;
                }
                Begun::Waits(unanswered, permit) => (unanswered, permit),
            };
            let (owner, client, sender, hang_up) = (Arc::clone(door), *client, sender.clone(), hang_up.clone());
            door.tasks.spawn(async move {
                let ending = owner.carry(&message, &unanswered).await;
                // The answer is there: that its client may be slow to take it is no reason to keep others from asking.
                drop((permit, owed));
                let kept = owner.keep_for(ending, &message, &client);
                hand_over(kept, ledger, &sender, &hang_up).await;
                drop(slot);
            });
        }
    }

    /// Writes responses, those that are ready at the same time together. Says whether the client took them all.
    async fn write(&self, writer: &mut (impl AsyncWrite + Unpin), mut receiver: mpsc::Receiver<Ready>) -> bool {
        let mut ready = Vec::with_capacity(UNTAKEN_MAX);
        while receiver.recv_many(&mut ready, UNTAKEN_MAX).await > 0 {
            while !ready.is_empty() {
                // Up to the first that has more to it.
                let whole = ready.iter().position(|ready| ready.more.is_some()).map_or(ready.len(), |at| at + 1);
                let slow = self.config.slow;
                let mut taken = write_all(writer, ready[..whole].iter().map(|ready| &*ready.message), slow).await;
                if let Some(more) = ready[whole - 1].more.take().filter(|_more| taken) {
                    taken = write_zone(writer, more, slow).await;
                }
                let now = self.door.now().mono;
                for Ready { sent, .. } in ready.drain(..whole) {
                    sent.end(if taken { Ok(now) } else { Err(DropReason::ClientGone) });
                }
                if !taken {
                    self.hang_up.cancel();
                    return false;
                }
            }
        }
        true
    }
}

/// Returns when what has begun to be read is to be waited for no longer.
async fn late<N: Next>(door: &Door<N>) {
    door.stop.cancelled().await;
    tokio::time::sleep(HALF_READ).await;
}

/// Gives a response to the connection's writer, or ends the message without one.
async fn hand_over(
    (ending, permit): (Ending, Option<Permit>),
    ledger: Ledger,
    sender: &mpsc::Sender<Ready>,
    hang_up: &CancellationToken,
) {
    // To drop one answer of a stream is to leave its client guessing, so the stream is closed.
    if ending == Ending::Silence(DropReason::PolicyDrop) {
        hang_up.cancel();
    }
    let ready = match ending {
        Ending::Transfer(outgoing) => match begun(outgoing).await {
            Some((message, more)) => {
                Some(Ready { message, more: Some(more), sent: Sent::own(ledger), _permit: permit })
            }
            None => return hang_up.cancel(),
        },
        ending => {
            ending.into_response(ledger).map(|(message, sent)| Ready { message, more: None, sent, _permit: permit })
        }
    };
    if let Some(ready) = ready {
        // The writer may be gone: the ledger goes with the response and counts the client as gone.
        let _gone = sender.send(ready).await;
    }
}

/// The first message of a zone, and those behind it. `None`: it can't be read, which its secondary is to take for a cut.
async fn begun(outgoing: Outgoing) -> Option<(Vec<u8>, Pieces)> {
    let mut pieces = outgoing.begin().ok()?;
    Some((pieces.next().await?, pieces))
}

/// Whether the client has taken a zone to its end: one that was cut must not be taken for whole.
async fn write_zone(writer: &mut (impl AsyncWrite + Unpin), mut pieces: Pieces, slow: Duration) -> bool {
    let whole = tokio::time::timeout(TRANSFER_MAX, async {
        while let Some(message) = pieces.next().await {
            if !write_all(writer, [&*message].into_iter(), slow).await {
                return false;
            }
        }
        pieces.taken()
    });
    whole.await.unwrap_or(false)
}

/// Whether the client has taken these responses in time. Length and message go together (RFC 7766 §8).
async fn write_all<'m>(
    writer: &mut (impl AsyncWrite + Unpin),
    messages: impl Iterator<Item = &'m [u8]> + Clone,
    slow: Duration,
) -> bool {
    let mut octets = Vec::with_capacity(messages.clone().map(|message| message.len() + 2).sum());
    messages.for_each(|message| append(&mut octets, message));
    let written = tokio::time::timeout(slow, async {
        writer.write_all(&octets).await?;
        writer.flush().await
    });
    matches!(written.await, Ok(Ok(())))
}
