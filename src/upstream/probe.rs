//! Asks upstreams that are ill until they answer again: at once when one falls ill, since it may have been bad luck, and
//! then at every interval.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::ask::Ask;
use super::datagram::Conversation;
use super::member::Member;
use super::message::{Judged, is_answer};
use super::{FailReason, Protocol};
use crate::wire::{CLASS_IN, LowerName, Name, qtype};

/// Probes whoever is ill, for ever. `fell_ill` is rung when one falls ill.
pub(super) async fn run(members: Vec<Arc<Member>>, every: Duration, fell_ill: Arc<Notify>) {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = fell_ill.notified() => {}
        }
        for member in &members {
            member.say();
        }
        let well = members.iter().filter(|member| member.is_healthy());
        let usual = well.filter_map(|member| member.mean()).min().unwrap_or_default();
        // A circle is seldom silent to the end: its servers give up at about the same time, and tell each other so.
        let suspect: Vec<_> = members.iter().filter(|member| member.takes_suspicion()).collect();
        let ill = members.iter().filter(|member| !member.is_healthy());
        tokio::join!(join_all(ill.map(|member| probe(member, usual))), join_all(suspect.into_iter().map(seek)));
    }
}

/// Asks for the root's name servers, which every resolver has at hand and no policy forbids to ask.
async fn probe(member: &Arc<Member>, usual: Duration) {
    let name = Name::from(&LowerName::ROOT);
    let ask =
        Ask { name, qtype: qtype::NS, qclass: CLASS_IN, dnssec_ok: false, checking_disabled: false, subnet: None };
    let started = Instant::now();
    if let Ok(Ok(judged)) = timeout(member.patience, exchange(member, ask)).await {
        let answer = match judged {
            Judged::Whole(response) => is_answer(response.rcode),
            Judged::Bare(_) | Judged::Useless | Judged::Truncated => false,
        };
        member.probed(answer, started.elapsed(), usual);
    }
}

/// Asks for a name that only this upstream is asked for, to see whether it comes back here.
async fn seek(member: &Arc<Member>) {
    let name = member.echo.seek();
    let ask =
        Ask { name, qtype: qtype::TXT, qclass: CLASS_IN, dnssec_ok: false, checking_disabled: false, subnet: None };
    // Whatever it says: what counts is whether it asks.
    let _said = timeout(member.patience, exchange(member, ask)).await;
    member.sought();
}

async fn exchange(member: &Arc<Member>, ask: Ask) -> Result<Judged, FailReason> {
    match member.server.protocol() {
        Protocol::Plain => {
            let ask = Arc::new(ask);
            match Conversation::open(Arc::clone(member), Arc::clone(&ask), true).await?.hear().await {
                // As for any question: whoever has only beginnings of answers is of no use.
                Ok(Judged::Truncated) => member.stream.exchange(&ask, member.index, true).await,
                heard => heard,
            }
        }
        _ => member.stream.exchange(&ask, member.index, true).await,
    }
}
