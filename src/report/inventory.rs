//! The devices behind the figures, one by one: who is counted in which of them, in any order, a page at a time.

use std::collections::HashMap;

use roaring::RoaringBitmap;
use serde::Serialize;

use super::cohort::{Cohort, Sets, within};
use super::figures::{Figures, Subject};
use crate::journal::{BLOCK, Presence, Set, Sign, StoreError, What};
use crate::time::Day;

/// Devices that are ordered by what has to be looked up for each of them, at most.
const NAMED_MAX: usize = 20_000;
/// Devices that are ordered by their lookups at most: these are added up day by day.
const SUMMED_MAX: usize = 1_000;

/// Which devices are meant: those that a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Seen in the window.
    Now,
    /// Seen in the baseline.
    Baseline,
    /// Seen in both.
    Still,
    /// In the window and never before the end of the baseline.
    New,
    /// In the window and before the baseline, but not in it.
    Returned,
    /// Of the baseline, clean.
    Clean,
    /// Of the baseline, not seen and not active long enough to be called clean.
    Quiet,
    /// Of the baseline, not seen and not active since.
    Unknown,
    /// Of the window, confirmed.
    Confirmed,
    /// Of the window, not confirmed.
    Suspected,
    /// Of the window, let through by an exemption.
    Exempt,
    /// Of the window, connected to the block page.
    Connected,
    /// Clean, and seen again.
    Reinfected,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 13] = [
        Self::Now,
        Self::New,
        Self::Still,
        Self::Returned,
        Self::Confirmed,
        Self::Suspected,
        Self::Exempt,
        Self::Connected,
        Self::Reinfected,
        Self::Baseline,
        Self::Clean,
        Self::Quiet,
        Self::Unknown,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Baseline => "baseline",
            Self::Still => "still",
            Self::New => "new",
            Self::Returned => "returned",
            Self::Clean => "clean",
            Self::Quiet => "quiet",
            Self::Unknown => "unknown",
            Self::Confirmed => "confirmed",
            Self::Suspected => "suspected",
            Self::Exempt => "exempt",
            Self::Connected => "connected",
            Self::Reinfected => "reinfected",
        }
    }

    fn of(self, cohort: &Cohort) -> RoaringBitmap {
        match self {
            Self::Now => cohort.now.clone(),
            Self::Baseline => cohort.baseline.clone(),
            Self::Still => cohort.still.clone(),
            Self::New => cohort.new.clone(),
            Self::Returned => cohort.returned.clone(),
            Self::Clean => cohort.clean.clone(),
            Self::Quiet => cohort.quiet.clone(),
            Self::Unknown => cohort.unknown.clone(),
            Self::Confirmed => cohort.confirmed.clone(),
            Self::Suspected => &cohort.now - &cohort.confirmed,
            Self::Exempt => cohort.exempt.clone(),
            Self::Connected => cohort.connected.clone(),
            Self::Reinfected => cohort.reinfected.clone(),
        }
    }
}

/// By what devices are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sort {
    /// What tells them best.
    Device,
    /// Their site.
    Site,
    /// The first day on which they were seen.
    First,
    /// The last one.
    Last,
    /// Days of the window on which they were seen.
    Days,
    /// Their lookups in the window.
    Lookups,
}

impl Sort {
    /// Every order.
    pub const ALL: [Self; 6] = [Self::Device, Self::Site, Self::First, Self::Last, Self::Days, Self::Lookups];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Site => "site",
            Self::First => "first",
            Self::Last => "last",
            Self::Days => "days",
            Self::Lookups => "lookups",
        }
    }
}

/// A device. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InventoryRow {
    /// Its number in this record.
    pub number: u32,
    /// Where it is.
    pub site: String,
    /// What tells it best, or its address.
    pub device: String,
    /// Its last address, where that is known.
    pub client: Option<String>,
    /// `confirmed`, `suspected`, or what became of one that was not seen in the window: `clean`, `quiet`, `unknown`.
    pub state: &'static str,
    /// `still`, `new` or `returned`; `gone` for one that was not seen in the window.
    pub since_baseline: &'static str,
    /// Whether an exemption let it through.
    pub exempt: bool,
    /// Whether it was seen again after it had been clean.
    pub reinfected: bool,
    /// The first day on which it was ever seen.
    pub first: Option<String>,
    /// The last one, up to the end of the window.
    pub last: Option<String>,
    /// Days of the window on which it was seen.
    pub days: usize,
    /// Its lookups in the window, as far as days are kept one by one.
    pub lookups: u64,
    /// Whether it connected to the block page in the window.
    pub connected: bool,
}

/// The figures, and who is in them.
#[derive(Debug)]
pub struct Inventory {
    /// The figures.
    pub figures: Figures,
    pieces: Vec<Seen>,
    /// Those that have several numbers, each by its place among them.
    roaming: Option<Seen>,
    /// By number: the place of its device among these.
    places: HashMap<u32, u32>,
}

/// Who was seen, of one piece of all numbers.
#[derive(Debug)]
struct Seen {
    block: u32,
    cohort: Cohort,
    /// The sets of the window.
    window: Vec<Set>,
    /// By number: the day on which it was first seen, and the last one; [`Day::default`]: not at all.
    first: Box<[Day]>,
    last: Box<[Day]>,
}

impl Seen {
    fn of(block: u32, (sets, cohort): (&Sets, &Cohort), subject: &Subject<'_>) -> Option<Self> {
        let all = &(&cohort.baseline | &cohort.now) | &cohort.reinfected;
        if all.is_empty() {
            return None;
        }
        let sets = &sets.seen;
        let size = all.max().map_or(0, |last| last as usize + 1);
        let window = within(sets, &subject.asked.window).to_vec();
        Some(Self {
            block,
            first: days(sets.iter(), all.clone(), size),
            last: days(sets.iter().rev(), all, size),
            cohort: cohort.clone(),
            window,
        })
    }

    fn day(days: &[Day], low: u32) -> Option<Day> {
        let day = days.get(usize::try_from(low).ok()?).copied()?;
        (day != Day::default()).then_some(day)
    }

    /// Days of the window on which it was seen.
    fn days(&self, low: u32) -> usize {
        self.window.iter().filter(|(_day, bits)| bits.contains(low)).count()
    }
}

/// For each of these the day of the first set that it is in.
fn days<'s>(sets: impl Iterator<Item = &'s Set>, mut wanted: RoaringBitmap, size: usize) -> Box<[Day]> {
    let mut found = vec![Day::default(); size].into_boxed_slice();
    for (day, bits) in sets {
        if wanted.is_empty() {
            break;
        }
        for low in &wanted & bits {
            if let Some(place) = found.get_mut(low as usize) {
                *place = *day;
            }
        }
        wanted -= bits;
    }
    found
}

impl Inventory {
    /// Reads the figures and who is in them.
    ///
    /// # Errors
    /// [`StoreError`] when the record can't be read.
    pub fn read(presence: &Presence<'_>, subject: &Subject<'_>) -> Result<Self, StoreError> {
        let (mut pieces, mut roaming) = (Vec::new(), None);
        let figures = Figures::read_with(presence, subject, |block, sets, cohort| match block {
            Some(block) => pieces.extend(Seen::of(block, (sets, cohort), subject)),
            None => roaming = Seen::of(0, (sets, cohort), subject),
        })?;
        let of = |place: u32| figures.roaming.numbers(place).iter().map(move |number| (*number, place));
        let places = (0..figures.roaming.len()).flat_map(of).collect();
        Ok(Self { figures, pieces, roaming, places })
    }

    /// Whether that many devices can be brought into this order.
    pub fn sorts(sort: Sort, devices: usize) -> bool {
        sort != Sort::Lookups || devices <= SUMMED_MAX
    }

    /// The numbers of all devices of a class, in that order or against it; by number where too many are to be brought into it.
    ///
    /// # Errors
    /// [`StoreError`] when the record can't be read.
    pub fn numbers(
        &self,
        presence: &Presence<'_>,
        subject: &Subject<'_>,
        class: Class,
        (sort, falling): (Sort, bool),
    ) -> Result<Vec<u32>, StoreError> {
        let mut numbers = self.all(subject, class);
        if !Self::sorts(sort, numbers.len()) {
            return Ok(numbers);
        }
        match sort {
            Sort::Device if numbers.len() > NAMED_MAX => {
                let wanted: RoaringBitmap = numbers.iter().copied().collect();
                numbers.clear();
                presence
                    .by_name(falling, &mut |number| numbers.extend(Some(number).filter(|n| wanted.contains(*n))))?;
                return Ok(numbers);
            }
            Sort::Device => {
                let mut rows = presence.devices(numbers.iter().copied())?;
                rows.sort_by(|a, b| (&a.device, &a.site).cmp(&(&b.device, &b.site)));
                numbers = rows.into_iter().map(|row| row.number).collect();
            }
            Sort::Site => {
                let numbered = presence.numbered()?;
                let site = |number: u32| {
                    let at = numbered.partition_point(|range| range.first <= number).checked_sub(1);
                    at.and_then(|at| numbered.get(at)).map_or("", |range| &*range.site)
                };
                numbers.sort_by_cached_key(|number| (site(*number), *number));
            }
            Sort::First => {
                numbers.sort_by_cached_key(|number| self.place(*number, |seen, low| Seen::day(&seen.first, low)));
            }
            Sort::Last => {
                numbers.sort_by_cached_key(|number| self.place(*number, |seen, low| Seen::day(&seen.last, low)));
            }
            Sort::Days => numbers.sort_by_cached_key(|number| self.place(*number, |seen, low| Some(seen.days(low)))),
            Sort::Lookups => {
                let mut summed = Vec::with_capacity(numbers.len());
                for number in numbers {
                    summed.push((self.lookups(presence, subject, number)?, number));
                }
                summed.sort_unstable();
                numbers = summed.into_iter().map(|(_sum, number)| number).collect();
            }
        }
        if falling {
            numbers.reverse();
        }
        Ok(numbers)
    }

    /// How many devices of a class there are.
    pub fn count(&self, class: Class) -> u64 {
        self.pieces.iter().chain(&self.roaming).map(|seen| class.of(&seen.cohort).len()).sum()
    }

    /// What is known of these, in this order.
    ///
    /// # Errors
    /// [`StoreError`] when the record can't be read.
    pub fn rows(
        &self,
        presence: &Presence<'_>,
        subject: &Subject<'_>,
        numbers: &[u32],
    ) -> Result<Vec<InventoryRow>, StoreError> {
        let mut rows = Vec::with_capacity(numbers.len());
        for &number in numbers {
            let Some(device) = presence.devices([number])?.pop() else { continue };
            let lookups = self.lookups(presence, subject, number)?;
            let (seen, low) = self.place_of(number);
            let is_in = |of: fn(&Cohort) -> &RoaringBitmap| seen.is_some_and(|seen| of(&seen.cohort).contains(low));
            let day =
                |of: fn(&Seen) -> &[Day]| seen.and_then(|seen| Seen::day(of(seen), low)).map(|day| day.to_string());
            rows.push(InventoryRow {
                number,
                site: device.site,
                device: device.device,
                client: device.client.map(|client| client.to_string()),
                state: match () {
                    () if is_in(|cohort| &cohort.confirmed) => "confirmed",
                    () if is_in(|cohort| &cohort.now) => "suspected",
                    () if is_in(|cohort| &cohort.clean) => "clean",
                    () if is_in(|cohort| &cohort.quiet) => "quiet",
                    () => "unknown",
                },
                since_baseline: match () {
                    () if is_in(|cohort| &cohort.still) => "still",
                    () if is_in(|cohort| &cohort.new) => "new",
                    () if is_in(|cohort| &cohort.returned) => "returned",
                    () => "gone",
                },
                exempt: is_in(|cohort| &cohort.exempt),
                reinfected: is_in(|cohort| &cohort.reinfected),
                first: day(|seen| &seen.first),
                last: day(|seen| &seen.last),
                days: seen.map_or(0, |seen| seen.days(low)),
                lookups,
                connected: is_in(|cohort| &cohort.connected),
            });
        }
        Ok(rows)
    }

    /// Where a number's device is counted, and by which number there.
    fn place_of(&self, number: u32) -> (Option<&Seen>, u32) {
        if let Some(place) = self.places.get(&number) {
            return (self.roaming.as_ref(), *place);
        }
        let at = self.pieces.binary_search_by_key(&(number / BLOCK), |seen| seen.block).ok();
        (at.and_then(|at| self.pieces.get(at)), number % BLOCK)
    }

    /// Lookups of a device in the window.
    fn lookups(&self, presence: &Presence<'_>, subject: &Subject<'_>, number: u32) -> Result<u64, StoreError> {
        let sign = Sign { ban: subject.ban, evidence: Some(subject.evidence), what: What::Seen };
        let (alone, mut sum) = ([number], 0);
        let numbers = self.places.get(&number).map_or(&alone[..], |place| self.figures.roaming.numbers(*place));
        for number in numbers {
            let counts = presence.counts(sign, *number, &subject.asked.window)?;
            sum += counts.iter().map(|day| day.count).sum::<u64>();
        }
        Ok(sum)
    }

    fn place<T>(&self, number: u32, of: impl Fn(&Seen, u32) -> Option<T>) -> (Option<T>, u32) {
        let (seen, low) = self.place_of(number);
        (seen.and_then(|seen| of(seen, low)), number)
    }

    /// Every device of a class, by number: one with several by that of the site where it was seen last.
    fn all(&self, subject: &Subject<'_>, class: Class) -> Vec<u32> {
        let of = |seen: &Seen| class.of(&seen.cohort).iter().map(|low| seen.block * BLOCK + low).collect::<Vec<_>>();
        let mut all: Vec<u32> = self.pieces.iter().flat_map(of).collect();
        if let Some(seen) = &self.roaming {
            let days = *subject.asked.baseline.start()..=*subject.asked.window.end();
            let last = |place| self.figures.roaming.last(place, &days);
            all.extend(class.of(&seen.cohort).iter().filter_map(last));
            all.sort_unstable();
        }
        all
    }
}
