//! What is banned, for whom, from when: `Policy::decide(name, qtype, client, at) -> Verdict`.
//!
//! Values in, values out. Reading files, TOML and the clock are left to [`config`](crate) and [`clock`](crate);
//! building an answer from a verdict is left to [`serve`](crate).

mod ban;

pub use ban::{Action, Ban, BanKind, Ede, EndUse, Evidence, Law, Milestone, Mode};
