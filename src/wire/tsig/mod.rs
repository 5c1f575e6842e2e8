//! Signatures of whole messages by a key that two servers share (TSIG, RFC 8945): queries, responses, and responses of many
//! messages, of which some may go unsigned.
//!
//! Time comes in as a value; keys are read and kept by others.

use std::fmt;

use ring::hmac;

use super::layout::{HEADER, Malformed, RecordAt, Section, be16, read_record};
use super::name::{LowerName, Name};
use super::qtype;
use super::query::CLASS_ANY;

/// Seconds that two clocks may differ (RFC 8945 §10).
const FUDGE: u16 = 300;
/// Messages of one response in a row that may go unsigned (RFC 8945 §5.3.1).
const UNSIGNED_MAX: u32 = 99;
/// Octets of a TSIG record's data beside its names, its signature and other data.
const FIXED: usize = 16;

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA1: for old servers only.
    Sha1,
    /// HMAC-SHA256: what everybody has.
    Sha256,
    /// HMAC-SHA384.
    Sha384,
    /// HMAC-SHA512.
    Sha512,
}

/// A key that two servers share.
#[derive(Clone)]
pub struct Key {
    /// Its name, which both must call it by.
    pub name: Name,
    /// How it signs.
    pub algorithm: Algorithm,
    secret: hmac::Key,
    /// The same key, for equality: two keys that sign alike are the same.
    octets: Box<[u8]>,
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TsigError {
    /// There is none where one is owed.
    #[error("the message is not signed")]
    Unsigned,
    /// By another key or algorithm (BADKEY).
    #[error("signed with a key that is not known here")]
    Key,
    /// It is not the signature of this message by this key (BADSIG).
    #[error("the signature is wrong")]
    Signature,
    /// Cut to fewer octets than its algorithm gives (BADTRUNC).
    #[error("the signature is cut short")]
    Short,
    /// The signature is right, its time is not: a clock is wrong, or the message is old (BADTIME).
    #[error("the time of the signature is more than five minutes off: a clock is wrong, or the message is old")]
    Time,
    /// The other side has refused ours.
    #[error("the other side refuses our signature: {}", refusal(*.0))]
    Refused(u16),
    /// The record is malformed, or is not the last one.
    #[error("the record of the signature is malformed")]
    Malformed,
}

impl TsigError {
    /// Its code in a TSIG record.
    pub fn code(self) -> u16 {
        match self {
            Self::Signature => 16,
            Self::Key => 17,
            Self::Time => 18,
            Self::Short => 22,
            Self::Unsigned | Self::Refused(_) | Self::Malformed => 0,
        }
    }
}

fn refusal(code: u16) -> &'static str {
    match code {
        16 => "it is wrong there (BADSIG); the secrets differ",
        17 => "the key is not known there (BADKEY)",
        18 => "a clock is wrong (BADTIME)",
        22 => "it is too short (BADTRUNC)",
        _ => "an unknown error",
    }
}

impl From<Malformed> for TsigError {
    fn from(_malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its name, as it is signed and written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "hmac-sha1",
            Self::Sha256 => "hmac-sha256",
            Self::Sha384 => "hmac-sha384",
            Self::Sha512 => "hmac-sha512",
        }
    }

    fn wire(self) -> &'static [u8] {
        match self {
            Self::Sha1 => b"\x09hmac-sha1\0",
            Self::Sha256 => b"\x0bhmac-sha256\0",
            Self::Sha384 => b"\x0bhmac-sha384\0",
            Self::Sha512 => b"\x0bhmac-sha512\0",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

impl Key {
    /// A key with this secret.
    pub fn new(name: Name, algorithm: Algorithm, secret: &[u8]) -> Self {
        Self { name, algorithm, secret: hmac::Key::new(algorithm.hmac(), secret), octets: secret.into() }
    }

    fn context(&self, prior: Option<&[u8]>) -> hmac::Context {
        let mut context = hmac::Context::with_key(&self.secret);
        if let Some(prior) = prior {
            context.update(&u16::try_from(prior.len()).unwrap_or(u16::MAX).to_be_bytes());
            context.update(prior);
        }
        context
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.algorithm, &self.octets) == (&other.name, other.algorithm, &other.octets)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret is nobody's business, least of all a log's.
        let name = LowerName::from(&self.name);
        f.debug_struct("Key").field("name", &name).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The signature that a message ends in.
struct Signature<'m> {
    /// Where its record starts: the message without it ends there.
    start: usize,
    key: LowerName,
    algorithm: LowerName,
    /// Seconds since 1970.
    time: u64,
    fudge: u16,
    mac: &'m [u8],
    id: u16,
    error: u16,
    other: &'m [u8],
}

impl<'m> Signature<'m> {
    /// Finds it; `None`: the message is not signed.
    fn find(message: &'m [u8]) -> Result<Option<Self>, TsigError> {
        let mut at = HEADER;
        for _ in 0..be16(message, 4)? {
            at = LowerName::pass_compressed(message, at).map_err(Malformed::from)? + 4;
        }
        let mut last = None;
        for (section, count_at) in [(Section::Answer, 6), (Section::Authority, 8), (Section::Additional, 10)] {
            for _ in 0..be16(message, count_at)? {
                if last.as_ref().is_some_and(|record: &RecordAt| record.rtype == qtype::TSIG) {
                    return Err(TsigError::Malformed);
                }
                let record = read_record(message, at, section)?;
                at = record.rdata.end;
                last = Some(record);
            }
        }
        match last.filter(|record| record.rtype == qtype::TSIG) {
            None => Ok(None),
            Some(record) if record.section == Section::Additional && at == message.len() => {
                Self::read(message, &record).map(Some)
            }
            Some(_elsewhere) => Err(TsigError::Malformed),
        }
    }

    fn read(message: &'m [u8], record: &RecordAt) -> Result<Self, TsigError> {
        if record.class != CLASS_ANY || record.ttl != 0 {
            return Err(TsigError::Malformed);
        }
        let (key, _end) = LowerName::read_compressed(message, record.start).map_err(Malformed::from)?;
        let (algorithm, at) = LowerName::read_compressed(message, record.rdata.start).map_err(Malformed::from)?;
        let within = message.get(..record.rdata.end).ok_or(TsigError::Malformed)?;
        let time = within.get(at..at + 6).ok_or(TsigError::Malformed)?;
        let time = time.iter().fold(0, |time, octet| time << 8 | u64::from(*octet));
        let (fudge, mac_size) = (be16(within, at + 6)?, usize::from(be16(within, at + 8)?));
        let mac = within.get(at + 10..at + 10 + mac_size).ok_or(TsigError::Malformed)?;
        let behind = at + 10 + mac_size;
        let (id, error, other_size) =
            (be16(within, behind)?, be16(within, behind + 2)?, usize::from(be16(within, behind + 4)?));
        let other = within.get(behind + 6..).filter(|other| other.len() == other_size).ok_or(TsigError::Malformed)?;
        Ok(Self { start: record.start, key, algorithm, time, fudge, mac, id, error, other })
    }

    /// Whether it is this key's signature of what is in `context` so far and this message.
    fn check(
        &self,
        key: &Key,
        mut context: hmac::Context,
        message: &[u8],
        timers_only: bool,
        now: u64,
    ) -> Result<(), TsigError> {
        if self.key.wire() != key.name.wire() || self.algorithm.wire() != key.algorithm.wire() {
            return Err(TsigError::Key);
        }
        self.digest_message(message, &mut context);
        digest_variables(&mut context, key, self.time, self.fudge, (self.error, self.other), timers_only);
        let tag = context.sign();
        if self.mac.len() < tag.as_ref().len() {
            return Err(TsigError::Short);
        }
        // In constant time, since how much of it is right is not to be measured: signatures of both are compared by who made them.
        let seen = hmac::sign(&key.secret, self.mac);
        hmac::verify(&key.secret, tag.as_ref(), seen.as_ref()).map_err(|_differ| TsigError::Signature)?;
        if now.abs_diff(self.time) > u64::from(self.fudge) {
            return Err(TsigError::Time);
        }
        Ok(())
    }

    /// The message as it was before it was signed.
    fn digest_message(&self, message: &[u8], context: &mut hmac::Context) {
        let mut header = [0; HEADER];
        header.copy_from_slice(&message[..HEADER]);
        header[..2].copy_from_slice(&self.id.to_be_bytes());
        let additional = u16::from_be_bytes([header[10], header[11]]).saturating_sub(1);
        header[10..].copy_from_slice(&additional.to_be_bytes());
        context.update(&header);
        context.update(&message[HEADER..self.start]);
    }
}

/// What of the record itself is signed (RFC 8945 §4.3.3): in later messages of a response only when it was made.
fn digest_variables(
    context: &mut hmac::Context,
    key: &Key,
    time: u64,
    fudge: u16,
    (error, other): (u16, &[u8]),
    timers_only: bool,
) {
    if !timers_only {
        context.update(key.name.wire());
        context.update(&CLASS_ANY.to_be_bytes());
        context.update(&[0; 4]);
        context.update(key.algorithm.wire());
    }
    context.update(&time.to_be_bytes()[2..]);
    context.update(&fudge.to_be_bytes());
    if !timers_only {
        context.update(&error.to_be_bytes());
        context.update(&u16::try_from(other.len()).unwrap_or(u16::MAX).to_be_bytes());
        context.update(other);
    }
}

/// The signature of a query that was found right: what its response is signed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mac(Vec<u8>);

/// Checks a query, or another message that answers nothing.
///
/// # Errors
/// [`TsigError`]; what to answer is [`refuse`].
pub fn check_query(message: &[u8], key: &Key, now: u64) -> Result<Mac, TsigError> {
    let signature = Signature::find(message)?.ok_or(TsigError::Unsigned)?;
    signature.check(key, key.context(None), message, false, now)?;
    Ok(Mac(signature.mac.to_vec()))
}

/// Signs the messages of one side.
#[derive(Debug)]
pub struct Signer<'k> {
    key: &'k Key,
    prior: Option<Vec<u8>>,
    later: bool,
}

impl<'k> Signer<'k> {
    /// For a query.
    pub fn of_query(key: &'k Key) -> Self {
        Self { key, prior: None, later: false }
    }

    /// For the response, of however many messages, to a query with this signature.
    pub fn of_response(key: &'k Key, query: Mac) -> Self {
        Self { key, prior: Some(query.0), later: false }
    }

    /// Signs the next message at `now`, in seconds since 1970.
    pub fn sign(&mut self, message: &mut Vec<u8>, now: u64) {
        self.sign_with(message, now, (0, &[]));
    }

    fn sign_with(&mut self, message: &mut Vec<u8>, now: u64, (error, other): (u16, &[u8])) {
        let mut context = self.key.context(self.prior.as_deref());
        context.update(message);
        digest_variables(&mut context, self.key, now, FUDGE, (error, other), self.later);
        let mac = context.sign().as_ref().to_vec();
        append(message, self.key.name.wire(), self.key.algorithm.wire(), (now, FUDGE), &mac, (error, other));
        (self.prior, self.later) = (Some(mac), true);
    }

    /// What the response is signed over, once the query is signed.
    pub fn mac(self) -> Mac {
        Mac(self.prior.unwrap_or_default())
    }
}

/// Ends the response to a query whose signature does not count, in the record that says why: signed itself only where the key is
/// right and the time is not (RFC 8945 §5.2).
pub fn refuse(response: &mut Vec<u8>, query: &[u8], key: &Key, why: TsigError, now: u64) {
    let Ok(Some(signature)) = Signature::find(query) else { return };
    if why == TsigError::Time {
        let mut signer = Signer::of_response(key, Mac(signature.mac.to_vec()));
        let clock = now.to_be_bytes();
        // The record's own time is that of the query, or its sender could not check it.
        return signer.sign_with(response, signature.time, (why.code(), &clock[2..]));
    }
    let (name, algorithm) = (signature.key.wire(), signature.algorithm.wire());
    append(response, name, algorithm, (signature.time, signature.fudge), &[], (why.code(), &[]));
}

/// Appends the record to a message.
fn append(
    message: &mut Vec<u8>,
    name: &[u8],
    algorithm: &[u8],
    (time, fudge): (u64, u16),
    mac: &[u8],
    (error, other): (u16, &[u8]),
) {
    let id = [message[0], message[1]];
    let size = |octets: usize| u16::try_from(octets).unwrap_or(u16::MAX).to_be_bytes();
    message.extend_from_slice(name);
    message.extend_from_slice(&qtype::TSIG.to_be_bytes());
    message.extend_from_slice(&CLASS_ANY.to_be_bytes());
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&size(algorithm.len() + FIXED + mac.len() + other.len()));
    message.extend_from_slice(algorithm);
    message.extend_from_slice(&time.to_be_bytes()[2..]);
    message.extend_from_slice(&fudge.to_be_bytes());
    message.extend_from_slice(&size(mac.len()));
    message.extend_from_slice(mac);
    message.extend_from_slice(&id);
    message.extend_from_slice(&error.to_be_bytes());
    message.extend_from_slice(&size(other.len()));
    message.extend_from_slice(other);
    let additional = u16::from_be_bytes([message[10], message[11]]) + 1;
    message[10..HEADER].copy_from_slice(&additional.to_be_bytes());
}

/// Checks the messages of one response, in order.
pub struct Verifier<'k> {
    key: &'k Key,
    /// What the next signature is over, so far.
    context: hmac::Context,
    later: bool,
    /// Messages since the last signature.
    unsigned: u32,
}

impl<'k> Verifier<'k> {
    /// For the response to a query with this signature.
    pub fn of_response(key: &'k Key, query: &Mac) -> Self {
        Self { key, context: key.context(Some(&query.0)), later: false, unsigned: 0 }
    }

    /// Checks the next message; returns how many of its octets stand before the signature. What it says counts only once
    /// [`Verifier::is_settled`].
    ///
    /// # Errors
    /// [`TsigError`]: nothing of this response counts.
    pub fn check(&mut self, message: &[u8], now: u64) -> Result<usize, TsigError> {
        let Some(signature) = Signature::find(message)? else {
            if !self.later || self.unsigned >= UNSIGNED_MAX {
                return Err(TsigError::Unsigned);
            }
            self.unsigned += 1;
            self.context.update(message);
            return Ok(message.len());
        };
        // Without a signature there is nobody to have said so; but whoever could forge this could as well have cut the connection.
        if signature.error != 0 && signature.mac.is_empty() {
            return Err(TsigError::Refused(signature.error));
        }
        signature.check(self.key, self.context.clone(), message, self.later, now)?;
        if signature.error != 0 {
            return Err(TsigError::Refused(signature.error));
        }
        self.context = self.key.context(Some(signature.mac));
        (self.later, self.unsigned) = (true, 0);
        Ok(signature.start)
    }

    /// Whether all that was checked so far is signed: true of the last message, or the response does not count.
    pub fn is_settled(&self) -> bool {
        self.later && self.unsigned == 0
    }
}

impl fmt::Debug for Verifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("key", self.key).field("unsigned", &self.unsigned).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
