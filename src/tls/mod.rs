//! TLS: whom we believe, and as whom we show ourselves.
//!
//! ```text
//! pem      certificates and keys as operators keep them
//! paper    what a certificate says of itself, for those who keep it
//! client   how a server is authenticated, and how we authenticate ourselves to it
//! hello    the greeting of a client, by which it says whom it wants
//! server   as whom we show ourselves to clients, exchanged while connections go on
//! ```
//! The only user of `rustls`, with ring as the one library for cryptography. Leaves connections to those who make them:
//! [`upstream`](crate::upstream) asks over them, [`serve`](crate::serve) answers.

mod client;
mod hello;
mod paper;
mod pem;
mod server;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use client::{ClientTls, Encrypted, Pin, PinError, Trust, explain, is_server_name};
pub use hello::Hello;
pub use paper::Paper;
pub use pem::{Identity, PemError, certificates};
pub use server::{ServerTls, Speech, quic_server_name};
pub use tokio_rustls::TlsAcceptor;

/// The one library for cryptography. Never the process's default, which a crate elsewhere in the tree could set.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
