//! The state directory and the control socket in it, as a start finds and makes them.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use tokio::net::UnixListener;

use super::{Failure, control};
use crate::socket::Held;

/// Makes the state directory, and sees that it can be written. A disk that is full or read-only is no reason not to serve:
/// the record then stays in memory and says so.
pub(super) fn make(path: &Path) -> Result<(), Failure> {
    let probe = path.join(".writable");
    let tried = DirBuilder::new().recursive(true).mode(0o700).create(path).and_then(|()| File::create(&probe));
    drop(std::fs::remove_file(&probe));
    match tried {
        Ok(_written) => Ok(()),
        Err(error) if takes_nothing(&error) => {
            tracing::error!(path = %path.display(), %error, "The state directory can't be written; DNS goes on.");
            Ok(())
        }
        Err(error) => Err(Failure::Cannot(format!(
            "the state directory {} can't be written: {error}; name another with `--state-dir`",
            path.display()
        ))),
    }
}

/// The control socket, that of the server whose place is taken if it was handed over; or none on a disk that takes nothing:
/// then commands reach no server, and clients still do.
pub(super) fn control_socket(state_dir: &Path, held: &mut Held) -> Result<Option<UnixListener>, Failure> {
    let bound = match held.take_unix() {
        Ok(Some(handed_over)) => UnixListener::from_std(handed_over),
        Ok(None) => control::bind(state_dir),
        Err(error) => Err(error),
    };
    match bound {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if takes_nothing(&error) => {
            tracing::error!(%error, "There is no control socket: `status` and `reload` can't reach this server.");
            Ok(None)
        }
        // It says what to do by itself.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(Failure::Cannot(error.to_string())),
        Err(error) => Err(Failure::Cannot(format!(
            "can't make the control socket {}: {error}; `--state-dir` names another place (a socket's path has at most 107 octets)",
            control::path(state_dir).display()
        ))),
    }
}

/// Whether the disk is full or read-only.
fn takes_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem
    )
}
