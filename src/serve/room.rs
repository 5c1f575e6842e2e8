//! How many may wait or be open at a time, and how many of them for one client.
//!
//! A client may take as much as twice what is still free: alone two thirds of all, beside another one like it two fifths,
//! and so on. So many clients behind one address have nearly everything while nobody else wants it, and whoever takes that
//! much leaves room for everyone who asks for little.

use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::quality::RandomState;

/// Counts in a row. A client has one in each of two rows, and the lesser of them is its own: others that meet it in one row
/// don't in the other. Who meets whom is drawn anew at each start.
const SHARES: usize = 4096;
const ROWS: usize = 2;
/// Times what is free that one client may have.
pub(super) const SHARE_OF_FREE: usize = 2;

/// Room for so many. Nobody queues for it, so it needs no more than counts.
#[derive(Debug)]
pub(super) struct Room {
    max: usize,
    taken: AtomicUsize,
    shares: Box<[AtomicUsize]>,
    hasher: RandomState,
}

/// The right to a place or several, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    room: Arc<Room>,
    places: usize,
    /// Of whom it is a share; `None`: of nobody's.
    shares: Option<[usize; ROWS]>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    Room,
    /// This client has its share.
    Share,
}

impl Room {
    pub(super) fn new(max: usize) -> Arc<Self> {
        let shares = std::iter::repeat_with(AtomicUsize::default).take(ROWS * SHARES).collect();
        Arc::new(Self { max, taken: AtomicUsize::new(0), shares, hasher: RandomState::default() })
    }

    /// A place for this client, if there is one.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn permit(self: &Arc<Self>, client: IpAddr) -> Result<Permit, Full> {
        self.permit_many(client, 1)
    }

    /// So many places for this client; the last of all may be some too many.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) fn permit_many(self: &Arc<Self>, client: IpAddr, places: usize) -> Result<Permit, Full> {
        let shares = self.shares_of(client);
        let taken = self.taken.fetch_add(places, Ordering::Relaxed);
        let own = shares.map(|share| self.shares[share].fetch_add(places, Ordering::Relaxed)).into_iter().min();
        // From here on whoever gets none gives back what was counted.
        let permit = Permit { room: Arc::clone(self), places, shares: Some(shares) };
        match self.max.saturating_sub(taken) {
            0 => Err(Full::Room),
            free if own > Some(SHARE_OF_FREE * free) => Err(Full::Share),
            _ => Ok(permit),
        }
    }

    /// A place for no client in particular, if there is one.
    pub(super) fn any(self: &Arc<Self>) -> Option<Permit> {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        let permit = Permit { room: Arc::clone(self), places: 1, shares: None };
        (taken < self.max).then_some(permit)
    }

    /// One address of IPv4 or one network of IPv6 is a client.
    fn shares_of(&self, client: IpAddr) -> [usize; ROWS] {
        let client = client.to_canonical();
        let client = network_of(client).map_or(client, IpAddr::V6);
        let hash = usize::try_from(self.hasher.hash_one(client) & u64::from(u32::MAX)).unwrap_or_default();
        [hash % SHARES, SHARES + hash / SHARES % SHARES]
    }
}

/// The network of an IPv6 address: a single machine has as many addresses in it as it likes.
pub(super) fn network_of(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        IpAddr::V4(_) => None,
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        for share in self.shares.into_iter().flatten() {
            self.room.shares[share].fetch_sub(self.places, Ordering::Relaxed);
        }
        self.room.taken.fetch_sub(self.places, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// All that one client can have.
    fn all(room: &Arc<Room>, client: IpAddr) -> (Vec<Permit>, Full) {
        let mut permits = Vec::new();
        loop {
            match room.permit(client) {
                Ok(permit) => permits.push(permit),
                Err(full) => return (permits, full),
            }
        }
    }

    #[test]
    fn no_more_than_the_limit_wait_and_who_ends_makes_room() {
        let room = Room::new(2);
        let (first, second) = (room.permit(client(1)).unwrap(), room.permit(client(2)).unwrap());
        assert_eq!(room.permit(client(3)).unwrap_err(), Full::Room);
        drop(first);
        let third = room.permit(client(3)).unwrap();
        assert_eq!(room.permit(client(1)).unwrap_err(), Full::Room);
        drop((second, third));
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
        assert!(room.shares.iter().all(|share| share.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn one_client_can_have_two_thirds_and_leaves_room_for_the_others() {
        let room = Room::new(3000);
        let (greedy, full) = all(&room, client(1));
        assert_eq!((greedy.len(), full), (2001, Full::Share));
        let modest: Vec<_> = (2..=200).map(|last| room.permit(client(last)).unwrap()).collect();
        // Another one like it has its share of what is left, and still there is room.
        let (second, full) = all(&room, client(201));
        assert!((500..600).contains(&second.len()) && full == Full::Share, "{}", second.len());
        assert!(room.permit(client(202)).is_ok());
        drop((greedy, modest));
        assert!(all(&room, client(201)).0.len() > 1000);
    }

    #[test]
    fn many_places_are_taken_and_given_back_together() {
        let room = Room::new(100);
        let first = room.permit_many(client(1), 90).unwrap();
        assert_eq!(room.permit_many(client(1), 5).unwrap_err(), Full::Share);
        let second = room.permit_many(client(2), 20).unwrap();
        assert_eq!(room.permit(client(3)).unwrap_err(), Full::Room);
        drop((first, second));
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
        assert!(room.shares.iter().all(|share| share.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn what_is_for_nobody_has_no_share_and_counts_for_all() {
        let room = Room::new(3);
        let (first, second) = (room.any().unwrap(), room.any().unwrap());
        assert!(room.permit(client(1)).is_ok());
        let third = room.any().unwrap();
        assert!(room.any().is_none() && room.permit(client(1)).unwrap_err() == Full::Room);
        drop((first, second, third));
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn many_clients_together_can_have_all() {
        let room = Room::new(1000);
        let permits: Vec<_> = (0..=255_u8)
            .flat_map(|last| (0..4).map_while(|_| room.permit(client(last)).ok()).collect::<Vec<_>>())
            .collect();
        assert_eq!(permits.len(), 1000);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_client_and_mapped_ipv4_is_ipv4() {
        let room = Room::new(10);
        let share = |text: &str| room.shares_of(text.parse().unwrap());
        assert_eq!(share("2001:db8::1"), share("2001:db8::ffff:1:2:3"));
        assert_eq!(share("::ffff:192.0.2.1"), share("192.0.2.1"));
        let networks: std::collections::HashSet<_> =
            (0..32).map(|net| share(&format!("2001:db8:0:{net:x}::1"))).collect();
        assert!(networks.len() > 16, "{}", networks.len());
    }
}
