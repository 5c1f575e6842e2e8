//! Hosts files: each name for itself alone.

use std::io;

use super::entries::Entry;
use super::page::Page;

pub(super) fn entry(entry: &Entry<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let name = entry.name.to_string();
    if name.contains('\\') {
        return page.unsaid(format_args!("`{name}`: no escapes"));
    }
    if entry.here.is_block() {
        page.count();
        page.line(format_args!("0.0.0.0 {name}"))?;
    }
    if entry.below.is_block() {
        page.unsaid(format_args!("names below `{name}`"))?;
    }
    Ok(())
}
