//! The new side: asking for the sockets, and taking over.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Offer, PROTOCOL, Word};
use crate::app::control::{self, Request};
use crate::orders::Answer;
use crate::serve::Carried;
use crate::socket::{Held, Passing};

/// The old one answers within this, or it will not.
const PATIENCE: Duration = Duration::from_secs(5);
/// The old one is not waited for longer than this: it drains, and writes its record.
const LAST: Duration = Duration::from_secs(20);

/// A server whose sockets were given to this process, and which serves on until it is told that they are read.
#[derive(Debug)]
pub(in crate::app) struct Predecessor {
    passing: Passing,
    pid: u32,
    /// Dropped when it has ended.
    ended: mpsc::SyncSender<()>,
    /// The same for tasks.
    gone: DropGuard,
}

/// Asks the server that runs with this state directory for its sockets, and adds them to `held`. Whoever reads them is to
/// write the store only when the sender of the receiver returned is gone. `None`: there is no such server.
///
/// # Errors
/// One message: a server runs there, and does not give its sockets to this one.
pub(super) fn take_over(
    state_dir: &Path,
    held: &mut Held,
) -> Result<Option<(Predecessor, mpsc::Receiver<()>)>, String> {
    let path = control::path(state_dir);
    let stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(format!("the server at {} can't be reached: {error}", path.display())),
    };
    let (ended, end) = mpsc::sync_channel(0);
    match ask(stream, held) {
        Ok((passing, pid)) => {
            Ok(Some((Predecessor { passing, pid, ended, gone: CancellationToken::new().drop_guard() }, end)))
        }
        Err(error) => Err(format!("the server at {} does not hand over: {error}", path.display())),
    }
}

fn ask(stream: UnixStream, held: &mut Held) -> io::Result<(Passing, u32)> {
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut passing = Passing::new(stream);
    passing.send(&serde_json::to_string(&Request::HandOver)?, &[])?;
    let offer: Offer = match serde_json::from_str(&next(&mut passing)?)? {
        Answer::Done(offer) => serde_json::from_value(offer)?,
        Answer::Failed(why) | Answer::Wrong(why) => return Err(wrong(why)),
    };
    if offer.protocol != PROTOCOL {
        return Err(wrong(format!("it is Embargo {}, which hands over in another way", offer.version)));
    }
    let mut taken = 0;
    while taken < offer.sockets {
        match serde_json::from_str(&next(&mut passing)?)? {
            Word::Sockets(count) if count > 0 => {
                for _each in 0..count {
                    held.add(passing.descriptor().ok_or_else(|| wrong("a socket is missing".to_owned()))?)?;
                }
                taken += count;
            }
            word => return Err(wrong(format!("it said {word:?}"))),
        }
    }
    Ok((passing, offer.pid))
}

fn next(passing: &mut Passing) -> io::Result<String> {
    passing.line()?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

impl Predecessor {
    /// Cancelled when it has ended: all that it has to write is written.
    pub(in crate::app) fn gone(&self) -> CancellationToken {
        self.gone.token().clone()
    }

    /// Says that the sockets are read here, and goes on with its connections until it ends, on a thread of its own. Returns
    /// when it answers no command and no scrape any more, or is gone.
    pub(in crate::app) async fn replace(self, adopt: impl Fn(Carried) -> io::Result<()> + Send + 'static) {
        let (stopped, stop) = oneshot::channel();
        let thread = std::thread::Builder::new().name("hand-over".to_owned());
        let pid = self.pid;
        let followed = thread.spawn(move || {
            if let Err(error) = self.follow(stopped, &adopt) {
                tracing::warn!(%error, pid, "The server whose place was taken broke off.");
            }
        });
        match followed {
            // Dropped: it is gone.
            Ok(_thread) => drop(stop.await),
            Err(error) => tracing::error!(%error, "There is no thread to take over with."),
        }
    }

    fn follow(mut self, stopped: oneshot::Sender<()>, adopt: &dyn Fn(Carried) -> io::Result<()>) -> io::Result<()> {
        self.passing.stream().set_read_timeout(Some(LAST))?;
        self.passing.send(&Word::Reading.line()?, &[])?;
        let mut stopped = Some(stopped);
        loop {
            match serde_json::from_str(&next(&mut self.passing)?)? {
                Word::Stopped => drop(stopped.take().map(|stopped| stopped.send(()))),
                Word::Connection { client, unread } => {
                    let Some(descriptor) = self.passing.descriptor() else { continue };
                    let carried = Carried { stream: TcpStream::from(descriptor), client, unread };
                    if let Err(error) = adopt(carried) {
                        tracing::warn!(%error, "A connection could not be gone on with.");
                    }
                }
                Word::Ended => {
                    tracing::info!(pid = self.pid, "The server whose place was taken has ended.");
                    drop(self.ended);
                    return Ok(());
                }
                word => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it said {word:?}"))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What comes of asking a server that answers so.
    fn asked(answer: impl FnOnce(Passing) + Send + 'static) -> (Result<bool, String>, Held) {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(control::path(directory.path())).unwrap();
        let server = std::thread::spawn(move || {
            let mut passing = Passing::new(listener.accept().unwrap().0);
            assert_eq!(passing.line().unwrap().as_deref(), Some("\"hand_over\""));
            answer(passing);
        });
        let mut held = Held::default();
        let found = take_over(directory.path(), &mut held).map(|found| found.is_some());
        server.join().unwrap();
        (found, held)
    }

    fn offer(protocol: u32, sockets: usize) -> String {
        let offer = Offer { protocol, version: "9.8.7".to_owned(), pid: 1, sockets };
        serde_json::json!({ "done": offer }).to_string()
    }

    #[test]
    fn sockets_that_are_offered_are_held() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (found, mut held) = asked(move |passing| {
            passing.send(&offer(PROTOCOL, 1), &[]).unwrap();
            passing.send("{\"sockets\":1}", &[listener.as_fd()]).unwrap();
        });
        assert_eq!(found, Ok(true));
        assert!(held.take_tcp(address).unwrap().is_some());
    }

    #[test]
    fn a_server_that_hands_over_in_another_way_or_not_at_all_is_named_with_its_reason() {
        let check = |answer: fn(Passing), reason: &str| {
            let said = asked(answer).0.unwrap_err();
            assert!(said.contains("/control does not hand over: ") && said.contains(reason), "{said}");
        };
        check(
            |passing| passing.send(&offer(PROTOCOL + 1, 1), &[]).unwrap(),
            "it is Embargo 9.8.7, which hands over in another",
        );
        check(|passing| passing.send("{\"failed\":\"unknown variant\"}", &[]).unwrap(), "unknown variant");
        check(drop, "unexpected end of file");
        check(
            |passing| {
                passing.send(&offer(PROTOCOL, 1), &[]).unwrap();
                passing.send("{\"sockets\":1}", &[]).unwrap();
            },
            "a socket is missing",
        );
        check(|passing| passing.stream().write_all(b"\xff\n").unwrap(), "invalid utf-8");
        check(
            |passing| {
                passing.send(&offer(PROTOCOL, 1), &[]).unwrap();
                passing.send("{\"sockets\":0}", &[]).unwrap();
            },
            "it said",
        );
    }

    #[test]
    fn where_no_server_runs_there_is_none_to_take_over_from() {
        let directory = tempfile::tempdir().unwrap();
        assert!(take_over(directory.path(), &mut Held::default()).unwrap().is_none());
        drop(UnixListener::bind(control::path(directory.path())).unwrap());
        assert!(take_over(directory.path(), &mut Held::default()).unwrap().is_none(), "a socket that was left behind");
    }
}
