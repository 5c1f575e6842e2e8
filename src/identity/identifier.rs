//! What tells a device from all others, and how well.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use crate::wire::Told;

/// Octets of a client identifier or DUID at most (RFC 8415 §11.1: 128 and the type's two).
const CLIENT_ID_MAX: usize = 130;
/// Characters of a host name at most (RFC 1035 §2.3.4).
const HOST_NAME_MAX: usize = 253;
/// Characters of an inventory number at most.
const ASSET_MAX: usize = 64;
/// The type of a client identifier that is a hardware address of Ethernet (RFC 2132 §9.14, RFC 1700).
const ETHERNET: u8 = 1;
/// The type of one that is an IAID and a DUID (RFC 4361 §6.1).
const IAID_AND_DUID: u8 = 255;

/// A hardware address of 48 bits (EUI-48).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Whether its owner made it up (IEEE 802, the bit "locally administered"): phones take another one for each network, some
    /// of them each day, so it tells a device for a while only.
    pub fn is_randomised(self) -> bool {
        self.0[0] & 0x02 != 0
    }

    /// Whether it can be anybody's: neither nought nor a group's.
    pub(super) fn is_of_one(self) -> bool {
        self.0 != [0; 6] && self.0[0] & 0x01 == 0
    }
}

impl FromStr for Mac {
    type Err = ();

    /// Six octets in hexadecimal with colons or hyphens between; `Err` for anything else, and for one that is no device's.
    fn from_str(text: &str) -> Result<Self, ()> {
        let octets = octets(text).ok_or(())?;
        let mac = Self(octets.try_into().map_err(|_other_length| ())?);
        if mac.is_of_one() { Ok(mac) } else { Err(()) }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(f, &self.0)
    }
}

/// What a client of DHCP calls itself: a client identifier (RFC 2132 §9.14) or, with version 6, a DUID (RFC 8415 §11).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(Arc<[u8]>);

impl ClientId {
    /// These octets; `None` if they are none or too many.
    pub fn new(octets: &[u8]) -> Option<Self> {
        (1..=CLIENT_ID_MAX).contains(&octets.len()).then(|| Self(octets.into()))
    }

    /// Octets in hexadecimal with colons between, as lease files have them.
    pub fn parse(text: &str) -> Option<Self> {
        Self::new(&octets(text)?)
    }

    /// What is left when it is taken for a client identifier of version 4: those that are made of a hardware address say no
    /// more than that, and those that hold a DUID are that DUID, by which the device is known in version 6 too.
    fn of_version_4(self) -> Identifier {
        match &*self.0 {
            [ETHERNET, mac @ ..] if mac.len() == 6 => {
                let mac = Mac([mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]]);
                if mac.is_of_one() { Identifier::Mac(mac) } else { Identifier::ClientId(self) }
            }
            [IAID_AND_DUID, _, _, _, _, duid @ ..] if !duid.is_empty() => Identifier::Duid(Self(duid.into())),
            _ => Identifier::ClientId(self),
        }
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(f, &self.0)
    }
}

/// The name that a client gives itself: letters, digits, `-`, `_` and `.` only, in lower case. Everything else a client may
/// send is made `?`, so that nothing it says can reach a terminal, a page or a spreadsheet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(Arc<str>);

impl HostName {
    /// The name, cut to its longest; `None` if nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim().trim_end_matches('.');
        let plain = |character: char| match character {
            'A'..='Z' => character.to_ascii_lowercase(),
            'a'..='z' | '0'..='9' | '-' | '_' | '.' => character,
            _ => '?',
        };
        let name: String = text.chars().take(HOST_NAME_MAX).map(plain).collect();
        // A sheet would take one with such a beginning for a formula.
        let name = name.trim_start_matches('-');
        (!name.is_empty() && name.chars().any(|character| character != '?')).then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What tells a device from others, the strongest first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identifier {
    /// The number in an inventory.
    Asset(Arc<str>),
    /// The DUID (RFC 8415 §11), made once for all interfaces of a device.
    Duid(ClientId),
    /// The client identifier of DHCP.
    ClientId(ClientId),
    /// A hardware address.
    Mac(Mac),
    /// The name that it gives itself.
    HostName(HostName),
    /// The address that a forwarder has named: it is whoever holds that.
    Address(IpAddr),
    /// The premises that a forwarder has named, and whoever is on them.
    Premises(HostName),
    /// What stands for a device of which no more may be recorded.
    Pseudonym(u64),
}

/// Why a text names no device that something can be granted to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamedError {
    /// No identifier.
    #[error("`{0}` is no device; write for example mac:00:16:3e:12:34:56, duid:…, client-id:… or asset:INV-17")]
    None(String),
    /// A name that anybody can take.
    #[error(
        "`{0}` is what a device calls itself, so any device can be it; name it by mac:, duid:, client-id: or asset:"
    )]
    HostName(String),
}

impl Identifier {
    /// What a client identifier of version 4 says.
    pub fn of_client_id(id: ClientId) -> Self {
        id.of_version_4()
    }

    /// The device that an operator names, to grant it something.
    ///
    /// # Errors
    /// [`NamedError`] for what is no identifier, and for a host name.
    pub fn named(text: &str) -> Result<Self, NamedError> {
        match text.parse() {
            Ok(Self::HostName(_)) => Err(NamedError::HostName(text.to_owned())),
            Ok(device @ (Self::Asset(_) | Self::Duid(_) | Self::ClientId(_) | Self::Mac(_))) => Ok(device),
            Ok(Self::Address(_) | Self::Premises(_) | Self::Pseudonym(_)) | Err(()) => {
                Err(NamedError::None(text.to_owned()))
            }
        }
    }

    /// Whom a forwarder says that it asks for; `None`: nobody can be called so.
    pub fn told(told: Told<'_>) -> Option<Self> {
        match told {
            Told::Mac(octets) => Some(Mac(octets)).filter(|mac| mac.is_of_one()).map(Self::Mac),
            Told::Address(address) => Some(Self::Address(address.to_canonical())),
            Told::Premises(word) => HostName::new(&String::from_utf8_lossy(word)).map(Self::Premises),
        }
    }

    /// A number of an inventory: printable ASCII without spaces, as it stands.
    pub(super) fn asset(text: &str) -> Option<Self> {
        let plain = (1..=ASSET_MAX).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_graphic());
        // None of these may begin a cell of a sheet.
        let harmless = !text.starts_with(['=', '+', '-', '@']);
        (plain && harmless).then(|| Self::Asset(Arc::from(text)))
    }

    /// How well it tells a device from others: the less the better.
    pub fn strength(&self) -> (u8, bool) {
        match self {
            Self::Asset(_) => (0, false),
            Self::Duid(_) => (1, false),
            Self::ClientId(_) => (2, false),
            Self::Mac(mac) => (3, mac.is_randomised()),
            Self::HostName(_) => (4, false),
            Self::Address(_) => (5, false),
            Self::Premises(_) => (6, false),
            Self::Pseudonym(_) => (7, false),
        }
    }

    /// The word for how well it tells a device from others.
    pub fn confidence(&self) -> &'static str {
        match self {
            Self::Asset(_) => "asset",
            Self::Duid(_) | Self::ClientId(_) => "client_id",
            Self::Mac(mac) if mac.is_randomised() => "random_mac",
            Self::Mac(_) => "mac",
            Self::HostName(_) => "name",
            Self::Address(_) => "address",
            Self::Premises(_) => "premises",
            Self::Pseudonym(_) => "pseudonym",
        }
    }
}

/// A word for what it is, a colon, and what it says: `mac:52:54:00:12:34:56`. It is kept in the record, so it stays.
impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asset(number) => write!(f, "asset:{number}"),
            Self::Duid(id) => write!(f, "duid:{id}"),
            Self::ClientId(id) => write!(f, "client-id:{id}"),
            Self::Mac(mac) => write!(f, "mac:{mac}"),
            Self::HostName(name) => write!(f, "host:{}", name.as_str()),
            Self::Address(address) => write!(f, "ip:{address}"),
            Self::Premises(word) => write!(f, "cpe:{}", word.as_str()),
            Self::Pseudonym(number) => write!(f, "pseudonym:{number:016x}"),
        }
    }
}

impl FromStr for Identifier {
    type Err = ();

    /// What [`Display`](fmt::Display) has written.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (kind, says) = text.split_once(':').ok_or(())?;
        match kind {
            "asset" => Self::asset(says),
            "duid" => ClientId::parse(says).map(Self::Duid),
            "client-id" => ClientId::parse(says).map(Self::ClientId),
            "mac" => says.parse().ok().map(Self::Mac),
            "host" => HostName::new(says).map(Self::HostName),
            "ip" => says.parse().ok().map(Self::Address),
            "cpe" => HostName::new(says).map(Self::Premises),
            "pseudonym" => pseudonym(says).map(Self::Pseudonym),
            _ => None,
        }
        .ok_or(())
    }
}

/// Sixteen digits in hexadecimal.
fn pseudonym(text: &str) -> Option<u64> {
    let is_one = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_number| is_one)
}

/// Octets of one or two hexadecimal digits each, with colons or hyphens between.
fn octets(text: &str) -> Option<Vec<u8>> {
    let octet = |digits: &str| {
        let is_octet = matches!(digits.len(), 1 | 2) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        u8::from_str_radix(digits, 16).ok().filter(|_octet| is_octet)
    };
    text.split([':', '-']).take(CLIENT_ID_MAX + 1).map(octet).collect()
}

fn hexadecimal(f: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    for (at, octet) in octets.iter().enumerate() {
        let colon = if at == 0 { "" } else { ":" };
        write!(f, "{colon}{octet:02x}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardware_address_is_one_devices_or_none() {
        let mac = |text: &str| text.parse::<Mac>().map(|mac| mac.to_string()).unwrap_or_default();
        assert_eq!(mac("52:54:00:AB:cd:0f"), "52:54:00:ab:cd:0f");
        assert_eq!(mac("0-1b-2-3-4-5"), "00:1b:02:03:04:05");
        for none in
            ["", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "52:54:00:ab:cd", "52:54:00:ab:cd:0g"]
        {
            assert_eq!(mac(none), "", "{none}");
        }
        assert_eq!(mac("52:54:00:ab:cd:0f:00"), "");
        assert_eq!(mac("52:54:00:ab:cd:+f"), "");
    }

    #[test]
    fn a_made_up_hardware_address_is_known_by_its_bit() {
        assert!("da:a1:19:00:00:01".parse::<Mac>().unwrap().is_randomised());
        assert!(!"00:1b:21:00:00:01".parse::<Mac>().unwrap().is_randomised());
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "asset:INV-17:b",
            "duid:00:03",
            "client-id:00:61",
            "mac:52:54:00:12:34:56",
            "host:anna-pc",
            "ip:192.0.2.7",
            "cpe:shop-7",
            "pseudonym:00a1b2c3d4e5f607",
        ] {
            assert_eq!(text.parse::<Identifier>().unwrap().to_string(), text);
        }
        assert!("serial:1".parse::<Identifier>().is_err());
    }

    #[track_caller]
    fn check_client_id(text: &str, expected: &str) {
        assert_eq!(Identifier::of_client_id(ClientId::parse(text).unwrap()).to_string(), expected);
    }

    #[test]
    fn a_client_identifier_is_what_it_is_made_of() {
        check_client_id("01:52:54:00:12:34:56", "mac:52:54:00:12:34:56");
        check_client_id("ff:00:00:00:01:00:03:00:01:52:54:00:12:34:56", "duid:00:03:00:01:52:54:00:12:34:56");
        check_client_id("00:61:62", "client-id:00:61:62");
        check_client_id("01:00:00:00:00:00:00", "client-id:01:00:00:00:00:00:00");
        assert_eq!(ClientId::parse(""), None);
        assert_eq!(ClientId::parse(&["00"; 131].join(":")), None);
    }

    #[test]
    fn nothing_that_a_client_calls_itself_reaches_a_terminal_or_a_sheet() {
        let name = |text: &str| HostName::new(text).map(|name| name.as_str().to_owned());
        assert_eq!(name(" Anna-PC.corp.example. ").as_deref(), Some("anna-pc.corp.example"));
        assert_eq!(name("=cmd()\u{1b}[31m<b>\n").as_deref(), Some("?cmd????31m?b?"));
        assert_eq!(name("-2+3").as_deref(), Some("2?3"));
        assert_eq!(name("機械"), None);
        assert_eq!(name("*"), None);
        assert_eq!(name(&"x".repeat(1000)).unwrap().len(), HOST_NAME_MAX);
    }
}
