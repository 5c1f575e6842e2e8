//! Memory while one list is exchanged for another, as the kernel counts it.

use std::fmt::Write;
use std::fs;

use embargo::diag::Source;
use embargo::policy::{Ban, ListFormat, ListInfo, Policy, PolicyBuilder, Strictness};

use crate::server;

/// Names in the list.
const NAMES: u32 = 250_000;
/// Octets that a reload may take beside both policies.
const BESIDE: usize = 16 << 20;
/// Octets that may be left of a policy that is gone: the allocator's.
const LEFT: usize = 4 << 20;
/// Reloads, since the first ones find memory that nobody has used.
const RELOADS: u64 = 4;

fn list() -> Source {
    let mut text = String::new();
    for number in 0..NAMES {
        writeln!(text, "n{:010}.example", number.wrapping_mul(0x9E37_79B1)).unwrap();
    }
    Source::new("list", text)
}

fn load(source: &Source, seed: u64) -> Policy {
    let mut builder = PolicyBuilder::new(seed, Vec::new());
    let ban = builder.ban(Ban::named("list"));
    let list = builder.list(ListInfo::new("list", ban, ListFormat::Domains, ""));
    ListFormat::Domains.parse(source, Strictness::Lenient, &mut |rule, _line| builder.rule(list, rule).unwrap());
    builder.build(1).0
}

/// Octets of memory that the process has (`VmRSS`), or has had at most since [`forget_most`] (`VmHWM`).
fn resident(word: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(word)).unwrap();
    line.trim_matches(|letter: char| !letter.is_ascii_digit()).parse::<usize>().unwrap() << 10
}

fn forget_most() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[test]
fn a_reload_takes_no_more_than_both_policies_and_16_mib_and_gives_the_old_ones_memory_back() {
    let _alone = server::alone();
    let source = list();
    let before = resident("VmRSS:");
    let mut in_force = load(&source, 0x5EED);
    for reload in 1..=RELOADS {
        forget_most();
        let new = load(&source, 0x5EED + reload);
        let most = resident("VmHWM:").saturating_sub(before);
        let both = in_force.memory_bytes() + new.memory_bytes();
        assert!(most <= both + BESIDE, "{most} octets at most in reload {reload}, both policies have {both}");
        in_force = new;
        let (left, held) = (resident("VmRSS:").saturating_sub(before), in_force.memory_bytes());
        assert!(left <= held + LEFT, "{left} octets after reload {reload}, the policy has {held}");
    }
}
