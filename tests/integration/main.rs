//! Integration tests: the server over loopback, as clients and operators see it.

mod upstream;
mod upstream_fake;
