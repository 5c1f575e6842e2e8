//! The limit of open files, shared out: TCP clients must not take the descriptors that asking upstreams needs.

/// Files that the server has open when nobody asks: its own sockets, twice, the record, and what it waits by.
const OWN: u64 = 48;

/// Raises the limit as far as the system allows; returns how many of `configured` TCP connections are to be taken: no more
/// than half of what is free, or none would be left for a question to an upstream.
pub(super) fn share_out(configured: usize) -> usize {
    let limit = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => limit,
        Err(error) => {
            tracing::warn!(%error, "The limit of open files is not known; it stays as it is.");
            return configured;
        }
    };
    let share = connections(configured, limit);
    if share < configured {
        tracing::warn!(
            limit,
            connections_max = share,
            configured,
            "The limit of open files is low: fewer TCP connections are taken than configured; raise it (LimitNOFILE=)."
        );
    }
    share
}

/// How many of `configured` connections to the block page are to be taken: an eighth of all files at most.
pub(super) fn of_page(configured: usize) -> usize {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX);
    configured.min(usize::try_from(limit / 8).unwrap_or(usize::MAX)).max(1)
}

/// Connections under a limit of open files: half of what the server does not need for itself.
fn connections(configured: usize, limit: u64) -> usize {
    let free = limit.saturating_sub(OWN);
    configured.min(usize::try_from(free / 2).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_open_files_that_are_free_is_left_for_the_upstreams() {
        assert_eq!(connections(1_024, 1_048_576), 1_024);
        assert_eq!(connections(1_024, 64), 8);
        assert_eq!(connections(1_024, 0), 1);
    }
}
