//! Metrics of the admin server.

use super::registry::Registry;
use super::table::Cell;

/// Who came to the admin server, and who was not let in.
#[derive(Debug)]
pub struct Admin {
    /// Logins that were right.
    pub logins: Cell, // embargo_admin_logins_total{outcome}
    /// Logins that were not.
    pub logins_failed: Cell, // embargo_admin_logins_total{outcome}
    /// Logins that had to wait for those before.
    pub logins_throttled: Cell, // embargo_admin_logins_total{outcome}
    /// Requests of those who have not shown who they are, or not validly.
    pub unknown_callers: Cell, // embargo_admin_refused_total{reason}
    /// Requests of those who are known and may not.
    pub forbidden: Cell, // embargo_admin_refused_total{reason}
    /// Clients that follow the attempts live.
    pub followers: Cell, // embargo_admin_followers
    /// Those that did not read what they were sent, and were cut off.
    pub followers_cut: Cell, // embargo_admin_followers_cut_total
}

impl Admin {
    pub(super) fn new(registry: &Registry) -> Self {
        let logins = registry.counters("admin_logins_total", "Attempts to log in, by how they ended.", ["outcome"]);
        let refused = registry.counters(
            "admin_refused_total",
            "Requests to API and pages that were refused: nobody known (unknown), or known and not allowed (forbidden).",
            ["reason"],
        );
        Self {
            logins: logins.fixed(["success"]),
            logins_failed: logins.fixed(["failure"]),
            logins_throttled: logins.fixed(["throttled"]),
            unknown_callers: refused.fixed(["unknown"]),
            forbidden: refused.fixed(["forbidden"]),
            followers: registry.gauge("admin_followers", "Clients that follow the attempts live."),
            followers_cut: registry.counter(
                "admin_followers_cut_total",
                "Clients that followed the attempts live, did not read what they were sent, and were cut off.",
            ),
        }
    }
}
