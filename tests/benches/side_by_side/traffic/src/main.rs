//! Both ends of a measurement: the bare echo that servers are compared with, the upstream they ask, and the load they get.
//!
//! ```text
//! traffic echo PORT                 UDP and TCP: every message comes back with QR set, and nothing is looked at
//! traffic upstream PORT             UDP and TCP: every A question is answered at once, no two in a row with the same address
//! traffic udp PORT NAMES OPTIONS    asks for the names of a file, and prints what came back as one JSON object
//! traffic tcp PORT NAMES OPTIONS    the same over TCP
//! ```
//!
//! Everything is on 127.0.0.1. It runs until it is killed, or its time is over.

mod datagrams;
mod echo;
mod options;
mod questions;
mod streams;
mod tally;
mod tcp;
mod udp;

use std::error::Error;
use std::io::Write;

use options::Options;
use questions::Questions;

const USAGE: &str = "usage: traffic echo|upstream PORT | traffic udp|tcp PORT NAMES [--seconds S] [--rate N] [--window N] \
                     [--first N] [--edns] [--once]";

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let verb = words.next().ok_or(USAGE)?;
    let port = words.next().ok_or(USAGE)?.parse()?;
    match verb.as_str() {
        "echo" => echo::echo(port)?,
        "upstream" => echo::upstream(port)?,
        "udp" | "tcp" => {
            let names = std::fs::read_to_string(words.next().ok_or(USAGE)?)?;
            let options = Options::read(words)?;
            let questions =
                Questions::new(&names, options.edns, options.first).ok_or("no names, or one that is none")?;
            let tally = if verb == "udp" {
                udp::load(port, questions, &options)?
            } else {
                tcp::load(port, questions, &options)?
            };
            writeln!(std::io::stdout(), "{tally}")?;
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}
