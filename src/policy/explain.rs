//! Why policy says what it says.

use super::verdict::{Hit, Verdict};

/// A verdict with every rule that was considered for it.
#[derive(Clone, Debug)]
pub struct Explanation<'p> {
    /// The verdict.
    pub verdict: Verdict<'p>,
    /// Every rule that stands at the name, above it or as a glob beside it: the winner first, then by ban and rank.
    pub candidates: Vec<Candidate<'p>>,
}

/// One rule that was considered.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'p> {
    /// The rule.
    pub hit: Hit<'p>,
    /// Why it did not decide; `None` for the one that did.
    pub lost: Option<Lost>,
}

/// Why a rule did not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// `=name` above the name asked.
    ExactElsewhere,
    /// `*.name` at the name asked.
    OnlyBelow,
    /// The rule's fourth column is `off`.
    RuleOff,
    /// Its ban is `off`.
    BanOff,
    /// Its ban has a date that has not come.
    NotYetInForce,
    /// A glob can't enforce a public suffix.
    PublicSuffix,
    /// A rule of the same ban is more specific, or equally specific and allows.
    LessSpecific,
    /// A ban that enforces goes first.
    OtherBanEnforced,
    /// A ban of the same effect whose id sorts first goes first.
    OtherBanFirst,
    /// Another ban enforces or observes what this rule allows in its own ban.
    AllowsOwnBanOnly,
    /// DS at this name is asked of the parent zone, which is not the vendor's.
    ParentsBusiness,
}

impl Lost {
    /// The reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExactElsewhere => "matches another name only",
            Self::OnlyBelow => "matches only below this name",
            Self::RuleOff => "rule off",
            Self::BanOff => "ban off",
            Self::NotYetInForce => "not yet in force",
            Self::PublicSuffix => "a glob can't enforce a public suffix",
            Self::LessSpecific => "less specific",
            Self::OtherBanEnforced => "other ban enforced first",
            Self::OtherBanFirst => "other ban first",
            Self::AllowsOwnBanOnly => "allows in its own ban only",
            Self::ParentsBusiness => "DS belongs to the parent zone",
        }
    }
}
