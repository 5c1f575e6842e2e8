//! At which numbers of labels rules stand: a name is looked up only where one may be found.

/// Numbers of labels that a name can have: 0 for the root to 127.
const DEPTHS: usize = 128;
/// Literal rules stand here.
const LITERALS: u8 = 1;
/// Literal suffixes of globs stand here.
const GLOBS: u8 = 2;
/// Rules of either kind stand further down.
const DEEPER: u8 = 4;

/// For each number of labels, what stands there.
#[derive(Debug)]
pub(super) struct Depths([u8; DEPTHS]);

/// What stands at one number of labels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth(u8);

impl Depths {
    /// Bit n of each: some rule's name, or the literal suffix of some globs, has n labels.
    pub(super) fn new(literals: u128, globs: u128) -> Self {
        let bit = |bits: u128, depth: usize, flag| if bits >> depth & 1 == 1 { flag } else { 0 };
        let deeper = |depth: usize| if (literals | globs) >> depth > 1 { DEEPER } else { 0 };
        Self(std::array::from_fn(|depth| bit(literals, depth, LITERALS) | bit(globs, depth, GLOBS) | deeper(depth)))
    }

    /// What stands at this number of labels.
    #[inline]
    pub(super) fn at(&self, labels: usize) -> Depth {
        Depth(self.0.get(labels).copied().unwrap_or_default())
    }
}

impl Depth {
    /// Whether literal rules do.
    #[inline]
    pub(super) fn has_literals(self) -> bool {
        self.0 & LITERALS != 0
    }

    /// Whether literal suffixes of globs do.
    #[inline]
    pub(super) fn has_globs(self) -> bool {
        self.0 & GLOBS != 0
    }

    /// Whether nothing stands further down.
    #[inline]
    pub(super) fn is_last(self) -> bool {
        self.0 & DEEPER == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_depth_says_what_stands_there_and_whether_more_stands_below() {
        let depths = Depths::new(1 << 127 | 1 << 3, 1 << 2);
        let shown = |labels| {
            let depth = depths.at(labels);
            (depth.has_literals(), depth.has_globs(), depth.is_last())
        };
        assert_eq!(shown(0), (false, false, false));
        assert_eq!(shown(2), (false, true, false));
        assert_eq!(shown(3), (true, false, false));
        assert_eq!(shown(126), (false, false, false));
        assert_eq!(shown(127), (true, false, true));
        assert!(Depths::new(0, 0).at(0).is_last());
        assert!(Depths::new(1, 0).at(0).is_last());
    }
}
