//! The block page: what those meet who were sent to an address of ours by a ban that answers so (`action = "sinkhole"`).
//!
//! Over HTTP it says what is banned, on what ground, since when, whom to ask and what to use instead. Over HTTPS no certificate
//! is ever made: the name is read from the greeting, the client is told by an alert that nobody is here by it, and the
//! connection is closed, unless the operator has given a certificate for that name. Either way it is recorded that somebody
//! did not only look a banned name up but tried to use it.
//!
//! ```text
//! accept     one thread of its own, behind those that serve DNS; how many connections there may be, and for how long
//! converse   one connection, from its first octet to how it ended
//! reply      one request: which name, which ban, which language
//! page       the page, in `words` of five languages
//! ```
//! Leaves what is banned to [`Guard`] and the record to [`journal`](crate::journal).

mod accept;
mod converse;
mod language;
mod page;
mod places;
mod reply;
mod words;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::tz::TimeZone;
use tokio_rustls::TlsAcceptor;

pub use accept::BlockPage;

use crate::clock::Clock;
use crate::journal::{Connected, Journal, Said};
use crate::metrics::Metrics;
use crate::policy::Language;
use crate::serve::{Guard, Knock};
use crate::tls::{Identity, ServerTls, Speech};
use crate::wire::LowerName;

/// The sockets that it answers on, none of which blocks.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For HTTP.
    pub http: Vec<TcpListener>,
    /// For HTTPS.
    pub https: Vec<TcpListener>,
}

impl Listeners {
    /// Every socket.
    pub fn all(&self) -> impl Iterator<Item = &TcpListener> {
        self.http.iter().chain(&self.https)
    }
}

/// Why a certificate is not shown.
#[derive(Debug, thiserror::Error)]
#[error("the certificate of the block page can't be used: {0}")]
pub struct Unusable(String);

/// How it looks; exchanged at a reload.
#[derive(Clone)]
pub struct Look {
    /// The language of those who say none that there is.
    language: Language,
    /// The zone of dates.
    zone: TimeZone,
    tls: Option<(ServerTls, TlsAcceptor)>,
}

impl Look {
    /// Shows itself so; `identity`: to those who ask for a name that it is for.
    ///
    /// # Errors
    /// The identity can't be used.
    pub fn new(language: Language, zone: TimeZone, identity: Option<&Identity>) -> Result<Self, Unusable> {
        let tls = |identity: &Identity| {
            let tls = ServerTls::new(identity).map_err(|error| Unusable(error.to_string()))?;
            let acceptor = tls.acceptor(Speech::Http).map_err(|error| Unusable(error.to_string()))?;
            Ok((tls, acceptor))
        };
        Ok(Self { language, zone, tls: identity.map(tls).transpose()? })
    }

    /// What makes TLS of a connection by this name, if there is a certificate for it.
    fn tls_for(&self, name: &str) -> Option<&TlsAcceptor> {
        self.tls.as_ref().filter(|(tls, _)| tls.is_for(name)).map(|(_, acceptor)| acceptor)
    }
}

/// Never shows the key.
impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Look")
            .field("language", &self.language)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// What every connection asks of the rest of the server.
#[derive(Clone)]
pub struct Desk {
    /// Who is served, and what is banned.
    pub guard: Arc<Guard>,
    /// Where connections are recorded.
    pub journal: Arc<Journal>,
    /// Where they are counted.
    pub metrics: Arc<Metrics>,
    /// When they come.
    pub clock: Clock,
    /// How the page looks.
    pub look: Arc<ArcSwap<Look>>,
}

impl Desk {
    /// Judges a connection by this name, and records it for every ban that speaks of it.
    fn receive(&self, name: &LowerName, client: SocketAddr, said: Said) -> Knock {
        let at = self.clock.now().wall;
        let knock = self.guard.judge_connection(name, client, at).unwrap_or_default();
        for (ban, evidence) in &knock.hits {
            let (client, site, evidence) = (client.ip(), &knock.site, *evidence);
            self.journal.record_connected(&Connected { at, client, site, ban: &ban.id, evidence, name, said });
        }
        knock
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("look", &self.look).finish_non_exhaustive()
    }
}
