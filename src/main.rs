//! The `embargo` command.

fn main() {}
