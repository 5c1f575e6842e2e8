//! What the record proves: figures by set algebra over who was there on which day, and the document that says them.
//!
//! [`Figures`] are pure functions of what was read; a [`Document`] is everything that a report says, and its forms say it to
//! people, spreadsheets and programs. The same record and the same question make the same octets: nothing here looks at the
//! clock. [`Seal`] ends a report with its digest and the signature of the server that holds the record.

mod cohort;
mod figures;
mod lifetime;

pub use cohort::{Asked, CLEAN_AFTER_DAYS, Cohort, Sets, cohort};
pub use figures::{Counts, Distinct, Figures};
pub use lifetime::Lifetimes;
