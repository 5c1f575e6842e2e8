//! Filter lists. An exception there stands above every block, however much more exact; `$important` stands above both, once.
//! So what is said below what was said otherwise needs more weight.

use std::io;

use super::entries::{Entry, Said};
use super::page::Page;

/// The greatest weight: an exception with `$important`. Blocks have even weights, exceptions odd ones.
const WEIGHT_MAX: u8 = 3;

/// Returns the weight of what is said below the name; `None`: nothing, so it is let through.
pub(super) fn entry(entry: &Entry<'_>, page: &mut Page<'_>) -> io::Result<Option<u8>> {
    let name = entry.name.to_string();
    // `/` begins the path of an address there.
    if name.contains(['\\', '/']) || name == "." {
        page.unsaid(format_args!("`{name}`: no such name"))?;
        return Ok(entry.weight);
    }
    let (here, below) = (weight(&entry.here, entry.weight), weight(&entry.below, entry.weight));
    if (here, below) != (entry.weight, entry.weight) {
        page.count();
    }
    if here == below {
        rule("||", &name, here, entry, page)?;
    } else {
        rule("|", &name, here, entry, page)?;
        rule("||*.", &name, below, entry, page)?;
    }
    Ok(below)
}

/// The weight that is needed where something of weight `above` is said above.
fn weight(said: &Said<'_>, above: Option<u8>) -> Option<u8> {
    let blocked_above = above.is_some_and(|above| above % 2 == 0);
    match above {
        above if said.is_block() == blocked_above => above,
        None => Some(0),
        Some(above) => Some(above.saturating_add(1)),
    }
}

fn rule(anchor: &str, name: &str, needed: Option<u8>, entry: &Entry<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let Some(weight) = needed.filter(|_needed| needed != entry.weight) else { return Ok(()) };
    if weight > WEIGHT_MAX {
        return page
            .unsaid(format_args!("`{anchor}{name}^`: exceptions within exceptions, deeper than there are weights"));
    }
    let except = if weight % 2 == 1 { "@@" } else { "" };
    let important = if weight >= 2 { "$important" } else { "" };
    page.line(format_args!("{except}{anchor}{name}^{important}"))
}
