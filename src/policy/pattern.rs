//! What a rule matches: a name and all below it, one name, what is below a name, a glob, or a network of answers or clients;
//! in front a `!` allows.
//!
//! Leaves finding the pattern that matches a name to the table.

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::Range;

use ipnet::{IpNet, Ipv4Net};

use super::network::{self, NetworkFault};
use crate::wire::{LowerName, NameError};

/// Octets of a label at most (RFC 1035 §3.1).
const LABEL_MAX: usize = 63;
/// Octets of a name on the wire at most, the root's zero included (RFC 1035 §3.1).
const WIRE_MAX: usize = 255;

/// How the name of a pattern is meant; where two patterns have the same name, the lower one here is less specific.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PatternKind {
    /// `ksn-*.name`: `*` stands for any octets inside its label; matches names of exactly as many labels.
    Glob,
    /// `name`: the name and all below it.
    Suffix,
    /// `*.name`: all below the name, not the name itself.
    Below,
    /// `=name`: the name alone.
    Exact,
    /// `answer:192.0.2.0/24`: answers that lead to an address of the network, whatever was asked for.
    Answer,
    /// `client:192.0.2.0/24`: all that clients in the network ask for.
    Client,
}

impl PatternKind {
    /// Whether it is about a network and not about names; the name of such a pattern is what a response policy zone calls the
    /// network.
    pub fn is_network(self) -> bool {
        matches!(self, Self::Answer | Self::Client)
    }
}

/// A parsed pattern, held on the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    name: LowerName,
    kind: PatternKind,
    allow: bool,
}

/// A pattern that stands in a compiled policy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PatternRef<'p> {
    /// The name part in lower case on the wire, the root's zero included; in a glob, `*` stands for any octets.
    pub wire: &'p [u8],
    /// How the name is meant.
    pub kind: PatternKind,
    /// Whether it allows.
    pub allow: bool,
}

/// Why a text is no pattern, and which octets of the text say so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct PatternError {
    /// What is wrong.
    pub fault: PatternFault,
    /// The octets at fault, counted from the pattern's beginning.
    pub span: Range<usize>,
}

/// What can be wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// Nothing where a name is expected.
    #[error("pattern has no name")]
    Empty,
    /// What no name can be: too long, an empty label, an octet outside ASCII, a bad escape.
    #[error("{0}")]
    Name(NameError),
    /// `*` or `*.`.
    #[error("`*` alone matches every name; write the name it stands below, `*.name`")]
    StarAlone,
    /// `**`.
    #[error("`**` says no more than `*`")]
    DoubleStar,
    /// `\*`.
    #[error("`*` can't be escaped; no rule can name a literal `*`")]
    EscapedStar,
    /// `=` in front of a glob, or `*.` in front of one.
    #[error("a glob matches names of exactly its labels; it takes neither `=` nor `*.` in front")]
    PrefixedGlob,
    /// A glob whose last label holds `*`.
    #[error("the last label of a glob can't hold `*`")]
    GlobWithoutSuffix,
    /// `!!`, `==`, `=!` and the like.
    #[error("write at most one `!`, then at most one `=` or `*.`")]
    Prefix,
    /// An octet that host names don't use and that no escape announces.
    #[error("`{}` can't stand in a name; write it as `\\{:03}` if it is meant", .0.escape_ascii(), .0)]
    Octet(u8),
    /// An IPv4 address or network.
    #[error("an address is no name")]
    Address,
    /// The same where it could be meant.
    #[error("an address is no name; answers that hold it are `answer:{0}`, questions of a client `client:{0}`")]
    AddressAlone(IpNet),
    /// Behind `answer:` or `client:`.
    #[error("{0}")]
    Network(NetworkFault),
    /// `*` where a format knows none.
    #[error("`*` can't stand here; no rule of this format says so")]
    Star,
}

impl Pattern {
    /// The root and all below it.
    pub(super) const ROOT: Self = Self { name: LowerName::ROOT, kind: PatternKind::Suffix, allow: false };

    /// Reads a pattern. Case folds; the last dot may be missing; `\X` and `\DDD` escape.
    ///
    /// # Errors
    /// [`PatternError`] with the octets at fault.
    #[inline]
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        // Nearly every line of a long list.
        match LowerName::of_host(text.as_bytes()) {
            Some(name) => Ok(Self { name, kind: PatternKind::Suffix, allow: false }),
            None => Self::parse_whole(text),
        }
    }

    /// Reads a pattern over this one, which is of no use after an error.
    ///
    /// # Errors
    /// Those of [`Pattern::parse`].
    #[inline]
    pub(super) fn set(&mut self, text: &str) -> Result<(), PatternError> {
        if !self.set_host(text, PatternKind::Suffix) {
            *self = Self::parse_whole(text)?;
        }
        Ok(())
    }

    /// Bans the name of a host, if the text is one as nearly all of them are; `false`: whoever asks has to look closer.
    #[inline]
    pub(super) fn set_host(&mut self, text: &str, kind: PatternKind) -> bool {
        (self.kind, self.allow) = (kind, false);
        self.name.set_host(text.as_bytes())
    }

    /// The same, whatever stands there.
    fn parse_whole(text: &str) -> Result<Self, PatternError> {
        let (allow, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let of_network = [(PatternKind::Answer, "answer:"), (PatternKind::Client, "client:")];
        for (kind, prefix) in of_network {
            if let Some(network) = rest.strip_prefix(prefix) {
                let at = text.len() - network.len();
                let network =
                    network::of_text(network).map_err(|error| fault(PatternFault::Network(error), at..text.len()))?;
                return Ok(Self::of_network(network, kind, allow));
            }
        }
        let (prefix, name) = if let Some(name) = rest.strip_prefix('=') {
            (PatternKind::Exact, name)
        } else if let Some(name) = rest.strip_prefix("*.") {
            (PatternKind::Below, name)
        } else {
            (PatternKind::Suffix, rest)
        };
        let at = text.len() - name.len();
        let fail = |fault, span: Range<usize>| Err(PatternError { fault, span });
        if name.starts_with(['!', '=']) {
            return fail(PatternFault::Prefix, at..at + 1);
        }
        if name == "*" || (name.is_empty() && prefix == PatternKind::Below) {
            return fail(PatternFault::StarAlone, 0..text.len());
        }
        if name.is_empty() {
            return fail(PatternFault::Empty, 0..text.len());
        }
        let read = Reader::new(name).read();
        let (name, glob) = match read {
            Ok(read) => read,
            Err(error) => return fail(addressed(error.fault, name), at + error.span.start..at + error.span.end),
        };
        match (glob, prefix) {
            (false, kind) => Ok(Self { name, kind, allow }),
            (true, PatternKind::Suffix) => Ok(Self { name, kind: PatternKind::Glob, allow }),
            (true, _) => fail(PatternFault::PrefixedGlob, 0..text.len()),
        }
    }

    /// Reads a plain name, of any format, as a pattern of this kind; nothing in front of it means anything.
    ///
    /// # Errors
    /// [`PatternError`] with the octets at fault.
    #[inline]
    pub fn of_name(text: &str, kind: PatternKind, allow: bool) -> Result<Self, PatternError> {
        match LowerName::of_host(text.as_bytes()) {
            Some(name) => Ok(Self { name, kind, allow }),
            None => Self::of_whole_name(text, kind, allow),
        }
    }

    /// The same, whatever stands there.
    fn of_whole_name(text: &str, kind: PatternKind, allow: bool) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(fault(PatternFault::Empty, 0..0));
        }
        let (name, glob) = Reader::new(text).read()?;
        if glob {
            let star = text.find('*').unwrap_or_default();
            return Err(fault(PatternFault::Star, star..star + 1));
        }
        Ok(Self { name, kind, allow })
    }

    /// A pattern about a network, of such a kind.
    pub fn of_network(network: IpNet, kind: PatternKind, allow: bool) -> Self {
        debug_assert!(kind.is_network());
        Self { name: network::to_name(network), kind, allow }
    }

    /// The network that it is about, if it is about one.
    pub fn network(&self) -> Option<IpNet> {
        self.as_ref().network()
    }

    /// Whether a rule with this pattern can have a say about a name: it is for that name, one above it or one below it, or not for
    /// one name alone.
    pub fn concerns(&self, name: &LowerName) -> bool {
        self.kind == PatternKind::Glob
            || self.kind.is_network()
            || name.is_below(&self.name)
            || self.name.is_below(name)
    }

    /// Whether it is for this very name; one about a network is for none.
    pub fn matches(&self, name: &LowerName) -> bool {
        match self.kind {
            PatternKind::Suffix => name.is_below(&self.name),
            PatternKind::Exact => *name == self.name,
            PatternKind::Below => *name != self.name && name.is_below(&self.name),
            PatternKind::Glob => super::glob::matches(self.name.wire(), name.wire()),
            PatternKind::Answer | PatternKind::Client => false,
        }
    }

    /// The name part; in a glob, `*` stands for any octets.
    pub fn name(&self) -> &LowerName {
        &self.name
    }

    /// How the name is meant.
    pub fn kind(&self) -> PatternKind {
        self.kind
    }

    /// Whether it allows.
    pub fn allow(&self) -> bool {
        self.allow
    }

    /// The same pattern as the compiled policy shows it.
    pub fn as_ref(&self) -> PatternRef<'_> {
        PatternRef { wire: self.name.wire(), kind: self.kind, allow: self.allow }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl PatternRef<'_> {
    /// The network that it is about, if it is about one.
    pub fn network(&self) -> Option<IpNet> {
        if self.kind.is_network() { network::of_wire(self.wire) } else { None }
    }
}

/// The text that [`Pattern::parse`] reads as this pattern: lower case, no last dot, other octets escaped.
impl fmt::Display for PatternRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allow = if self.allow { "!" } else { "" };
        let prefix = match self.kind {
            PatternKind::Exact => "=",
            PatternKind::Below => "*.",
            PatternKind::Suffix | PatternKind::Glob => "",
            PatternKind::Answer => "answer:",
            PatternKind::Client => "client:",
        };
        if let Some(network) = self.network() {
            return match network {
                alone if alone.prefix_len() == alone.max_prefix_len() => write!(f, "{allow}{prefix}{}", alone.addr()),
                network => write!(f, "{allow}{prefix}{network}"),
            };
        }
        // The octets came from a `LowerName`, so reading them back can't fail.
        let name = LowerName::read(self.wire, 0).map_or(LowerName::ROOT, |(name, _end)| name);
        write!(f, "{allow}{prefix}{name}")
    }
}

impl fmt::Debug for PatternRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PatternRef({self})")
    }
}

/// Reads the name part of a pattern into wire form, octet by octet, so that an error knows its place.
struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    wire: [u8; WIRE_MAX],
    len: usize,
    label_at: usize,
    glob: bool,
    last_label_globs: bool,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        let (wire, len) = ([0; WIRE_MAX], 1);
        Self { text: text.as_bytes(), at: 0, wire, len, label_at: 0, glob: false, last_label_globs: false }
    }

    /// The name, and whether it holds a `*`.
    fn read(mut self) -> Result<(LowerName, bool), PatternError> {
        if self.text == b"." {
            return Ok((LowerName::ROOT, false));
        }
        while self.at < self.text.len() {
            self.octet()?;
        }
        if self.label_at + 1 < self.len {
            self.end_label()?;
        }
        if self.last_label_globs {
            return Err(fault(PatternFault::GlobWithoutSuffix, 0..self.text.len()));
        }
        if is_address(self.text) {
            return Err(fault(PatternFault::Address, 0..self.text.len()));
        }
        // The open label's length octet is zero: the root.
        match LowerName::read(&self.wire[..self.len], 0) {
            Ok((name, _end)) => Ok((name, self.glob)),
            Err(error) => Err(fault(PatternFault::Name(error), 0..self.text.len())),
        }
    }

    fn octet(&mut self) -> Result<(), PatternError> {
        let start = self.at;
        let octet = self.text[start];
        self.at += 1;
        match octet {
            b'.' => self.end_label(),
            b'*' => self.star(),
            b'\\' => {
                let octet = self.escape(start)?;
                self.push(octet, start)
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'/' => self.push(octet, start),
            128.. => {
                let end = (start..self.text.len()).find(|&at| self.text[at].is_ascii()).unwrap_or(self.text.len());
                Err(fault(PatternFault::Name(NameError::NotAscii), start..end))
            }
            other => Err(fault(PatternFault::Octet(other), start..start + 1)),
        }
    }

    fn star(&mut self) -> Result<(), PatternError> {
        let start = self.at - 1;
        if start > 0 && self.text[start - 1] == b'*' {
            return Err(fault(PatternFault::DoubleStar, start - 1..start + 1));
        }
        (self.glob, self.last_label_globs) = (true, true);
        self.push(b'*', start)
    }

    /// The octet that an escape stands for.
    fn escape(&mut self, start: usize) -> Result<u8, PatternError> {
        let rest = &self.text[self.at..];
        let (value, used) = match rest {
            [a, b, c, ..] if [a, b, c].iter().all(|digit| digit.is_ascii_digit()) => {
                let value = [a, b, c].iter().fold(0_u16, |sum, digit| sum * 10 + u16::from(**digit - b'0'));
                (u8::try_from(value).ok(), 3)
            }
            [plain, ..] if plain.is_ascii() && !plain.is_ascii_digit() => (Some(*plain), 1),
            _ => (None, rest.len().min(1)),
        };
        self.at += used;
        match value {
            Some(b'*') => Err(fault(PatternFault::EscapedStar, start..self.at)),
            Some(octet) => Ok(octet),
            None => Err(fault(PatternFault::Name(NameError::Escape), start..self.at)),
        }
    }

    fn push(&mut self, octet: u8, start: usize) -> Result<(), PatternError> {
        if self.len - self.label_at > LABEL_MAX {
            let end =
                self.text[start..].iter().position(|&octet| octet == b'.').map_or(self.text.len(), |dot| start + dot);
            return Err(fault(PatternFault::Name(NameError::LongLabel), start..end));
        }
        // One octet stays free for the root.
        if self.len + 1 >= WIRE_MAX {
            return Err(fault(PatternFault::Name(NameError::LongName), start..self.text.len()));
        }
        self.wire[self.len] = octet.to_ascii_lowercase();
        self.len += 1;
        Ok(())
    }

    fn end_label(&mut self) -> Result<(), PatternError> {
        let size = self.len - self.label_at - 1;
        if size == 0 {
            let dot = self.at.saturating_sub(1);
            return Err(fault(PatternFault::Name(NameError::EmptyLabel), dot..dot + 1));
        }
        self.wire[self.label_at] = u8::try_from(size).unwrap_or_default();
        self.label_at = self.len;
        self.len += 1;
        if self.at < self.text.len() {
            self.last_label_globs = false;
        }
        Ok(())
    }
}

fn fault(fault: PatternFault, span: Range<usize>) -> PatternError {
    PatternError { fault, span }
}

/// Whether the text is an IPv4 address or network, which a list of addresses would otherwise turn into names of numbers.
fn is_address(text: &[u8]) -> bool {
    let is_number = |text: &str| text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv4Net>().is_ok();
    text.first().is_some_and(u8::is_ascii_digit)
        && std::str::from_utf8(text).is_ok_and(|text| is_number(text.trim_end_matches('.')))
}

/// What to say of an address where one could be meant.
fn addressed(fault: PatternFault, name: &str) -> PatternFault {
    match network::of_text(name.trim_end_matches('.')) {
        Ok(network) if fault == PatternFault::Address => PatternFault::AddressAlone(network),
        _ => fault,
    }
}
