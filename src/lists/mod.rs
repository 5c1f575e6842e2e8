//! Lists that come from elsewhere: fetched, checked, and kept for a start without network.
//!
//! ```text
//! subscription    what an operator names: a URL, how often, by whose signature
//! kept            the copy on disk: whole or not at all, and what is known of it
//! guards          whether a new version is suspiciously less or more than the one before (pure)
//! board           how each list is doing, for people and for metrics
//! ```
//! Leaves reading lists to [`policy`](crate::policy), and when to fetch and what to do with it to [`app`](crate::app).

mod board;
mod guards;
mod kept;
mod subscription;

pub use board::{Board, Progress, Row};
pub use guards::{Guards, Suspicion};
pub use kept::{Incoming, Kept, LIST_FILE, Store, StoreError};
pub use subscription::{ListUrl, SigningKey, SigningKeyError, Subscription, UrlError};
