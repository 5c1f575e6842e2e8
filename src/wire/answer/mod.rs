//! An upstream's response kept as octets, to be given to many clients: each with its own id, flags, case, TTLs and size.

use std::borrow::Cow;

use super::layout::{HEADER, Layout, Malformed, RecordAt, Section, be16, be32, edns_options};
use super::name::{LowerName, Name, NameError};
use super::private::holds_private;
use super::qtype;
use super::query::Query;
use super::relevant::{self, Path};
use super::response::{OPTION_EDE, bump, opt_size, push_ede, rcode, without_texts, write_opt};
use super::steady;

/// Where the counts of records stand in the header, and where they end.
const ANCOUNT: u8 = 6;
const NSCOUNT: u8 = 8;
const ARCOUNT: u8 = 10;
const COUNTS_END: u8 = 12;
/// Names that an answer may lead to at most: each is screened again for every client.
const TARGETS_MAX: usize = 128;

/// A response without its OPT record, with what is needed to hand it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// All that has no fixed size, in one piece, since each piece of its own is one more wait for memory:
    /// - the message without OPT; id and flags are those of the upstream's answer and are patched on each copy;
    /// - where each TTL stands in it, two octets each;
    /// - the upstream's extended errors, as EDNS options (RFC 8914 §3: passed on).
    octets: Box<[u8]>,
    /// Where the first part ends.
    body_end: u32,
    /// Where the records of the first part end without which it is no answer. Those behind only save further questions, and
    /// may be left out of a datagram that is too small (RFC 2181 §9).
    needed_end: u32,
    /// The section count at which those behind begin: NSCOUNT or ARCOUNT.
    further_at: u8,
    /// Where the second part ends.
    ttls_end: u32,
    question_end: u16,
    rcode: u16,
    /// Seconds; `None`: not to be kept.
    lifetime: Option<u32>,
    authentic_data: bool,
    negative: bool,
    private: bool,
    /// Names that this answer leads to: along CNAMEs and DNAMEs, in that order, then SVCB and HTTPS targets.
    targets: Box<[Target]>,
}

/// A name that an answer leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The record's type: CNAME, also for what only a DNAME leads to; SVCB or HTTPS.
    pub rtype: u16,
    /// Where it leads.
    pub name: Name,
}

impl Answer {
    /// Keeps a validated response (no TC, QR=1, one question), without what its answer section says beyond the question.
    ///
    /// # Errors
    /// [`Malformed::Chain`] when its CNAMEs never end, [`Malformed::Targets`] when it leads to more names than can be
    /// screened for every client, and whatever [`Layout::read`] and the walk over the targets find.
    pub fn keep(message: &[u8], layout: &Layout) -> Result<Self, Malformed> {
        let path = Path::follow(message, layout)?;
        match relevant::without_strays(message, layout, &path)? {
            Some(message) => Self::keep_relevant(&message, &Layout::read(&message)?, &path),
            None => Self::keep_relevant(message, layout, &path),
        }
    }

    fn keep_relevant(message: &[u8], layout: &Layout, path: &Path) -> Result<Self, Malformed> {
        steady::check(message, layout)?;
        if layout.records.iter().any(|record| is_transaction_signature(message, record)) {
            return Err(Malformed::Signed);
        }
        let (mut body, mut extended, mut options) = (message[..layout.end].to_vec(), 0, Vec::new());
        if let (Some(index), Some(opt)) = (layout.opt, layout.opt()) {
            if index + 1 != layout.records.len() {
                return Err(Malformed::Opt);
            }
            body.truncate(opt.start);
            let count = u16::from_be_bytes([body[10], body[11]]).saturating_sub(1);
            body[10..HEADER].copy_from_slice(&count.to_be_bytes());
            [extended, _, _, _] = opt.ttl.to_be_bytes();
            for (code, value) in edns_options(&message[opt.rdata.clone()]) {
                if let (OPTION_EDE, Some((&[high, low], text))) = (code, value.split_first_chunk::<2>()) {
                    push_ede(&mut options, u16::from_be_bytes([high, low]), text);
                }
            }
        }
        let offset = |at: usize| u16::try_from(at).map_err(|_beyond_64_kib| Malformed::Cut);
        let rcode = (u16::from(extended) << 4) | u16::from(body[3] & 0x0F);
        let (authentic_data, body_end) = (body[3] & 0x20 != 0, body.len());
        let mut octets = body;
        octets.reserve_exact(2 * layout.records.len() + options.len());
        for record in layout.records.iter().filter(|record| record.rtype != qtype::OPT) {
            octets.extend_from_slice(&offset(record.ttl_offset())?.to_be_bytes());
        }
        let ttls_end = octets.len();
        octets.extend_from_slice(&options);
        let further = further(message, layout, rcode);
        let (negative, end) = (is_negative(layout, rcode), |at| u32::try_from(at).map_err(|_beyond| Malformed::Cut));
        Ok(Self {
            octets: octets.into(),
            body_end: end(body_end)?,
            needed_end: end(further.map_or(body_end, |(start, _count)| start))?,
            further_at: further.map_or(COUNTS_END, |(_start, count)| count),
            ttls_end: end(ttls_end)?,
            question_end: offset(layout.question_end)?,
            rcode,
            lifetime: lifetime(message, layout, rcode, negative),
            authentic_data,
            negative,
            private: holds_private(message, layout),
            targets: targets(message, layout, path)?,
        })
    }

    /// The whole response code, upper bits of EDNS included.
    pub fn rcode(&self) -> u16 {
        self.rcode
    }

    /// The type that was asked for.
    pub(super) fn qtype(&self) -> u16 {
        be16(self.body(), usize::from(self.question_end) - 4).unwrap_or_default()
    }

    /// The names it leads to.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The message without OPT, TTLs as the upstream sent them.
    pub fn body(&self) -> &[u8] {
        &self.octets[..self.body_end as usize]
    }

    /// Where each TTL stands in the message.
    pub(super) fn ttl_offsets(&self) -> impl Iterator<Item = usize> {
        let pairs = self.octets[self.body_end as usize..self.ttls_end as usize].as_chunks().0;
        pairs.iter().map(|pair| usize::from(u16::from_be_bytes(*pair)))
    }

    /// The upstream's extended errors, as EDNS options.
    fn options(&self) -> &[u8] {
        &self.octets[self.ttls_end as usize..]
    }

    /// The message as the upstream sent it, as far as it is kept: [`Answer::keep`] makes the same answer of it again.
    pub fn to_message(&self) -> Vec<u8> {
        let ([extended, _low], options) = ((self.rcode << 4).to_be_bytes(), self.options());
        let mut message = self.body().to_vec();
        if extended > 0 || !options.is_empty() {
            bump(&mut message, 10);
            let limit = usize::from(u16::MAX);
            write_opt(&mut message, (extended, false), None, limit, |octets| octets.extend_from_slice(options));
        }
        message
    }

    /// Octets that this answer holds in memory, itself included.
    pub fn memory_bytes(&self) -> usize {
        let targets = self.targets.iter().map(|target| size_of::<Target>() + target.name.wire().len()).sum::<usize>();
        size_of::<Self>() + self.octets.len() + targets
    }

    /// Whether it says that the name or the type does not exist.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Whether it sends a client to an address of a private network or of the client itself.
    pub fn holds_private_address(&self) -> bool {
        self.private
    }

    /// Seconds that this answer may be kept: the least TTL of the answer section, or for a negative answer what its SOA
    /// allows (RFC 2308 §5). `None`: not to be kept at all.
    pub fn lifetime(&self) -> Option<u32> {
        self.lifetime
    }

    /// The response for one client: its id, RD, CD and question, our RA, AD only if it asked for it (RFC 6840 §5.7), TTLs
    /// as `ttl` makes them of the upstream's, our own OPT if it sent one, TC if it is larger than `limit`.
    /// Written into `out`, a buffer that may have been used before.
    pub fn render(&self, query: &Query<'_>, fit: &Fit<'_>, mut out: Vec<u8>) -> Vec<u8> {
        let (end, options) = self.what_fits(query, fit);
        let truncated = end == usize::from(self.question_end) && end < self.body().len();
        out.clear();
        out.extend_from_slice(&self.body()[..end]);
        let authentic = self.authentic_data && query.wants_authentic_data() && fit.authentic;
        out[..2].copy_from_slice(&query.message[..2]);
        out[2] = 0x80 | (query.message[2] & 0x01) | if truncated { 0x02 } else { 0 };
        let [extended, low] = (self.rcode << 4).to_be_bytes();
        out[3] = 0x80 | (query.message[3] & 0x10) | (u8::from(authentic) << 5) | (low >> 4);
        out[HEADER..query.question_end].copy_from_slice(&query.message[HEADER..query.question_end]);
        if end < self.body().len() {
            let gone = if truncated { ANCOUNT } else { self.further_at };
            out[usize::from(gone)..HEADER].fill(0);
        }
        for at in self.ttl_offsets().take_while(|at| *at < end) {
            let ttl = fit.ttl(u32::from_be_bytes([out[at], out[at + 1], out[at + 2], out[at + 3]]));
            out[at..at + 4].copy_from_slice(&ttl.to_be_bytes());
        }
        if let Some(edns) = query.edns {
            bump(&mut out, 10);
            let opt = (extended, edns.dnssec_ok);
            write_opt(&mut out, opt, query.extras, fit.limit, |octets| octets.extend_from_slice(&options));
        }
        out
    }

    /// Where the records end that fit: all, those without which it is no answer, or none; and the extended errors that do: with
    /// their texts, or at least their codes, or none.
    fn what_fits(&self, query: &Query<'_>, fit: &Fit<'_>) -> (usize, Cow<'_, [u8]>) {
        let mut options = Cow::Borrowed(self.options());
        if let Some((code, text)) = fit.ede {
            push_ede(options.to_mut(), code, text.as_bytes());
        }
        let opt = query.edns.map(|_edns| opt_size(query.extras));
        let fits = |body: usize, options: &[u8]| body + opt.map_or(0, |opt| opt + options.len()) <= fit.limit;
        if fits(self.body().len(), &options) {
            return (self.body().len(), options);
        }
        let (codes, question) = (without_texts(&options), usize::from(self.question_end));
        for end in [self.body().len(), self.needed_end as usize, question] {
            if fits(end, &codes) {
                return (end, Cow::Owned(codes));
            }
        }
        // An upstream may have sent more errors than a datagram holds beside the question.
        (question, Cow::Owned(Vec::new()))
    }
}

/// How an answer is made to fit one client at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Fit<'a> {
    /// Octets at most.
    pub limit: usize,
    /// Seconds since the upstream sent it.
    pub age: u32,
    /// TTL at least, for a stale answer (RFC 8767 §4: 30 s).
    pub ttl_min: u32,
    /// TTL at most, where policy may change before it runs out.
    pub ttl_max: u32,
    /// Whether AD may pass: the upstream is believed.
    pub authentic: bool,
    /// An extended error of ours.
    pub ede: Option<(u16, &'a str)>,
}

impl Fit<'_> {
    /// The TTL to send.
    fn ttl(&self, ttl: u32) -> u32 {
        sane_ttl(ttl).saturating_sub(self.age).max(self.ttl_min).min(self.ttl_max)
    }
}

/// Whether a record signs the message that it stands in: TSIG, or a SIG that covers no type, SIG(0) (RFC 2931 §3).
fn is_transaction_signature(message: &[u8], record: &RecordAt) -> bool {
    let covers_none = || be16(message, record.rdata.start).is_ok_and(|covered| covered == 0);
    record.rtype == qtype::TSIG || record.rtype == qtype::SIG && covers_none()
}

/// Where the records begin that a positive answer is one without, and the count in the header that begins with them: addresses
/// and the like, and the name servers of its zone (RFC 2181 §9). What proves an answer is none of them (RFC 4035 §3.1.3), and in
/// a referral the addresses are what it is about (RFC 9471).
fn further(message: &[u8], layout: &Layout, rcode: u16) -> Option<(usize, u8)> {
    if is_negative(layout, rcode) {
        return None;
    }
    let is_server = |record: &RecordAt| match record.rtype {
        qtype::RRSIG => be16(message, record.rdata.start) == Ok(qtype::NS),
        other => other == qtype::NS,
    };
    let first = |section| layout.section(section).next().map(|record| record.start);
    let additional = first(Section::Additional).map(|start| (start, ARCOUNT));
    match first(Section::Authority) {
        Some(start) if layout.section(Section::Authority).all(is_server) => Some((start, NSCOUNT)),
        _ => additional,
    }
}

/// What a TTL in seconds means: with the top bit set it counts as 0 (RFC 2181 §8).
pub fn sane_ttl(ttl: u32) -> u32 {
    if i32::try_from(ttl).is_ok() { ttl } else { 0 }
}

/// Seconds that an answer may be kept.
fn lifetime(message: &[u8], layout: &Layout, rcode: u16, negative: bool) -> Option<u32> {
    if !matches!(rcode, rcode::NOERROR | rcode::NXDOMAIN) {
        return None;
    }
    let answered = layout.section(Section::Answer).map(|record| sane_ttl(record.ttl)).min();
    if !negative {
        return answered;
    }
    let soa = layout.section(Section::Authority).find(|record| record.rtype == qtype::SOA)?;
    let minimum = be32(message, soa.rdata.end - 4).ok()?;
    Some(sane_ttl(soa.ttl).min(sane_ttl(minimum)).min(answered.unwrap_or(u32::MAX)))
}

/// NXDOMAIN, or NOERROR without a record of the type that was asked for (RFC 2308 §2).
fn is_negative(layout: &Layout, rcode: u16) -> bool {
    let fits = |rtype| rtype == layout.qtype || layout.qtype == qtype::ANY;
    match rcode {
        rcode::NOERROR => !layout.section(Section::Answer).any(|record| fits(record.rtype)),
        other => other == rcode::NXDOMAIN,
    }
}

/// Every name that the question's own leads to, then SVCB and HTTPS targets in the answer and additional sections. Where a
/// DNAME points is a name of its own, to which it leads nobody: only what it makes of the names below it is asked for.
fn targets(message: &[u8], layout: &Layout, path: &Path) -> Result<Box<[Target]>, Malformed> {
    let mut found: Vec<Target> = Vec::new();
    let mut add = |rtype: u16, name: &LowerName| {
        let name = Name::from(name);
        if !found.iter().any(|target| target.rtype == rtype && target.name == name) {
            found.push(Target { rtype, name });
        }
        if found.len() > TARGETS_MAX { Err(Malformed::Targets) } else { Ok(()) }
    };
    for name in path.led_to() {
        add(qtype::CNAME, name)?;
    }
    for record in &layout.records {
        let is_led = matches!(record.section, Section::Answer | Section::Additional);
        if !is_led || !matches!(record.rtype, qtype::SVCB | qtype::HTTPS) {
            continue;
        }
        let message = message.get(..record.rdata.end).ok_or(Malformed::Cut)?;
        let (name, end) = LowerName::read_compressed(message, record.rdata.start + 2)?;
        if end > record.rdata.end {
            return Err(Malformed::Name(NameError::Cut));
        }
        // "." is no name to screen: in SVCB it stands for the owner (RFC 9460 §2.5).
        if name.labels() > 0 {
            add(record.rtype, &name)?;
        }
    }
    Ok(found.into())
}

#[cfg(test)]
mod tests;
