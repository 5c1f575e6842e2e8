//! Waiting for several sockets at once.

use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// Sockets that one call reports at most; the others are reported by the next.
const EVENTS_MAX: usize = 64;

/// Sockets that are watched for something to read. One that still holds something is reported again (level-triggered).
pub struct Readiness {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Readiness {
    /// Watches nothing yet. Takes one file descriptor.
    ///
    /// # Errors
    /// The operating system's: no file descriptor is left.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Watches a socket, known as `key` from now on, until it is closed.
    ///
    /// # Errors
    /// The operating system's: it is watched already, or too much is watched.
    pub fn watch(&self, socket: &UdpSocket, key: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(key), EventFlags::IN)?)
    }

    /// Waits until a socket has something to read, an error included, or `at_most` has passed, in whole milliseconds
    /// rounded up; says which. A signal ends the wait as time does.
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait(&mut self, at_most: Duration, mut readable: impl FnMut(u64)) -> io::Result<()> {
        let whole = u64::try_from(at_most.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let whole = whole.min(u64::from(u32::MAX >> 1));
        let timeout = Timespec::try_from(Duration::from_millis(whole)).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_count) => (),
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        // By value: on x86-64 the kernel's event is packed, so a reference into it may not be aligned.
        self.events.iter().for_each(|event| readable({ event.data }.u64()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(5);

    #[test]
    fn the_socket_that_has_something_is_named_until_it_is_read() {
        let (first, second) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut readiness = Readiness::new().unwrap();
        readiness.watch(&first, 1).unwrap();
        readiness.watch(&second, 2).unwrap();
        first.send_to(b"x", second.local_addr().unwrap()).unwrap();
        for _twice in 0..2 {
            let mut named = Vec::new();
            readiness.wait(LONG, |key| named.push(key)).unwrap();
            assert_eq!(named, [2]);
        }
        second.recv(&mut [0; 4]).unwrap();
        readiness.wait(Duration::ZERO, |key| panic!("{key}")).unwrap();
        second.send_to(b"y", first.local_addr().unwrap()).unwrap();
        drop(second);
        let mut named = Vec::new();
        readiness.wait(LONG, |key| named.push(key)).unwrap();
        assert_eq!(named, [1]);
    }
}
