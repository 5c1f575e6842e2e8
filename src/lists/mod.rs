//! Lists that come from elsewhere: fetched, checked, and kept for a start without network.
//!
//! ```text
//! subscription    what an operator names: a URL, how often, by whose signature
//! reach           the way to its server
//! fetch, body     one list over HTTP; its octets on their way to the disk
//! kept            the copy on disk: whole or not at all, and what is known of it
//! guards          whether a new version is suspiciously less or more than the one before (pure)
//! schedule        when it is asked for next (pure)
//! board           how each list is doing, for people and for metrics
//! post            the other direction: something of ours is posted by the same way
//! ```
//! What came is read as it is: a list that refers to others (`!#include` and the like) is not followed there, so lists can't lead in
//! circles. Leaves reading lists to [`policy`](crate::policy), and when to fetch and what to do with it to [`app`](crate::app).

mod board;
mod body;
mod error;
mod fetch;
mod guards;
mod kept;
mod post;
mod reach;
mod schedule;
mod subscription;

pub use board::{Board, Progress, Row};
pub use body::BodyError;
pub use error::FetchError;
pub use fetch::Fetched;
pub use guards::{Guards, Suspicion};
pub use kept::{Incoming, Kept, LIST_FILE, Store, StoreError};
pub use post::{Hook, Reply};
pub use schedule::Schedule;
pub use subscription::{ListUrl, SigningKey, SigningKeyError, Subscription, UrlError};
