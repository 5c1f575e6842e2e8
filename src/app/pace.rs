//! A limit on log lines: what repeats itself without end must not fill a disk.
//!
//! Each place in the code may write so many lines in so much time; the rest of that time it is silent. Lines left out are
//! counted like the others, in `embargo_log_messages_total`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::callsite::Identifier;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

use crate::clock::Clock;
use crate::time::Mono;

/// Lines of one place in the code in one window. A reload may tell of this many mistakes.
const LINES_MAX: u32 = 200;
/// How long a window lasts.
const WINDOW: Duration = Duration::from_secs(10);

/// Lets lines through until a place in the code has had its share.
pub(super) struct Pace {
    clock: Clock,
    /// One entry for each place that has written; there are no more than the code has.
    seen: Mutex<HashMap<Identifier, Window>>,
}

struct Window {
    began: Mono,
    lines: u32,
}

impl Pace {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, seen: Mutex::new(HashMap::new()) }
    }

    /// Whether a line from this place may be written now.
    fn admits(&self, place: Identifier) -> bool {
        let now = self.clock.now().mono;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let window = seen.entry(place).or_insert(Window { began: now, lines: 0 });
        if now.since(window.began) >= WINDOW {
            *window = Window { began: now, lines: 0 };
        }
        window.lines = window.lines.saturating_add(1);
        window.lines <= LINES_MAX
    }
}

impl<S: Subscriber> Filter<S> for Pace {
    fn enabled(&self, _metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _context: &Context<'_, S>) -> bool {
        self.admits(event.metadata().callsite())
    }
}

#[cfg(test)]
mod tests {
    use tracing::Callsite as _;

    use super::*;
    use crate::time::{Now, Timestamp};

    #[test]
    fn a_place_that_repeats_itself_is_silent_until_its_window_ends() {
        let (clock, hands) = Clock::manual(Now { wall: Timestamp::UNIX_EPOCH, mono: Mono(0) });
        let pace = Pace::new(clock);
        let line = tracing::callsite!(name: "line", kind: tracing::metadata::Kind::EVENT, fields: );
        let admitted = (0..1_000).filter(|_time| pace.admits(line.metadata().callsite())).count();
        assert_eq!(admitted, 200);
        hands.advance(WINDOW);
        assert!(pace.admits(line.metadata().callsite()));
    }
}
