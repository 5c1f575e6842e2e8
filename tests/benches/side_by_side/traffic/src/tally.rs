//! What came back: counts, and how long each response took.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// Counts of one load.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Queries given to the kernel.
    pub(crate) sent: u64,
    /// Queries without a response in time.
    pub(crate) lost: u64,
    /// TCP connections that the server closed while a query was open; the query is asked again.
    pub(crate) closed: u64,
    /// Time in which queries were sent.
    pub(crate) time: Duration,
    rcodes: [u64; 16],
    /// Time of each response, in units of 100 ns.
    took: Vec<u32>,
}

impl Tally {
    /// Counts a response with its header's fourth octet, which came `took` after its query.
    pub(crate) fn answered(&mut self, flags: u8, took: Duration) {
        self.rcodes[usize::from(flags & 15)] += 1;
        self.took.push(u32::try_from(took.as_nanos() / 100).unwrap_or(u32::MAX));
    }

    /// Responses so far.
    pub(crate) fn answers(&self) -> u64 {
        self.took.len() as u64
    }
}

/// One JSON object. Times are in microseconds.
impl Display for Tally {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut took = self.took.clone();
        took.sort_unstable();
        let place = |part: usize| took.len().saturating_sub(1) * part / 100;
        let micros = |part: usize| f64::from(took.get(place(part)).copied().unwrap_or_default()) / 10.0;
        let (sent, lost, closed, answered, seconds) =
            (self.sent, self.lost, self.closed, self.answers(), self.time.as_secs_f64());
        write!(
            f,
            r#"{{"sent": {sent}, "lost": {lost}, "closed": {closed}, "answered": {answered}, "seconds": {seconds}, "#
        )?;
        write!(f, r#""p50_us": {}, "p99_us": {}, "max_us": {}, "#, micros(50), micros(99), micros(100))?;
        let [noerror, _, servfail, nxdomain, _, refused, ..] = self.rcodes;
        write!(f, r#""noerror": {noerror}, "nxdomain": {nxdomain}, "servfail": {servfail}, "refused": {refused}}}"#)
    }
}
