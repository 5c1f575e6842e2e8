//! How the writer goes from one privacy to the next.

use std::sync::Arc;

use super::Privacy;

/// Looks for which nothing gets finer than before: whatever was recorded under the one before is written by then.
const LOOKS: u32 = 60;

/// The privacy that is wanted, and the one that is gone by.
#[derive(Debug)]
pub(in crate::journal) struct Following {
    wanted: Arc<Privacy>,
    by: Arc<Privacy>,
    /// Looks until the one before no longer counts.
    left: u32,
    is_noted: bool,
}

impl Following {
    pub(in crate::journal) fn new(privacy: &Arc<Privacy>) -> Self {
        Self { wanted: Arc::clone(privacy), by: Arc::clone(privacy), left: 0, is_noted: false }
    }

    /// What to go by, where this is wanted; `is_written`: whether nothing waits that was taken before.
    pub(in crate::journal) fn look(&mut self, wanted: &Arc<Privacy>, is_written: bool) -> Arc<Privacy> {
        if !Arc::ptr_eq(&self.wanted, wanted) {
            self.by = Arc::new(wanted.after(Arc::clone(&self.by)));
            (self.wanted, self.left, self.is_noted) = (Arc::clone(wanted), LOOKS, false);
        } else if self.left > 0 && is_written {
            self.left -= 1;
            if self.left == 0 {
                self.by = Arc::clone(wanted);
            }
        }
        Arc::clone(&self.by)
    }

    /// What is wanted, if the store does not say so yet.
    pub(in crate::journal) fn unnoted(&self) -> Option<Arc<Privacy>> {
        (!self.is_noted).then(|| Arc::clone(&self.wanted))
    }

    /// The store says it by now.
    pub(in crate::journal) fn note(&mut self) {
        self.is_noted = true;
    }
}
