//! Public suffixes: names below which anyone can register, such as `com` and `co.uk` (<https://publicsuffix.org/list>).

use psl::{Psl, Type};

use crate::wire::LowerName;

/// Whether registries register below the ancestor that has `labels` labels: a single label or an entry of the list's
/// ICANN part. The list's private part is about cookies; who runs `pages.example` for others is a vendor like any other.
pub(super) fn is_registry(name: &LowerName, labels: usize) -> bool {
    labels == 1 || find(name, labels) == Some(Type::Icann)
}

/// Whether registries register below a name: it is a single label, or stands in the ICANN part of the Public Suffix List.
pub fn is_registry_name(name: &LowerName) -> bool {
    is_registry(name, name.labels())
}

/// Whether the ancestor that has `labels` labels is a public suffix of either part of the list.
pub(super) fn is_public(name: &LowerName, labels: usize) -> bool {
    labels == 1 || find(name, labels).is_some()
}

/// The part of the list in which the ancestor as a whole is an entry.
fn find(name: &LowerName, labels: usize) -> Option<Type> {
    let info = psl::List.find((0..name.labels()).rev().take(labels).map(|index| name.label(index)));
    // Length octets and the root's zero on the wire take the place of dots, and are one and one more.
    info.typ.filter(|_part| info.len + 2 == name.suffix(labels).len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, registry: bool, public: bool) {
        let name = LowerName::parse(text).unwrap();
        assert_eq!((is_registry(&name, name.labels()), is_public(&name, name.labels())), (registry, public), "{text}");
    }

    #[test]
    fn registries_are_told_from_names_below_them() {
        check(".", false, false);
        check("com", true, true);
        check("co.uk", true, true);
        check("example", true, true);
        check("example.com", false, false);
        check("example.co.uk", false, false);
        check("a.kawasaki.jp", true, true);
        check("city.kawasaki.jp", false, false);
        check("github.io", false, true);
        check("vendor.github.io", false, false);
        check("xn--p1ai", true, true);
    }
}
