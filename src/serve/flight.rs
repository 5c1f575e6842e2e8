//! Single flight: equal questions that are open at the same time are asked once.

use std::future::Future;
use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;

/// Open questions, each with those that wait for its answer. The exchange runs in a task of its own and goes on when
/// those who wait have gone, so that a slow answer still reaches the cache.
#[derive(Debug)]
pub(super) struct Flights<K: Eq + Hash, V> {
    open: Arc<DashMap<K, watch::Receiver<Option<V>>>>,
    max: usize,
    joinable: Duration,
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Flights<K, V> {
    /// At most `max` questions are open at a time. One that has been open for `joinable` goes on, but is joined no more:
    /// its exchange may be waiting for a query that was lost, and an upstream that is back must be asked again.
    pub(super) fn new(max: usize, joinable: Duration) -> Self {
        Self { open: Arc::new(DashMap::new()), max, joinable }
    }

    /// Waits for the answer to `key`, asking with `exchange` if nobody does so yet. `None`: too many are open, or the
    /// exchange died.
    pub(super) async fn join<F>(&self, key: K, exchange: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let full = self.open.len() >= self.max;
        let mut answer = match self.open.entry(key.clone()) {
            Entry::Occupied(open) => open.get().clone(),
            Entry::Vacant(_) if full => return None,
            Entry::Vacant(vacant) => {
                let (sender, receiver) = watch::channel(None);
                vacant.insert(receiver.clone());
                let landing = Landing { open: Arc::clone(&self.open), key };
                let (exchange, joinable) = (exchange(), self.joinable);
                tokio::spawn(async move {
                    let mut exchange = pin!(exchange);
                    let early = tokio::time::timeout(joinable, &mut exchange).await;
                    // Closed before it is told: whoever comes now finds the answer in the cache.
                    drop(landing);
                    let value = match early {
                        Ok(value) => value,
                        Err(_late) => exchange.await,
                    };
                    sender.send_replace(Some(value));
                });
                receiver
            }
        };
        let told = answer.wait_for(Option::is_some).await.ok()?;
        told.clone()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.open.len()
    }
}

/// Closes a question also when its exchange panics or is aborted, or nobody could ever ask it again.
struct Landing<K: Eq + Hash, V> {
    open: Arc<DashMap<K, watch::Receiver<Option<V>>>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.open.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn equal_questions_are_asked_once() {
        let flights = Arc::new(Flights::<u8, usize>::new(8, LONG));
        let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let mut waiting = Vec::new();
        for _ in 0..5 {
            let (flights, asked, gate) = (Arc::clone(&flights), Arc::clone(&asked), Arc::clone(&gate));
            waiting.push(tokio::spawn(async move {
                let exchange = move || async move {
                    let _open = gate.acquire().await;
                    asked.fetch_add(1, Ordering::SeqCst) + 1
                };
                flights.join(7, exchange).await
            }));
        }
        tokio::task::yield_now().await;
        gate.add_permits(5);
        for one in waiting {
            assert_eq!(one.await.unwrap(), Some(1));
        }
        assert_eq!((asked.load(Ordering::SeqCst), flights.len()), (1, 0));
    }

    #[tokio::test]
    async fn a_panic_in_the_exchange_closes_the_question() {
        let flights = Flights::<u8, u8>::new(8, LONG);
        let none = flights.join(1, || async { std::panic::resume_unwind(Box::new("fault")) }).await;
        assert_eq!((none, flights.len()), (None, 0));
        assert_eq!(flights.join(1, || async { 2 }).await, Some(2));
    }

    #[tokio::test]
    async fn no_more_than_the_limit_is_open() {
        let flights = Arc::new(Flights::<u8, u8>::new(1, LONG));
        let first = Arc::clone(&flights);
        let (release, held) = tokio::sync::oneshot::channel::<()>();
        let waiting = tokio::spawn(async move {
            let exchange = || async move {
                let _released = held.await;
                1
            };
            first.join(1, exchange).await
        });
        while flights.len() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(flights.join(2, || async { 2 }).await, None);
        release.send(()).unwrap();
        assert_eq!(waiting.await.unwrap(), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_is_open_for_long_is_asked_anew_and_both_are_told() {
        let flights = Arc::new(Flights::<u8, u8>::new(8, Duration::from_secs(2)));
        let first = Arc::clone(&flights);
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            1
        };
        let waiting = tokio::spawn(async move { first.join(7, slow).await });
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(flights.join(7, || async { 2 }).await, Some(2));
        assert_eq!((waiting.await.unwrap(), flights.len()), (Some(1), 0));
    }
}
