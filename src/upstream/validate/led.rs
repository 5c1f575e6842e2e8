//! From what was asked for to where its answer ends, alias by alias: whether each step is proven, and what the last one says.

use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, RRSIG};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::proto::serialize::binary::BinDecodable as _;

use super::denial::{Claim, Denials};
use super::handle::hickory_name;
use super::verdict::Proven;
use crate::wire::Name as OurName;

/// Aliases followed at most; resolvers follow fewer.
const LINKS_MAX: usize = 17;

/// An answer whose records have been proven one by one, or not.
pub(super) struct Led<'m, E> {
    message: &'m Message,
    /// Whether the name asked for is proven to be in a zone that is not signed, if nothing at all is said of it.
    plain: bool,
    /// Which names are not validated.
    exempt: E,
    denials: Denials<'m>,
}

/// What is wrong with an answer, and at which name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A record is not what its zone has signed.
    False(Name),
    /// Nothing proves what is said not to be there.
    Unproven(Name),
}

/// What a name is in the tree of zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// A zone that is signed.
    Signed,
    /// A zone that is not, or in one.
    Plain,
    /// No zone of its own.
    None,
    /// Nothing is proven.
    Unknown,
}

impl<'m, E: Fn(&Name) -> bool> Led<'m, E> {
    pub(super) fn new(proven: &'m Proven, exempt: E) -> Self {
        let Proven { message, taken } = proven;
        let proven = message.authorities.iter().filter(|record| record.proof == Proof::Secure && !exempt(&record.name));
        let denials = Denials::among(&proven.collect::<Vec<_>>());
        Self { message, plain: *taken, exempt, denials }
    }

    /// Whether the answer to a question is proven to its end; if not, whether all that is not is of zones that are not signed.
    ///
    /// # Errors
    /// [`Fault`] at the first step that is neither.
    pub(super) fn is_secure(&self, asked: &Name, rtype: RecordType) -> Result<bool, Fault> {
        let (mut name, mut secure) = (asked.clone(), true);
        for _link in 0..LINKS_MAX {
            if (self.exempt)(&name) {
                return Ok(false);
            }
            let found = self.at(&name, rtype);
            if !found.is_empty() {
                return Ok(self.all_secure(&found)? && secure);
            }
            let Some(alias) = self.at(&name, RecordType::CNAME).first().copied() else {
                // Who may forge the way to a name may as well have it lead nowhere.
                let plain = !secure || (self.plain && name == *asked);
                return Ok(self.is_denied(&name, rtype, plain)? && secure);
            };
            secure &= self.all_secure(&[alias])?;
            let RData::CNAME(target) = &alias.data else { return Err(Fault::False(name)) };
            name = target.0.clone();
        }
        Err(Fault::False(name))
    }

    /// The records at a name that are of a type; of all types for ANY.
    fn at(&self, name: &Name, rtype: RecordType) -> Vec<&'m Record> {
        let wanted = |record: &&Record| {
            record.name == *name
                && match rtype {
                    RecordType::ANY => record.record_type() != RecordType::RRSIG,
                    one => record.record_type() == one,
                }
        };
        self.message.answers.iter().filter(wanted).collect()
    }

    fn all_secure(&self, records: &[&Record]) -> Result<bool, Fault> {
        let mut secure = true;
        for record in records {
            secure &= self.is_record_secure(record).or_else(|fault| self.is_made(record, fault))?;
        }
        Ok(secure)
    }

    /// A signature is of use to whoever knows what it signs; nothing signs it in turn.
    fn is_record_secure(&self, record: &Record) -> Result<bool, Fault> {
        if record.record_type() == RecordType::RRSIG {
            return Ok(false);
        }
        match record.proof {
            Proof::Secure => self.is_closest(record),
            Proof::Insecure => Ok(false),
            // One that was never looked for may have been slipped in.
            Proof::Bogus | Proof::Indeterminate => Err(Fault::False(record.name.clone())),
        }
    }

    /// An alias without a signature may be made by a DNAME record that has one (RFC 6672 §5.3.1).
    fn is_made(&self, record: &Record, fault: Fault) -> Result<bool, Fault> {
        let maker = self.message.answers.iter().find(|dname| makes(dname, record));
        maker.map_or(Err(fault), |dname| self.is_record_secure(dname))
    }

    /// Whether a proven record is there by its own name, or by the closest wildcard.
    fn is_closest(&self, record: &Record) -> Result<bool, Fault> {
        let signatures = self.message.answers.iter().filter_map(|other| match &other.data {
            RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) if other.name == record.name && proves(other, rrsig, record) => {
                Some((rrsig.input().num_labels, &rrsig.input().signer_name))
            }
            _ => None,
        });
        match signatures.min_by_key(|(labels, _signer)| *labels) {
            None => Err(Fault::False(record.name.clone())),
            Some((labels, _signer)) if labels >= record.name.num_labels() => Ok(true),
            Some((labels, signer)) => {
                secure_unless_bogus(self.denials.deny_closer(&record.name, labels, signer), &record.name)
            }
        }
    }

    /// `plain`: that nobody denies it says nothing.
    fn is_denied(&self, name: &Name, rtype: RecordType, plain: bool) -> Result<bool, Fault> {
        match self.denials.deny(Claim { name, rtype, whole_name: self.denies_name() }) {
            Proof::Bogus if plain && self.message.authorities.is_empty() => Ok(false),
            // A zone above that is not signed has nothing signed below it. Any other zone's word is none.
            Proof::Bogus if self.message.authorities.iter().any(|record| self.is_plain_above(record, name)) => {
                Ok(false)
            }
            proof => secure_unless_bogus(proof, name),
        }
    }

    /// Whether the name at its end is said not to be there, rather than such a record.
    fn denies_name(&self) -> bool {
        self.message.metadata.response_code == ResponseCode::NXDomain
    }

    fn is_plain_above(&self, record: &Record, name: &Name) -> bool {
        let plain = record.proof == Proof::Insecure || (self.exempt)(&record.name);
        plain && record.record_type() != RecordType::RRSIG && record.name.zone_of(name)
    }
}

/// What the answer to a question for DS at a name says of it.
pub(super) fn cut(proven: &Proven, name: &OurName) -> Cut {
    let Some(name) = hickory_name(name) else { return Cut::Unknown };
    let led = Led::new(proven, |_none: &Name| false);
    let ds = led.at(&name, RecordType::DS);
    if !ds.is_empty() {
        // One that nobody here can follow leads no further, but that is for hickory to say (RFC 4035 §5.2).
        return if led.all_secure(&ds) == Ok(true) { Cut::Signed } else { Cut::Unknown };
    }
    match led.denials.deny(Claim { name: &name, rtype: RecordType::DS, whole_name: led.denies_name() }) {
        Proof::Insecure => Cut::Plain,
        Proof::Secure if led.denies_name() => Cut::Unknown,
        Proof::Secure if led.denials.is_cut(&name) => Cut::Plain,
        Proof::Secure => Cut::None,
        Proof::Bogus | Proof::Indeterminate => Cut::Unknown,
    }
}

fn secure_unless_bogus(proof: Proof, name: &Name) -> Result<bool, Fault> {
    match proof {
        Proof::Secure => Ok(true),
        Proof::Insecure => Ok(false),
        Proof::Bogus | Proof::Indeterminate => Err(Fault::Unproven(name.clone())),
    }
}

/// Whether an alias is what a DNAME record makes of its name.
fn makes(dname: &Record, alias: &Record) -> bool {
    let (RData::Unknown { rdata, .. }, RData::CNAME(made)) = (&dname.data, &alias.data) else { return false };
    if dname.record_type() != RecordType::DNAME || !dname.name.zone_of(&alias.name) || dname.name == alias.name {
        return false;
    }
    let kept = alias.name.iter().count() - dname.name.iter().count();
    let target = Name::from_bytes(&rdata.anything);
    let replaced = |target: Name| Name::from_labels(alias.name.iter().take(kept)).ok()?.append_domain(&target).ok();
    target.ok().and_then(replaced).is_some_and(|replaced| replaced == made.0)
}

/// Whether this is the signature that a record was proven by.
fn proves(signature: &Record, rrsig: &RRSIG, record: &Record) -> bool {
    signature.proof == Proof::Secure && rrsig.input().type_covered == record.record_type()
}
