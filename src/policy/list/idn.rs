//! Names in other alphabets, as foreign lists have them: U-labels to the A-labels that are asked for (UTS 46).

use std::borrow::Cow;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// The name in ASCII; `None`: it is no name in any alphabet. What is ASCII already is left as it is: which octets a name may have
/// is not said here.
pub(super) fn to_ascii(name: &str) -> Option<Cow<'_, str>> {
    if name.is_ascii() {
        return Some(Cow::Borrowed(name));
    }
    let ascii = Uts46::new().to_ascii(name.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore);
    ascii.ok().filter(|ascii| ascii.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_any_alphabet_become_those_that_are_asked_for() {
        let check = |name, ascii| assert_eq!(to_ascii(name).as_deref(), ascii, "{name}");
        check("a_b.example", Some("a_b.example"));
        check("Bücher.example", Some("xn--bcher-kva.example"));
        check("касперский.рф", Some("xn--80akjebc7ajgd.xn--p1ai"));
        // Upper case, a full-width dot, and a letter of two code points.
        check("BU\u{308}CHER。example", Some("xn--bcher-kva.example"));
        check("_x.straße.example", Some("_x.xn--strae-oqa.example"));
        check("a\u{fffd}b.example", None);
        check("xn--0.é", None);
    }
}
