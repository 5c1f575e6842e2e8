//! What the record proves: figures by set algebra over who was there on which day, and the document that says them.
//!
//! [`Figures`] are pure functions of what was read; a [`Document`] is everything that a report says, and its forms say it to
//! people, spreadsheets and programs. The same record and the same question make the same octets: nothing here looks at the
//! clock. [`seal()`] ends a report with its digest and the signature of the server that holds the record.

mod cohort;
mod csv;
mod document;
mod figures;
mod format;
mod groups;
mod history;
mod html;
mod incident;
mod inventory;
mod key;
mod key_file;
mod lifetime;
mod markdown;
mod method;
mod milestones;
mod open;
mod oscal;
mod roaming;
mod seal;
mod site_days;
mod statement;

pub use cohort::{Asked, CLEAN_AFTER_DAYS, Cohort, Sets, cohort};
pub use csv::quoted;
pub use document::{
    About, AuditRow, Coverage, Covered, Document, EvidenceRow, Inputs, ListRow, SignalRow, Silent, SpanRow,
};
pub use figures::{Counts, Distinct, Figures, Subject};
pub use format::Format;
pub use groups::{By, GroupRow, Grouping, SiteTags};
pub use history::{EnforcementRow, ExceptionRow, History};
pub use incident::{DayRow, Incident, IncidentInputs, NameRow};
pub use inventory::{Class, Inventory, InventoryRow, Sort};
pub use key::{Key, SiteRow, decline, number, percent, share};
pub use key_file::KeyFileError;
pub use lifetime::Lifetimes;
pub use milestones::{LawRow, MilestoneRow};
pub use open::{Open, OpenRow};
pub use seal::{Broken, Key as SigningKey, KeyError, Proof, seal, verify};

#[cfg(test)]
mod tests;
