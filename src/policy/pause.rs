//! Pauses in long work, so that it never keeps a processor for long.

/// Steps between two pauses: of some 50 to 100 nanoseconds each.
const STEPS: usize = 2048;

/// Counts steps of work, and pauses after so many.
#[derive(Debug)]
pub(super) struct Pause {
    pause: fn(),
    steps: usize,
}

impl Pause {
    pub(super) fn new(pause: fn()) -> Self {
        Self { pause, steps: 0 }
    }

    /// So many more steps are done.
    #[inline]
    pub(super) fn step(&mut self, steps: usize) {
        self.steps += steps;
        if self.steps >= STEPS {
            self.steps = 0;
            (self.pause)();
        }
    }
}

impl Default for Pause {
    /// Never.
    fn default() -> Self {
        Self::new(|| ())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static PAUSES: Cell<usize> = const { Cell::new(0) };
    }

    #[test]
    fn there_is_a_pause_after_so_many_steps_and_none_before() {
        let mut pause = Pause::new(|| PAUSES.set(PAUSES.get() + 1));
        (1..STEPS).for_each(|_step| pause.step(1));
        assert_eq!(PAUSES.get(), 0);
        pause.step(1);
        assert_eq!(PAUSES.get(), 1);
        (0..STEPS / 2).for_each(|_step| pause.step(4));
        assert_eq!(PAUSES.get(), 3);
    }
}
