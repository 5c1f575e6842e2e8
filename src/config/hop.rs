//! `any`, `[about]` and `[cookies]` to what is meant, and the file of secrets that the last one names.

use std::path::Path;

use super::convert::flag;
use super::disk::Origin;
use super::file::{File, Text};
use super::reader::Reader;
use super::settings::HopSettings;
use crate::diag::{Diagnostic, Severity};
use crate::serve::AnyAnswer;
use crate::wire::{NSID_MAX, Secret};

/// Octets of a TXT string at most (RFC 1035 §3.3).
const TEXT_MAX: usize = 255;
/// Octets of the file of secrets at most.
const SECRETS_MAX: u64 = 1 << 16;
/// Secrets that are known at a time at most: the one in use, the one before and the one after, and some to spare.
const SECRETS: usize = 8;

/// The settings of this hop; the secrets are still to be read.
pub(super) fn settings(file: &File, base: &Path, reader: &mut Reader<'_>) -> HopSettings {
    let any = reader.word(&file.any, "answer to ANY", &AnyAnswer::ALL, AnyAnswer::as_str);
    let secret_file = file.cookies.secret_file.as_ref();
    HopSettings {
        any: any.map(|at| at.value).unwrap_or_default(),
        nsid: text(&file.about.nsid, NSID_MAX, reader),
        id: text(&file.about.id, TEXT_MAX, reader),
        version: text(&file.about.version, TEXT_MAX, reader),
        cookie_secret_file: secret_file.map(|path| reader.at(base.join(path.get_ref()), path.span())),
        cookie_secrets: Vec::new(),
        cookie_required: flag(&file.cookies.required, false),
    }
}

fn text(written: &Text, most: usize, reader: &mut Reader<'_>) -> Option<String> {
    let written = written.as_ref()?;
    if !(1..=most).contains(&written.get_ref().len()) {
        reader.error(written.span(), format!("must be of 1 to {most} octets; remove the line to say nothing"));
    }
    Some(written.get_ref().clone())
}

/// Reads the secrets, if a file of them is named. No message shows a line of it.
pub(super) fn read_secrets(settings: &mut HopSettings, mistakes: &mut Vec<Diagnostic>) {
    let Some(path) = &settings.cookie_secret_file else { return };
    let name = path.value.display();
    let octets = match Origin::File(path.value.clone()).read(SECRETS_MAX) {
        Ok(octets) => octets,
        Err(error) => return mistakes.push(path.error(format!("{name} {error}"))),
    };
    for (number, line) in octets.split(|octet| *octet == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        match secret(line) {
            Some(secret) => settings.cookie_secrets.push(secret),
            None => mistakes.push(Diagnostic::whole(
                Severity::Error,
                format!("{name}:{}", number + 1),
                "no secret; write 32 hexadecimal digits, as `openssl rand -hex 16` prints them",
            )),
        }
    }
    if !(1..=SECRETS).contains(&settings.cookie_secrets.len()) && mistakes.is_empty() {
        mistakes.push(path.error(format!("{name} must hold 1 to {SECRETS} secrets, one a line")));
    }
}

fn secret(line: &[u8]) -> Option<Secret> {
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut secret = [0; 16];
    if line.len() != 2 * secret.len() {
        return None;
    }
    for (octet, [high, low]) in secret.iter_mut().zip(line.as_chunks().0) {
        *octet = digit(*high)? << 4 | digit(*low)?;
    }
    Some(Secret(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_32_hexadecimal_digits_in_either_case() {
        let expected = Secret(*b"\xe5\xe9\x73\xe5\xa6\xb2\xa4\x3f\x48\xe7\xdc\x84\x9e\x37\xbf\xcf");
        assert_eq!(secret(b"e5e973e5a6b2a43f48e7dc849e37bfcf"), Some(expected));
        assert_eq!(secret(b"E5E973E5A6B2A43F48E7DC849E37BFCF"), Some(expected));
        for bad in [&b""[..], b"e5e973e5a6b2a43f48e7dc849e37bfc", b"e5e973e5a6b2a43f48e7dc849e37bfcg", &[b'0'; 34]] {
            assert_eq!(secret(bad), None);
        }
    }
}
