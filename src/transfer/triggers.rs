//! What the records of a zone trigger on, counted.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use crate::priority::make_way;

/// Lines between two looks at whether somebody needs the processor.
const LINES_AT_ONCE: u64 = 1_024;

/// Records of a zone by what they trigger on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Triggers {
    pub(super) counts: [u64; Self::WORDS.len()],
}

impl Triggers {
    /// The words for them: a name, all names below one, addresses in answers, of clients, of name servers, and their names.
    pub const WORDS: [&str; 6] = ["qname", "wildcard", "ip", "client_ip", "nsip", "nsdname"];

    /// Counts the lines of a file that came by zone transfer.
    ///
    /// # Errors
    /// Those of the file.
    pub fn count(path: &Path) -> io::Result<Self> {
        let mut triggers = Self::default();
        let mut lines = BufReader::new(File::open(path)?);
        let (mut line, mut number) = (Vec::new(), 0_u64);
        while lines.read_until(b'\n', &mut line)? > 0 {
            number += 1;
            if number.is_multiple_of(LINES_AT_ONCE) {
                make_way();
            }
            if !line.starts_with(b"@ ") {
                triggers.add(&line);
            }
            line.clear();
        }
        Ok(triggers)
    }

    /// Counts one record.
    pub(super) fn add(&mut self, line: &[u8]) {
        self.counts[Self::of(line)] += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each word with its count.
    pub fn all(&self) -> [(&'static str, u64); Self::WORDS.len()] {
        std::array::from_fn(|index| (Self::WORDS[index], self.counts[index]))
    }

    fn of(line: &[u8]) -> usize {
        let owner = line.split(|octet| *octet == b' ').next().unwrap_or_default();
        match owner.rsplit(|octet| *octet == b'.').next().unwrap_or_default() {
            b"rpz-ip" => 2,
            b"rpz-client-ip" => 3,
            b"rpz-nsip" => 4,
            b"rpz-nsdname" => 5,
            _ => usize::from(owner.starts_with(b"*")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_by_what_they_trigger_on() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "@ SOA . . 1 1 1 1 1\na.example CNAME .\n*.a.example CNAME .\n* CNAME .\nrpz-ip.example CNAME .\n\
                    32.1.2.0.192.rpz-ip CNAME .\n24.0.2.0.192.rpz-client-ip CNAME .\nns.example.rpz-nsdname CNAME .\n";
        std::fs::write(file.path(), text).unwrap();
        let counts = Triggers::count(file.path()).unwrap().all().map(|(_word, count)| count);
        assert_eq!(counts, [2, 2, 1, 1, 0, 1]);
    }
}
