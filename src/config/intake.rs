//! `[[intake]]`: where other resolvers tell what they were asked.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::ban::is_id;
use super::convert::{each, listen, network};
use super::file::{Count, Text, Texts};
use super::reader::Reader;
use crate::intake::{IntakeConfig, IntakeDoor, Owner};

/// Intakes at most: each has a task for each of its connections.
const INTAKES_MAX: usize = 16;
/// Whoever connects to a loopback address is on this host.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
/// Reading and writing, for the owner and the group, unless something else is written.
const MODE: u32 = 0o660;

/// `[[intake]]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Intake {
    id: Text,
    socket: Text,
    mode: Text,
    user: Text,
    group: Text,
    listen: Text,
    from: Texts,
    connections_max: Count,
    messages_per_second_max: Count,
}

/// Every intake; one that is wrong is left out.
pub(super) fn settings(written: &[Spanned<Intake>], base: &Path, reader: &mut Reader<'_>) -> Vec<IntakeConfig> {
    if let Some(beyond) = written.get(INTAKES_MAX) {
        reader.error(beyond.span(), format!("at most {INTAKES_MAX} intakes"));
    }
    let mut intakes: Vec<IntakeConfig> = Vec::new();
    for written in written {
        let Some(intake) = one(written, base, reader) else { continue };
        if intakes.iter().any(|before| before.id == intake.id) {
            reader.error(written.span(), format!("an intake with the id `{}` is there already", intake.id));
        } else if intakes.iter().any(|before| same_place(&before.door, &intake.door)) {
            reader.error(written.span(), "another intake listens there already");
        } else {
            intakes.push(intake);
        }
    }
    intakes
}

fn one(written: &Spanned<Intake>, base: &Path, reader: &mut Reader<'_>) -> Option<IntakeConfig> {
    let (intake, table) = (written.get_ref(), written.span());
    let id = id(&intake.id, table.clone(), reader);
    let connections_max = reader.count(&intake.connections_max, 1..=256, 16);
    let messages_per_second_max = reader.count(&intake.messages_per_second_max, 1..=10_000_000, 200_000);
    let door = match (&intake.socket, &intake.listen) {
        (Some(socket), None) => unix(intake, socket, base, reader),
        (None, Some(address)) => tcp(intake, address, reader),
        (Some(_), Some(address)) => {
            reader.error(address.span(), "an intake has a `socket` or an address to `listen` at, not both");
            None
        }
        (None, None) => {
            reader.error(table, "an intake needs a `socket` or an address to `listen` at");
            None
        }
    };
    Some(IntakeConfig { id: id?, door: door?, connections_max, messages_per_second_max })
}

fn id(written: &Text, table: Range<usize>, reader: &mut Reader<'_>) -> Option<Arc<str>> {
    let id = reader.required(written, "id", Some(table));
    let text = written.as_ref().filter(|_written| !id.trim().is_empty())?;
    if !is_id(&id) {
        reader.error(text.span(), "an id is 1 to 32 of a-z, 0-9 and `-`");
        return None;
    }
    Some(id)
}

fn unix(intake: &Intake, socket: &Spanned<String>, base: &Path, reader: &mut Reader<'_>) -> Option<IntakeDoor> {
    if let Some(from) = &intake.from {
        reader.error(from.span(), "`from` belongs to an intake that has an address to `listen` at");
    }
    let mode = match &intake.mode {
        None => Some(MODE),
        Some(text) => mode(text, reader),
    };
    let user = intake.user.as_ref().map(|text| known(text, "user", "/etc/passwd", reader));
    let group = intake.group.as_ref().map(|text| known(text, "group", "/etc/group", reader));
    if socket.get_ref().trim().is_empty() {
        reader.error(socket.span(), "`socket` is empty");
        return None;
    }
    let path = base.join(socket.get_ref());
    let owner = Owner { user: user.flatten(), group: group.flatten() };
    // One that is not known is a mistake already.
    Some(IntakeDoor::Unix { path, mode: mode?, owner })
}

fn mode(text: &Spanned<String>, reader: &mut Reader<'_>) -> Option<u32> {
    let mode = u32::from_str_radix(text.get_ref(), 8).ok().filter(|mode| mode & !0o777 == 0);
    if mode.is_none() {
        reader.error(text.span(), "no mode of a file; write for example \"0660\"");
    }
    mode
}

/// The number of a user or group.
fn known(text: &Spanned<String>, what: &str, file: &str, reader: &mut Reader<'_>) -> Option<u32> {
    let number = text.get_ref().parse().ok().or_else(|| {
        let all = std::fs::read_to_string(file).ok()?;
        all.lines().find_map(|line| {
            let mut parts = line.split(':');
            (parts.next() == Some(text.get_ref())).then(|| parts.nth(1)?.parse().ok()).flatten()
        })
    });
    if number.is_none() {
        reader.error(text.span(), format!("no {what} of this name or number is in {file}"));
    }
    number
}

fn tcp(intake: &Intake, written: &Spanned<String>, reader: &mut Reader<'_>) -> Option<IntakeDoor> {
    let of_sockets = [("mode", &intake.mode), ("user", &intake.user), ("group", &intake.group)];
    for (key, text) in of_sockets.iter().filter_map(|(key, text)| Some((key, text.as_ref()?))) {
        reader.error(text.span(), format!("`{key}` belongs to an intake that has a `socket`"));
    }
    let address = match listen(written.get_ref()) {
        Ok(address) => address,
        Err(error) => {
            reader.error(written.span(), error.to_string());
            return None;
        }
    };
    let from = each(&intake.from, network, reader);
    Some(IntakeDoor::Tcp { address, from: from.or_else(|| senders(address, written, reader))? })
}

/// Who may connect where nobody says so.
fn senders(address: SocketAddr, written: &Spanned<String>, reader: &mut Reader<'_>) -> Option<Vec<IpNet>> {
    if address.ip().is_loopback() {
        return Some(LOOPBACK.iter().filter_map(|network| network.parse().ok()).collect());
    }
    reader.error(written.span(), "who may connect from other hosts? Write for example from = [\"192.0.2.7\"]");
    None
}

fn same_place(one: &IntakeDoor, other: &IntakeDoor) -> bool {
    match (one, other) {
        (IntakeDoor::Unix { path, .. }, IntakeDoor::Unix { path: other, .. }) => path == other,
        (IntakeDoor::Tcp { address, .. }, IntakeDoor::Tcp { address: other, .. }) => {
            address == other && address.port() != 0
        }
        _ => false,
    }
}
