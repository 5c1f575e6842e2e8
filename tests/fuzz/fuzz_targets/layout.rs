//! Octets from libFuzzer to the property of the same name.

#![no_main]

#[path = "../properties/layout.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| property::check(octets));
