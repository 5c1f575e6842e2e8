//! What an error of a socket means for whoever reads it.

use std::io;

/// What an error of accepting a connection says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptFault {
    /// The connection is gone: its client's affair, and no reason to stop listening.
    Connection,
    /// Something is used up, file descriptors most likely.
    Shortage,
    /// The socket will never accept again.
    Socket,
}

impl AcceptFault {
    /// What `error` says. Errors of the network that `accept` passes on speak of a connection that waited (accept(2)).
    pub fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP | libc::EFAULT) => Self::Socket,
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Self::Shortage,
            _ => Self::Connection,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_that_never_accepts_again_is_dead() {
        let check = |code, expected| {
            assert_eq!(AcceptFault::of(&io::Error::from_raw_os_error(code)), expected, "{code}");
        };
        check(libc::ECONNABORTED, AcceptFault::Connection);
        check(libc::EPROTO, AcceptFault::Connection);
        check(libc::EHOSTUNREACH, AcceptFault::Connection);
        check(libc::EINTR, AcceptFault::Connection);
        check(libc::EMFILE, AcceptFault::Shortage);
        check(libc::ENFILE, AcceptFault::Shortage);
        check(libc::EINVAL, AcceptFault::Socket);
        check(libc::EBADF, AcceptFault::Socket);
    }
}
