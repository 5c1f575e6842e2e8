//! One rule: what it matches, what a match says about the client, and what is done.

use std::sync::Arc;

use super::ban::{Action, Evidence, Mode};
use super::pattern::Pattern;

/// The category of a rule whose line names none.
pub const UNCATEGORISED: &str = "uncategorised";
/// The category of every rule of a plain list given with `--list`.
pub const LISTED: &str = "list";

/// The fourth column of a rule: a mode, or an action (which means `enforce` by that action).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Does {
    /// `off`, `observe`, or `enforce` by the ban's action.
    Mode(Mode),
    /// `enforce` by this action.
    Action(Action),
}

impl Does {
    /// Reads a mode or an action; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        let mode = Mode::ALL.into_iter().find(|mode| mode.as_str() == word).map(Self::Mode);
        mode.or_else(|| Action::ALL.into_iter().find(|action| action.as_str() == word).map(Self::Action))
    }
}

/// One line of a rules file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it matches.
    pub pattern: Pattern,
    /// `[a-z0-9_-]{1,32}`; a label value of metrics.
    pub category: Arc<str>,
    /// What a match proves.
    pub evidence: Evidence,
    /// What is done; `None`: `observe` for [`Evidence::Visit`] and [`Evidence::None`], else as the ban does.
    pub does: Option<Does>,
}

impl Rule {
    /// Whether it is there to observe or enforce, and not to except names or to do nothing.
    pub fn bans(&self) -> bool {
        !self.pattern.as_ref().allow && self.does != Some(Does::Mode(Mode::Off))
    }
}

/// What a rule does, its ban and the date taken into account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing: the rule or its ban is off, or not yet in force.
    Off,
    /// Lifts its own ban.
    Allow,
    /// Counted and recorded, answered normally.
    Observe,
    /// Answered by this action.
    Enforce(Action),
}

impl Effect {
    /// The effect under a ban (or a date) of this mode.
    #[must_use]
    pub(super) fn capped(self, mode: Mode) -> Self {
        match (self, mode) {
            (Self::Off, _) | (_, Mode::Off) => Self::Off,
            (Self::Enforce(_), Mode::Observe) => Self::Observe,
            (effect, _) => effect,
        }
    }

    /// Whose turn it is among the bans' winning rules: enforcing ones first, then observing ones.
    pub(super) fn turn(self) -> u8 {
        match self {
            Self::Enforce(_) => 0,
            Self::Observe => 1,
            Self::Allow => 2,
            Self::Off => 3,
        }
    }

    /// `off`, `allow`, `observe`, or the word of the action.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Allow => "allow",
            Self::Observe => "observe",
            Self::Enforce(action) => action.as_str(),
        }
    }
}
