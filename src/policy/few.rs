//! Rules found for one name: nearly always a handful, so the first ones cost no allocation.

use super::lookup::Found;

/// Rules held without an allocation.
const FEW: usize = 6;

/// Any number of rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Few<'p> {
    first: [Option<Found<'p>>; FEW],
    /// Rules in `first`.
    len: usize,
    /// All of them, once they are more than a few.
    all: Vec<Option<Found<'p>>>,
}

impl<'p> Few<'p> {
    /// The rules, in the order they came.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Found<'p>> {
        let rules = if self.all.is_empty() { self.first.get(..self.len).unwrap_or_default() } else { &self.all };
        rules.iter().flatten()
    }

    /// The rule, if there is but one.
    #[inline]
    pub(super) fn only(&self) -> Option<&Found<'p>> {
        if self.len == 1 { self.first[0].as_ref() } else { None }
    }

    /// Whether there is no rule.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn push(&mut self, found: Found<'p>) {
        match self.first.get_mut(self.len) {
            Some(place) => {
                *place = Some(found);
                self.len += 1;
            }
            None => self.push_to_all(found),
        }
    }

    #[cold]
    fn push_to_all(&mut self, found: Found<'p>) {
        if self.all.is_empty() {
            self.all.extend(self.first);
        }
        self.all.push(Some(found));
    }

    /// Adds a rule, or puts it in the place of the one that is its `rival`, if it ranks above that.
    pub(super) fn push_above(&mut self, found: Found<'p>, rival: impl Fn(&Found<'p>) -> bool) {
        let rules =
            if self.all.is_empty() { self.first.get_mut(..self.len).unwrap_or_default() } else { &mut self.all };
        match rules.iter_mut().flatten().find(|older| rival(older)) {
            Some(older) if found.rank() > older.rank() => *older = found,
            Some(_) => (),
            None => self.push(found),
        }
    }
}

impl<'p> FromIterator<Found<'p>> for Few<'p> {
    fn from_iter<I: IntoIterator<Item = Found<'p>>>(rules: I) -> Self {
        let mut few = Self::default();
        rules.into_iter().for_each(|found| few.push(found));
        few
    }
}
