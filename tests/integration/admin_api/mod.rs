//! The API as scripts and browsers see it: who may do what, what is told of it afterwards, and what rude clients get.

mod access;
mod changes;
mod client;
mod looks;
mod pages;
mod reading;
mod rude;
