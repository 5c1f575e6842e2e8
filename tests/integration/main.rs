//! Integration tests: the server over loopback, as clients and operators see it.

mod upstream_fake;
