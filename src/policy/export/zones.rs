//! Formats in which a name always means all below it too, and the longest name decides: Unbound and dnsmasq; and plain names,
//! without exceptions.

use std::io;

use super::entries::{Entry, Said};
use super::page::Page;
use crate::policy::ban::Action;

/// Plain names.
pub(super) fn domains(entry: &Entry<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let name = &entry.name;
    match (entry.here.is_block(), entry.below.is_block()) {
        (true, true) => {
            page.count();
            page.line(format_args!("{name}"))
        }
        (true, false) => only_here(entry, page),
        (false, true) => only_below(entry, page),
        (false, false) if entry.inherited.is_block() => {
            page.unsaid(format_args!("`{name}` and names below it are let through"))
        }
        (false, false) => Ok(()),
    }
}

/// Says that a name is blocked without those below it.
fn only_here(entry: &Entry<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let name = &entry.name;
    // What stands above takes both.
    if entry.inherited.is_block() {
        page.unsaid(format_args!("names below `{name}` are let through"))
    } else {
        page.unsaid(format_args!("`{name}` alone"))
    }
}

/// Says that names below a name are blocked without itself.
fn only_below(entry: &Entry<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let name = &entry.name;
    if entry.inherited.is_block() {
        page.unsaid(format_args!("`{name}` is let through"))
    } else {
        page.unsaid(format_args!("names below `{name}` without itself"))
    }
}

/// `local-zone` and its data.
pub(super) fn unbound(entry: &Entry<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let name = &entry.name;
    match (entry.here, entry.below) {
        (Said::Blocked(..), Said::Blocked(action, ban)) => {
            page.count();
            let kind = match action {
                Action::Nxdomain => "always_nxdomain",
                Action::Nodata => "always_nodata",
                Action::Refuse => "always_refuse",
                Action::Drop => "always_deny",
                // Never said in this format, see `Judge`.
                Action::TcpOnly => "transparent",
                Action::Sinkhole => "redirect",
            };
            zone(name, kind, page)?;
            if action == Action::Sinkhole {
                for address in &ban.sinkhole_v4 {
                    page.line(format_args!("local-data: \"{} A {address}\"", quoted(name)))?;
                }
                for address in &ban.sinkhole_v6 {
                    page.line(format_args!("local-data: \"{} AAAA {address}\"", quoted(name)))?;
                }
            }
            Ok(())
        }
        (Said::Blocked(action, _ban), _passes) => {
            page.count();
            if !matches!(action, Action::Nxdomain | Action::Nodata) {
                page.unsaid(format_args!("`{name}` alone by {}; there it is 0.0.0.0", action.as_str()))?;
            }
            // Types that a name of such a zone has no data of do not exist; names below it are looked up.
            zone(name, "transparent", page)?;
            page.line(format_args!("local-data: \"{} A 0.0.0.0\"", quoted(name)))?;
            page.line(format_args!("local-data: \"{} AAAA ::\"", quoted(name)))
        }
        (_passes, Said::Blocked(..)) => only_below(entry, page),
        (_, _) if entry.inherited.is_block() => {
            page.count();
            zone(name, "always_transparent", page)
        }
        (_, _) => Ok(()),
    }
}

fn zone(name: &crate::wire::LowerName, kind: &str, page: &mut Page<'_>) -> io::Result<()> {
    page.line(format_args!("local-zone: \"{}\" {kind}", quoted(name)))
}

/// The name as it stands in quotes: absolute.
fn quoted(name: &crate::wire::LowerName) -> String {
    if name.labels() == 0 { ".".to_owned() } else { format!("{name}.") }
}

/// `address=/name/` and `server=/name/#`.
pub(super) fn dnsmasq(entry: &Entry<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let name = entry.name.to_string();
    // `/` ends the name there: what is in front of it would be blocked.
    if name.contains(['\\', '/']) || name == "." {
        return page.unsaid(format_args!("`{name}`: no such name"));
    }
    match (entry.here, entry.below) {
        (Said::Blocked(..), Said::Blocked(action, ban)) => {
            page.count();
            if action != Action::Sinkhole {
                if action != Action::Nxdomain {
                    page.unsaid(format_args!("`{name}` by {}; there it does not exist", action.as_str()))?;
                }
                return page.line(format_args!("address=/{name}/"));
            }
            for address in &ban.sinkhole_v4 {
                page.line(format_args!("address=/{name}/{address}"))?;
            }
            for address in &ban.sinkhole_v6 {
                page.line(format_args!("address=/{name}/{address}"))?;
            }
            Ok(())
        }
        (Said::Blocked(..), _passes) => only_here(entry, page),
        (_passes, Said::Blocked(..)) => only_below(entry, page),
        (_, _) if entry.inherited.is_block() => {
            page.count();
            page.line(format_args!("server=/{name}/#"))
        }
        (_, _) => Ok(()),
    }
}
