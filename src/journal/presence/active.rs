//! From clients that asked for anything to devices that were active on a day.

use roaring::RoaringBitmap;
use rusqlite::Transaction;

use super::known::{Known, unnumbered};
use super::numbers::Holder;
use super::{Sign, What};
use crate::identity::{Asked, Devices};
use crate::journal::activity::Seen;
use crate::journal::asked::address;
use crate::journal::insert::SLICE;
use crate::journal::{Level, Privacy};
use crate::priority::make_way;
use crate::time::{Day, Timestamp};

/// Of nobody's ban.
const ACTIVE: Sign<'static> = Sign { ban: "", evidence: None, what: What::Active };

/// Of nobody's ban either.
const CROWD: Sign<'static> = Sign { ban: "", evidence: None, what: What::Crowd };

/// Devices that were active in one window.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    from: Timestamp,
    devices: RoaringBitmap,
}

/// Adds who was active, also to the window that began at `window`; how many devices were active in it by now.
pub(in crate::journal) fn add(
    transaction: &Transaction<'_>,
    seen: &[Seen],
    (devices, privacy): (&Devices, &Privacy),
    window: Timestamp,
    known: &mut Known,
) -> rusqlite::Result<u64> {
    if known.window.from != window {
        known.window = Window { from: window, devices: RoaringBitmap::new() };
    }
    for device in put(transaction, (ACTIVE, seen), (devices, privacy), known)? {
        known.window.devices.insert(device);
    }
    Ok(known.window.devices.len())
}

/// Adds who stood for many.
pub(in crate::journal) fn add_crowds(
    transaction: &Transaction<'_>,
    seen: &[Seen],
    who: (&Devices, &Privacy),
    known: &mut Known,
) -> rusqlite::Result<()> {
    put(transaction, (CROWD, seen), who, known).map(drop)
}

/// Puts these into the sets of a sign; their numbers.
fn put(
    transaction: &Transaction<'_>,
    (sign, seen): (Sign<'_>, &[Seen]),
    (devices, privacy): (&Devices, &Privacy),
    known: &mut Known,
) -> rusqlite::Result<Vec<u32>> {
    known.look(transaction)?;
    let mut numbers = Vec::with_capacity(seen.len());
    let asked = seen.iter().map(|seen| Asked { address: address(seen.client), told: seen.told, at: seen.at });
    let names = if devices.knows_nobody() { Vec::new() } else { devices.who(asked, ToOwned::to_owned) };
    let sign = known.numbers.sign(transaction, sign)?;
    for (at, seen) in seen.iter().enumerate() {
        if at % SLICE == 0 {
            make_way();
        }
        let level = privacy.level(seen.client, &seen.site);
        // Whose clients are only to be counted has none that anything could be known of.
        let Some(client) = privacy.address(address(seen.client), level) else { continue };
        let client = client.to_string();
        let name = names.get(at).map(String::as_str).filter(|name| !name.is_empty());
        let pseudonym = name.filter(|_name| level == Level::Hashed).and_then(|name| privacy.device(name));
        let name = pseudonym.as_deref().or(name);
        let holder = name.map_or(Holder { name: &client, client: "" }, |name| Holder { name, client: &client });
        let day = Day::of(seen.at);
        let site = known.numbers.site(transaction, &seen.site)?;
        match known.numbers.active_device(transaction, site, holder, day)? {
            Some(device) => {
                known.put(transaction, (sign, day), device, holder)?;
                numbers.push(device);
            }
            None => unnumbered(transaction, sign, day, 1)?,
        }
    }
    known.write(transaction)?;
    Ok(numbers)
}
