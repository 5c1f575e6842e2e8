//! What attempts have in common, kept once: a record of a million of them names a handful.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::policy::Evidence;

/// What attempts of one kind have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Series {
    /// The ban's id.
    pub ban: Arc<str>,
    /// The rule's category.
    pub category: Arc<str>,
    /// What a lookup proves.
    pub evidence: Evidence,
    /// Where the clients are.
    pub site: Arc<str>,
}

/// A series by its number; only the journal that gave it knows what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub(super) u32);

impl SeriesId {
    /// Its place in [`Names::all`].
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Every series that was given a number. Their parts come from the configuration, so there are only so many.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    numbers: HashMap<Series, SeriesId>,
    all: Arc<Vec<Series>>,
}

impl Names {
    /// The number of a series: the same for equal ones.
    pub(super) fn number(&self, series: Series) -> SeriesId {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut *known;
        *known.numbers.entry(series).or_insert_with_key(|series| {
            let all = Arc::make_mut(&mut known.all);
            all.push(series.clone());
            SeriesId(u32::try_from(all.len() - 1).unwrap_or(u32::MAX))
        })
    }

    /// Every series by its number.
    pub(super) fn all(&self) -> Arc<Vec<Series>> {
        Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner).all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_series_have_one_number_and_a_number_stands_for_one_series() {
        let names = Names::default();
        let series = |ban: &str, evidence| Series {
            ban: Arc::from(ban),
            category: Arc::from("update"),
            evidence,
            site: Arc::from("default"),
        };
        let tried = [("a", Evidence::Visit), ("b", Evidence::Visit), ("a", Evidence::Likely), ("a", Evidence::Visit)];
        let numbers = tried.map(|(ban, evidence)| names.number(series(ban, evidence)));
        assert_eq!(numbers.map(SeriesId::index), [0, 1, 2, 0]);
        let all = names.all();
        assert_eq!(all.len(), 3);
        assert_eq!(all[numbers[2].index()], series("a", Evidence::Likely));
    }
}
