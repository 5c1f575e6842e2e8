//! What an exemption says: whom it spares, in what, until when, and who answers for it; as written, and as meant.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::identity::{Identifier, NamedError};
use crate::policy::{Exemption, Spares, Whom, is_registry_name, least_prefix};
use crate::time::{Timestamp, rfc3339};
use crate::wire::{LowerName, Name, NameError};

/// Characters of an owner at most.
pub const OWNER_MAX: usize = 100;
/// Characters of a reason at most.
pub const REASON_MAX: usize = 500;
/// Characters of a ticket at most.
pub const TICKET_MAX: usize = 100;
/// Years that an exemption lasts at most, unless it says that it has no end.
const YEARS_MAX: u64 = 10;

/// What an exemption says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Terms {
    /// Who is spared.
    pub whom: Whom,
    /// In what.
    pub what: Spares,
    /// From this moment on no longer, in whole milliseconds; `None`: without end.
    pub until: Option<Timestamp>,
    /// Who answers for it.
    pub owner: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// Where it was asked for.
    pub ticket: Option<Arc<str>>,
}

/// The same as text: in the file, in requests and in answers. Exactly one of `client` and `group`, one of `ban`, `category`
/// and `name`, and one of `until` and `endless` is meant to be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// An address, a network, or a device by one of its identifiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The id of a site, department or group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The id of a ban.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ban: Option<String>,
    /// A category of rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// A name; those below it are meant too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The explicit word for no end.
    #[serde(default, skip_serializing_if = "is_false")]
    pub endless: bool,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Why a text says no exemption.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// Not exactly one of several.
    #[error("needs exactly one of {0}")]
    One(&'static str),
    /// No address and no network.
    #[error("`{0}` is no address and no network; write for example 192.0.2.7, 2001:db8::/32 or mac:00:16:3e:12:34:56")]
    NoNetwork(String),
    /// A network with bits of a host.
    #[error("address has bits beyond its prefix; write {0}")]
    HostBits(IpNet),
    /// Every client of a family.
    #[error("`{0}` is everybody: change the mode of the ban instead, in [ban.<id>]")]
    Everybody(IpNet),
    /// So many clients that it may as well be all.
    #[error(
        "`{0}` is nearly everybody: an exemption is for a /{min} at the widest; change the mode of the ban instead, in [ban.<id>]",
        min = least_prefix(.0)
    )]
    Wide(IpNet),
    /// Only what is below a name.
    #[error("`*.{0}`: write {0}: it covers all below it")]
    Below(Name),
    /// An end that nobody will see.
    #[error("ends in more than {0} years; what is to have no end says so: endless")]
    Far(u64),
    /// No device, or one that anybody can be.
    #[error(transparent)]
    Device(#[from] NamedError),
    /// No name.
    #[error("`{0}` is no name: {1}")]
    Name(String, NameError),
    /// The root.
    #[error("`.` is every name: change the mode of the bans instead, in [ban.<id>]")]
    Root,
    /// A name below which anybody registers names.
    #[error("`{0}` is a public suffix: anybody's names stand below it; name those that are meant")]
    Registry(Name),
    /// No moment.
    #[error("`{0}` is no moment; write for example 2026-12-24T18:00:00Z")]
    NoMoment(String),
    /// Nothing.
    #[error("`{0}` is empty")]
    Empty(&'static str),
    /// Too many characters.
    #[error("`{what}` is longer than {most} characters")]
    Long {
        /// Which text.
        what: &'static str,
        /// Characters at most.
        most: usize,
    },
    /// A character that could steer a terminal, or hide what stands there.
    #[error("`{what}` holds a character that is not printed: {character}")]
    Unprinted {
        /// Which text.
        what: &'static str,
        /// The character, escaped.
        character: String,
    },
}

impl Terms {
    /// Whether it can be granted from now on. What a log holds from before is read all the same.
    ///
    /// # Errors
    /// [`TermsError`] about whom and what is too much, and an end that is too far away.
    pub fn check(&self, now: Timestamp) -> Result<(), TermsError> {
        if let Whom::Network(network) = &self.whom {
            narrow(*network)?;
        }
        if let Spares::Name(name) = &self.what {
            with_all_below(name)?;
            registered(name)?;
        }
        self.until.map_or(Ok(()), |until| near(Duration::try_from(until.duration_since(now)).unwrap_or_default()))
    }

    /// The exemption with this id.
    pub fn exemption(&self, id: impl Into<Arc<str>>) -> Exemption {
        Exemption { id: id.into(), whom: self.whom.clone(), what: self.what.clone(), until: self.until }
    }
}

impl TryFrom<Written> for Terms {
    type Error = TermsError;

    fn try_from(written: Written) -> Result<Self, TermsError> {
        let whom = match (&written.client, written.group) {
            (Some(client), None) => anybody(client)?,
            (None, Some(group)) => Whom::Group(group.into()),
            _ => return Err(TermsError::One("`client` and `group`")),
        };
        let what = match (written.ban, written.category, &written.name) {
            (Some(ban), None, None) => Spares::Ban(ban.into()),
            (None, Some(category), None) => Spares::Category(category.into()),
            (None, None, Some(text)) => Spares::Name(Box::new(any_name(text)?)),
            _ => return Err(TermsError::One("`ban`, `category` and `name`")),
        };
        let until = match (&written.until, written.endless) {
            (Some(text), false) => Some(text.parse().map_err(|_error| TermsError::NoMoment(text.clone()))?),
            (None, true) => None,
            _ => return Err(TermsError::One("`until` and `endless`")),
        };
        Ok(Self {
            whom,
            what,
            until,
            owner: said("owner", &written.owner, OWNER_MAX)?,
            reason: said("reason", &written.reason, REASON_MAX)?,
            ticket: written.ticket.map(|ticket| said("ticket", &ticket, TICKET_MAX)).transpose()?,
        })
    }
}

impl From<Terms> for Written {
    fn from(terms: Terms) -> Self {
        let (mut written, text) = (Self::default(), |text: &Arc<str>| Some(text.to_string()));
        match &terms.whom {
            Whom::Network(network) => written.client = Some(shown_network(network)),
            Whom::Device(device) => written.client = text(device),
            Whom::Group(group) => written.group = text(group),
        }
        match &terms.what {
            Spares::Ban(ban) => written.ban = text(ban),
            Spares::Category(category) => written.category = text(category),
            Spares::Name(name) => written.name = Some(name.to_string()),
        }
        Self {
            until: terms.until.map(rfc3339),
            endless: terms.until.is_none(),
            owner: terms.owner.to_string(),
            reason: terms.reason.to_string(),
            ticket: terms.ticket.map(|ticket| ticket.to_string()),
            ..written
        }
    }
}

/// A network of one address as that address.
fn shown_network(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() { network.addr().to_string() } else { network.to_string() }
}

/// Reads who can be exempted by itself: an address, a network or a device.
///
/// # Errors
/// [`TermsError`], also for a network that is as good as everybody, and for a device by the name that it gives itself.
pub fn whom(text: &str) -> Result<Whom, TermsError> {
    match anybody(text)? {
        Whom::Network(network) => narrow(network).map(Whom::Network),
        other => Ok(other),
    }
}

/// The same, however wide.
fn anybody(text: &str) -> Result<Whom, TermsError> {
    let kind = text.split_once(':').map_or("", |(kind, _rest)| kind);
    let is_word = kind.len() > 1 && kind.bytes().all(|octet| octet.is_ascii_alphabetic() || octet == b'-');
    match network(text) {
        // `face::1` is an address; what is none and begins with a word and a colon is a device.
        Err(TermsError::NoNetwork(_)) if is_word => Ok(Whom::Device(Identifier::named(text)?.to_string().into())),
        network => network.map(Whom::Network),
    }
}

/// Reads an address or a network that can be exempted.
fn network(text: &str) -> Result<IpNet, TermsError> {
    let address = || IpAddr::from_str(text).map(|address| IpNet::from(address.to_canonical()));
    let Ok(network) = IpNet::from_str(text).or_else(|_no_prefix| address()) else {
        return Err(TermsError::NoNetwork(text.to_owned()));
    };
    if network.addr() != network.network() {
        return Err(TermsError::HostBits(network.trunc()));
    }
    if network.prefix_len() == 0 { Err(TermsError::Everybody(network)) } else { Ok(network) }
}

/// A network that is not too wide.
fn narrow(network: IpNet) -> Result<IpNet, TermsError> {
    if network.prefix_len() < least_prefix(&network) { Err(TermsError::Wide(network)) } else { Ok(network) }
}

/// Whether an end that is so far away may be meant.
///
/// # Errors
/// [`TermsError::Far`].
pub fn near(span: Duration) -> Result<(), TermsError> {
    let most = Duration::from_secs(YEARS_MAX * 366 * 24 * 60 * 60);
    if span > most { Err(TermsError::Far(YEARS_MAX)) } else { Ok(()) }
}

/// Reads a name that can be exempted.
///
/// # Errors
/// [`TermsError`], also for the root and public suffixes, and for a pattern: `*` would be a label like any other, and free nothing.
pub fn name(text: &str) -> Result<LowerName, TermsError> {
    let name = any_name(text)?;
    with_all_below(&name)?;
    registered(&name)?;
    Ok(name)
}

/// Refuses the names of registries: no list can ban them, and nobody needs all below them.
fn registered(name: &LowerName) -> Result<(), TermsError> {
    if is_registry_name(name) { Err(TermsError::Registry(Name::from(name))) } else { Ok(()) }
}

fn with_all_below(name: &LowerName) -> Result<(), TermsError> {
    match name.wire().strip_prefix(b"\x01*") {
        Some(above) => {
            let (above, _end) = LowerName::read(above, 0).map_err(|error| TermsError::Name(name.to_string(), error))?;
            Err(if above == LowerName::ROOT { TermsError::Root } else { TermsError::Below(Name::from(&above)) })
        }
        None => Ok(()),
    }
}

fn any_name(text: &str) -> Result<LowerName, TermsError> {
    let name = LowerName::parse(text).map_err(|error| TermsError::Name(text.to_owned(), error))?;
    if name == LowerName::ROOT { Err(TermsError::Root) } else { Ok(name) }
}

/// A text that people read: something, not too long, and printed as it is. `what` is what messages call it.
///
/// # Errors
/// [`TermsError`] about it.
pub fn said(what: &'static str, text: &str, most: usize) -> Result<Arc<str>, TermsError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TermsError::Empty(what));
    }
    if text.chars().count() > most {
        return Err(TermsError::Long { what, most });
    }
    match text.chars().find(|character| is_unprinted(*character)) {
        Some(character) => Err(TermsError::Unprinted { what, character: character.escape_default().to_string() }),
        None => Ok(text.into()),
    }
}

/// Whether a character is printed as nothing, or changes how those around it are: control characters, and of the Unicode
/// formats those that break lines, join, or turn the direction.
pub fn is_unprinted(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
