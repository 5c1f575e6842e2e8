//! The sockets at which others tell what they were asked.

use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use super::config::{IntakeDoor, Owner};
use crate::socket;

/// A connection to a sender.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A socket that listens.
pub(super) enum Listener {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
}

impl Listener {
    /// Listens at this door.
    pub(super) fn open(door: &IntakeDoor) -> io::Result<Self> {
        match door {
            IntakeDoor::Unix { path, mode, owner } => {
                let listener = unix(path, *mode, *owner)?;
                listener.set_nonblocking(true)?;
                Ok(Self::Unix(UnixListener::from_std(listener)?, path.clone()))
            }
            IntakeDoor::Tcp { address, .. } => {
                let listener = socket::tcp(*address)?;
                listener.set_nonblocking(true)?;
                Ok(Self::Tcp(TcpListener::from_std(listener)?))
            }
        }
    }

    /// The next who connects; from where, if that is not this host alone.
    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Stream>, Option<IpAddr>)> {
        match self {
            Self::Unix(listener, _path) => {
                let (stream, _unnamed) = listener.accept().await?;
                Ok((Box::new(stream), None))
            }
            Self::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                Ok((Box::new(stream), Some(from.ip().to_canonical())))
            }
        }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Unix(..) => None,
            Self::Tcp(listener) => listener.local_addr().ok(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_listener, path) = self {
            fs::remove_file(path).unwrap_or_default();
        }
    }
}

/// Makes a socket of this name in place of one that nobody listens at any more. It has the name once it has its owner and mode:
/// nobody can connect who may not.
fn unix(path: &Path, mode: u32, owner: Owner) -> io::Result<StdListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else than a socket has this name"));
        }
        Ok(_socket) if StdStream::connect(path).is_ok() => return Err(io::ErrorKind::AddrInUse.into()),
        Ok(_left) => (),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (),
        Err(error) => return Err(error),
    }
    let mut beside = path.to_path_buf().into_os_string();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _gone => (),
    }
    let listener = StdListener::bind(&beside)?;
    let finished = fs::set_permissions(&beside, Permissions::from_mode(mode))
        .and_then(|()| chown(&beside, owner.user, owner.group))
        .and_then(|()| fs::rename(&beside, path));
    if let Err(error) = finished {
        fs::remove_file(&beside).unwrap_or_default();
        return Err(error);
    }
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, mode: u32) -> io::Result<Listener> {
        Listener::open(&IntakeDoor::Unix { path: path.to_owned(), mode, owner: Owner::default() })
    }

    #[tokio::test]
    async fn a_socket_has_its_mode_takes_the_place_of_one_that_is_dead_and_goes_with_its_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tap.sock");
        drop(StdListener::bind(&path).unwrap());
        assert!(path.exists());
        let listener = open(&path, 0o620).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o620);
        assert!(StdStream::connect(&path).is_ok());
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_another_has_is_left_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tap.sock");
        let other = StdListener::bind(&path).unwrap();
        assert_eq!(open(&path, 0o600).err().unwrap().kind(), io::ErrorKind::AddrInUse);
        drop(other);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a file").unwrap();
        assert_eq!(open(&path, 0o600).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
    }
}
