//! What dig and kdig print, taken apart.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::process::printed;

/// One answer, as dig prints it.
#[derive(Debug)]
pub(crate) struct Said {
    /// All of it.
    pub(crate) text: String,
}

/// Asks with dig, without a cookie (it differs each time) and without a second try.
#[track_caller]
pub(crate) fn dig(server: SocketAddr, words: &[&str]) -> Said {
    let (address, port) = (format!("@{}", server.ip()), server.port().to_string());
    let common = [address.as_str(), "-p", &port, "+nocookie", "+tries=1", "+time=5", "+noidnin", "+noidnout"];
    Said { text: printed("dig", common.iter().chain(words)) }
}

/// Asks with kdig.
#[track_caller]
pub(crate) fn kdig(server: SocketAddr, words: &[&str]) -> String {
    let (address, port) = (format!("@{}", server.ip()), server.port().to_string());
    let common = [address.as_str(), "-p", &port, "+retry=0", "+time=5"];
    printed("kdig", common.iter().chain(words))
}

impl Said {
    /// The rcode's name.
    pub(crate) fn status(&self) -> &str {
        self.between("status: ", ",")
    }

    /// The flags of the header.
    pub(crate) fn flags(&self) -> BTreeSet<&str> {
        self.between(";; flags: ", ";").split_whitespace().collect()
    }

    /// The flags of EDNS.
    pub(crate) fn edns_flags(&self) -> &str {
        self.between("; EDNS: version: 0, flags:", ";")
    }

    /// The extended errors: `15 (Blocked): (text)`.
    pub(crate) fn ede(&self) -> Vec<&str> {
        self.text.lines().filter_map(|line| line.strip_prefix("; EDE: ")).collect()
    }

    /// The records of a section, each field once, without TTLs and without order.
    pub(crate) fn section(&self, name: &str) -> BTreeSet<String> {
        let title = format!(";; {name} SECTION:");
        let lines = self.text.lines().skip_while(|line| *line != title).skip(1).take_while(|line| !line.is_empty());
        lines
            .map(|line| {
                let mut fields: Vec<&str> = line.split_whitespace().collect();
                fields.remove(1);
                fields.join(" ")
            })
            .collect()
    }

    /// The TTLs of a section.
    pub(crate) fn ttls(&self, name: &str) -> Vec<u32> {
        let title = format!(";; {name} SECTION:");
        let lines = self.text.lines().skip_while(|line| *line != title).skip(1).take_while(|line| !line.is_empty());
        lines.map(|line| line.split_whitespace().nth(1).unwrap().parse().unwrap()).collect()
    }

    /// The question as it came back.
    pub(crate) fn question(&self) -> &str {
        let line = self.text.lines().skip_while(|line| *line != ";; QUESTION SECTION:").nth(1).unwrap();
        line.trim_start_matches(';').split_whitespace().next().unwrap()
    }

    fn between(&self, start: &str, end: &str) -> &str {
        let rest = self.text.split_once(start).map_or("", |(_, rest)| rest);
        rest.split_once(end).map_or("", |(found, _)| found)
    }
}
