//! TLS: whom we believe, and as whom we show ourselves.
//!
//! ```text
//! pem      certificates and keys as operators keep them
//! client   how a server is authenticated, and how we authenticate ourselves to it
//! ```
//! The only user of `rustls`, with ring as the one library for cryptography. Leaves connections to those who make them:
//! [`upstream`](crate::upstream) asks over them.

mod client;
mod pem;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use client::{ClientTls, Pin, PinError, Trust, explain, is_server_name};
pub use pem::{Identity, PemError, certificates};

/// The one library for cryptography. Never the process's default, which a crate elsewhere in the tree could set.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
