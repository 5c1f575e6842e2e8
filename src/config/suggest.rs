//! What the operator may have meant: known words, the nearest by edit distance first.

/// `known` with the words nearest to `written` first; equal distances keep their order.
pub(crate) fn nearest_first<'k>(written: &str, known: &[&'k str]) -> Vec<&'k str> {
    let mut sorted = known.to_vec();
    sorted.sort_by_key(|word| distance(written, word));
    sorted
}

/// Characters to insert, delete or replace to make one word of the other (Levenshtein 1966), by two rows of the table.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, from) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let replace = above[column] + usize::from(from != *to);
            current.push(replace.min(above[column + 1] + 1).min(current[column] + 1));
        }
        above = current;
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_comes_first() {
        assert_eq!(nearest_first("lisen", &["admin", "lists", "listen"]), ["listen", "lists", "admin"]);
        assert_eq!(nearest_first("", &["b", "a"]), ["b", "a"]);
    }

    #[test]
    fn distances_are_counted_in_characters() {
        assert_eq!(distance("kasperski", "kaspersky"), 1);
        assert_eq!(distance("é", "e"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
