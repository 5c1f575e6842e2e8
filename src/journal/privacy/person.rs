//! One client or device: all that the record may call it by.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{Key, pseudonym};
use crate::identity::{Devices, Identifier};
use crate::journal::bindings;

/// Whom somebody asks for: an address, a device, or one of their pseudonyms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The address, whoever had it.
    Client(IpAddr),
    /// The device that has this identifier, whatever addresses it had.
    Device(String),
}

/// That client or device as the record may call it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Its addresses, as far as it is known by them.
    pub clients: BTreeSet<IpAddr>,
    /// Its identifiers.
    pub devices: BTreeSet<String>,
}

impl Person {
    /// Whether a row with this client and device tells of it.
    pub fn is_of(&self, client: Option<IpAddr>, device: Option<&str>) -> bool {
        client.is_some_and(|client| self.clients.contains(&client))
            || device.is_some_and(|device| self.devices.contains(device))
    }

    /// Whoever that is in the record of this connection. Pseudonyms are those of `key`; `known` says which identifiers are of
    /// one device.
    pub(in crate::journal) fn find(
        connection: &Connection,
        whose: &Whose,
        (key, known): (Option<&Key>, &Devices),
    ) -> rusqlite::Result<Self> {
        match whose {
            Whose::Client(client) => Ok(Self::of_address(*client, key)),
            Whose::Device(text) => {
                let Ok(asked) = text.parse::<Identifier>() else { return Ok(Self::default()) };
                let device = known.device_of(&asked);
                let recorded = recorded(connection)?;
                let of_it = |identifier: &Identifier| known.device_of(identifier) == device;
                let recorded =
                    recorded.iter().filter_map(|text| text.parse().ok()).filter(|identifier| of_it(identifier));
                let all: BTreeSet<Identifier> =
                    known.all_of(&device).into_iter().chain(recorded).chain([asked, device.clone()]).collect();
                let mut devices: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
                if let Some(key) = key {
                    let pseudonyms: Vec<_> = devices.iter().map(|device| key.device(device)).collect();
                    devices.extend(pseudonyms);
                }
                Ok(Self { clients: BTreeSet::new(), devices })
            }
        }
    }

    fn of_address(client: IpAddr, key: Option<&Key>) -> Self {
        let client = client.to_canonical();
        let clients = [client].into_iter().chain(key.map(|key| pseudonym(key, client))).collect();
        Self { clients, devices: BTreeSet::new() }
    }

    /// Its addresses as an array of JSON, for statements.
    pub(in crate::journal) fn clients_json(&self) -> String {
        json(self.clients.iter().map(ToString::to_string))
    }

    /// Its identifiers as an array of JSON.
    pub(super) fn devices_json(&self) -> String {
        json(self.devices.iter().cloned())
    }
}

/// Texts as an array of JSON.
pub(super) fn json(texts: impl Iterator<Item = String>) -> String {
    serde_json::Value::from(texts.collect::<Vec<_>>()).to_string()
}

/// Every identifier in the record.
fn recorded(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let sql = "SELECT name FROM devices WHERE client <> '' UNION SELECT device FROM clients WHERE device <> ''";
    let mut select = connection.prepare(sql)?;
    let mut recorded = select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<BTreeSet<String>>>()?;
    bindings::visit(connection, |_client, _from, identifiers| recorded.extend(identifiers.map(str::to_owned)))?;
    Ok(recorded)
}
