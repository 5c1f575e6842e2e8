//! Answers as octets, so that they outlive the process.
//!
//! One answer, numbers in network order:
//! ```text
//! u32      seconds since the upstream sent it
//! u8       1: the query had DO; 2: it had CD
//! message  as the upstream sent it, as far as it is kept; its question is what it is kept under
//! ```
//! Nothing that is read is believed: a message is read, judged and kept as one that comes from an upstream is, and its AD bit
//! passes to nobody. That it is what was written is for a digest to say, and left to whoever has the file.

use std::time::Duration;

use super::{Cache, Entry, Key, KeyRef, KeyRest};
use crate::time::Mono;
use crate::wire::{Answer, Layout, Malformed};

const DNSSEC_OK: u8 = 1;
const CHECKING_DISABLED: u8 = 2;

/// Octets in front of the message.
const HEAD: usize = 5;
/// Octets of one answer at most.
pub const SAVED_MAX: usize = HEAD + u16::MAX as usize;

impl Cache {
    /// Every answer that may still be given at `now`.
    pub fn saved(&self, now: Mono) -> impl Iterator<Item = Vec<u8>> {
        // A shard is locked for one entry at a time, so that those who serve don't wait.
        let usable = self.answers.iter().filter(move |(_key, entry)| entry.is_usable(now) && !entry.is_disproved());
        usable.map(move |(key, entry)| octets(key.rest, &entry, now)).filter(|octets| octets.len() <= SAVED_MAX)
    }

    /// Keeps an answer again that was saved `passed` before `now`; says whether it may still be given, and nothing newer is known.
    ///
    /// # Errors
    /// [`Malformed`] when it is none.
    pub fn restore(&self, saved: &[u8], passed: Duration, now: Mono) -> Result<bool, Malformed> {
        let Some((&[a, b, c, d, bits], message)) = saved.split_first_chunk::<HEAD>() else {
            return Err(Malformed::Short);
        };
        let age = Duration::from_secs(u32::from_be_bytes([a, b, c, d]).into());
        let layout = Layout::read(message)?;
        let (key, answer) = (key(&layout, bits), Answer::keep(message, &layout)?);
        // QR set, TC clear, nothing behind: else it was never an answer of ours.
        if message[2] & 0x82 != 0x80 || layout.end != message.len() {
            return Err(Malformed::Cut);
        }
        let aged = age.saturating_add(passed);
        let entry = Entry::kept(&self.config, answer, false, aged, now);
        let wanted = entry.is_usable(now) && !self.config.bypass.hold(&key) && !self.answers.contains_key(&key);
        if wanted {
            self.answers.insert(key, entry.into());
        }
        Ok(wanted)
    }
}

fn octets(rest: KeyRest, entry: &Entry, now: Mono) -> Vec<u8> {
    let bit = |set: bool, bit: u8| if set { bit } else { 0 };
    let mut octets = entry.age(now).to_be_bytes().to_vec();
    octets.push(bit(rest.dnssec_ok, DNSSEC_OK) | bit(rest.checking_disabled, CHECKING_DISABLED));
    octets.extend(entry.answer.to_message());
    octets
}

fn key(layout: &Layout, bits: u8) -> Key {
    let rest = KeyRest {
        qtype: layout.qtype,
        qclass: layout.qclass,
        dnssec_ok: bits & DNSSEC_OK != 0,
        checking_disabled: bits & CHECKING_DISABLED != 0,
    };
    KeyRef { name: &layout.qname, rest }.to_key()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{CONFIG, look, put};
    use super::*;
    use crate::cache::{Config, Zones};
    use crate::wire::Name;

    /// What a cache saves that was given `a.example` for 60 seconds at 0, at this millisecond.
    fn saved(now: u64) -> Vec<Vec<u8>> {
        let cache = Cache::new(CONFIG.clone());
        put(&cache, "a.example", 60, 0);
        cache.saved(Mono(now * 1000)).collect()
    }

    /// What a new cache then says of it at that millisecond, when so many seconds have passed in between.
    fn restored(saved: &[Vec<u8>], passed: u64, now: u64) -> &'static str {
        let cache = Cache::new(CONFIG.clone());
        for octets in saved {
            cache.restore(octets, Duration::from_secs(passed), Mono(0)).unwrap();
        }
        look(&cache, "a.example", now)
    }

    #[test]
    fn an_answer_goes_on_ageing_while_no_process_runs() {
        assert_eq!(restored(&saved(10_000), 20, 29_999), "fresh");
        assert_eq!(restored(&saved(10_000), 20, 30_000), "stale");
        assert_eq!(restored(&saved(10_000), 70, 79_999), "stale");
        assert_eq!(restored(&saved(10_000), 70, 80_000), "miss");
        assert_eq!(restored(&saved(10_000), 150, 0), "miss");
        assert_eq!(saved(160_000), Vec::<Vec<u8>>::new(), "what may not be given is not saved");
    }

    #[test]
    fn what_is_known_by_then_is_newer_and_what_is_bypassed_by_then_is_left_out() {
        let cache = Cache::new(CONFIG.clone());
        put(&cache, "a.example", 1, 0);
        assert_eq!(cache.restore(&saved(0)[0], Duration::ZERO, Mono(0)), Ok(false));
        assert_eq!(look(&cache, "a.example", 1_000), "stale", "the newer one");
        let bypass: Zones = [Name::parse("example").unwrap()].iter().collect();
        let cache = Cache::new(Config { bypass, ..CONFIG.clone() });
        assert_eq!(cache.restore(&saved(0)[0], Duration::ZERO, Mono(0)), Ok(false));
    }

    proptest! {
        #[test]
        fn rubbish_is_an_error_or_an_answer_and_never_a_panic(
            flips in prop::collection::vec((0..200_usize, any::<u8>()), 0..6), end in 0..200_usize
        ) {
            let mut octets = saved(0).remove(0);
            for (at, value) in flips {
                let at = at % octets.len();
                octets[at] = value;
            }
            octets.truncate(octets.len().min(end));
            let cache = Cache::new(CONFIG.clone());
            let taken = cache.restore(&octets, Duration::ZERO, Mono(0));
            prop_assert_eq!(taken == Ok(true), cache.len() == 1);
        }
    }
}
