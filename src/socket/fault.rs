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

/// Whether an error of reading a UDP socket says that it will never be read again. All others are of the network or of a
/// client, and pass.
pub fn is_dead(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP | libc::ENOTCONN | libc::EFAULT)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_udp_socket_outlives_whatever_a_client_or_the_network_does() {
        let dead = |code| is_dead(&io::Error::from_raw_os_error(code));
        assert!([libc::EBADF, libc::ENOTSOCK, libc::ENOTCONN].into_iter().all(dead));
        let passing = [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ENETDOWN, libc::EAGAIN, libc::EINTR, libc::ENOMEM];
        assert!(!passing.into_iter().any(dead));
    }

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
