//! `[[group]]` as written to who is who.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use toml::Spanned;

use super::ban::is_id;
use super::convert::network;
use super::file;
use super::reader::Reader;
use super::suggest::nearest_first;
use crate::audit::said;
use crate::identity::Identifier;
use crate::metrics::DEFAULT_SITE;
use crate::policy::{Door, Group, GroupIndex, GroupKind, Who, Word};
use crate::report::SiteTags;
use crate::wire::Name;

/// Devices in all groups at most; with those that exemptions name they are fewer than a roster holds.
const DEVICES_MAX: usize = 50_000;
/// Characters of a tag at most.
const TAG_MAX: usize = 64;
/// Groups that a message offers at most.
const OFFERED_MAX: usize = 5;

/// Every group; one that is wrong stands without what is wrong in it, so that what names it is no second mistake.
pub(super) fn groups(written: &[Spanned<file::Group>], reader: &mut Reader<'_>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut seen = BTreeMap::new();
    for spanned in written {
        let (group, table) = (spanned.get_ref(), spanned.span());
        let id = reader.required(&group.id, "id", Some(table.clone()));
        if let Some(written) = group.id.as_ref().filter(|_written| !id.is_empty()) {
            if !is_id(&id) {
                reader.error(written.span(), "an id is 1 to 32 of a-z, 0-9 and `-`");
            }
            if groups.iter().any(|group| group.id == id) {
                reader.error(written.span(), format!("the group `{id}` stands already above"));
            }
        }
        let kind = reader.word(&group.kind, "kind", &GroupKind::ALL, GroupKind::as_str);
        let kind = kind.map_or(GroupKind::Group, |at| at.value);
        if kind == GroupKind::Site && *id == *DEFAULT_SITE {
            let place = group.id.as_ref().map_or(0..0, Spanned::span);
            reader.error(place, format!("`{DEFAULT_SITE}` is the site of clients that are of none"));
        }
        match doors_written(group).next() {
            Some(door) if kind != GroupKind::Group => {
                let message = format!("a {} is where its networks are; only a group has doors", kind.as_str());
                reader.error(door.span(), message);
            }
            None if group.networks.is_none() && group.devices.is_none() => reader.missing("networks", Some(table)),
            _ => (),
        }
        let (networks, devices) = (networks(group, kind, &id, &mut seen, reader), devices(group, kind, reader));
        groups.push(Group { id, kind, networks, devices });
    }
    networks_bounded(written, &groups, reader);
    devices_bounded(written, &groups, reader);
    if let Some(first_beyond) = written.get(Who::GROUPS_MAX) {
        reader.error(first_beyond.span(), format!("at most {} groups", Who::GROUPS_MAX));
    }
    let mut sites = written.iter().zip(&groups).filter(|(_written, group)| group.kind == GroupKind::Site);
    if let Some((first_beyond, _site)) = sites.nth(Who::SITES_MAX) {
        reader.error(first_beyond.span(), format!("at most {} sites; each is a label of metrics", Who::SITES_MAX));
    }
    groups
}

/// What sites are tagged with. Only a site has tags: a device is of one at most.
pub(super) fn tags(written: &[Spanned<file::Group>], groups: &[Group], reader: &mut Reader<'_>) -> Vec<SiteTags> {
    let mut all = Vec::new();
    for (written, group) in written.iter().map(Spanned::get_ref).zip(groups) {
        for text in [&written.country, &written.department].into_iter().flatten() {
            if group.kind != GroupKind::Site {
                reader.error(text.span(), format!("only a site has tags, and this is a {}", group.kind.as_str()));
            }
        }
        let mut word = |text: &file::Text| {
            let text = text.as_ref()?;
            let told = said("tag", text.get_ref(), TAG_MAX);
            told.map_err(|error| reader.error(text.span(), error.to_string())).ok()
        };
        let (country, department) = (word(&written.country), word(&written.department));
        if country.is_some() || department.is_some() {
            all.push(SiteTags { site: Arc::clone(&group.id), country, department });
        }
    }
    all
}

/// The doors of a group as they are written.
fn doors_written(group: &file::Group) -> impl Iterator<Item = &Spanned<Vec<Spanned<String>>>> {
    [&group.listeners, &group.paths, &group.tls_names].into_iter().flatten()
}

/// The doors of all groups. To `known_path`, that of `[https]`, every client is led, so it is none.
pub(super) fn doors(
    written: &[Spanned<file::Group>],
    known_path: &str,
    reader: &mut Reader<'_>,
) -> Vec<(Door, GroupIndex)> {
    let mut doors = Vec::new();
    for (index, group) in (0..u16::MAX).map(GroupIndex).zip(written.iter().map(Spanned::get_ref)) {
        for text in group.paths.iter().flat_map(Spanned::get_ref).filter(|text| text.get_ref() == known_path) {
            reader
                .error(text.span(), "every client is led to this path, which is that of [https]; a group has another");
        }
        let mut read = |texts: &file::Texts, read: fn(&str) -> Result<Door, &'static str>| {
            for text in texts.iter().flat_map(Spanned::get_ref) {
                match read(text.get_ref()) {
                    Ok(_) if doors.len() == Who::DOORS_MAX => {
                        let message = format!("at most {} listeners, paths and names in all groups", Who::DOORS_MAX);
                        reader.error(text.span(), message);
                    }
                    Ok(door) => doors.push((door, index)),
                    Err(message) => reader.error(text.span(), message),
                }
            }
        };
        read(&group.listeners, listener);
        read(&group.paths, path);
        read(&group.tls_names, tls_name);
    }
    doors
}

fn listener(text: &str) -> Result<Door, &'static str> {
    // An address alone is meant with any port.
    let alone = || text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 0));
    let address = text.parse().or_else(|_no_port| alone());
    address
        .map(Door::of_listener)
        .map_err(|_neither| "no address; write for example \"192.0.2.53\" or \"192.0.2.53:853\"")
}

fn path(text: &str) -> Result<Door, &'static str> {
    if text.starts_with('/') && text.bytes().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'?' | b'#')) {
        Ok(Door::Path(Word::of_path(text)))
    } else {
        Err("no path; write for example \"/lab\"")
    }
}

fn tls_name(text: &str) -> Result<Door, &'static str> {
    let name = Name::parse(text).map_err(|_fault| "no name; write for example \"lab.dns.example.org\"")?;
    Ok(Door::TlsName(Word::of_name(&name.to_string())))
}

/// The networks of a group. `seen`: by kind and network, the site or department that has it.
fn networks(
    group: &file::Group,
    kind: GroupKind,
    id: &Arc<str>,
    seen: &mut BTreeMap<(GroupKind, IpNet), Arc<str>>,
    reader: &mut Reader<'_>,
) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for text in group.networks.iter().flat_map(Spanned::get_ref) {
        let network = match network(text.get_ref()) {
            Ok(network) => network,
            Err(error) => {
                reader.error(text.span(), error.to_string());
                continue;
            }
        };
        // A client can't be at two places.
        if kind != GroupKind::Group
            && let Some(other) = seen.insert((kind, network), Arc::clone(id))
        {
            reader.error(text.span(), format!("{network} is the {} `{other}` already", kind.as_str()));
        }
        networks.push(network);
    }
    networks
}

/// What is beyond would be of no group, whatever is said of that group.
fn networks_bounded(written: &[Spanned<file::Group>], groups: &[Group], reader: &mut Reader<'_>) {
    let mut count = 0;
    let beyond = written.iter().zip(groups).find(|(_written, group)| {
        count += group.networks.len();
        count > Who::NETWORKS_MAX
    });
    if let Some(networks) = beyond.and_then(|(written, _group)| written.get_ref().networks.as_ref()) {
        reader.error(networks.span(), format!("at most {} networks in all groups", Who::NETWORKS_MAX));
    }
}

/// The devices of a group, each by one of its identifiers. Whoever moves is of no place, so only a group has any.
fn devices(group: &file::Group, kind: GroupKind, reader: &mut Reader<'_>) -> Vec<Arc<str>> {
    let Some(written) = &group.devices else { return Vec::new() };
    if kind != GroupKind::Group {
        let message = format!("a {} is where its networks are; only a group has devices", kind.as_str());
        reader.error(written.span(), message);
    }
    let mut devices = Vec::new();
    for text in written.get_ref() {
        match Identifier::named(text.get_ref()) {
            Ok(device) => devices.push(device.to_string().into()),
            Err(error) => reader.error(text.span(), error.to_string()),
        }
    }
    devices
}

fn devices_bounded(written: &[Spanned<file::Group>], groups: &[Group], reader: &mut Reader<'_>) {
    let of_devices = || written.iter().zip(groups).filter(|(_written, group)| !group.devices.is_empty());
    if let Some((beyond, _group)) = of_devices().nth(Who::DEVICE_GROUPS_MAX) {
        reader.error(beyond.span(), format!("at most {} groups have devices", Who::DEVICE_GROUPS_MAX));
    }
    let count: usize = groups.iter().map(|group| group.devices.len()).sum();
    if let Some((last, _group)) = of_devices().next_back().filter(|_last| count > DEVICES_MAX) {
        reader.error(last.span(), format!("at most {DEVICES_MAX} devices in all groups"));
    }
}

/// The groups that are named.
pub(super) fn named(written: &file::Texts, groups: &[Group], reader: &mut Reader<'_>) -> Vec<GroupIndex> {
    let mut named = Vec::new();
    for text in written.iter().flat_map(Spanned::get_ref) {
        let found = groups.iter().position(|group| *group.id == **text.get_ref());
        if let Some(index) = found.and_then(|at| u16::try_from(at).ok()) {
            named.push(GroupIndex(index));
            continue;
        }
        let known: Vec<&str> = groups.iter().map(|group| &*group.id).collect();
        let known: Vec<&str> = nearest_first(text.get_ref(), &known).into_iter().take(OFFERED_MAX).collect();
        let known = match known.as_slice() {
            [] => "there is no [[group]]".to_owned(),
            known => format!("known: {}", known.join(", ")),
        };
        reader.error(text.span(), format!("unknown group `{}`; {known}", text.get_ref()));
    }
    named
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;
    use crate::config::convert;
    use crate::diag::Source;

    /// The mistakes in two groups of so many networks each.
    fn mistakes(counts: [usize; 2]) -> Vec<String> {
        let mut text = String::new();
        for (number, count) in counts.into_iter().enumerate() {
            write!(text, "[[group]]\nid = \"g{number}\"\nnetworks = [\n").unwrap();
            for host in 0..u32::try_from(count).unwrap() {
                writeln!(text, "\"{}\",", std::net::Ipv4Addr::from_bits(host)).unwrap();
            }
            writeln!(text, "]").unwrap();
        }
        let (_settings, mistakes) = convert::settings(&Source::new("x.toml", text), Path::new(""));
        mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn networks_of_any_kind_of_group_are_bounded_together() {
        assert_eq!(mistakes([Who::NETWORKS_MAX - 1, 1]), [""; 0]);
        let beyond = mistakes([Who::NETWORKS_MAX - 1, 2]);
        assert!(beyond[0].starts_with("x.toml:65542:12: at most 65536 networks in all groups"), "{beyond:?}");
        assert_eq!(beyond.len(), 1);
    }
}
