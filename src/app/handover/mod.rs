//! Hand-over: a new process takes the place of a running one, and no query is lost.
//!
//! The sockets themselves go over, with all that waits in them; sockets bound anew beside them would leave that to the old
//! process, which goes. Over the control socket, which only its owner can open:
//!
//! ```text
//! new                                              old
//! hand_over ────────────────────────────────────►  serves on
//!           ◄────────  sockets, control socket included
//! puts its policy in force, reads the sockets
//! reading ──────────────────────────────────────►  stops reading, answers what it has read
//!           ◄────────  stopped
//!           ◄────────  TCP connections, each between two queries
//!                                                  writes its record and its cache
//! opens both  ◄──────────────────────────── ended  exits 0
//! ```
//! If the new one breaks off before it reads, the old one serves on. If the old one breaks off, the new one has all it needs.

mod heir;
mod predecessor;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;

use serde::{Deserialize, Serialize};

pub(super) use heir::{Heir, successions};
pub(super) use predecessor::Predecessor;
use predecessor::take_over;

use crate::socket::Held;

/// What was there before this process.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// Sockets that are bound.
    pub(super) held: Held,
    /// The server whose place is taken.
    pub(super) predecessor: Option<Predecessor>,
    /// Disconnected when that server has ended.
    pub(super) ended: Option<mpsc::Receiver<()>>,
}

impl Before {
    /// Takes the sockets that a service manager passes and, if so told, those of the server that runs with this state
    /// directory. Where that is not to be had, the log says why, and the sockets are to be bound.
    pub(super) fn find(take_place: bool, state_dir: &Path) -> Self {
        let held = Held::of_service_manager().unwrap_or_else(|error| {
            tracing::error!(%error, "The sockets that the service manager passes can't be used; others are bound.");
            Held::default()
        });
        let mut before = Self { held, ..Self::default() };
        if take_place {
            match take_over(state_dir, &mut before.held) {
                Ok(Some((predecessor, ended))) => {
                    (before.predecessor, before.ended) = (Some(predecessor), Some(ended));
                }
                Ok(None) => {
                    tracing::info!("No server runs with this state directory: there is none to take over from.");
                }
                Err(why) => tracing::error!("There is no taking over, and the sockets are to be bound: {why}"),
            }
        }
        before
    }
}

/// What both sides must mean by these words; another number is another language.
const PROTOCOL: u32 = 1;

/// What the old server begins its answer with.
#[derive(Debug, Serialize, Deserialize)]
struct Offer {
    protocol: u32,
    version: String,
    pid: u32,
    /// Sockets that follow.
    sockets: usize,
}

/// What follows, one line each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// From the old one: so many sockets come with this line.
    Sockets(usize),
    /// From the new one: it reads the sockets, with a policy in force.
    Reading,
    /// From the old one: it answers no command and no scrape any more.
    Stopped,
    /// From the old one: a TCP connection comes with this line.
    Connection { client: SocketAddr, unread: Vec<u8> },
    /// From the old one: its record and its cache are written.
    Ended,
}

impl Word {
    fn line(&self) -> std::io::Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}
