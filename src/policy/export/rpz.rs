//! Response policy zones: every name that a rule names, and `*.` in front of it, since resolvers differ on which wildcard is
//! meant below a name that is there itself; then the networks of answers and of clients.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::entries::{Entry, NetworkEntry, Said};
use super::page::Page;
use crate::policy::ban::{Action, Ban};
use crate::policy::pattern::PatternKind;
use crate::time::Timestamp;
use crate::wire::LowerName;

/// Octets on the wire that are left for the name of the zone, behind every name.
const ZONE_MAX: usize = 32;
const WIRE_MAX: usize = 255;

/// What a zone begins with; its names are relative, so it may be loaded under any.
pub(super) fn head(ttl: u64, at: Timestamp, page: &mut Page<'_>) -> io::Result<()> {
    let serial = at.as_second().rem_euclid(1 << 32);
    page.line(format_args!("$TTL {ttl}"))?;
    page.line(format_args!("@ SOA localhost. hostmaster.localhost. {serial} 3600 600 86400 {ttl}"))?;
    page.line(format_args!("@ NS localhost."))
}

pub(super) fn entry(entry: &Entry<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let name = &entry.name;
    if name.wire().len() + 2 + ZONE_MAX > WIRE_MAX {
        return page.unsaid(format_args!("`{name}`: with the name of a zone behind it, it is no name"));
    }
    // Whoever has a list taken over must not get at clients, addresses or name servers by it.
    if is_reserved(name) {
        return page.unsaid(format_args!("`{name}`: in a policy zone it would be no name"));
    }
    page.count();
    if name.labels() == 0 {
        return record(&"*", &entry.below, &entry.inherited, page);
    }
    if entry.shielded {
        // Names come before addresses in answers (draft-vixie-dnsop-dns-rpz §5).
        page.line(format_args!("{name} CNAME rpz-passthru."))?;
    } else {
        record(name, &entry.here, &entry.inherited, page)?;
    }
    record(&format_args!("*.{name}"), &entry.below, &entry.inherited, page)
}

/// Whether the owner would trigger on something else than the name (draft-vixie-dnsop-dns-rpz §4), now or one day.
fn is_reserved(name: &LowerName) -> bool {
    name.suffix(1).get(1..).is_some_and(|last| last.starts_with(b"rpz-"))
}

pub(super) fn network(entry: &NetworkEntry<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let name = &entry.name;
    page.count();
    match (entry.kind, entry.said) {
        (PatternKind::Client, Said::Passes) if entry.of_all => {
            page.line(format_args!("{name}.rpz-client-ip CNAME rpz-passthru."))
        }
        (PatternKind::Client, Said::Passes) => {
            page.unsaid(format_args!("`{name}.rpz-client-ip` is excepted from its own ban only: export one ban a zone"))
        }
        (PatternKind::Client, said) => record(&format_args!("{name}.rpz-client-ip"), &said, &entry.around, page),
        (_, said) => record(&format_args!("{name}.rpz-ip"), &said, &entry.around, page),
    }
}

fn record(owner: &dyn std::fmt::Display, said: &Said<'_>, around: &Said<'_>, page: &mut Page<'_>) -> io::Result<()> {
    match said {
        Said::Blocked(Action::Nxdomain, _ban) => page.line(format_args!("{owner} CNAME .")),
        Said::Blocked(Action::Nodata, _ban) => page.line(format_args!("{owner} CNAME *.")),
        Said::Blocked(Action::Drop, _ban) => page.line(format_args!("{owner} CNAME rpz-drop.")),
        Said::Blocked(Action::TcpOnly, _ban) => page.line(format_args!("{owner} CNAME rpz-tcp-only.")),
        Said::Blocked(Action::Sinkhole, ban) => addresses(owner, ban, page),
        Said::Blocked(Action::Refuse, _ban) => {
            page.unsaid(format_args!("`{owner}` is refused here; there it does not exist"))?;
            page.line(format_args!("{owner} CNAME ."))
        }
        // Only where something above is blocked: it would shield the name from the other zones of that resolver.
        Said::Passes | Said::Nothing if matches!(around, Said::Nothing) => Ok(()),
        Said::Passes | Said::Nothing => page.line(format_args!("{owner} CNAME rpz-passthru.")),
    }
}

fn addresses(owner: &dyn std::fmt::Display, ban: &Ban, page: &mut Page<'_>) -> io::Result<()> {
    for address in &ban.sinkhole_v4 {
        let address: &Ipv4Addr = address;
        page.line(format_args!("{owner} A {address}"))?;
    }
    for address in &ban.sinkhole_v6 {
        let address: &Ipv6Addr = address;
        page.line(format_args!("{owner} AAAA {address}"))?;
    }
    Ok(())
}
