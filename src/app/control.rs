//! The Unix socket `control` in the state directory: how the command line reaches a running server.
//!
//! One request is one line of JSON, and so is its answer; then the connection is closed. The socket belongs to its owner
//! alone (mode 0600 in a directory of mode 0700), so who can open it may use it.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::audit::Author;
use crate::orders::Answer;

pub use crate::orders::{DeviceWord, Erasing, Exempt, Questions, Request};

/// Octets of a request at most: an exemption with the longest name and reason takes half of it.
const REQUEST_MAX: u64 = 8192;
/// Octets of an answer at most.
const ANSWER_MAX: u64 = 16 << 20;
/// A client has this long to send its request.
const PATIENCE: Duration = Duration::from_secs(5);
/// Requests answered at a time.
const OPEN_MAX: usize = 16;

/// Why a running server could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No server runs with this state directory, or it belongs to somebody else.
    #[error("no server can be reached at {path}: {source}")]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The server broke off or spoke something else.
    #[error("the server at {path} gave no answer: {why}")]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// What was wrong.
        why: String,
    },
    /// The server answered that it could not do it.
    #[error("{0}")]
    Refused(String),
    /// The server answered that what was asked for can't be meant.
    #[error("{0}")]
    Wrong(String),
}

/// Where the socket of a state directory is.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("control")
}

/// Asks the server that runs with `state_dir`, waiting at most `timeout`.
///
/// # Errors
/// [`ControlError`] when no server runs, it does not answer in time, or it says that it could not.
pub fn ask(state_dir: &Path, request: &Request, timeout: Duration) -> Result<Value, ControlError> {
    let path = path(state_dir);
    let no_answer = |why: String| ControlError::NoAnswer { path: path.clone(), why };
    let stream =
        BlockingStream::connect(&path).map_err(|source| ControlError::Unreachable { path: path.clone(), source })?;
    let line = exchange(stream, request, timeout).map_err(|error| no_answer(error.to_string()))?;
    match serde_json::from_str(&line).map_err(|error| no_answer(error.to_string()))? {
        Answer::Done(value) => Ok(value),
        Answer::Failed(why) => Err(ControlError::Refused(why)),
        Answer::Wrong(why) => Err(ControlError::Wrong(why)),
    }
}

fn exchange(mut stream: BlockingStream, request: &Request, timeout: Duration) -> io::Result<String> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    writeln!(stream, "{}", serde_json::to_string(request)?)?;
    let mut line = String::new();
    BufReader::new(io::Read::take(stream, ANSWER_MAX)).read_line(&mut line)?;
    Ok(line)
}

/// Whoever carries out requests.
pub(super) trait Carry: Send + Sync + 'static {
    /// Carries out one request of this author.
    fn carry(&self, request: Request, author: Author) -> impl Future<Output = Answer> + Send;

    /// Takes the connection of a process that asks to take over; gives it back if nobody can see to it.
    fn succeed(&self, asking: Asking) -> Result<(), Asking>;
}

/// A process that asks to take over.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) stream: BlockingStream,
    /// Its id, where the system says it.
    pub(super) pid: Option<u32>,
}

/// Makes the socket, in place of one that a killed server left behind.
///
/// # Errors
/// The operating system's; or that another server answers on it.
pub(super) fn bind(state_dir: &Path) -> io::Result<UnixListener> {
    let path = path(state_dir);
    if BlockingStream::connect(&path).is_ok() {
        let why = format!(
            "another server runs with the state directory {}; `embargo run --take-over` takes its place, and `--state-dir` \
             names another directory",
            state_dir.display()
        );
        return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
    }
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers requests until `stop`.
pub(super) async fn serve<C: Carry>(listener: UnixListener, carrier: Arc<C>, stop: CancellationToken) {
    let open = Arc::new(Semaphore::new(OPEN_MAX));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _unnamed)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // Beyond the limit a caller finds the connection closed and says so.
        let Ok(permit) = Arc::clone(&open).try_acquire_owned() else { continue };
        let uid = peer_uid(&stream);
        let carrier = Arc::clone(&carrier);
        tokio::spawn(async move {
            if let Err(error) = converse(stream, &*carrier, uid).await {
                tracing::debug!(%error, "A control connection broke off.");
            }
            drop(permit);
        });
    }
}

fn peer_uid(stream: &UnixStream) -> Option<u32> {
    stream.peer_cred().ok().map(|credentials| credentials.uid())
}

async fn converse<C: Carry>(stream: UnixStream, carrier: &C, uid: Option<u32>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(reader.take(REQUEST_MAX));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let answer = match serde_json::from_str(&line) {
        Ok::<Request, _>(request) => {
            // Who is to be forgotten is not to be remembered by the log.
            if matches!(request, Request::PrivacyErase(_)) {
                tracing::info!(uid, "The control socket was asked to erase what is kept of a client.");
            } else if !request.is_question() {
                tracing::info!(?request, uid, "The control socket was asked.");
            }
            if request == Request::HandOver {
                return succeed(reader.into_inner().into_inner(), writer, carrier);
            }
            carrier.carry(request, uid.into()).await
        }
        Err(error) => Answer::Failed(format!("this is no request that this server knows: {error}")),
    };
    let mut octets = serde_json::to_vec(&answer)?;
    octets.push(b'\n');
    tokio::time::timeout(PATIENCE, writer.write_all(&octets)).await?
}

/// Leaves the connection to those who hand over.
fn succeed<C: Carry>(reader: OwnedReadHalf, writer: OwnedWriteHalf, carrier: &C) -> io::Result<()> {
    let stream = reader.reunite(writer).map_err(io::Error::other)?;
    let pid = stream.peer_cred().ok().and_then(|peer| u32::try_from(peer.pid()?).ok());
    let Err(Asking { mut stream, .. }) = carrier.succeed(Asking { stream: stream.into_std()?, pid }) else {
        return Ok(());
    };
    let busy = Answer::Failed("another process is taking over already, or the server is stopping".to_owned());
    writeln!(stream, "{}", serde_json::to_string(&busy)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Carry for Echo {
        async fn carry(&self, request: Request, _author: Author) -> Answer {
            match request {
                Request::Status => Answer::Done(serde_json::json!({"asked": request})),
                _ => Answer::Failed("no".to_owned()),
            }
        }

        fn succeed(&self, asking: Asking) -> Result<(), Asking> {
            Err(asking)
        }
    }

    fn running() -> (tempfile::TempDir, CancellationToken) {
        let dir = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve(bind(dir.path()).unwrap(), Arc::new(Echo), stop.clone()));
        (dir, stop)
    }

    async fn asked(dir: &Path, request: Request) -> Result<Value, ControlError> {
        let dir = dir.to_owned();
        tokio::task::spawn_blocking(move || ask(&dir, &request, Duration::from_secs(5))).await.unwrap()
    }

    #[tokio::test]
    async fn a_request_gets_its_answer() {
        let (dir, _stop) = running();
        assert_eq!(asked(dir.path(), Request::Status).await.unwrap(), serde_json::json!({"asked": "status"}));
        assert!(matches!(asked(dir.path(), Request::Flush).await, Err(ControlError::Refused(why)) if why == "no"));
    }

    #[tokio::test]
    async fn who_asks_to_take_over_where_that_is_not_possible_is_told_so() {
        let (dir, _stop) = running();
        let refused = asked(dir.path(), Request::HandOver).await;
        assert!(matches!(refused, Err(ControlError::Refused(why)) if why.contains("another process")));
    }

    #[tokio::test]
    async fn rubbish_is_refused_and_the_server_goes_on() {
        let (dir, _stop) = running();
        let path = path(dir.path());
        let line = tokio::task::spawn_blocking(move || {
            let mut stream = BlockingStream::connect(path).unwrap();
            stream.write_all(b"{\"\xff\x1b\n").unwrap();
            let mut line = String::new();
            let _read = BufReader::new(stream).read_line(&mut line);
            line
        });
        drop(line.await);
        assert!(asked(dir.path(), Request::Status).await.is_ok());
    }

    #[tokio::test]
    async fn a_second_server_on_the_same_state_is_refused_and_a_dead_ones_socket_is_replaced() {
        let (dir, stop) = running();
        assert_eq!(bind(dir.path()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        stop.cancel();
        while BlockingStream::connect(path(dir.path())).is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(bind(dir.path()).is_ok());
    }

    #[test]
    fn no_server_is_an_error_that_names_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let error = ask(dir.path(), &Request::Status, Duration::from_secs(1)).unwrap_err().to_string();
        assert!(error.contains("control"), "{error}");
    }
}
