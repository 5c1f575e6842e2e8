//! System tests: the `embargo` binary among real peers on loopback — Unbound behind it, dig, kdig and dnsperf in front of it,
//! Prometheus beside it. `.ci/run` installs those and runs this; it is no part of `cargo test`.
//!
//! ```text
//! EMBARGO_BINARY=target/release/embargo cargo test --test system -- --test-threads=1
//! ```
//!
//! Without `EMBARGO_BINARY` the binary of the tests' own profile is taken. Nothing is sent beyond loopback: Unbound has the
//! whole name space in zones of its own ([`unbound`]), so the shipped blocklists are tried with their real names.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what goes wrong here fails the test there")]
#![expect(clippy::disallowed_methods, reason = "the tests are the clock")]
#![expect(clippy::print_stderr, reason = "a failed test shows what the server logged")]

mod blocked;
mod browser;
mod client;
mod clients;
mod confined;
mod crowd;
mod dhcp;
mod disk;
mod doors;
mod dnsperf;
mod encrypted;
mod exempted;
mod exported;
mod failover;
mod faithful;
mod faults;
mod faulty;
mod figures;
mod floods;
mod handover;
mod hostile;
mod killed;
mod leases;
mod packaged;
mod partner;
mod process;
mod quickstart;
mod reach;
mod record;
mod reload;
mod said;
mod scrape;
mod seen;
mod server;
mod start;
mod stop;
mod syslog;
mod tapped;
mod told;
mod transparency;
mod unbound;
mod validation;
