//! Sockets as a DNS server needs them: bound with options that must be set before the address is taken, and datagrams read
//! and written many at a time, each answered from the address it was sent to.
//!
//! The one place for `unsafe`: the kernel's message headers hold pointers, and no safe crate sends to many peers at once
//! with a source address for each; and a service manager names the sockets that it passes by number.

mod batch;
mod bind;
mod control;
mod fault;
mod held;
mod pass;
mod interfaces;
mod neighbours;
mod ready;
mod unsent;

pub use batch::{BATCH, Datagram, Incoming, Outgoing};
pub use bind::{connected_udp, plain_udp, reachable, tcp, udp, udp_again};
pub use control::{Local, send_now, thrown_away};
pub use fault::{AcceptFault, is_dead};
pub use held::Held;
pub use interfaces::{on_link, own_addresses};
pub use neighbours::{LinkAddress, neighbours};
pub use pass::{PASSED_AT_ONCE, Passing};
pub use ready::Readiness;
pub use unsent::unsent;
