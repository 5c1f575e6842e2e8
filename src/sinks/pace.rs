//! How often a receiver is posted to.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::config::SinkKind;

/// What the limit is of.
const MINUTE: Duration = Duration::from_secs(60);

/// The messages of the last minute; none are remembered where there is no limit.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    last: VecDeque<Instant>,
}

impl Pace {
    /// That of a sink.
    pub(super) fn of(kind: &SinkKind) -> Self {
        let most = match kind {
            SinkKind::Webhook(webhook) => webhook.per_minute_max as usize,
            SinkKind::File(_) | SinkKind::Syslog(_) | SinkKind::Dnstap(_) => 0,
        };
        Self { most, last: VecDeque::new() }
    }

    /// When the next message may go; `None`: now.
    pub(super) fn opens(&self, now: Instant) -> Option<Instant> {
        if self.most == 0 || self.last.len() < self.most {
            return None;
        }
        self.last.front().map(|first| *first + MINUTE).filter(|opens| *opens > now)
    }

    /// Counts one, taken or not.
    pub(super) fn count(&mut self, now: Instant) {
        if self.most == 0 {
            return;
        }
        if self.last.len() >= self.most {
            self.last.pop_front();
        }
        self.last.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_go_in_any_minute_and_no_more() {
        let (start, mut pace) = (Instant::now(), Pace { most: 2, last: VecDeque::new() });
        let at = |seconds| start + Duration::from_secs(seconds);
        for (seconds, opens) in [(0, None), (10, None), (20, Some(at(60))), (61, None), (62, Some(at(70))), (70, None)]
        {
            assert_eq!(pace.opens(at(seconds)), opens, "{seconds}");
            if opens.is_none() {
                pace.count(at(seconds));
            }
        }
        let mut without = Pace { most: 0, last: VecDeque::new() };
        without.count(start);
        assert_eq!((without.opens(start), without.last.len()), (None, 0));
    }
}
