//! Who was active at all, banned or not, and of which time anything is on record.
//!
//! A device that is silent is clean only if it was there. So each hour the record has who asked for anything, as presence of
//! the day, and a window that says from when to when this server served, how many queries of how many clients, and what was
//! lost. Where there is no window, nothing is known.

mod crowds;
mod fold;
mod met;
mod windows;

pub use windows::WindowRow;

pub(super) use crowds::Crowds;
pub(super) use fold::{Fold, Seen};
pub(super) use met::Met;
pub(super) use windows::{Keeper, delete};

#[cfg(test)]
mod tests;
