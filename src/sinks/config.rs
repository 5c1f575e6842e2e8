//! Settings of sinks: values that cannot be wrong.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::fields::Fields;
use super::fields::syslog::Facility;
use super::webhook::Secret;
use crate::lists::Hook;
use crate::policy::Evidence;
use crate::tls::Trust;
use crate::wire::Name;

/// One receiver of what is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkConfig {
    /// What it is called, in metrics and messages.
    pub id: Arc<str>,
    /// What it is.
    pub kind: SinkKind,
}

/// What a sink is. To add one: a file beside this one, a variant here, and what the compiler then asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum SinkKind {
    /// A file, a line for each event.
    File(FileSink),
    /// A receiver of syslog (RFC 5424).
    Syslog(SyslogSink),
    /// A receiver of dnstap.
    Dnstap(DnstapSink),
    /// A receiver of the first attempts of devices, over HTTP.
    Webhook(WebhookSink),
}

impl SinkKind {
    /// Whether it is sent only the first attempt of each device.
    pub(super) fn wants_first(&self) -> bool {
        matches!(self, Self::Webhook(_))
    }
}

/// A file that grows, and is set aside before it grows too large or too old.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSink {
    /// The file.
    pub path: PathBuf,
    /// How lines look.
    pub fields: Fields,
    /// It is set aside before it has more octets.
    pub rotate_bytes: u64,
    /// It is set aside when it is so old; `None`: never for that.
    pub rotate_after: Option<Duration>,
    /// Files set aside that are kept.
    pub keep: u32,
}

/// A receiver of syslog.
#[derive(Clone, Debug, PartialEq)]
pub struct SyslogSink {
    /// Where it is.
    pub to: Place,
    /// How it is spoken to.
    pub over: Over,
    /// What a message says.
    pub fields: Fields,
    /// What kind of message it is.
    pub facility: Facility,
}

/// A receiver of dnstap.
#[derive(Clone, Debug, PartialEq)]
pub struct DnstapSink {
    /// Where it is and how it is spoken to.
    pub to: Socket,
}

/// A receiver of the first attempts of devices.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookSink {
    /// Where they are posted to.
    pub hook: Hook,
    /// With what they are signed.
    pub secret: Option<Secret>,
    /// What they must prove to be worth a message.
    pub evidence: Vec<Evidence>,
    /// Messages in a minute at most; what is more in a minute waits, and is then sent together.
    pub per_minute_max: u32,
}

/// A stream to a receiver.
#[derive(Clone, Debug, PartialEq)]
pub enum Socket {
    /// A socket on this host.
    Unix(PathBuf),
    /// In clear.
    Tcp(Place),
    /// Encrypted, to a receiver that these vouch for.
    Tls(Place, Trust),
}

/// How a receiver is spoken to.
#[derive(Clone, Debug, PartialEq)]
pub enum Over {
    /// A datagram for each event; whatever is lost on the way is lost.
    Udp,
    /// A stream, in clear.
    Tcp,
    /// A stream, encrypted, to a receiver that these vouch for.
    Tls(Trust),
}

/// Where a receiver is: an address or a host name, and a port.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

/// A host.
#[derive(Clone, Debug, PartialEq)]
pub enum Host {
    /// By its address.
    Address(IpAddr),
    /// By its name, which our own upstreams resolve.
    Name(Name, String),
}

/// A text is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no receiver; write for example \"192.0.2.7:6514\", \"[2001:db8::7]:6514\" or \"siem.example.org:6514\"")]
pub struct PlaceError;

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            let host = Host::Address(address.ip());
            return if address.port() == 0 { Err(PlaceError) } else { Ok(Self { host, port: address.port() }) };
        }
        let (host, port) = text.rsplit_once(':').ok_or(PlaceError)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(PlaceError)?;
        let is_host = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_');
        if host.is_empty() || !host.bytes().all(is_host) || host.parse::<IpAddr>().is_ok() {
            return Err(PlaceError);
        }
        let name = Name::parse(host).map_err(|_no_name| PlaceError)?;
        Ok(Self { host: Host::Name(name, host.trim_end_matches('.').to_owned()), port })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, self.port).fmt(f),
            Host::Name(_name, text) => write!(f, "{text}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_or_a_name_with_a_port_and_nothing_else() {
        for text in ["192.0.2.7:6514", "[2001:db8::7]:514", "siem.example.org:601"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for wrong in ["", ":514", "192.0.2.7", "192.0.2.7:0", "2001:db8::7", "siem.example", "a b:1", "a:x", "x..y:1"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
