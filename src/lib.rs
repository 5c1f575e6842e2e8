//! Embargo: a forwarding DNS server that enforces and measures technology-vendor bans.
//!
//! It answers the lookups of banned vendors itself, keeps a durable record of which client tried what and what that
//! proves, and forwards everything else faithfully.
//!
//! # Floors
//! A module uses only modules declared before it; `tests/integration/tidy.rs` holds this. The order of declaration is
//! the order of dependency and the order of reading.
//!
//! ```text
//! ground       diag, time, digest, wire, dnstap,      values in, values out: no files, sockets, clock, async, logs, serde
//!              policy, local, cache
//! instruments  metrics, clock, priority, replace,     counters; the one reader of the clock; threads that wait; files
//!              confine, socket, tls                   exchanged whole; rights given up; bound sockets; whom to believe,
//!                                                     and as whom to show oneself
//! outside      upstream, lists, identity, journal,    ask other servers; fetch lists; who had which address; remember
//!              scan, sinks, transfer, audit, access,  who tried what, by logs of others too, and send it on; zones on
//!              report                                 the wire; who was spared why; who may ask us; what all of it proves
//! service      serve, intake, orders                  the way of one query; what other resolvers tell of theirs; what
//!                                                     can be asked of a running server
//! faces        block_page, admin, config, app,        what those see who are kept out; HTTP, settings, wiring, command
//!              cli                                    line
//! ```
//!
//! # One door per foreign crate
//! `hickory_server` is used only in [`serve`], `hickory_resolver` only in [`upstream`], `hickory_proto` only in these two, `axum`
//! only in [`admin`], `hyper` there and in [`block_page`], [`lists`] and [`serve`], `toml` only in [`config`], `rusqlite` only in
//! [`journal`], `roaring` there and in [`report`], `clap` and `indicatif` only in [`cli`], `rustix` only in [`priority`] and
//! [`socket`], `if_addrs` only in [`socket`], `landlock` and `nix` only in [`confine`], `rustls` only in [`tls`], `tokio_rustls`
//! there and in [`block_page`] and [`serve`], `quinn` in [`tls`] and [`serve`], `idna` and `memmap2` only in [`policy`], `url` and
//! `minisign_verify` only in [`lists`], `flate2` there and in [`scan`], `ruzstd` only in [`scan`], `csv` only in [`identity`], `maud`
//! only in [`report`], [`block_page`] and [`admin`], `argon2` only in [`access`]. `tests/integration/tidy.rs` holds this.
//!
//! # The way of one query
//! `serve::udp` or `serve::stream` reads a message and opens its ledger entry; [`serve`]'s pipeline then asks admission,
//! policy, the record, data of our own and the cache, in that order, in one function. What none of them settles is asked of
//! the upstreams, and comes back to the pipeline's last part. Every message read ends in exactly one outcome counter.

pub mod diag;
pub mod time;
pub mod digest;
pub mod wire;
pub mod dnstap;
pub mod policy;
pub mod local;
pub mod cache;

pub mod metrics;
pub mod clock;
pub mod priority;
pub mod replace;
pub mod confine;
pub mod socket;
pub mod tls;

pub mod upstream;
pub mod lists;
pub mod identity;
pub mod journal;
pub mod scan;
pub mod sinks;
pub mod transfer;
pub mod audit;
pub mod access;
pub mod report;

pub mod serve;
pub mod intake;
pub mod orders;

pub mod block_page;
pub mod admin;
pub mod config;
pub mod app;
pub mod cli;
