//! The system's allocator, with a count for each thread.

#![allow(unsafe_code, reason = "an allocator is an unsafe trait; each function hands its arguments on as they came")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

/// Threads told apart in the life of the process; those beyond share the last place.
const THREADS_MAX: usize = 512;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One thread's id in the kernel, and how often it has allocated.
struct Place {
    thread: AtomicI32,
    allocations: AtomicU64,
}

static PLACES: [Place; THREADS_MAX] =
    [const { Place { thread: AtomicI32::new(0), allocations: AtomicU64::new(0) } }; THREADS_MAX];
static TAKEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's place; none until it allocates. Needs no allocation and no destructor itself.
    static OWN: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Counts one allocation for the thread that makes it.
fn count() {
    let place = OWN.get().unwrap_or_else(|| {
        let place = TAKEN.fetch_add(1, Ordering::Relaxed).min(THREADS_MAX - 1);
        // SAFETY: it takes nothing and always succeeds.
        PLACES[place].thread.store(unsafe { libc::gettid() }, Ordering::Relaxed);
        OWN.set(Some(place));
        place
    });
    PLACES[place].allocations.fetch_add(1, Ordering::Relaxed);
}

// SAFETY: every function is the system allocator's own, which holds the contract; counting touches no memory of theirs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, octets: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is handed on.
        unsafe { System.realloc(octets, layout, size) }
    }

    unsafe fn dealloc(&self, octets: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(octets, layout) }
    }
}

/// Allocations of some threads up to a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally(u64);

impl Tally {
    /// Those of the live threads of this name, which the kernel keeps to 15 octets.
    pub(crate) fn of(name: &str) -> Self {
        Self::of_threads(|thread| thread == name)
    }

    /// Those of every live thread but the ones named.
    pub(crate) fn of_all_but(names: &[&str]) -> Self {
        Self::of_threads(|thread| !names.contains(&thread))
    }

    fn of_threads(fits: impl Fn(&str) -> bool) -> Self {
        let fits = |place: &&Place| {
            let thread = place.thread.load(Ordering::Relaxed);
            let name = fs::read_to_string(format!("/proc/self/task/{thread}/comm"));
            thread != 0 && name.is_ok_and(|name| fits(name.trim_end()))
        };
        let taken = TAKEN.load(Ordering::Relaxed).min(THREADS_MAX);
        Self(PLACES[..taken].iter().filter(fits).map(|place| place.allocations.load(Ordering::Relaxed)).sum())
    }

    /// How many came since an earlier moment.
    pub(crate) fn since(self, earlier: Self) -> u64 {
        self.0 - earlier.0
    }
}
