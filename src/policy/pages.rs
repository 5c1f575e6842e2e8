//! Memory for tables of many octets, asked of the operating system and given back to it.
//!
//! The allocator keeps freed memory for the next one who wants just so much, which after a reload may be nobody. And it takes
//! pages of the usual size: to find the one that holds a random octet of a long list then waits for memory as often as to read
//! the octet. The system is asked for huge ones, which it may or may not have.

use std::alloc::{Layout, handle_alloc_error};
use std::ops::{Deref, DerefMut};

use memmap2::{Advice, MmapMut};

/// Octets from which on pages are asked for: less would waste most of one.
const LEAST: usize = 64 << 10;

/// So many octets, which stay where they are.
#[derive(Debug)]
pub(super) enum Pages {
    /// From the allocator.
    Few(Box<[u8]>),
    /// From the system.
    Many(MmapMut),
}

impl Pages {
    /// Octets that are 0. Without memory the process ends, as with the allocator.
    pub(super) fn zeroed(len: usize) -> Self {
        if len < LEAST {
            return Self::Few(vec![0; len].into());
        }
        let Ok(pages) = MmapMut::map_anon(len) else {
            handle_alloc_error(Layout::array::<u8>(len).unwrap_or(Layout::new::<u8>()));
        };
        // A kernel without huge pages says no; then they are of the usual size.
        pages.advise(Advice::HugePage).unwrap_or_default();
        Self::Many(pages)
    }
}

impl Deref for Pages {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Few(octets) => octets,
            Self::Many(pages) => pages,
        }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Few(octets) => octets,
            Self::Many(pages) => pages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_octets_are_zero_and_can_be_written() {
        for len in [0, 1, LEAST - 1, LEAST, LEAST + 1, 3 << 20] {
            let mut pages = Pages::zeroed(len);
            assert_eq!((pages.len(), matches!(pages, Pages::Many(_))), (len, len >= LEAST));
            assert!(pages.iter().all(|octet| *octet == 0));
            if let Some(last) = pages.last_mut() {
                *last = 7;
            }
            assert_eq!(pages.last(), (len > 0).then_some(&7));
        }
    }
}
