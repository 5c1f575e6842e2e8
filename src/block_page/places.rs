//! How many connections there may be: in all, and of one client, so that one that opens many leaves room for others.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// One client has this part of all connections at most.
const PART: usize = 16;

/// The places that there are.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    /// In the order in which they were taken.
    places: BTreeMap<u64, (IpAddr, CancellationToken)>,
    by_client: HashMap<IpAddr, usize>,
}

/// The right to hold a connection.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    /// Cancelled when it has to make way.
    pub(super) way: CancellationToken,
}

impl Places {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::default() })
    }

    /// A place for a client, unless it has as many as it may have. Where all are taken, the oldest makes way: a page takes
    /// milliseconds, so it is most likely one that never says anything.
    pub(super) fn place(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let (owner, way) = (owner(client), CancellationToken::new());
        let mut held = self.lock();
        let of_client = held.by_client.get(&owner).copied().unwrap_or(0);
        if of_client >= (self.most / PART).max(1) {
            return None;
        }
        if held.places.len() >= self.most
            && let Some((_number, (oldest, way))) = held.places.pop_first()
        {
            way.cancel();
            held.leave(oldest);
        }
        let number = held.next;
        held.next += 1;
        held.places.insert(number, (owner, way.clone()));
        *held.by_client.entry(owner).or_default() += 1;
        Some(Place { places: Arc::clone(self), number, way })
    }

    /// Places that are taken.
    pub(super) fn taken(&self) -> usize {
        self.lock().places.len()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn leave(&mut self, owner: IpAddr) {
        if let Some(count) = self.by_client.get_mut(&owner) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&owner);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.lock();
        if let Some((owner, _way)) = held.places.remove(&self.number) {
            held.leave(owner);
        }
    }
}

/// A host has a whole IPv6 /64 for itself (RFC 8981).
fn owner(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    #[test]
    fn a_client_has_a_part_of_all_places_and_gets_them_back() {
        let places = Places::new(32);
        let two = [places.place(client(1)).unwrap(), places.place("::ffff:192.0.2.1".parse().unwrap()).unwrap()];
        assert!(places.place(client(1)).is_none() && places.place(client(2)).is_some());
        drop(two);
        assert!(places.place(client(1)).is_some());
        let near = ["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(|text| places.place(text.parse().unwrap()));
        assert!(near[1].is_some() && near[2].is_none(), "one network is one client");
    }

    #[test]
    fn where_all_are_taken_the_oldest_makes_way() {
        let places = Places::new(16);
        let held: Vec<_> = (0..16).map(|number| places.place(client(number)).unwrap()).collect();
        let last = places.place(client(99)).unwrap();
        assert!(held[0].way.is_cancelled() && !held[1].way.is_cancelled() && !last.way.is_cancelled());
        assert_eq!(places.taken(), 16);
        drop((held, last));
        assert_eq!(places.taken(), 0);
        assert!(places.lock().by_client.is_empty());
    }
}
