//! The figures of a ban, read from the record piece by piece and added up.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{AddAssign, RangeInclusive};

use roaring::RoaringBitmap;

use super::cohort::{Asked, Cohort, Sets, cohort, union, within};
use super::lifetime::Lifetimes;
use super::roaming::Roaming;
use super::site_days::SiteDays;
use crate::journal::{BLOCK, Numbered, Presence, Set, Sign, StoreError, What};
use crate::policy::Evidence;
use crate::priority::make_way;
use crate::time::Day;

/// Days that are counted before whoever waits for the processor gets it.
const DAYS_AT_ONCE: usize = 16;

/// How many devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Seen in the baseline.
    pub baseline: u64,
    /// Seen in the window.
    pub now: u64,
    /// In both.
    pub still: u64,
    /// In the window and never before the end of the baseline.
    pub new: u64,
    /// In the window and before the baseline, but not in it.
    pub returned: u64,
    /// Of the baseline: clean.
    pub clean: u64,
    /// Of the baseline: not seen, and not active long enough to be called clean.
    pub quiet: u64,
    /// Of the baseline: not seen, and not active since.
    pub unknown: u64,
    /// Of the window: confirmed.
    pub confirmed: u64,
    /// Of the window: exempt.
    pub exempt: u64,
    /// Of the window: connected to the block page.
    pub connected: u64,
    /// Clean, and seen again since the baseline began.
    pub reinfected: u64,
    /// Of the baseline and the window: addresses that stand for many.
    pub many: u64,
    /// Active in the baseline.
    pub active_before: u64,
    /// Active in the window.
    pub active_now: u64,
}

impl Counts {
    /// Those of a cohort between two numbers.
    pub(super) fn of(cohort: &Cohort, numbers: &std::ops::Range<u32>) -> Self {
        let count = |bits: &RoaringBitmap| bits.range_cardinality(numbers.clone());
        Self {
            baseline: count(&cohort.baseline),
            now: count(&cohort.now),
            still: count(&cohort.still),
            new: count(&cohort.new),
            returned: count(&cohort.returned),
            clean: count(&cohort.clean),
            quiet: count(&cohort.quiet),
            unknown: count(&cohort.unknown),
            confirmed: count(&cohort.confirmed),
            exempt: count(&cohort.exempt),
            connected: count(&cohort.connected),
            reinfected: count(&cohort.reinfected),
            many: count(&cohort.many),
            active_before: count(&cohort.active_before),
            active_now: count(&cohort.active_now),
        }
    }
}

impl Counts {
    /// Whether anything is on record of the window: nobody seen while nobody is known to have asked is no nought.
    pub fn is_known_now(&self) -> bool {
        self.now > 0 || self.active_now > 0
    }

    /// Devices seen in the window, if anything is on record of it.
    pub fn known_now(&self) -> Option<u64> {
        self.is_known_now().then_some(self.now)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.baseline += other.baseline;
        self.now += other.now;
        self.still += other.still;
        self.new += other.new;
        self.returned += other.returned;
        self.clean += other.clean;
        self.quiet += other.quiet;
        self.unknown += other.unknown;
        self.confirmed += other.confirmed;
        self.exempt += other.exempt;
        self.connected += other.connected;
        self.reinfected += other.reinfected;
        self.many += other.many;
        self.active_before += other.active_before;
        self.active_now += other.active_now;
    }
}

/// Distinct ones in some days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distinct {
    /// Devices.
    pub devices: u64,
    /// Addresses: those that stand for a device, and those of devices that leases name.
    pub addresses: u64,
    /// Devices that were active; nought in days of which nothing is known.
    pub active: u64,
}

impl AddAssign for Distinct {
    fn add_assign(&mut self, other: Self) {
        self.devices += other.devices;
        self.addresses += other.addresses;
        self.active += other.active;
    }
}

/// Everything that the record says of one ban in the time that is asked for.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Of all sites together, each device once.
    pub all: Counts,
    /// By site: a device counts at each where it was seen.
    pub sites: BTreeMap<String, Counts>,
    /// By site: days of the baseline and of the window on which it is known who was active there.
    pub site_days: BTreeMap<String, (u32, u32)>,
    /// By site, devices that have one number alone.
    settled: BTreeMap<String, Counts>,
    /// The others.
    pub(super) roaming: Roaming,
    /// What became of these.
    pub(super) roaming_cohort: Cohort,
    /// Addresses in the baseline and in the window.
    pub addresses: (u64, u64),
    /// By day, from the first of the baseline.
    pub days: BTreeMap<Day, Distinct>,
    /// By week, named by its Monday.
    pub weeks: BTreeMap<Day, Distinct>,
    /// By month, named by its first day.
    pub months: BTreeMap<Day, Distinct>,
    /// How long devices of the baseline went on.
    pub lifetimes: Lifetimes,
    /// Days on which it is known who was active.
    pub covered: BTreeSet<Day>,
    /// Days of which anything is on record: somebody active, or seen.
    pub known: BTreeSet<Day>,
    /// Devices seen in the window, by the number of their piece.
    pub open: Vec<(u32, Cohort)>,
    /// The first day of which there is anything.
    pub since: Option<Day>,
    /// Devices by what their lookups prove: in the baseline and in the window.
    pub evidence: BTreeMap<Evidence, (u64, u64)>,
    /// Devices seen in each of the spans that were asked for.
    pub spans: Vec<u64>,
}

/// Of what there are to be figures.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The ban's id.
    pub ban: &'a str,
    /// What their lookups prove.
    pub evidence: Evidence,
    /// Which time is compared with which.
    pub asked: &'a Asked,
    /// The one site, if it is about one.
    pub site: Option<&'a str>,
    /// Days of which it is asked how many devices were seen.
    pub spans: &'a [RangeInclusive<Day>],
}

impl Figures {
    /// Reads and adds up what is known.
    ///
    /// # Errors
    /// [`StoreError`] when the record can't be read.
    pub fn read(presence: &Presence<'_>, subject: &Subject<'_>) -> Result<Self, StoreError> {
        Self::read_with(presence, subject, |_block, _sets, _cohort| ())
    }

    /// The same, showing each piece and what became of those in it; the last one, without a block, is that of devices that have
    /// several numbers.
    pub(super) fn read_with(
        presence: &Presence<'_>,
        subject: &Subject<'_>,
        mut show: impl FnMut(Option<u32>, &Sets, &Cohort),
    ) -> Result<Self, StoreError> {
        let &Subject { ban, evidence, asked, site, spans } = subject;
        let all = presence.numbered()?;
        let blocks = Presence::blocks(&all);
        let numbered: Vec<Numbered> =
            all.into_iter().filter(|range| site.is_none_or(|site| range.site == site)).collect();
        let mut sites: Vec<&str> = numbered.iter().map(|range| &*range.site).collect();
        sites.sort_unstable();
        sites.dedup();
        let mut figures = Self { spans: vec![0; spans.len()], ..Self::default() };
        figures.roaming = Roaming::of(presence.same(), &numbered, &sites);
        let sign = Sign { ban, evidence: Some(evidence), what: What::Seen };
        figures.since = presence.days(sign)?.map(|days| *days.start());
        let since = figures.since.unwrap_or(*asked.baseline.start()).min(*asked.baseline.start());
        let mut active = SiteDays::default();
        for block in blocks {
            let ranges = in_block(&numbered, &sites, block);
            if ranges.is_empty() {
                continue;
            }
            let mut piece = Piece::read(presence, subject, block, (&(since..=*asked.window.end()), &asked.window))?;
            // Numbers of other sites are there only if one is asked for.
            let only = site.map(|_one| whole(&ranges));
            if let Some(only) = &only {
                piece.keep(only);
            }
            for part in &ranges {
                active.add(&piece.sets, (part.place, &part.numbers), asked);
            }
            figures.roaming.take(block, &mut piece.sets);
            let cohort = cohort(&piece.sets, asked);
            show(Some(block), &piece.sets, &cohort);
            figures.add_evidence(presence, subject, &piece, (block, only.as_ref()))?;
            figures.add(&piece, cohort, (block, &ranges), subject);
        }
        figures.add_roaming(subject, &mut show);
        figures.site_days = active.counts(&sites, asked);
        Ok(figures)
    }

    fn add_evidence(
        &mut self,
        presence: &Presence<'_>,
        subject: &Subject<'_>,
        piece: &Piece,
        (block, only): (u32, Option<&RoaringBitmap>),
    ) -> Result<(), StoreError> {
        for evidence in Evidence::ALL.into_iter().filter(|evidence| *evidence != Evidence::None) {
            let sign = Sign { ban: subject.ban, evidence: Some(evidence), what: What::Seen };
            let seen = |days: &RangeInclusive<Day>| -> Result<RoaringBitmap, StoreError> {
                if evidence == subject.evidence {
                    return Ok(union(within(&piece.sets.seen, days)));
                }
                let all = union(&presence.sets(sign, block, days)?);
                Ok(match only {
                    Some(only) => all & only,
                    None => all,
                })
            };
            let (mut before, mut now) = (seen(&subject.asked.baseline)?, seen(&subject.asked.window)?);
            if evidence != subject.evidence {
                self.roaming.take_seen(block, evidence, (&mut before, &mut now));
            }
            let sum = self.evidence.entry(evidence).or_default();
            *sum = (sum.0 + before.len(), sum.1 + now.len());
        }
        Ok(())
    }

    fn add(&mut self, piece: &Piece, cohort: Cohort, (block, ranges): (u32, &[Part<'_>]), subject: &Subject<'_>) {
        let asked = subject.asked;
        for part in ranges {
            let counts = Counts::of(&cohort, &part.numbers);
            *self.sites.entry(part.site.to_owned()).or_default() += counts;
        }
        let plain = plain(ranges);
        let addresses = |days: &RangeInclusive<Day>, devices: &RoaringBitmap| {
            (devices & &plain).union_len(&union(within(&piece.address, days)))
        };
        self.addresses.0 += addresses(&asked.baseline, &cohort.baseline);
        self.addresses.1 += addresses(&asked.window, &cohort.now);
        self.add_whole(piece, &plain, &cohort, subject);
        if !cohort.now.is_empty() {
            self.open.push((block, cohort));
        }
    }

    /// Adds devices that have several numbers: to all once, and to each site where they were.
    fn add_roaming(&mut self, subject: &Subject<'_>, show: &mut impl FnMut(Option<u32>, &Sets, &Cohort)) {
        self.settled.clone_from(&self.sites);
        if self.roaming.is_empty() {
            return;
        }
        self.roaming.finish();
        let piece = Piece { sets: self.roaming.whole(), address: Vec::new() };
        let cohort = cohort(&piece.sets, subject.asked);
        show(None, &piece.sets, &cohort);
        self.add_whole(&piece, &RoaringBitmap::new(), &cohort, subject);
        for (site, counts) in self.roaming.by(subject.asked, Some) {
            *self.sites.entry(site.to_owned()).or_default() += counts;
        }
        for (evidence, sum) in &mut self.evidence {
            let (before, now) = if *evidence == subject.evidence {
                (cohort.baseline.len(), cohort.now.len())
            } else {
                self.roaming.seen(*evidence)
            };
            *sum = (sum.0 + before, sum.1 + now);
        }
        self.roaming_cohort = cohort;
    }

    /// Adds what is of no single site.
    fn add_whole(&mut self, piece: &Piece, plain: &RoaringBitmap, cohort: &Cohort, subject: &Subject<'_>) {
        self.all += Counts::of(cohort, &(0..u32::MAX));
        self.lifetimes.add(&piece.sets, cohort, subject.asked);
        self.add_days(piece, plain, subject.asked);
        for (sum, span) in self.spans.iter_mut().zip(subject.spans) {
            *sum += union(within(&piece.sets.seen, span)).len();
        }
    }

    fn add_days(&mut self, piece: &Piece, plain: &RoaringBitmap, asked: &Asked) {
        let whole = *asked.baseline.start()..=*asked.window.end();
        // A set of which a site took what is its own may be empty.
        let days = |sets: &[Set]| sets.iter().filter(|(_day, bits)| !bits.is_empty()).map(|(day, _)| *day).collect();
        let (active, seen): (Vec<Day>, Vec<Day>) = (days(&piece.sets.active), days(&piece.sets.seen));
        self.known.extend(active.iter().chain(&seen));
        self.covered.extend(active);
        for (at, day) in each(&whole, |day| day.plus(1)).enumerate() {
            if at % DAYS_AT_ONCE == 0 {
                make_way();
            }
            *self.days.entry(*day.start()).or_default() += piece.distinct(plain, &day);
        }
        for week in each(&(monday(*whole.start())..=*whole.end()), |day| day.plus(7)) {
            *self.weeks.entry(*week.start()).or_default() += piece.distinct(plain, &week);
        }
        for month in each(&(first_of_month(*whole.start())..=*whole.end()), next_month) {
            *self.months.entry(*month.start()).or_default() += piece.distinct(plain, &month);
        }
    }

    /// Whether anything is on record of a site in the window.
    pub(super) fn is_told(&self, site: &str) -> bool {
        self.sites.get(site).is_some_and(Counts::is_known_now)
    }

    /// Whether it is known of a site, for half of the days of both times or more, who was active: an office that rests at the
    /// weekend is there on five days of seven.
    pub(super) fn is_of_panel(&self, site: &str, asked: &Asked) -> bool {
        let days = asked.days().unsigned_abs();
        self.site_days.get(site).is_some_and(|(before, now)| 2 * before >= days && 2 * now >= days)
    }

    /// The figures of sites put together by what they are called so; a device that was at several of them counts once.
    pub(super) fn by<'n>(
        &'n self,
        asked: &Asked,
        name: impl Fn(&'n str) -> Option<&'n str>,
    ) -> BTreeMap<&'n str, Counts> {
        let mut all = BTreeMap::<&str, Counts>::new();
        for (site, counts) in &self.settled {
            if let Some(name) = name(site) {
                *all.entry(name).or_default() += *counts;
            }
        }
        for (name, counts) in self.roaming.by(asked, name) {
            *all.entry(name).or_default() += counts;
        }
        all
    }
}

/// The sets of one piece.
struct Piece {
    sets: Sets,
    /// Addresses of devices that leases name.
    address: Vec<Set>,
}

impl Piece {
    /// The sets of all days, and of those in the window what only tells of it.
    fn read(
        presence: &Presence<'_>,
        subject: &Subject<'_>,
        block: u32,
        (days, window): (&RangeInclusive<Day>, &RangeInclusive<Day>),
    ) -> Result<Self, StoreError> {
        let (ban, evidence) = (subject.ban, Some(subject.evidence));
        let on = |days, what| presence.sets(Sign { ban, evidence, what }, block, days);
        let (of, in_window) = (|what| on(days, what), |what| on(window, what));
        let active = Sign { ban: "", evidence: None, what: What::Active };
        let sets = Sets {
            seen: of(What::Seen)?,
            verified: in_window(What::Verified)?,
            confirmed: in_window(What::Confirmed)?,
            exempt: in_window(What::Exempt)?,
            active: presence.sets(active, block, days)?,
            connected: of(What::Connected)?,
            crowd: presence.sets(Sign { ban: "", evidence: None, what: What::Crowd }, block, days)?,
        };
        Ok(Self { sets, address: of(What::Address)? })
    }

    /// How many there are in these days; `plain` are the numbers of addresses.
    fn distinct(&self, plain: &RoaringBitmap, days: &RangeInclusive<Day>) -> Distinct {
        let seen = union(within(&self.sets.seen, days));
        let addresses = match within(&self.address, days) {
            [] => seen.intersection_len(plain),
            named => (&seen & plain).union_len(&union(named)),
        };
        let active = match within(&self.sets.active, days) {
            [(_day, alone)] => alone.len(),
            several => union(several).len(),
        };
        Distinct { devices: seen.len(), addresses, active }
    }

    /// Keeps of it what is in `only`.
    fn keep(&mut self, only: &RoaringBitmap) {
        let Sets { seen, verified, confirmed, exempt, active, connected, crowd } = &mut self.sets;
        for sets in [seen, verified, confirmed, exempt, active, connected, crowd, &mut self.address] {
            for (_day, bits) in sets.iter_mut() {
                *bits &= only;
            }
        }
    }
}

/// A range of numbers as it lies in one piece.
struct Part<'n> {
    numbers: std::ops::Range<u32>,
    site: &'n str,
    /// The site's place among all.
    place: u32,
    named: bool,
}

/// The ranges that lie in a piece, cut at its ends.
fn in_block<'n>(numbered: &'n [Numbered], sites: &[&str], block: u32) -> Vec<Part<'n>> {
    let start = block * BLOCK;
    let mut parts = Vec::new();
    for range in numbered {
        let numbers = range.first.saturating_sub(start)..range.end.saturating_sub(start).min(BLOCK);
        if numbers.start < numbers.end {
            let place = sites.binary_search(&&*range.site).unwrap_or_default();
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            parts.push(Part { numbers, site: &range.site, place, named: range.named });
        }
    }
    parts
}

/// Every number of these ranges.
fn whole(ranges: &[Part<'_>]) -> RoaringBitmap {
    ranges.iter().flat_map(|part| part.numbers.clone()).collect()
}

/// Numbers that are addresses.
fn plain(ranges: &[Part<'_>]) -> RoaringBitmap {
    let mut plain = RoaringBitmap::new();
    for part in ranges.iter().filter(|part| !part.named) {
        plain.insert_range(part.numbers.clone());
    }
    plain
}

/// The days cut into pieces that each begin where the one before ends; the last ends with them.
fn each(days: &RangeInclusive<Day>, next: fn(Day) -> Day) -> impl Iterator<Item = RangeInclusive<Day>> + use<> {
    let end = *days.end();
    let begins = std::iter::successors(Some(*days.start()), move |day| Some(next(*day)));
    begins.take_while(move |begin| *begin <= end).map(move |begin| begin..=next(begin).plus(-1).min(end))
}

/// The Monday of a day's week. 1970-01-01 was a Thursday.
fn monday(day: Day) -> Day {
    day.plus(-(day.0 + 3).rem_euclid(7))
}

fn first_of_month(day: Day) -> Day {
    Day::from(day.date().first_of_month())
}

fn next_month(day: Day) -> Day {
    Day::from(day.date().last_of_month()).plus(1)
}
