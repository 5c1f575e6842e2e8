//! How a connection of a proxy begins: with a PROXY header, in clear also when TLS follows.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::wire::{PROXY_FIXED, PROXY_HEADER_MAX, Proxied, proxy_header_size};

/// Why a connection does not begin so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It ended before it began, as one does that was only to see whether somebody accepts it.
    Silent,
    /// No header came, or none in time, or one that names no client.
    NoHeader,
}

/// Reads a header and not an octet more, within `patience`.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin), patience: Duration) -> Result<Proxied, Fault> {
    tokio::time::timeout(patience, header(stream)).await.unwrap_or(Err(Fault::NoHeader))
}

async fn header(stream: &mut (impl AsyncRead + Unpin)) -> Result<Proxied, Fault> {
    let mut octets = [0; PROXY_HEADER_MAX];
    if !matches!(stream.read(&mut octets[..1]).await, Ok(1)) {
        return Err(Fault::Silent);
    }
    stream.read_exact(&mut octets[1..PROXY_FIXED]).await.map_err(|_cut| Fault::NoHeader)?;
    let fixed = octets.first_chunk().ok_or(Fault::NoHeader)?;
    let size = proxy_header_size(fixed).map_err(|_other| Fault::NoHeader)?;
    stream.read_exact(&mut octets[PROXY_FIXED..size]).await.map_err(|_cut| Fault::NoHeader)?;
    Proxied::read(&octets[..size]).map(|(proxied, _nothing)| proxied).map_err(|_other| Fault::NoHeader)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xC0\0\x02\x07\xC6\x33\x64\x35\x10\x92\0\x35";

    async fn begun_with(mut octets: &[u8]) -> (Result<Proxied, Fault>, usize) {
        let read = read(&mut octets, Duration::from_secs(5)).await;
        (read, octets.len())
    }

    #[tokio::test]
    async fn what_follows_a_header_is_not_touched() {
        let (read, left) = begun_with(&[HEADER, b"message"].concat()).await;
        assert!(matches!(read, Ok(Proxied::Client { over_stream: true, .. })));
        assert_eq!(left, 7);
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_is_told_from_one_that_says_something_else() {
        assert_eq!(begun_with(b"").await.0, Err(Fault::Silent));
        for other in [&HEADER[..1], &HEADER[..27], b"PROXY TCP4 192.0.2.1 198.51.100.53 4242 53\r\n", &[0; 600]] {
            assert_eq!(begun_with(other).await.0, Err(Fault::NoHeader), "{other:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_that_does_not_come_in_time_is_none() {
        let (_silent, mut stream) = tokio::io::duplex(64);
        assert_eq!(read(&mut stream, Duration::from_secs(5)).await, Err(Fault::NoHeader));
    }
}
