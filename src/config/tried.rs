//! What became of each list that was to be read: for metrics, and for whoever may still say no or help.

use std::path::PathBuf;
use std::sync::Arc;

use super::tail::Tail;
use crate::diag::Diagnostic;
use crate::policy::{Ban, Mode};

/// One list, read or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListTried {
    /// The ban that it is of.
    pub ban: Arc<str>,
    /// What messages call it.
    pub name: Arc<str>,
    /// Whether its ban is off whatever the date and the client.
    pub off: bool,
    /// Whether nothing about it keeps it out of force.
    pub good: bool,
    /// Percent of its rules that it may lose at once; `None`: that was judged when it came.
    pub shrink_max_percent: Option<u32>,
    /// What was read of it; `None`: it can't be read.
    pub read: Option<Read>,
}

/// What a list was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// SHA-256 of its octets, in hexadecimal.
    pub digest: String,
    /// Where a saved copy has it.
    pub saved_as: PathBuf,
    /// How it ends.
    pub tail: Tail,
}

/// A list from elsewhere whose kept copy could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanting {
    /// The ban that it makes.
    pub ban: Arc<str>,
    /// Whether it did come once: what is there is not what came, or what was known of it is gone.
    pub came: bool,
}

impl ListTried {
    /// A list of a ban that is gone and is not to be.
    pub fn gone(ban: &Arc<str>, name: &Arc<str>) -> Self {
        let (ban, name) = (Arc::clone(ban), Arc::clone(name));
        Self { ban, name, off: false, good: false, shrink_max_percent: None, read: None }
    }

    /// A list with this to be said of it.
    pub(super) fn new(
        (ban, added): (&Arc<str>, Option<&Ban>),
        name: impl Into<Arc<str>>,
        said: &[Diagnostic],
        shrink_max_percent: Option<u32>,
        read: Option<Read>,
    ) -> Self {
        let off = added.is_some_and(|ban| ban.ceiling() == Mode::Off);
        let good = !said.iter().any(Diagnostic::is_error);
        Self { ban: Arc::clone(ban), name: name.into(), off, good, shrink_max_percent, read }
    }
}
