//! What of a response's answer section belongs to the question: the chain from its name, and the records at the end.
//!
//! An upstream that says more is not believed: a record of another owner, type or class in the answer section is cut out
//! before anybody is given it (RFC 2181 §5.4.1, RFC 5452 §6), and a chain that bites its tail is no answer.

use super::layout::{HEADER, Layout, Malformed, RecordAt, Section, be16};
use super::name::LowerName;
use super::qtype;
use super::query::CLASS_ANY;
use super::rdata::walk_names;

/// Links of a chain at most; resolvers follow fewer.
const LINKS_MAX: usize = 17;
/// CNAME and DNAME records looked at in one answer at most: each link may have one of both, and some are stray.
const LEADING_MAX: usize = 64;
/// QTYPEs from here to 255 ask for more than one type (MAILB, MAILA, ANY).
const QTYPE_MANY: u16 = 253;

/// The chain from the question, name by name.
#[derive(Debug)]
pub(super) struct Path {
    /// QNAME, then each name led to.
    names: Vec<LowerName>,
}

/// A CNAME or DNAME record.
struct Leading {
    owner: LowerName,
    rtype: u16,
    target: LowerName,
}

impl Path {
    /// Follows the chain of an answer section, in whatever order its records stand.
    ///
    /// # Errors
    /// [`Malformed::Chain`] when it leads back to itself or is longer than any resolver follows.
    pub(super) fn follow(message: &[u8], layout: &Layout) -> Result<Self, Malformed> {
        let leading = leading(message, layout)?;
        let mut names = vec![layout.qname.clone()];
        while let Some(next) = names.last().and_then(|name| next(name, &leading)) {
            if names.contains(&next) || names.len() > LINKS_MAX {
                return Err(Malformed::Chain);
            }
            names.push(next);
        }
        Ok(Self { names })
    }

    /// Every name that the question's own leads to.
    pub(super) fn led_to(&self) -> &[LowerName] {
        self.names.get(1..).unwrap_or_default()
    }

    /// Whether a record may be given to who asked. Only the answer section is judged.
    fn keeps(&self, message: &[u8], layout: &Layout, record: &RecordAt) -> Result<bool, Malformed> {
        if record.section != Section::Answer {
            return Ok(true);
        }
        if record.class != layout.qclass && layout.qclass != CLASS_ANY {
            return Ok(false);
        }
        let (owner, _end) = LowerName::read_compressed(message, record.start)?;
        let at = self.names.iter().position(|name| *name == owner);
        let leads =
            || !self.led_to().is_empty() && self.names.iter().any(|name| name != &owner && name.is_below(&owner));
        let rtype = match record.rtype {
            // A signature belongs to what it covers, whether that or signatures were asked for.
            qtype::RRSIG => be16(message, record.rdata.start)?,
            other => other,
        };
        let asked = [rtype, record.rtype].contains(&layout.qtype) || (QTYPE_MANY..=qtype::ANY).contains(&layout.qtype);
        Ok(match (rtype, at) {
            (qtype::CNAME, Some(at)) if record.rtype == qtype::CNAME => {
                let (target, _end) = LowerName::read_compressed(message, record.rdata.start)?;
                self.names.get(at + 1) == Some(&target)
            }
            (qtype::CNAME, Some(_)) => true,
            (qtype::DNAME, at) => (asked && at.is_some()) || leads(),
            (_, at) => asked && at.is_some(),
        })
    }
}

/// Whether a response's aliases lead back to one of themselves, or further than anybody follows: no answer can be made of it.
pub fn aliases_circle(message: &[u8], layout: &Layout) -> bool {
    let leads = |record: &RecordAt| matches!(record.rtype, qtype::CNAME | qtype::DNAME);
    layout.section(Section::Answer).any(leads) && Path::follow(message, layout).is_err()
}

fn leading(message: &[u8], layout: &Layout) -> Result<Vec<Leading>, Malformed> {
    let mut found = Vec::new();
    for record in layout.section(Section::Answer) {
        if !matches!(record.rtype, qtype::CNAME | qtype::DNAME) {
            continue;
        }
        if found.len() == LEADING_MAX {
            return Err(Malformed::Chain);
        }
        let (owner, _end) = LowerName::read_compressed(message, record.start)?;
        let (target, _end) = LowerName::read_compressed(message, record.rdata.start)?;
        found.push(Leading { owner, rtype: record.rtype, target });
    }
    Ok(found)
}

/// The name that `name` leads to; a DNAME counts where the CNAME made of it is missing (RFC 6672 §3.1).
fn next(name: &LowerName, leading: &[Leading]) -> Option<LowerName> {
    let cname = leading.iter().find(|link| link.rtype == qtype::CNAME && link.owner == *name);
    cname.map(|link| link.target.clone()).or_else(|| {
        let above = |link: &&Leading| link.rtype == qtype::DNAME && link.owner != *name && name.is_below(&link.owner);
        leading.iter().find(above).and_then(|link| replaced(name, &link.owner, &link.target))
    })
}

/// `name` with its ending `owner` replaced by `target`; `None` when that is too long for a name.
fn replaced(name: &LowerName, owner: &LowerName, target: &LowerName) -> Option<LowerName> {
    let kept = name.wire().len() - owner.wire().len();
    let wire = [&name.wire()[..kept], target.wire()].concat();
    LowerName::read(&wire, 0).ok().map(|(name, _end)| name)
}

/// The message without the records that do not belong to its question, the OPT record last, which may stand anywhere in its
/// section (RFC 6891 §6.1.1); `None` when it is so already.
///
/// # Errors
/// [`Malformed`] when what is left can't be written anew.
pub(super) fn without_strays(message: &[u8], layout: &Layout, path: &Path) -> Result<Option<Vec<u8>>, Malformed> {
    let keeps: Vec<bool> =
        layout.records.iter().map(|record| path.keeps(message, layout, record)).collect::<Result<_, _>>()?;
    if keeps.iter().all(|keeps| *keeps) && layout.opt.is_none_or(|index| index + 1 == layout.records.len()) {
        return Ok(None);
    }
    let mut kept = keeps.iter();
    without(message, layout, |_record| !kept.next().copied().unwrap_or_default()).map(Some)
}

/// The message without the records that `drops` names, the OPT record last.
///
/// # Errors
/// [`Malformed`] when what is left can't be written anew: it is too long without compression.
pub fn without(
    message: &[u8],
    layout: &Layout,
    mut drops: impl FnMut(&RecordAt) -> bool,
) -> Result<Vec<u8>, Malformed> {
    // Names may point into what is left out or moved, so every one is written whole.
    let mut out = message[..layout.question_end].to_vec();
    out[6..HEADER].fill(0);
    let kept: Vec<&RecordAt> = layout.records.iter().filter(|record| !drops(record)).collect();
    for record in kept.into_iter().filter(|record| record.rtype != qtype::OPT).chain(layout.opt()) {
        rewrite(&mut out, message, record)?;
        let count_at = match record.section {
            Section::Answer => 6,
            Section::Authority => 8,
            Section::Additional => 10,
        };
        super::response::bump(&mut out, count_at);
    }
    if out.len() > usize::from(u16::MAX) { Err(Malformed::Cut) } else { Ok(out) }
}

fn rewrite(out: &mut Vec<u8>, message: &[u8], record: &RecordAt) -> Result<(), Malformed> {
    let (owner, _end) = LowerName::read_compressed(message, record.start)?;
    out.extend_from_slice(owner.wire());
    out.extend_from_slice(&message[record.fields..record.fields + 8]);
    let (mut rdata, mut copied) = (Vec::with_capacity(record.rdata.len()), record.rdata.start);
    walk_names(message, record.rtype, &record.rdata, |at| {
        let (name, end) = LowerName::read_compressed(message, at)?;
        rdata.extend_from_slice(&message[copied..at]);
        rdata.extend_from_slice(name.wire());
        copied = end;
        Ok(end)
    })?;
    rdata.extend_from_slice(&message[copied..record.rdata.end]);
    out.extend_from_slice(&u16::try_from(rdata.len()).map_err(|_beyond_64_kib| Malformed::Rdata)?.to_be_bytes());
    out.extend_from_slice(&rdata);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Name, Query, Response};

    const A: u16 = qtype::A;

    fn wire(text: &str) -> Vec<u8> {
        Name::parse(text).unwrap().wire().to_vec()
    }

    /// The answer section left of these records, asked for `a.example` A, as `owner type`.
    #[track_caller]
    fn check(records: &[(&str, u16, &str)], expected: Result<&[&str], Malformed>) {
        check_for(A, records, expected);
    }

    /// The same for another type. The target of a signature is the type that it covers, A if none is given.
    #[track_caller]
    fn check_for(asked: u16, records: &[(&str, u16, &str)], expected: Result<&[&str], Malformed>) {
        let mut question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01A\x07eXample\0\0\x01\0\x01".to_vec();
        question[23..25].copy_from_slice(&asked.to_be_bytes());
        let mut response = Response::to(&Query::read(&question).unwrap());
        for (owner, rtype, target) in records {
            let rdata = match *rtype {
                qtype::A => vec![192, 0, 2, 1],
                qtype::AAAA => vec![0; 16],
                qtype::RRSIG => vec![0, target.parse().unwrap_or(1), 0],
                _ => wire(target),
            };
            response = response.answer_at(&wire(owner), *rtype, 60, &rdata);
        }
        let message = response.soa(&wire("example"), 5).finish(4096);
        let layout = Layout::read(&message).unwrap();
        let left = Path::follow(&message, &layout).and_then(|path| {
            let whole = without_strays(&message, &layout, &path)?.unwrap_or_else(|| message.clone());
            let layout = Layout::read(&whole)?;
            assert_eq!((layout.end, layout.section(Section::Authority).count()), (whole.len(), 1));
            let owner = |record: &RecordAt| LowerName::read_compressed(&whole, record.start).unwrap().0.to_string();
            Ok(layout.section(Section::Answer).map(|record| format!("{} {}", owner(record), record.rtype)).collect())
        });
        let expected = expected.map(|lines| lines.iter().map(ToString::to_string).collect::<Vec<String>>());
        assert_eq!(left, expected, "{records:?}");
    }

    #[test]
    fn only_the_chain_and_what_was_asked_for_at_its_names_is_left() {
        check(&[("a.example", A, "")], Ok(&["a.example 1"]));
        check(&[("bank.test", A, "")], Ok(&[]));
        check(&[("a.example", qtype::AAAA, ""), ("a.example", A, "")], Ok(&["a.example 1"]));
        check(&[("a.example", qtype::RRSIG, ""), ("bank.test", qtype::RRSIG, "")], Ok(&["a.example 46"]));
        let chain = ("a.example", 5, "b.example");
        check(
            &[("b.example", A, ""), chain, ("bank.test", A, ""), ("c.example", 5, "bank.test")],
            Ok(&["b.example 1", "a.example 5"]),
        );
        check(&[chain, ("a.example", 5, "bank.test"), ("bank.test", A, "")], Ok(&["a.example 5"]));
    }

    #[test]
    fn a_dname_is_followed_with_and_without_the_cname_made_of_it() {
        let dname = ("example", qtype::DNAME, "other.test");
        check(&[dname, ("a.other.test", A, "")], Ok(&["example 39", "a.other.test 1"]));
        check(
            &[dname, ("a.example", 5, "a.other.test"), ("a.other.test", A, "")],
            Ok(&["example 39", "a.example 5", "a.other.test 1"]),
        );
        check(&[("b.test", qtype::DNAME, "c.test")], Ok(&[]));
    }

    #[test]
    fn signatures_that_were_asked_for_come_with_those_of_the_chain_to_them() {
        let chain = [
            ("example", qtype::DNAME, "other.test"),
            ("example", qtype::RRSIG, "39"),
            ("a.example", 5, "a.other.test"),
            ("a.other.test", qtype::RRSIG, ""),
            ("bank.test", qtype::RRSIG, "39"),
        ];
        check_for(qtype::RRSIG, &chain, Ok(&["example 39", "example 46", "a.example 5", "a.other.test 46"]));
        check(&chain[..3], Ok(&["example 39", "example 46", "a.example 5"]));
    }

    #[test]
    fn a_chain_that_never_ends_is_no_answer() {
        check(&[("a.example", 5, "A.example")], Err(Malformed::Chain));
        check(&[("a.example", 5, "b.example"), ("b.example", 5, "a.example")], Err(Malformed::Chain));
        let names: Vec<String> = (0..=LINKS_MAX).map(|link| format!("n{link}.example")).collect();
        let mut links = vec![("a.example", 5, names[0].as_str())];
        links.extend(names.windows(2).map(|pair| (pair[0].as_str(), 5, pair[1].as_str())));
        check(&links, Err(Malformed::Chain));
        links.pop();
        let kept: Vec<String> = links.iter().map(|(owner, ..)| format!("{owner} 5")).collect();
        check(&links, Ok(&kept.iter().map(String::as_str).collect::<Vec<_>>()));
    }
}
