//! Which of our languages somebody reads best (RFC 9110 §12.5.4).

use crate::policy::Language;

/// Languages that are looked at.
const LOOKED_AT: usize = 32;

/// The language that is liked best among those that there are; `None`: none of them is named, or any will do.
pub(super) fn preferred(accept: &str) -> Option<Language> {
    let mut best: Option<(u16, Language)> = None;
    for range in accept.split(',').take(LOOKED_AT) {
        let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
        let primary = tag.trim().split('-').next().unwrap_or_default();
        let known = Language::ALL.into_iter().find(|language| language.as_str().eq_ignore_ascii_case(primary));
        let Some((language, weight)) = known.zip(thousandths(weight)) else { continue };
        // The first of those that are liked equally.
        if weight > 0 && best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, language));
        }
    }
    best.map(|(_weight, language)| language)
}

/// A weight such as `q=0.7`; without one it is 1. `None`: it is none.
fn thousandths(weight: &str) -> Option<u16> {
    let weight = weight.trim();
    if weight.is_empty() {
        return Some(1_000);
    }
    let value: f32 = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="))?.trim().parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 1000")]
    (0.0..=1.0).contains(&value).then_some((value * 1_000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_is_liked_best_among_ours_is_chosen() {
        for (accept, expected) in [
            ("de", Some(Language::De)),
            ("de-AT, en;q=0.5", Some(Language::De)),
            ("pl, fr;q=0.3, IT;q=0.8", Some(Language::It)),
            ("es;q=0.5,en;q=0.5", Some(Language::Es)),
            ("de;q=0, fr;q=0.1", Some(Language::Fr)),
            ("*", None),
            ("ja", None),
            ("", None),
            ("de;q=x, de;q=7, ;;;,,,", None),
            ("deu", None),
        ] {
            assert_eq!(preferred(accept), expected, "{accept}");
        }
    }
}
