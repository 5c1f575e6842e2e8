//! Who of a group is asked first. Pure: what is known of each upstream goes in, one of them comes out.
//!
//! `listed` and `fastest` send every question to the same upstream as long as it does well, so that its cache is warm;
//! `random` spreads what can be learned from the questions over all of them.

use rand::Rng;

/// In which order upstreams that are well are asked. Those that are ill always come after them, as listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As the operator has listed them.
    #[default]
    Listed,
    /// By the mean time of their answers. Now and then another one comes first, or nobody would find out that it has become
    /// the faster one.
    Fastest,
    /// At random, anew for each question.
    Random,
}

/// One question in so many goes to another upstream than the fastest first: dear enough to be seldom, often enough that
/// a busy server finds out within seconds.
const EXPLORED_OF: u32 = 64;

/// What is known of one upstream when a question comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Index in its group.
    pub(super) index: usize,
    pub(super) healthy: bool,
    /// Mean time of its answers in seconds; `None` before the first, and then it is tried before all others.
    pub(super) mean: Option<f64>,
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 3] = [Self::Listed, Self::Fastest, Self::Random];

    /// The word for it in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Fastest => "fastest",
            Self::Random => "random",
        }
    }

    /// The one to ask first. `nth` counts the questions of the group.
    pub(super) fn first(
        self,
        nth: u32,
        candidates: impl Iterator<Item = Candidate> + Clone,
        random: &mut impl Rng,
    ) -> Option<usize> {
        let well = candidates.clone().filter(|candidate| candidate.healthy);
        let count = well.clone().count();
        let chosen = match self {
            // Where all are ill there is nobody to spare the first for. An attacker can make them so with a few names that
            // nobody answers, and must not thereby decide who is asked for others.
            _ if count == 0 => return candidates.map(|candidate| candidate.index).next(),
            Self::Listed => 0,
            Self::Random => random.random_range(0..count),
            Self::Fastest => {
                let by_time = well.clone().enumerate().min_by(|(_, a), (_, b)| key(a).total_cmp(&key(b)));
                let fastest = by_time.map_or(0, |best| best.0);
                let explored = usize::try_from(nth / EXPLORED_OF).unwrap_or_default() % count;
                if nth % EXPLORED_OF == EXPLORED_OF - 1 { explored } else { fastest }
            }
        };
        well.map(|candidate| candidate.index).nth(chosen)
    }

    /// All of them in the order in which they are asked.
    pub(super) fn all(self, nth: u32, candidates: &[Candidate], random: &mut impl Rng) -> Vec<usize> {
        let mut left = candidates.to_vec();
        left.sort_by_key(|candidate| !candidate.healthy);
        let well = left.partition_point(|candidate| candidate.healthy);
        if self == Self::Fastest {
            // The second one is the second fastest, whoever is the first.
            left[..well].sort_by(|a, b| key(a).total_cmp(&key(b)));
        }
        let mut turns = Vec::with_capacity(left.len());
        while self == Self::Random && turns.len() < well {
            let first = self.first(nth, left.iter().copied(), random);
            turns.extend(first);
            left.retain(|candidate| Some(candidate.index) != first);
        }
        let first = if turns.is_empty() { self.first(nth, candidates.iter().copied(), random) } else { None };
        turns.extend(first);
        turns.extend(left.iter().map(|candidate| candidate.index).filter(|&index| Some(index) != first));
        turns
    }
}

fn key(candidate: &Candidate) -> f64 {
    candidate.mean.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Upstreams with these mean times in milliseconds; negative: it is ill; 0: nothing is known of it yet.
    fn candidates(means: &[i32]) -> Vec<Candidate> {
        let candidate = |(index, &mean): (usize, &i32)| Candidate {
            index,
            healthy: mean >= 0,
            mean: (mean != 0).then(|| f64::from(mean.abs()) / 1000.0),
        };
        means.iter().enumerate().map(candidate).collect()
    }

    #[track_caller]
    fn check(order: Order, means: &[i32], nth: u32, expected: &[usize]) {
        let (candidates, mut random) = (candidates(means), rand::rng());
        assert_eq!(order.all(nth, &candidates, &mut random), expected, "{order:?} {means:?}");
        assert_eq!(order.first(nth, candidates.iter().copied(), &mut random), expected.first().copied());
    }

    #[test]
    fn the_ill_come_last_and_as_listed() {
        for order in [Order::Listed, Order::Fastest] {
            check(order, &[-1, 20, -3, 40], 0, &[1, 3, 0, 2]);
            check(order, &[-9, -1, -3], 0, &[0, 1, 2]);
            check(order, &[], 0, &[]);
        }
        let turns = Order::Random.all(0, &candidates(&[-1, 20, -3, 40]), &mut rand::rng());
        assert!(turns == [1, 3, 0, 2] || turns == [3, 1, 0, 2], "{turns:?}");
    }

    #[test]
    fn the_fastest_is_asked_first_and_one_without_an_answer_yet_before_it() {
        check(Order::Fastest, &[30, 10, 20], 0, &[1, 2, 0]);
        check(Order::Fastest, &[30, 10, 0], 0, &[2, 1, 0]);
        check(Order::Listed, &[30, 10, 0], 0, &[0, 1, 2]);
    }

    #[test]
    fn one_question_in_64_goes_to_each_of_the_others_in_turn() {
        let (candidates, mut random) = (candidates(&[30, 10, -1, 20]), rand::rng());
        let mut asked = [0; 4];
        for nth in 0..64 * 300 {
            asked[Order::Fastest.first(nth, candidates.iter().copied(), &mut random).unwrap()] += 1;
        }
        assert_eq!(asked, [100, 63 * 300 + 100, 0, 100]);
    }

    #[test]
    fn at_random_each_is_first_equally_often() {
        let (candidates, mut random, mut asked) = (candidates(&[30, 10, -1, 20]), rand::rng(), [0_u32; 4]);
        for nth in 0..3000 {
            let turns = Order::Random.all(nth, &candidates, &mut random);
            assert_eq!((turns.len(), turns[3]), (4, 2), "{turns:?}");
            asked[turns[0]] += 1;
        }
        // Ten standard deviations from a third.
        assert!([0, 1, 3].iter().all(|&index| asked[index].abs_diff(1000) < 260), "{asked:?}");
    }
}
