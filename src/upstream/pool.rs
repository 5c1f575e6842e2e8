//! The connections of one upstream that questions share: one as long as it has room, several when many questions are open,
//! none that has been idle for too long. Knows nothing of how a connection is made.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many connections there are, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Questions open on one connection before another one is made.
    pub(super) questions: usize,
    /// Connections at once. When all have as many questions as they should, the least loaded takes more.
    pub(super) connections: usize,
    /// A connection that nobody has used for so long is not trusted to be alive (RFC 7766 §6.2.3).
    pub(super) idle: Duration,
    /// After a failure to connect, whoever asks within this time gets the same failure.
    pub(super) pause: Duration,
}

/// Connections, each perhaps still being made. `C` is what those who share one hold of it.
#[derive(Debug)]
pub(super) struct Pool<C> {
    limits: Limits,
    held: Mutex<Held<C>>,
}

#[derive(Debug)]
struct Held<C> {
    connections: Vec<Connection<C>>,
    /// Tells a connection from all others.
    next: u64,
}

#[derive(Debug)]
struct Connection<C> {
    number: u64,
    shared: C,
    questions: usize,
    last_used: Instant,
    /// When it turned out that it can't be made.
    failed: Option<Instant>,
}

/// One question's share of a connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Taken<'p, C: Clone> {
    pool: &'p Pool<C>,
    number: u64,
    /// The connection.
    pub(super) shared: C,
}

impl<C: Clone> Pool<C> {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, held: Mutex::new(Held { connections: Vec::new(), next: 0 }) }
    }

    /// A share of the connection that should take the next question; of one that `connect` begins to make if need be.
    pub(super) fn take(&self, now: Instant, connect: impl FnOnce() -> C) -> Taken<'_, C> {
        let mut held = self.held();
        held.connections.retain(|connection| !connection.is_over(now, &self.limits));
        let Held { connections, next } = &mut *held;
        let index = self.choose(connections).unwrap_or_else(|| {
            let number = *next;
            *next += 1;
            connections.push(Connection { number, shared: connect(), questions: 0, last_used: now, failed: None });
            connections.len() - 1
        });
        let connection = &mut connections[index];
        connection.questions += 1;
        connection.last_used = now;
        Taken { pool: self, number: connection.number, shared: connection.shared.clone() }
    }

    /// The oldest with room, so that few are kept in use; one that has just failed, so that not every question tries anew;
    /// none, to make another; or the least loaded.
    fn choose(&self, connections: &[Connection<C>]) -> Option<usize> {
        let usable = |connection: &&Connection<C>| connection.failed.is_none();
        let roomy = |connection: &Connection<C>| usable(&connection) && connection.questions < self.limits.questions;
        let failed = |connection: &Connection<C>| connection.failed.is_some();
        connections.iter().position(roomy).or_else(|| connections.iter().position(failed)).or_else(|| {
            let full = connections.len() >= self.limits.connections;
            let least = || (0..connections.len()).min_by_key(|&index| connections[index].questions);
            full.then(least).flatten()
        })
    }

    fn held(&self) -> MutexGuard<'_, Held<C>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves every connection to those who have a share in it; the next question makes a new one.
    pub(super) fn forget_all(&self) {
        self.held().connections.clear();
    }
}

impl<C: Clone> Taken<'_, C> {
    /// Leaves the connection to those who have a share in it already.
    pub(super) fn forget(&self) {
        self.pool.held().connections.retain(|connection| connection.number != self.number);
    }

    /// The connection can't be made.
    pub(super) fn failed(&self, now: Instant) {
        self.change(|connection| _ = connection.failed.get_or_insert(now));
    }

    fn change(&self, change: impl FnOnce(&mut Connection<C>)) {
        if let Some(connection) = self.pool.held().connections.iter_mut().find(|other| other.number == self.number) {
            change(connection);
        }
    }
}

impl<C: Clone> Drop for Taken<'_, C> {
    fn drop(&mut self) {
        self.change(|connection| {
            connection.questions -= 1;
            connection.last_used = Instant::now();
        });
    }
}

impl<C> Connection<C> {
    fn is_over(&self, now: Instant, limits: &Limits) -> bool {
        let idle = self.questions == 0 && now.saturating_duration_since(self.last_used) > limits.idle;
        idle || self.failed.is_some_and(|failed| now.saturating_duration_since(failed) >= limits.pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { questions: 2, connections: 3, idle: Duration::from_secs(10), pause: Duration::from_secs(1) };

    fn pool() -> Pool<u32> {
        Pool::new(LIMITS)
    }

    /// Takes a share, of a connection of this number if one is made.
    fn take(pool: &Pool<u32>, number: u32) -> Taken<'_, u32> {
        pool.take(Instant::now(), || number)
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_serves_while_it_has_room_and_the_oldest_is_filled_first() {
        let pool = pool();
        let shares: Vec<_> = (0..4).map(|number| take(&pool, number)).collect();
        assert_eq!(shares.iter().map(|taken| taken.shared).collect::<Vec<_>>(), [0, 0, 2, 2]);
        drop(shares);
        let shares: Vec<_> = (4..7).map(|number| take(&pool, number)).collect();
        assert_eq!(shares.iter().map(|taken| taken.shared).collect::<Vec<_>>(), [0, 0, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn connections_are_bounded_and_the_least_loaded_takes_more() {
        let pool = pool();
        let shares: Vec<_> = (0..9).map(|number| take(&pool, number)).collect();
        assert_eq!(shares.iter().map(|taken| taken.shared).collect::<Vec<_>>(), [0, 0, 2, 2, 4, 4, 0, 2, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_not_trusted_but_one_that_is_waited_on_is_not_idle() {
        let pool = pool();
        drop(take(&pool, 1));
        tokio::time::advance(Duration::from_secs(10)).await;
        let waiting = take(&pool, 2);
        assert_eq!(waiting.shared, 1);
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(take(&pool, 3).shared, 1);
        drop(waiting);
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(take(&pool, 4).shared, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_for_a_moment_and_then_tried_again() {
        let pool = pool();
        take(&pool, 1).failed(Instant::now());
        tokio::time::advance(Duration::from_millis(999)).await;
        assert_eq!(take(&pool, 2).shared, 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(take(&pool, 3).shared, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_forgotten_connection_is_taken_by_nobody_and_its_shares_count_nowhere() {
        let pool = pool();
        let share = take(&pool, 1);
        share.forget();
        let other = take(&pool, 2);
        assert_eq!(other.shared, 2);
        drop(share);
        for number in 3..6 {
            assert_eq!(take(&pool, number).shared, 2);
        }
        pool.forget_all();
        assert_eq!(take(&pool, 6).shared, 6);
    }
}
