//! Lists that come from elsewhere and lists that change on disk, on a whole server.

mod command;
mod files;
mod subscribed;
mod unbelieved;
mod web;
