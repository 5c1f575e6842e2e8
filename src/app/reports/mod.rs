//! Reports: made of the policy, the audit log and the record; when somebody asks for one, and by themselves.

mod key;
mod keep;
mod make;
mod plan;

pub(super) use keep::keep;
pub(crate) use key::read as signing_key;
pub(crate) use make::{Making, Unmade, history};
