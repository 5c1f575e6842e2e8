//! How many globs of one list there is room for in a policy, for whoever looks at a list by itself.

use std::collections::{HashMap, HashSet};

use super::builder::RuleRefused;
use super::glob::{self, GLOBS_MAX, GLOBS_PER_SUFFIX_MAX};
use super::pattern::{Pattern, PatternKind};
use crate::wire::LowerName;

/// Globs: each the name part on the wire, and whether it allows.
type Globs = HashSet<(Box<[u8]>, bool)>;

/// The globs of a list.
#[derive(Debug, Default)]
pub struct GlobRoom {
    /// By their literal suffixes.
    taken: HashMap<Box<[u8]>, Globs>,
    count: usize,
}

impl GlobRoom {
    /// Takes a rule's pattern, as [`PolicyBuilder::rule`](super::PolicyBuilder::rule) would; why there is no room for it.
    pub fn refuse(&mut self, pattern: &Pattern) -> Option<RuleRefused> {
        if pattern.kind() != PatternKind::Glob {
            return None;
        }
        let name = pattern.name();
        let suffix = name.suffix(glob::literal_labels(name));
        let glob: (Box<[u8]>, bool) = (name.wire().into(), pattern.allow());
        let hanging = self.taken.entry(suffix.into()).or_default();
        if hanging.contains(&glob) {
            return None;
        }
        if hanging.len() >= GLOBS_PER_SUFFIX_MAX {
            let suffix = LowerName::read(suffix, 0).map_or(LowerName::ROOT, |(name, _end)| name).to_string();
            return Some(RuleRefused::GlobsPerSuffix { suffix, max: GLOBS_PER_SUFFIX_MAX });
        }
        if self.count >= GLOBS_MAX {
            return Some(RuleRefused::Globs { max: GLOBS_MAX });
        }
        self.count += 1;
        hanging.insert(glob);
        None
    }
}
