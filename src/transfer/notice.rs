//! Telling secondaries of a new version (RFC 1996): over UDP, until they have heard or have been told often enough.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::message::{NOTIFY, push_answer, question, soa};
use super::outgoing::seconds;
use crate::clock::Clock;
use crate::wire::tsig::{Key, Signer, Verifier};
use crate::wire::{HEADER, Name, qtype, rcode};

/// Tries, each waited for twice as long as the one before.
const TRIES: u32 = 6;
const FIRST: Duration = Duration::from_secs(1);
/// Octets of an answer: header, question, signature.
const ANSWER_MAX: usize = 1024;

/// Tells one secondary that a zone has this serial. Whether it has heard.
///
/// # Errors
/// This host could not send, or nobody answered at all.
pub async fn tell(
    secondary: SocketAddr,
    zone: &Name,
    (serial, ttl): (u32, u32),
    key: Option<&Arc<Key>>,
    clock: &Clock,
) -> io::Result<bool> {
    let own = if secondary.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(own, 0)).await?;
    socket.connect(secondary).await?;
    for wait in 0..TRIES {
        let id = rand::random();
        let mut message = question(id, NOTIFY | 0x04, zone.wire(), qtype::SOA);
        push_answer(&mut message, &[], qtype::SOA, ttl, &soa(serial, ttl));
        let mut verifier = None;
        if let Some(key) = key {
            let mut signer = Signer::of_query(key);
            signer.sign(&mut message, seconds(clock));
            verifier = Some((key, signer.mac()));
        }
        // Nobody listening there is no reason not to try again: it may be starting.
        let _refused = socket.send(&message).await;
        let heard = tokio::time::timeout(FIRST * 2_u32.pow(wait), async {
            loop {
                let mut octets = [0; ANSWER_MAX];
                let Ok(size) = socket.recv(&mut octets).await else { std::future::pending().await };
                let answer = &octets[..size];
                if is_answer(answer, id)
                    && verifier
                        .as_ref()
                        .is_none_or(|(key, mac)| Verifier::of_response(key, mac).check(answer, seconds(clock)).is_ok())
                {
                    return u16::from(answer[3] & 0x0F) == rcode::NOERROR;
                }
            }
        });
        if let Ok(heard) = heard.await {
            return Ok(heard);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn is_answer(message: &[u8], id: u16) -> bool {
    message.len() >= HEADER && message[..2] == id.to_be_bytes() && message[2] & 0xF8 == 0x80 | NOTIFY
}
