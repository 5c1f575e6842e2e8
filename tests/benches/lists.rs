//! A list of as many names as a bench wants, and the policy made of it.

#![allow(dead_code, reason = "each bench uses its part")]
#![expect(clippy::expect_used, reason = "a bench that can't be set up has nothing to measure")]

use std::fmt::Write;

use embargo::diag::Source;
use embargo::policy::{Ban, ListFormat, ListInfo, Policy, PolicyBuilder, Strictness};
use embargo::wire::LowerName;

/// Spreads numbers, so that neighbours in a list are none in the table.
fn spread(number: u32) -> u32 {
    number.wrapping_mul(0x9E37_79B1)
}

/// A list of `size` names of 20 characters.
pub(crate) fn list(size: u32) -> Source {
    let mut text = String::new();
    for number in 0..size {
        writeln!(text, "n{:010}.example", spread(number)).expect("a string takes all that is written");
    }
    Source::new("list", text)
}

/// The policy that enforces a list.
pub(crate) fn load(source: &Source) -> Policy {
    let mut builder = PolicyBuilder::new(0x5EED, Vec::new());
    let ban = builder.ban(Ban::named("list"));
    let list = builder.list(ListInfo::new("list", ban, ListFormat::Domains, ""));
    ListFormat::Domains.parse(source, Strictness::Lenient, &mut |rule, _line| {
        builder.rule(list, rule).expect("nothing here is protected");
    });
    builder.build(1).0
}

/// A name below the one of this number in any list longer than the number, and in no shorter one.
pub(crate) fn name(number: u32) -> LowerName {
    LowerName::parse(&format!("www.n{:010}.example", spread(number))).expect("a name")
}
