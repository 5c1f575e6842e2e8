//! Threads that do their work beside the serving ones: they step back when both want the processor.

use rustix::process::{getpriority_process, setpriority_process};

/// The nice value of work that can wait. A thread that serves weighs 1024 with the kernel's scheduler, this one 110: it
/// gets a tenth of a processor that is fully busy. The weakest value, 19, would let a flood starve the record and a reload.
const NICE: i32 = 10;

/// Lowers the priority of the calling thread for the rest of its life (to raise it again takes a privilege), so only a thread
/// that does such work alone may call this, never one of a pool. A thread that is weaker already stays so. Never fails:
/// without the kernel's consent the thread goes on as it was.
pub fn yield_to_serving() {
    // On Linux a nice value belongs to a thread, and no id means the calling one (setpriority(2), "C library/kernel
    // differences").
    let lowered = getpriority_process(None).and_then(|nice| setpriority_process(None, nice.max(NICE)));
    if let Err(error) = lowered {
        tracing::debug!(%error, "A thread's priority can't be lowered; it runs like those that serve.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_calling_thread_steps_back_and_doing_it_twice_changes_nothing() {
        let before = getpriority_process(None).unwrap();
        let twice = || {
            yield_to_serving();
            let once = getpriority_process(None).unwrap();
            yield_to_serving();
            (once, getpriority_process(None).unwrap())
        };
        let lowered = std::thread::spawn(twice).join().unwrap();
        assert_eq!(lowered, (before.max(NICE), before.max(NICE)));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
