//! Notices that primaries send us (RFC 1996): from whom they count, and what is answered. They only make us look sooner, so whatever
//! else they say is not looked at.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::message::NOTIFY;
use super::outgoing::seconds;
use crate::clock::Clock;
use crate::metrics::{Cell, Metrics};
use crate::wire::tsig::{self, Key, Signer, TsigError};
use crate::wire::{HEADER, Layout, LowerName, Name, qtype, rcode};

/// Zones of others that we want to hear of.
#[derive(Debug)]
pub struct Notices {
    zones: ArcSwap<Vec<Zone>>,
    clock: Clock,
    /// Notices for zones that we do not have.
    strange: Cell,
}

/// A zone of others.
#[derive(Clone, Debug)]
pub struct Zone {
    name: LowerName,
    primaries: Vec<IpAddr>,
    key: Option<Arc<Key>>,
    /// Told of each notice that counts.
    wake: Arc<Notify>,
    heard: Cell,
    unheard: Cell,
}

impl Zone {
    /// A zone whose notices wake somebody.
    pub fn new(
        zone: &Name,
        primaries: &[SocketAddr],
        key: Option<Arc<Key>>,
        wake: Arc<Notify>,
        metrics: &Metrics,
    ) -> Self {
        let name = LowerName::from(zone);
        let cells = metrics.zones.received(&name.to_string());
        // A primary may send from any port.
        let primaries = primaries.iter().map(SocketAddr::ip).collect();
        Self { name, primaries, key, wake, heard: cells.notices_heard, unheard: cells.notices_unheard }
    }
}

impl Notices {
    /// For no zone yet.
    pub fn new(metrics: &Metrics, clock: Clock) -> Self {
        Self { zones: ArcSwap::default(), clock, strange: metrics.zones.strange_notices.clone() }
    }

    /// Hears of these zones from now on, and of no others.
    pub fn hear_of(&self, zones: Vec<Zone>) {
        self.zones.store(Arc::new(zones));
    }

    /// What a message that is no query is answered, if it is a notice; and its response code.
    pub fn answer(&self, message: &[u8], client: IpAddr) -> Option<(Vec<u8>, u16)> {
        if message.len() < HEADER || message[2] & 0xF8 != NOTIFY {
            return None;
        }
        let Ok(layout) = Layout::read(message) else {
            return Some((response(message, HEADER, rcode::FORMERR), rcode::FORMERR));
        };
        let answer = |rcode| Some((response(message, layout.question_end, rcode), rcode));
        let zones = self.zones.load();
        let is_primary = zones.iter().any(|zone| zone.primaries.contains(&client));
        let Some(zone) = zones.iter().find(|zone| zone.name == layout.qname && layout.qtype == qtype::SOA) else {
            self.strange.inc();
            // A stranger does not learn which zones there are.
            return answer(if is_primary { rcode::NOTAUTH } else { rcode::REFUSED });
        };
        if !zone.primaries.contains(&client) {
            zone.unheard.inc();
            return answer(rcode::REFUSED);
        }
        let mut answer = (response(message, layout.question_end, rcode::NOERROR), rcode::NOERROR);
        if let Some(key) = &zone.key
            && let Err(why) = signed(message, key, seconds(&self.clock), &mut answer, layout.question_end)
        {
            zone.unheard.inc();
            tracing::warn!(zone = %zone.name, primary = %client, %why, "A notice of a zone does not count.");
            return Some(answer);
        }
        zone.heard.inc();
        zone.wake.notify_one();
        Some(answer)
    }
}

/// Checks a notice and signs what it is answered.
fn signed(
    message: &[u8],
    key: &Key,
    now: u64,
    answer: &mut (Vec<u8>, u16),
    question_end: usize,
) -> Result<(), TsigError> {
    let checked = tsig::check_query(message, key, now);
    match checked {
        Ok(mac) => {
            Signer::of_response(key, mac).sign(&mut answer.0, now);
            Ok(())
        }
        Err(why) => {
            let code = if matches!(why, TsigError::Unsigned) { rcode::REFUSED } else { rcode::NOTAUTH };
            *answer = (response(message, question_end, code), code);
            tsig::refuse(&mut answer.0, message, key, why, now);
            Err(why)
        }
    }
}

/// The notice turned round, with its question alone.
fn response(message: &[u8], question_end: usize, rcode: u16) -> Vec<u8> {
    let mut response = message.get(..question_end).unwrap_or(message).to_vec();
    response[2] = 0x80 | NOTIFY | if rcode == rcode::NOERROR { 0x04 } else { 0 };
    response[3] = u8::try_from(rcode & 0x0F).unwrap_or_default();
    let questions = u8::from(question_end > HEADER);
    response[4..HEADER].copy_from_slice(&[0, questions, 0, 0, 0, 0, 0, 0]);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::be16;
    use crate::wire::tsig::Algorithm;

    const PRIMARY: &str = "192.0.2.1";

    struct Set {
        notices: Notices,
        wake: Arc<Notify>,
        metrics: Metrics,
    }

    fn key(secret: &[u8]) -> Arc<Key> {
        Arc::new(Key::new(Name::parse("k.example").unwrap(), Algorithm::Sha256, secret))
    }

    fn set(key: Option<Arc<Key>>) -> Set {
        let (metrics, wake) = (Metrics::new(), Arc::new(Notify::new()));
        let notices = Notices::new(&metrics, Clock::system());
        let primary = format!("{PRIMARY}:5300").parse().unwrap();
        let zone = Name::parse("rpz.example").unwrap();
        notices.hear_of(vec![Zone::new(&zone, &[primary], key, Arc::clone(&wake), &metrics)]);
        Set { notices, wake, metrics }
    }

    fn notice(zone: &str) -> Vec<u8> {
        super::super::message::question(7, NOTIFY | 0x04, Name::parse(zone).unwrap().wire(), qtype::SOA)
    }

    #[track_caller]
    fn check(set: &Set, message: &[u8], client: &str, expected: u16, wakes: bool) {
        let (answer, code) = set.notices.answer(message, client.parse().unwrap()).unwrap();
        assert_eq!((code, u16::from(answer[3] & 0x0F), &answer[..2]), (expected, expected, &message[..2]));
        assert_eq!(be16(&answer, 4).map(usize::from), Ok(1));
        let woken = futures_util::FutureExt::now_or_never(set.wake.notified()).is_some();
        assert_eq!(woken, wakes);
    }

    #[test]
    fn only_a_primary_of_the_zone_wakes_us_and_strangers_are_counted() {
        let set = set(None);
        check(&set, &notice("RPZ.example"), PRIMARY, rcode::NOERROR, true);
        check(&set, &notice("rpz.example"), "192.0.2.2", rcode::REFUSED, false);
        check(&set, &notice("other.example"), PRIMARY, rcode::NOTAUTH, false);
        check(&set, &notice("other.example"), "192.0.2.2", rcode::REFUSED, false);
        let page = set.metrics.render();
        for line in [
            r#"embargo_zone_notices_total{zone="rpz.example",direction="in",result="heard"} 1"#,
            r#"embargo_zone_notices_total{zone="rpz.example",direction="in",result="refused"} 1"#,
            "embargo_zone_strange_notices_total 2",
        ] {
            assert!(page.contains(line), "{line} in {page}");
        }
    }

    #[test]
    fn with_a_key_only_a_signed_notice_wakes_us() {
        let key_of_ours = key(b"sixteen octets!!");
        let set = set(Some(Arc::clone(&key_of_ours)));
        let now = seconds(&Clock::system());
        check(&set, &notice("rpz.example"), PRIMARY, rcode::REFUSED, false);
        let mut forged = notice("rpz.example");
        Signer::of_query(&key(b"another secret!!")).sign(&mut forged, now);
        check(&set, &forged, PRIMARY, rcode::NOTAUTH, false);
        let mut right = notice("rpz.example");
        Signer::of_query(&key_of_ours).sign(&mut right, now);
        check(&set, &right, PRIMARY, rcode::NOERROR, true);
    }

    #[test]
    fn what_is_no_notice_is_left_to_others_and_rubbish_is_an_error() {
        let set = set(None);
        let client = PRIMARY.parse().unwrap();
        assert_eq!(set.notices.answer(&[0; 12], client), None);
        assert_eq!(set.notices.answer(&[0, 0, NOTIFY], client), None);
        let cut = &notice("rpz.example")[..20];
        let (answer, code) = set.notices.answer(cut, client).unwrap();
        assert_eq!((code, answer.len()), (rcode::FORMERR, HEADER));
    }
}
