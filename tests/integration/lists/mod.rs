//! Lists that come from elsewhere and lists that change on disk, on a whole server.

mod command;
mod files;
mod kept;
mod subscribed;
mod unbelieved;
mod web;

/// Only a fault lets a test wait for it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
