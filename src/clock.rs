//! The one reader of the operating system's clocks. Everything else takes [`Now`] as a value.
//!
//! Timers (sleeping, deadlines of a socket) belong to the runtime and are not told apart here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::time::{Mono, Now, Timestamp};

/// Tells the time; a clone tells the same time.
#[derive(Clone, Debug)]
pub struct Clock(Face);

#[derive(Clone, Debug)]
enum Face {
    /// The operating system's clocks; the instant is where [`Mono`] starts.
    System(Instant),
    /// Stands still until its [`Hands`] move it.
    Manual(Arc<Mutex<Now>>),
}

/// Moves a [`Clock`] that stands still.
#[derive(Clone, Debug)]
pub struct Hands(Arc<Mutex<Now>>);

impl Clock {
    /// The operating system's clocks; [`Mono`] starts at 0 here, so a process makes one and clones it.
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the clock that all others are sent to")]
    pub fn system() -> Self {
        Self(Face::System(Instant::now()))
    }

    /// A clock that says `now` until its hands are moved.
    pub fn manual(now: Now) -> (Self, Hands) {
        let shared = Arc::new(Mutex::new(now));
        (Self(Face::Manual(Arc::clone(&shared))), Hands(shared))
    }

    /// Both clocks, read together.
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the clock that all others are sent to")]
    pub fn now(&self) -> Now {
        match &self.0 {
            Face::System(start) => {
                let mono = Mono::default().plus(Instant::now().saturating_duration_since(*start));
                Now { wall: Timestamp::now(), mono }
            }
            Face::Manual(shared) => *shared.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl Hands {
    /// Sets both clocks.
    pub fn set(&self, now: Now) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, duration: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.mono = now.mono.plus(duration);
        now.wall = now.wall.saturating_add(duration).unwrap_or(Timestamp::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_never_runs_backwards() {
        let clock = Clock::system();
        let (first, second) = (clock.now(), clock.clone().now());
        assert!(first.mono <= second.mono);
    }

    #[test]
    fn a_manual_clock_moves_only_by_its_hands() {
        let start = Now { wall: Timestamp::UNIX_EPOCH, mono: Mono(0) };
        let (clock, hands) = Clock::manual(start);
        assert_eq!(clock.now(), start);
        hands.advance(Duration::from_millis(1500));
        assert_eq!(clock.now().mono, Mono(1_500_000));
        assert_eq!(clock.now().wall.as_millisecond(), 1500);
        hands.set(start);
        assert_eq!(clock.now(), start);
    }
}
