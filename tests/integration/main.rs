//! Integration tests: the server over loopback, as clients and operators see it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what can't be set up fails the test there")]

mod admin;
mod bad_config;
mod bad_packets;
mod blocking;
mod blocklists;
mod catalogue;
mod cache;
mod command_line;
mod devices;
mod deploy;
mod encrypted;
mod exempt;
mod exports;
mod fair;
mod faults;
mod floods;
mod forwarding;
mod fuzz;
mod harness;
mod hop;
mod intake;
mod leases;
mod listeners;
mod lists;
mod local;
mod network;
mod plugin;
mod preview;
mod protection;
mod proxies;
mod readme;
mod regression;
mod reload;
mod subnets;
mod screening;
mod sinks;
mod survives;
mod tidy;
mod transfers;
mod upstream;
mod upstream_fake;
mod watching;
mod whom;
mod zones;
