//! Lists that come from elsewhere and lists that change on disk, on a whole server.

mod bad;
mod command;
mod files;
mod kept;
mod subscribed;
mod unbelieved;
mod web;
mod written;

/// Only a fault lets a test wait for it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
