//! What was given to a stream and is still with us.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Octets that were written to a connected stream and that the other side's system has not taken yet (`SIOCOUTQ`, tcp(7), unix(7)).
///
/// # Errors
/// The system's: it is no such socket.
#[expect(unsafe_code, reason = "no safe crate asks for it")]
pub fn unsent(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut octets: libc::c_int = 0;
    // SAFETY: the descriptor is open as long as it is borrowed, and TIOCOUTQ, which is SIOCOUTQ, writes one int.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut octets) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(octets).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_a_full_receiver_has_not_taken_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut other, _address) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(octets) = stream.write(&[0; 4096]) {
            sent += octets;
        }
        assert!(unsent(stream.as_fd()).unwrap() > 0);
        other.read_exact(&mut vec![0; sent]).unwrap();
        while unsent(stream.as_fd()).unwrap() > 0 {
            std::thread::yield_now();
        }
    }
}
