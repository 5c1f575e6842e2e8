//! Zones of ours: who may have them, and what queries for them are answered.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use ipnet::IpNet;
use tokio::sync::Semaphore;

use super::is_newer;
use super::message::{push_answer, push_opt, response, soa};
use super::outgoing::{Outgoing, seconds};
use super::published::Published;
use super::steps;
use crate::clock::Clock;
use crate::metrics::{Metrics, TransferEnd, ZoneCells};
use crate::wire::tsig::{self, Key, Mac, Signer, TsigError};
use crate::wire::{CLASS_IN, LowerName, Name, Query, Section, be32, qtype, rcode, read_record};

/// Transfers under way at a time, over all zones.
const TRANSFERS_MAX: usize = 4;
/// Octets of the data of an SOA record behind its serial.
const BEHIND_SERIAL: usize = 20;

/// A zone of ours as it is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneConfig {
    /// Its name.
    pub zone: Name,
    /// The bans it has; `None`: all.
    pub bans: Option<Vec<Arc<str>>>,
    /// Who may have it; empty: whoever has the key.
    pub allow: Vec<IpNet>,
    /// What their queries must be signed by; `None`: nothing.
    pub key: Option<Arc<Key>>,
    /// Whom to tell of a new version.
    pub notify: Vec<SocketAddr>,
}

/// What a query for a zone of ours is answered.
#[derive(Debug)]
pub enum Said {
    /// One message, and its response code.
    Message(Vec<u8>, u16),
    /// Many of them.
    Transfer(Outgoing),
}

/// A zone of ours.
#[derive(Debug)]
struct Zone {
    config: ZoneConfig,
    name: LowerName,
    cells: ZoneCells,
    /// The newest version; none until the first policy has been written.
    published: ArcSwapOption<Published>,
}

/// All zones of ours.
#[derive(Debug)]
pub struct Primary {
    zones: Vec<Zone>,
    places: Arc<Semaphore>,
    clock: Clock,
}

impl Primary {
    /// Zones without versions yet.
    pub fn new(zones: &[ZoneConfig], metrics: &Metrics, clock: Clock) -> Self {
        let zone = |config: &ZoneConfig| {
            let name = LowerName::from(&config.zone);
            let cells = metrics.zones.sent(&name.to_string());
            Zone { config: config.clone(), name, cells, published: ArcSwapOption::empty() }
        };
        let zones = zones.iter().map(zone).collect();
        Self { zones, places: Arc::new(Semaphore::new(TRANSFERS_MAX)), clock }
    }

    /// What each zone is to be, in order.
    pub fn configs(&self) -> impl Iterator<Item = &ZoneConfig> {
        self.zones.iter().map(|zone| &zone.config)
    }

    /// The newest version of each zone, in order.
    pub fn published(&self) -> impl Iterator<Item = (&ZoneConfig, Option<Arc<Published>>)> {
        self.zones.iter().map(|zone| (&zone.config, zone.published.load_full()))
    }

    /// Gives this version of the zone at `index` from now on.
    pub fn give(&self, index: usize, version: Published) {
        if let Some(zone) = self.zones.get(index) {
            zone.cells.serial.set(u64::from(version.serial));
            zone.published.store(Some(Arc::new(version)));
        }
    }

    /// Answers a query for SOA, AXFR or IXFR, if it is for a zone of ours. `stream`: many messages may follow.
    pub fn answer(&self, query: &Query<'_>, client: IpAddr, stream: bool) -> Option<Said> {
        let zone = self.zones.iter().find(|zone| zone.name == query.name).filter(|_ours| query.qclass == CLASS_IN)?;
        // A look at the serial is no transfer.
        let ended = |end| matches!(query.qtype, qtype::AXFR | qtype::IXFR).then(|| zone.cells.ended(end).inc());
        let signed = match zone.admit(query, client, seconds(&self.clock)) {
            Ok(signed) => signed,
            Err(refused) => {
                ended(TransferEnd::Refused);
                return Some(refused);
            }
        };
        let fail = |end: TransferEnd, rcode: u16| {
            ended(end);
            Some(self.message(query, signed.as_ref(), rcode, None))
        };
        let Some(published) = zone.published.load_full() else { return fail(TransferEnd::Failed, rcode::SERVFAIL) };
        let whole = match query.qtype {
            qtype::AXFR if !stream => return fail(TransferEnd::Refused, rcode::REFUSED),
            qtype::AXFR => true,
            // Over UDP the serial is enough to come back over TCP by (RFC 1995 §2).
            qtype::IXFR => stream && serial_in(query).is_none_or(|held| is_newer(published.serial, held)),
            _ => false,
        };
        if !whole {
            ended(TransferEnd::Current);
            return Some(self.message(query, signed.as_ref(), rcode::NOERROR, Some(&published)));
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return fail(TransferEnd::Busy, rcode::SERVFAIL);
        };
        let held = (query.qtype == qtype::IXFR).then(|| serial_in(query)).flatten();
        let steps = held.and_then(|held| steps::since(&published.steps, held)).map(Arc::new);
        let end = if steps.is_some() { TransferEnd::Ixfr } else { TransferEnd::Axfr };
        Some(Said::Transfer(Outgoing {
            published,
            steps,
            head: response(query, rcode::NOERROR).into(),
            edns: query.edns.is_some(),
            signed,
            clock: self.clock.clone(),
            ends: [end, TransferEnd::Cut].map(|end| zone.cells.ended(end).clone()),
            _place: Arc::new(place),
        }))
    }

    /// A response of one message, with the SOA record of a version if there is one.
    fn message(
        &self,
        query: &Query<'_>,
        signed: Option<&(Arc<Key>, Mac)>,
        rcode: u16,
        published: Option<&Published>,
    ) -> Said {
        let mut message = response(query, rcode);
        if let Some(Published { serial, ttl, .. }) = published {
            push_answer(&mut message, &[], qtype::SOA, *ttl, &soa(*serial, *ttl));
        }
        if query.edns.is_some() {
            push_opt(&mut message);
        }
        if let Some((key, mac)) = signed {
            Signer::of_response(key, mac.clone()).sign(&mut message, seconds(&self.clock));
        }
        Said::Message(message, rcode)
    }
}

impl Zone {
    /// Whether the query comes from where it may and is signed as it must; an error is what it is answered.
    fn admit(&self, query: &Query<'_>, client: IpAddr, now: u64) -> Result<Option<(Arc<Key>, Mac)>, Said> {
        let refused = |rcode| Said::Message(response(query, rcode), rcode);
        let ZoneConfig { allow, key, .. } = &self.config;
        if !allow.is_empty() && !allow.iter().any(|network| network.contains(&client)) {
            return Err(refused(rcode::REFUSED));
        }
        let Some(key) = key else {
            // Whoever signs wants to be sure whose answer it is, and can't be.
            return if query.signed { Err(refused(rcode::NOTAUTH)) } else { Ok(None) };
        };
        match tsig::check_query(query.message, key, now) {
            Ok(mac) => Ok(Some((Arc::clone(key), mac))),
            Err(TsigError::Unsigned) => Err(refused(rcode::REFUSED)),
            Err(TsigError::Malformed | TsigError::Refused(_)) => Err(refused(rcode::FORMERR)),
            Err(why) => {
                let mut message = response(query, rcode::NOTAUTH);
                tsig::refuse(&mut message, query.message, key, why, now);
                Err(Said::Message(message, rcode::NOTAUTH))
            }
        }
    }
}

/// The serial of the version that the secondary has (RFC 1995 §3).
fn serial_in(query: &Query<'_>) -> Option<u32> {
    if query.message.get(8..10) != Some(&[0, 1]) {
        return None;
    }
    let record = read_record(query.message, query.question_end, Section::Authority).ok()?;
    be32(query.message, record.rdata.end.checked_sub(BEHIND_SERIAL)?).ok()
}
