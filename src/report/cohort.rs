//! What became of those who were there before: sets of devices, by set algebra.
//!
//! Everything here holds for any part of the devices, so that a record of millions is worked through piece by piece and the
//! figures are added up.

use std::ops::RangeInclusive;

use roaring::RoaringBitmap;

use crate::journal::Set;
use crate::time::{Day, Timestamp};

/// A device is called clean when it was active on so many days since its last lookup of an installed product.
pub const CLEAN_AFTER_DAYS: u32 = 14;

/// Which time is compared with which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The window before, whose devices are followed.
    pub baseline: RangeInclusive<Day>,
    /// The window that is looked at.
    pub window: RangeInclusive<Day>,
}

impl Asked {
    /// The days `from` to `to`, compared with as many days that end before `date`. `None` if the window ends before it begins
    /// or begins before the date.
    pub fn new(from: Day, to: Day, date: Day) -> Option<Self> {
        let baseline = date.plus(from.since(to) - 1)..=date.plus(-1);
        (from <= to && date <= from).then_some(Self { baseline, window: from..=to })
    }

    /// The first moment of the baseline, and the one after the window.
    pub fn moments(&self) -> (Timestamp, Timestamp) {
        (begin(*self.baseline.start()), begin(self.window.end().plus(1)))
    }

    /// The first moment of the window, and the one after it.
    pub fn window_moments(&self) -> (Timestamp, Timestamp) {
        (begin(*self.window.start()), begin(self.window.end().plus(1)))
    }

    /// Days of the window, and of the baseline.
    pub fn days(&self) -> i32 {
        self.window.end().since(*self.window.start()) + 1
    }

    /// The day after the baseline, from which times are counted.
    pub fn date(&self) -> Day {
        self.baseline.end().plus(1)
    }
}

/// The first moment of a day.
fn begin(day: Day) -> Timestamp {
    Timestamp::from_second(i64::from(day.0) * 86_400).unwrap_or(Timestamp::MAX)
}

/// The sets of a part of the devices, each in the order of days and at most one a day, up to the end of the window.
#[derive(Clone, Debug, Default)]
pub struct Sets {
    /// Lookups that only an installed product makes.
    pub seen: Vec<Set>,
    /// Of a verified source; of the window.
    pub verified: Vec<Set>,
    /// Enough of them on one day; of the window.
    pub confirmed: Vec<Set>,
    /// Let through by an exemption; of the window.
    pub exempt: Vec<Set>,
    /// Any query.
    pub active: Vec<Set>,
    /// A connection to the block page.
    pub connected: Vec<Set>,
    /// Addresses that stood for many.
    pub crowd: Vec<Set>,
}

/// What became of whom.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cohort {
    /// Seen in the baseline.
    pub baseline: RoaringBitmap,
    /// Seen in the window.
    pub now: RoaringBitmap,
    /// Seen in both.
    pub still: RoaringBitmap,
    /// Seen in the window and never before the end of the baseline.
    pub new: RoaringBitmap,
    /// Seen in the window and before the baseline, but not in it.
    pub returned: RoaringBitmap,
    /// Of the baseline, not seen in the window, and active on enough days since they were last seen.
    pub clean: RoaringBitmap,
    /// The same, active on fewer days.
    pub quiet: RoaringBitmap,
    /// The same, never active since.
    pub unknown: RoaringBitmap,
    /// Of those seen in the window: by more than one lookup of a source that is known to be true.
    pub confirmed: RoaringBitmap,
    /// Of those seen in the window: let through by an exemption.
    pub exempt: RoaringBitmap,
    /// Of those seen in the window: connected to the block page in it, by a name of an installed product.
    pub connected: RoaringBitmap,
    /// Seen again by the end of the window after they had been clean, at any time since the baseline began.
    pub reinfected: RoaringBitmap,
    /// Of those seen in the baseline or in the window: addresses that stood for many in one of them.
    pub many: RoaringBitmap,
    /// Active in the baseline.
    pub active_before: RoaringBitmap,
    /// Active in the window.
    pub active_now: RoaringBitmap,
}

/// Works out what became of whom.
pub fn cohort(sets: &Sets, asked: &Asked) -> Cohort {
    let Asked { baseline: before, window } = asked;
    let (baseline, now) = (union(within(&sets.seen, before)), union(within(&sets.seen, window)));
    let earlier = union(sets.seen.iter().take_while(|(day, _)| day < before.start()));
    let returned = &(&now & &earlier) - &baseline;
    let new = &(&now - &baseline) - &earlier;
    let gone = &baseline - &now;
    let rest = since_last_seen(sets, &gone, *window.end());
    let enough = &rest.counter.enough() & &gone;
    Cohort {
        still: &baseline & &now,
        clean: enough.clone(),
        quiet: &(&rest.any & &gone) - &enough,
        unknown: &gone - &rest.any,
        confirmed: &confirmed(sets, window) & &now,
        exempt: &union(within(&sets.exempt, window)) & &now,
        connected: &union(within(&sets.connected, window)) & &now,
        reinfected: reinfected(sets, *before.start(), *window.end()),
        many: &(&union(within(&sets.crowd, before)) | &union(within(&sets.crowd, window))) & &(&baseline | &now),
        active_before: union(within(&sets.active, before)),
        active_now: union(within(&sets.active, window)),
        baseline,
        now,
        new,
        returned,
    }
}

/// The sets of these days.
pub(super) fn within<'s>(sets: &'s [Set], days: &RangeInclusive<Day>) -> &'s [Set] {
    let first = sets.partition_point(|(day, _)| day < days.start());
    let end = sets.partition_point(|(day, _)| day <= days.end());
    sets.get(first..end).unwrap_or_default()
}

/// Everybody in any of them.
pub(super) fn union<'s>(sets: impl IntoIterator<Item = &'s Set>) -> RoaringBitmap {
    let mut sets = sets.into_iter();
    let mut all = sets.next().map(|(_day, bits)| bits.clone()).unwrap_or_default();
    for (_day, bits) in sets {
        all |= bits;
    }
    all
}

/// Who has shown the product by two names or hours of a verified source: on one day, or on two.
fn confirmed(sets: &Sets, window: &RangeInclusive<Day>) -> RoaringBitmap {
    let mut once = RoaringBitmap::new();
    let mut twice = union(within(&sets.confirmed, window));
    for (_day, bits) in within(&sets.verified, window) {
        twice |= &once & bits;
        once |= bits;
    }
    twice
}

/// Days on which devices were active since something, counted for all of them at once: plane `n` holds those in whose number
/// the bit `n` is set. Nobody is counted further than is asked for.
#[derive(Debug, Default)]
struct Counter([RoaringBitmap; 4]);

// The three upper planes alone say that a number is 14 or 15.
const _: () = assert!(CLEAN_AFTER_DAYS == 14);

impl Counter {
    /// One more for each of these.
    fn add(&mut self, who: RoaringBitmap) {
        let mut carry = who - self.enough();
        for plane in &mut self.0 {
            if carry.is_empty() {
                return;
            }
            let next = &*plane & &carry;
            *plane ^= carry;
            carry = next;
        }
    }

    /// Those with enough days.
    fn enough(&self) -> RoaringBitmap {
        let [_, two, four, eight] = &self.0;
        &(two & four) & eight
    }

    fn reset(&mut self, who: &RoaringBitmap) {
        for plane in &mut self.0 {
            *plane -= who;
        }
    }
}

/// What followed the last lookup of each device.
struct Rest {
    /// Days on which it was active after that.
    counter: Counter,
    /// Whether it was at all.
    any: RoaringBitmap,
}

/// Goes back from `end` until each of `who` is met.
fn since_last_seen(sets: &Sets, who: &RoaringBitmap, end: Day) -> Rest {
    let mut rest = Rest { counter: Counter::default(), any: RoaringBitmap::new() };
    let mut left = who.clone();
    let mut seen = sets.seen.iter().rev().skip_while(|(day, _)| *day > end).peekable();
    for (day, active) in sets.active.iter().rev().skip_while(|(day, _)| *day > end) {
        while let Some((_day, bits)) = seen.next_if(|(at, _)| at >= day) {
            left -= bits;
        }
        if left.is_empty() {
            break;
        }
        let active = active & &left;
        rest.any |= &active;
        rest.counter.add(active);
    }
    rest
}

/// Who was seen, was clean then, and was seen again, from `start` to `end`.
fn reinfected(sets: &Sets, start: Day, end: Day) -> RoaringBitmap {
    let days = start..=end;
    let mut again = RoaringBitmap::new();
    let (mut ever, mut counter) = (RoaringBitmap::new(), Counter::default());
    let mut active = within(&sets.active, &days).iter().peekable();
    for (day, bits) in within(&sets.seen, &days) {
        while let Some((_day, active)) = active.next_if(|(at, _)| at < day) {
            counter.add(active & &ever);
        }
        again |= &counter.enough() & bits;
        ever |= bits;
        counter.reset(bits);
        // Active on that day by the lookup itself: that day is not one without.
        if let Some((_day, active)) = active.next_if(|(at, _)| at == day) {
            counter.add(&(active & &ever) - bits);
        }
    }
    again
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// By device: the days on which it was seen, and the other days on which it was active.
    type Lives = Vec<BTreeMap<i32, Life>>;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Life {
        Seen,
        Verified,
        Confirmed,
        Exempt,
        Active,
    }

    fn sets(lives: &Lives) -> Sets {
        use Life::{Active, Confirmed, Exempt, Seen, Verified};
        let of = |wanted: &[Life]| {
            let mut days = BTreeMap::<Day, RoaringBitmap>::new();
            for (number, life) in (0..).zip(lives) {
                for (day, _) in life.iter().filter(|(_, life)| wanted.contains(life)) {
                    days.entry(Day(*day)).or_default().insert(number);
                }
            }
            days.into_iter().collect::<Vec<_>>()
        };
        Sets {
            seen: of(&[Seen, Verified, Confirmed, Exempt]),
            verified: of(&[Verified, Confirmed]),
            confirmed: of(&[Confirmed]),
            exempt: of(&[Exempt]),
            active: of(&[Seen, Verified, Confirmed, Exempt, Active]),
            connected: Vec::new(),
            crowd: Vec::new(),
        }
    }

    /// One device, looked at by itself: the names of the sets that it is in.
    fn naive(life: &BTreeMap<i32, Life>, asked: &Asked) -> Vec<&'static str> {
        let in_ = |days: &RangeInclusive<Day>, day: &i32| days.contains(&Day(*day));
        let seen: Vec<i32> = life.iter().filter(|(_, life)| **life != Life::Active).map(|(day, _)| *day).collect();
        let before = seen.iter().any(|day| in_(&asked.baseline, day));
        let now = seen.iter().any(|day| in_(&asked.window, day));
        let earlier = seen.iter().any(|day| Day(*day) < *asked.baseline.start());
        let mut is = vec![
            (before, "baseline"),
            (now, "now"),
            (before && now, "still"),
            (now && !before && !earlier, "new"),
            (now && !before && earlier, "returned"),
        ];
        let last = seen.iter().copied().filter(|day| Day(*day) <= *asked.window.end()).max();
        let active = life.keys().filter(|day| Some(**day) > last && Day(**day) <= *asked.window.end()).count();
        let gone = before && !now;
        is.extend([
            (gone && active >= 14, "clean"),
            (gone && (1..14).contains(&active), "quiet"),
            (gone && active == 0, "unknown"),
        ]);
        let of = |wanted: &[Life]| {
            life.iter().filter(|(day, life)| in_(&asked.window, day) && wanted.contains(life)).count()
        };
        let confirmed = of(&[Life::Confirmed]) > 0 || of(&[Life::Verified, Life::Confirmed]) > 1;
        is.extend([(confirmed, "confirmed"), (of(&[Life::Exempt]) > 0, "exempt")]);
        let since: Vec<i32> = seen
            .iter()
            .copied()
            .filter(|day| (*asked.baseline.start()..=*asked.window.end()).contains(&Day(*day)))
            .collect();
        let clean_between = |pair: &[i32]| life.keys().filter(|day| pair[0] < **day && **day < pair[1]).count() >= 14;
        is.push((since.windows(2).any(clean_between), "reinfected"));
        is.into_iter().filter(|(holds, _)| *holds).map(|(_, name)| name).collect()
    }

    fn names(cohort: &Cohort, number: u32) -> Vec<&'static str> {
        let sets = [
            (&cohort.baseline, "baseline"),
            (&cohort.now, "now"),
            (&cohort.still, "still"),
            (&cohort.new, "new"),
            (&cohort.returned, "returned"),
            (&cohort.clean, "clean"),
            (&cohort.quiet, "quiet"),
            (&cohort.unknown, "unknown"),
            (&cohort.confirmed, "confirmed"),
            (&cohort.exempt, "exempt"),
            (&cohort.reinfected, "reinfected"),
        ];
        sets.into_iter().filter(|(bits, _)| bits.contains(number)).map(|(_, name)| name).collect()
    }

    fn life() -> impl Strategy<Value = BTreeMap<i32, Life>> {
        let one = prop_oneof![
            2 => Just(Life::Seen), 1 => Just(Life::Verified), 1 => Just(Life::Confirmed), 1 => Just(Life::Exempt), 20 => Just(Life::Active),
        ];
        proptest::collection::btree_map(0..80_i32, one, 0..70)
    }

    proptest! {
        #[test]
        fn sets_say_of_each_device_what_a_look_at_it_alone_says(
            lives in proptest::collection::vec(life(), 1..12), from in 40..70_i32, length in 1..20_i32, gap in 0..20_i32,
        ) {
            let asked = Asked::new(Day(from), Day(from + length - 1), Day(from - gap)).unwrap();
            prop_assert_eq!(asked.baseline.end().since(*asked.baseline.start()), length - 1);
            let cohort = cohort(&sets(&lives), &asked);
            for (number, life) in (0..).zip(&lives) {
                prop_assert_eq!(names(&cohort, number), naive(life, &asked), "{:?}", life);
            }
        }
    }

    #[test]
    fn a_window_that_begins_before_the_date_or_ends_before_it_begins_is_none() {
        assert_eq!(Asked::new(Day(10), Day(9), Day(5)), None);
        assert_eq!(Asked::new(Day(10), Day(12), Day(11)), None);
        let asked = Asked::new(Day(10), Day(12), Day(10)).unwrap();
        assert_eq!((asked.baseline.clone(), asked.date()), (Day(7)..=Day(9), Day(10)));
    }
}
