//! Keys that servers share, as `tsig-keygen` writes them and BIND, dig and nsupdate read them.

use data_encoding::BASE64;

use crate::wire::tsig::{Algorithm, Key};
use crate::wire::{Name, NameError};

/// Octets of a secret at least (RFC 8945 §9.1 wants as many as the hash has; shorter ones are in use).
const SECRET_MIN: usize = 16;

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of this form at all.
    #[error(
        "holds no key; write what `tsig-keygen NAME` writes: key \"NAME\" {{ algorithm hmac-sha256; secret \"BASE64\"; }};"
    )]
    Form,
    /// Its name.
    #[error("the name of the key: {0}")]
    Name(#[from] NameError),
    /// An algorithm that is not known or not safe.
    #[error("the algorithm `{0}` is not known here; known: hmac-sha1, hmac-sha256, hmac-sha384, hmac-sha512")]
    Algorithm(String),
    /// The secret is no Base64.
    #[error("the secret is not in Base64")]
    Secret,
    /// The secret can be guessed.
    #[error("the secret has fewer than 16 octets")]
    Short,
}

/// Reads `key "NAME" { algorithm NAME; secret "BASE64"; };`, with comments as BIND has them: `//` and `#` to the end of the line,
/// and `/* ... */`, anywhere but in quotes.
///
/// # Errors
/// [`KeyError`] says what is missing.
pub fn read_key(text: &str) -> Result<Key, KeyError> {
    let words = words(text).ok_or(KeyError::Form)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ["key", name, "{", inner @ .., "}", ";"] = words.as_slice() else { return Err(KeyError::Form) };
    let (mut algorithm, mut secret) = (None, None);
    for statement in inner.split(|word| *word == ";").filter(|statement| !statement.is_empty()) {
        match statement {
            ["algorithm", value] => algorithm = Some(*value),
            ["secret", value] => secret = Some(*value),
            _ => return Err(KeyError::Form),
        }
    }
    let (Some(algorithm), Some(secret)) = (algorithm, secret) else { return Err(KeyError::Form) };
    let known =
        Algorithm::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(algorithm.trim_end_matches('.')));
    let algorithm = known.ok_or_else(|| KeyError::Algorithm(algorithm.chars().take(40).collect()))?;
    let octets = BASE64.decode(secret.as_bytes()).map_err(|_no_base64| KeyError::Secret)?;
    if octets.len() < SECRET_MIN {
        return Err(KeyError::Short);
    }
    Ok(Key::new(Name::parse(name)?, algorithm, &octets))
}

/// Words, texts in quotes without them, and the signs between. `None`: a quote or a comment has no end.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut found, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        rest = if let Some(quoted) = rest.strip_prefix('"') {
            let (word, behind) = quoted.split_once('"')?;
            found.push(word.to_owned());
            behind
        } else if rest.starts_with("//") || first == '#' {
            rest.split_once('\n').map_or("", |(_comment, behind)| behind)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/")?.1
        } else {
            let is_sign = |c| matches!(c, '{' | '}' | ';');
            let ends = |(at, c): &(usize, char)| {
                let rest = rest.get(*at..).unwrap_or_default();
                c.is_whitespace() || is_sign(*c) || ["\"", "#", "//", "/*"].iter().any(|end| rest.starts_with(end))
            };
            let end = rest.char_indices().find(ends).map_or(rest.len(), |(at, _c)| at);
            let end = if is_sign(first) { 1 } else { end };
            let (word, behind) = rest.split_at_checked(end)?;
            found.push(word.to_owned());
            behind
        }
        .trim_start();
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "c2l4dGVlbiBvY3RldHMhIQ==";

    #[test]
    fn what_tsig_keygen_writes_is_read() {
        let text = format!("key \"Transfer.Example\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{SECRET}\";\n}};\n");
        let key = read_key(&text).unwrap();
        assert_eq!(key, Key::new(Name::parse("transfer.example").unwrap(), Algorithm::Sha256, b"sixteen octets!!"));
        let one_line = format!("// why\n# who\nkey k. {{ secret \"{SECRET}\"; algorithm HMAC-SHA512; }};");
        assert_eq!(read_key(&one_line).unwrap().algorithm, Algorithm::Sha512);
    }

    #[test]
    fn a_comment_may_stand_anywhere_and_what_is_in_quotes_is_none() {
        let slashes = BASE64.encode(&[0xFF; 18]);
        assert!(slashes.contains("//"));
        for text in [
            format!(
                "key \"k\" {{ // \"who\" }};\nalgorithm hmac-sha256; # it's strong\nsecret \"{slashes}\"; // and \"long\"\n}};"
            ),
            format!("/* key \"x\"\n{{ */ key k{{algorithm hmac-sha256;secret/**/\"{slashes}\";}}; # end"),
            format!("key k {{ algorithm hmac-sha256;//a\n secret \"{slashes}\"; }};\r\n"),
        ] {
            let expected = Key::new(Name::parse("k").unwrap(), Algorithm::Sha256, &[0xFF; 18]);
            assert_eq!(read_key(&text), Ok(expected), "{text}");
        }
        for text in
            [format!("key k {{ algorithm hmac-sha256; secret \"{slashes}; }};"), "/* key".to_owned(), "\"".to_owned()]
        {
            assert_eq!(read_key(&text), Err(KeyError::Form), "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_told() {
        let check = |text: &str, expected: KeyError| assert_eq!(read_key(text), Err(expected), "{text}");
        check("", KeyError::Form);
        check(SECRET, KeyError::Form);
        check("key k { algorithm hmac-sha256; };", KeyError::Form);
        let with = |algorithm: &str, secret: &str| format!("key k {{ algorithm {algorithm}; secret \"{secret}\"; }};");
        check(&with("hmac-md5", SECRET), KeyError::Algorithm("hmac-md5".to_owned()));
        check(&with("hmac-sha256", "!!"), KeyError::Secret);
        check(&with("hmac-sha256", "c2hvcnQ="), KeyError::Short);
        let empty = with("hmac-sha256", SECRET).replace("key k", "key a..b");
        check(&empty, KeyError::Name(NameError::EmptyLabel));
    }
}
