//! Fields with commas between them, in quotes or not (RFC 4180), of one line: a log has no line breaks within fields.

use std::borrow::Cow;

/// The fields of a line.
pub(super) fn fields(line: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let (field, after) = match line.strip_prefix(b"\"") {
            Some(inner) => quoted(inner),
            None => match memchr::memchr(b',', line) {
                Some(comma) => (Cow::Borrowed(&line[..comma]), Some(&line[comma + 1..])),
                None => (Cow::Borrowed(line), None),
            },
        };
        rest = after;
        Some(field)
    })
}

/// A field up to its last quote, and what is behind the comma.
fn quoted(inner: &[u8]) -> (Cow<'_, [u8]>, Option<&[u8]>) {
    let (mut at, mut doubled) = (0, false);
    let end = loop {
        match memchr::memchr(b'"', &inner[at..]) {
            None => break inner.len(),
            Some(quote) if inner.get(at + quote + 1) == Some(&b'"') => {
                doubled = true;
                at += quote + 2;
            }
            Some(quote) => break at + quote,
        }
    };
    let field = &inner[..end];
    let field = if doubled { Cow::Owned(single(field)) } else { Cow::Borrowed(field) };
    let after = inner.get(end + 1..).and_then(|behind| memchr::memchr(b',', behind).map(|comma| &behind[comma + 1..]));
    (field, after)
}

/// The field with one quote for two.
fn single(field: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(field.len());
    let mut after_quote = false;
    for &octet in field {
        after_quote = octet == b'"' && !after_quote;
        if octet != b'"' || after_quote {
            octets.push(octet);
        }
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_split_with_quotes_and_without() {
        let check = |line: &str, expected: &[&str]| {
            let read: Vec<_> =
                fields(line.as_bytes()).map(|field| String::from_utf8(field.into_owned()).unwrap()).collect();
            assert_eq!(read, expected, "{line}");
        };
        check(r#""a,b","c ""d""",e,"#, &["a,b", r#"c "d""#, "e", ""]);
        check("", &[""]);
        check(r#""open"#, &["open"]);
        check(r#""a"b,c"#, &["a", "c"]);
        check(r#""""#, &[""]);
    }
}
