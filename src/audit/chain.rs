//! The chain: each line ends in its hash, and names that of the line before.

use super::error::Damage;
use crate::digest::{DIGITS, hex_digest};

/// What stands between the rest of a line and its hash.
const HASH: &str = ",\"hash\":\"";
/// What ends a line.
const END: &str = "\"}";

/// What the first line names as the one before it.
pub(super) fn beginning() -> String {
    "0".repeat(DIGITS)
}

/// The line of an object, and its hash.
pub(super) fn sealed(object: &str) -> (String, String) {
    let body = object.strip_suffix('}').unwrap_or(object);
    let hash = hex_digest(body.as_bytes());
    (format!("{body}{HASH}{hash}{END}\n"), hash)
}

/// The object and the hash of a line, which comes without its newline.
///
/// # Errors
/// [`Damage`] if the line does not have the hash that it ends in.
pub(super) fn unsealed(line: &[u8]) -> Result<(String, String), Damage> {
    let line = std::str::from_utf8(line).map_err(|_not_utf8| Damage::Line)?;
    let at = line.len().checked_sub(HASH.len() + DIGITS + END.len()).ok_or(Damage::Line)?;
    let object = line.get(..at).map(|body| format!("{body}}}")).ok_or(Damage::Line)?;
    let (sealed, hash) = sealed(&object);
    if sealed.strip_suffix('\n') == Some(line) { Ok((object, hash)) } else { Err(Damage::Hash) }
}
