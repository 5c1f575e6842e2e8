//! DNS cookies (RFC 7873), the server's made as RFC 9018 has it, so that servers which share a secret know each other's.
//!
//! ```text
//! client cookie (8)  version (1)  reserved (3)  timestamp (4)  hash (8)
//!                    hash = SipHash-2-4(client cookie, version, reserved, timestamp, client's address; secret)
//! ```

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use siphasher::sip::SipHasher24;

/// Octets of a client cookie.
const CLIENT: usize = 8;
/// Octets of a server cookie as we make it.
const SERVER: usize = 16;
/// Octets of the cookie that a response carries: the client's and ours.
pub const COOKIE: usize = CLIENT + SERVER;
/// Octets of a server cookie of any make (RFC 7873 §4).
const SERVER_ANY: RangeInclusive<usize> = 8..=32;
/// The only version (RFC 9018 §4.1).
const VERSION: u8 = 1;
/// Seconds since it was made within which a cookie is good: an hour, and five minutes for clocks that differ (RFC 9018 §4.3).
const GOOD: RangeInclusive<i32> = -5 * 60..=60 * 60;
/// Seconds since it was made within which a cookie is not made anew (RFC 9018 §4.3).
const RECENT: RangeInclusive<i32> = 0..=30 * 60;

/// What server cookies are made with; never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The data of a query's COOKIE option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie<'m> {
    client: [u8; CLIENT],
    server: &'m [u8],
}

impl<'m> Cookie<'m> {
    /// Reads it; `None`: it is neither a client cookie alone nor one with a server cookie (RFC 7873 §5.2.2).
    pub fn read(octets: &'m [u8]) -> Option<Self> {
        let (&client, server) = octets.split_first_chunk()?;
        (server.is_empty() || SERVER_ANY.contains(&server.len())).then_some(Self { client, server })
    }

    /// Whether the client has a server cookie, be it ours or not.
    pub fn has_server_part(&self) -> bool {
        !self.server.is_empty()
    }
}

/// Makes server cookies and knows them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookies {
    first: Secret,
    others: Vec<Secret>,
}

impl Cookies {
    /// Cookies are made with the `first` secret and known by all: a secret is announced to every server of a service before
    /// one makes cookies with it, and outlives its use by an hour (RFC 9018 §5).
    pub fn new(first: Secret, others: Vec<Secret>) -> Self {
        Self { first, others }
    }

    /// Whether `cookie` proves that its sender was told it at `client`, its address; and the cookie for the response. `now` is
    /// in seconds since 1970, modulo 2^32.
    pub fn meet(&self, cookie: &Cookie<'_>, client: IpAddr, now: u32) -> (bool, [u8; COOKIE]) {
        let client_cookie = cookie.client;
        if let Some(server) = <&[u8; SERVER]>::try_from(cookie.server).ok().filter(|server| server[0] == VERSION) {
            let age = now.wrapping_sub(u32::from_be_bytes([server[4], server[5], server[6], server[7]])).cast_signed();
            let fits = |secret: &Secret| {
                let made =
                    whole(client_cookie, [server[0], server[1], server[2], server[3]], &server[4..8], client, secret);
                // One comparison of 64 bits, which takes equally long wherever they differ.
                u64::from_be_bytes(*last(&made)) == u64::from_be_bytes(*last(server))
            };
            if GOOD.contains(&age) {
                if fits(&self.first) && RECENT.contains(&age) {
                    return (true, joined(client_cookie, server));
                }
                let good = fits(&self.first) || self.others.iter().any(fits);
                return (good, self.make(client_cookie, client, now));
            }
        }
        (false, self.make(client_cookie, client, now))
    }

    fn make(&self, client_cookie: [u8; CLIENT], client: IpAddr, now: u32) -> [u8; COOKIE] {
        whole(client_cookie, [VERSION, 0, 0, 0], &now.to_be_bytes(), client, &self.first)
    }
}

/// The last eight octets, which are the hash.
fn last(octets: &[u8]) -> &[u8; 8] {
    octets.last_chunk().unwrap_or(&[0; 8])
}

fn joined(client: [u8; CLIENT], server: &[u8; SERVER]) -> [u8; COOKIE] {
    let mut cookie = [0; COOKIE];
    cookie[..CLIENT].copy_from_slice(&client);
    cookie[CLIENT..].copy_from_slice(server);
    cookie
}

/// Both cookies of these parts.
fn whole(
    client_cookie: [u8; CLIENT],
    version_and_reserved: [u8; 4],
    timestamp: &[u8],
    client: IpAddr,
    secret: &Secret,
) -> [u8; COOKIE] {
    let mut hashed = [0; CLIENT + 8 + 16];
    hashed[..CLIENT].copy_from_slice(&client_cookie);
    hashed[CLIENT..12].copy_from_slice(&version_and_reserved);
    hashed[12..16].copy_from_slice(timestamp);
    let end = match client {
        IpAddr::V4(address) => {
            hashed[16..20].copy_from_slice(&address.octets());
            20
        }
        IpAddr::V6(address) => {
            hashed[16..32].copy_from_slice(&address.octets());
            32
        }
    };
    let hash = SipHasher24::new_with_key(&secret.0).hash(&hashed[..end]);
    let mut cookie = [0; COOKIE];
    cookie[..16].copy_from_slice(&hashed[..16]);
    // The reference code of SipHash, which RFC 9018 means, writes the hash with its lowest octet first.
    cookie[16..].copy_from_slice(&hash.to_le_bytes());
    cookie
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: u32 = 1_559_731_985;

    fn octets(hexadecimal: &str) -> Vec<u8> {
        let pairs = hexadecimal.as_bytes().chunks(2);
        pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn secret(hexadecimal: &str) -> Secret {
        Secret(octets(hexadecimal).try_into().unwrap())
    }

    fn cookies(first: &str, others: &[&str]) -> Cookies {
        Cookies::new(secret(first), others.iter().map(|other| secret(other)).collect())
    }

    #[track_caller]
    fn check(cookies: &Cookies, client: &str, sent: &str, now: u32, good: bool, answered: &str) {
        let sent = octets(sent);
        let met = cookies.meet(&Cookie::read(&sent).unwrap(), client.parse().unwrap(), now);
        assert_eq!((met.0, met.1.to_vec()), (good, octets(answered)));
    }

    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    const CLIENT_1: &str = "198.51.100.100";
    const FIRST: &str = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";

    // The vectors of RFC 9018, Appendix A.

    #[test]
    fn a_1_a_new_server_cookie_is_learned() {
        check(&cookies(SECRET, &[]), CLIENT_1, "2464c4abcf10c957", MADE, false, FIRST);
    }

    #[test]
    fn a_2_the_same_client_is_given_a_new_cookie_after_40_minutes() {
        let renewed = "2464c4abcf10c957010000005cf7a871d4a564a1442aca77";
        check(&cookies(SECRET, &[]), CLIENT_1, FIRST, 1_559_734_385, true, renewed);
    }

    #[test]
    fn a_3_a_cookie_with_reserved_bits_is_known_and_given_anew_without_them() {
        let (client, sent) = ("203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5");
        let renewed = "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e";
        // It was made 6715 s before, which is more than the hour for which we know a cookie.
        check(&cookies(SECRET, &[]), client, sent, 1_559_734_700, false, renewed);
        check(&cookies(SECRET, &[]), client, sent, 1_559_727_985, true, sent);
    }

    #[test]
    fn a_4_a_cookie_of_the_secret_before_is_known_and_given_anew_with_the_next() {
        let (client, sent) = ("2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298010000005cf7c57926556bd0934c72f8");
        let renewed = "22681ab97d52c298010000005cf7c609a6bb79d16625507a";
        let (old, new) = ("dd3bdf9344b678b185a6f5cb60fca715", "445536bcd2513298075a5d379663c962");
        check(&cookies(new, &[old]), client, sent, 1_559_741_961, true, renewed);
        check(&cookies(new, &[]), client, sent, 1_559_741_961, false, renewed);
        check(&cookies(old, &[new]), client, sent, 1_559_741_961, true, sent);
    }

    #[test]
    fn a_cookie_is_good_for_an_hour_and_may_come_five_minutes_early() {
        let cookies = cookies(SECRET, &[]);
        let sent = octets(FIRST);
        let met = |now: u32| cookies.meet(&Cookie::read(&sent).unwrap(), CLIENT_1.parse().unwrap(), now);
        for (later, good, same) in [
            (0, true, true),
            (1_800, true, true),
            (1_801, true, false),
            (3_600, true, false),
            (3_601, false, false),
            (-1, true, false),
            (-300, true, false),
            (-301, false, false),
            (i32::MIN, false, false),
        ] {
            let (found, answered) = met(MADE.wrapping_add_signed(later));
            assert_eq!((found, answered[..] == sent), (good, same), "{later}");
        }
    }

    #[test]
    fn a_cookie_of_another_address_client_version_or_make_is_not_known() {
        let cookies = cookies(SECRET, &[]);
        let good =
            |sent: &[u8], client: &str| cookies.meet(&Cookie::read(sent).unwrap(), client.parse().unwrap(), MADE).0;
        let sent = octets(FIRST);
        assert!(good(&sent, CLIENT_1));
        assert!(!good(&sent, "198.51.100.101") && !good(&sent, "::ffff:198.51.100.100"));
        for at in 0..COOKIE {
            let mut other = sent.clone();
            other[at] ^= 1;
            assert!(!good(&other, CLIENT_1), "{at}");
        }
        assert!(!good(&sent[..20], CLIENT_1) && !good(&[&sent[..], b"more"].concat(), CLIENT_1));
    }

    #[test]
    fn a_time_beyond_2106_goes_on() {
        let cookies = cookies(SECRET, &[]);
        let client = CLIENT_1.parse().unwrap();
        let (_new, before) = cookies.meet(&Cookie::read(b"12345678").unwrap(), client, u32::MAX - 5);
        assert!(cookies.meet(&Cookie::read(&before).unwrap(), client, 10).0);
    }

    #[test]
    fn only_lengths_of_cookies_are_read() {
        let whole = [7; 64];
        for length in 0..64 {
            let expected = length == 8 || (16..=40).contains(&length);
            assert_eq!(Cookie::read(&whole[..length]).is_some(), expected, "{length}");
        }
        assert!(!Cookie::read(&whole[..8]).unwrap().has_server_part());
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?}", cookies(SECRET, &[SECRET]));
        assert!(!shown.contains("e5") && !shown.contains("229"), "{shown}");
    }
}
