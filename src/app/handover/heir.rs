//! The old side: giving the sockets away, and serving on until their new reader says that it reads.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;

use super::{Offer, PROTOCOL, Word};
use crate::app::control::Asking;
use crate::serve::Carried;
use crate::socket::{PASSED_AT_ONCE, Passing};

/// The new one may take this long to read its lists.
const PREPARATION: Duration = Duration::from_secs(300);
/// The new one takes what it is sent within this, or it is not there any more.
const PATIENCE: Duration = Duration::from_secs(2);

/// A process that reads our sockets now.
#[derive(Debug)]
pub(in crate::app) struct Heir {
    passing: Passing,
    pid: Option<u32>,
}

/// Offers `sockets` to each process that asks, one after the other, and tells of the first that reads them.
pub(in crate::app) async fn successions(
    mut asking: mpsc::Receiver<Asking>,
    sockets: Arc<Vec<OwnedFd>>,
    heirs: mpsc::Sender<Heir>,
) {
    while let Some(asks) = asking.recv().await {
        let offered = Arc::clone(&sockets);
        let heir = tokio::task::spawn_blocking(move || Heir::offer(asks, &offered)).await;
        match heir.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            // Nobody listens when the server is stopping by itself.
            Ok(heir) => return drop(heirs.send(heir).await),
            Err(error) => tracing::warn!(%error, "A process that was to take over did not; this one serves on."),
        }
    }
}

impl Heir {
    /// Gives the sockets to whoever asked, and waits until they are read. Blocks.
    fn offer(Asking { stream, pid }: Asking, sockets: &[OwnedFd]) -> io::Result<Self> {
        tracing::info!(pid, "Another process asks for the sockets, to take over.");
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_read_timeout(Some(PREPARATION))?;
        let mut passing = Passing::new(stream);
        let offer = Offer {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            sockets: sockets.len(),
        };
        passing.send(&json!({ "done": offer }).to_string(), &[])?;
        for some in sockets.chunks(PASSED_AT_ONCE) {
            let some: Vec<BorrowedFd<'_>> = some.iter().map(AsFd::as_fd).collect();
            passing.send(&Word::Sockets(some.len()).line()?, &some)?;
        }
        let line = passing.line()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        match serde_json::from_str(&line)? {
            Word::Reading => Ok(Self { passing, pid }),
            word => Err(io::Error::new(io::ErrorKind::InvalidData, format!("it said {word:?}"))),
        }
    }

    /// Its process id, where the system says it.
    pub(in crate::app) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Says that commands and scrapes are its own from now on.
    pub(in crate::app) fn stopped(&self) {
        self.say(&Word::Stopped, &[]);
    }

    /// Gives it a TCP connection. It takes some microseconds: what it is written to has room for hundreds.
    pub(in crate::app) fn carry(&self, carried: Carried) {
        let Carried { stream, client, unread } = carried;
        self.say(&Word::Connection { client, unread }, &[stream.as_fd()]);
    }

    /// Says that the record and the cache are written.
    pub(in crate::app) fn ended(&self) {
        self.say(&Word::Ended, &[]);
    }

    fn say(&self, word: &Word, descriptors: &[BorrowedFd<'_>]) {
        let said = word.line().and_then(|line| self.passing.send(&line, descriptors));
        if let Err(error) = said {
            tracing::warn!(%error, "The process that takes over could not be told.");
        }
    }
}
