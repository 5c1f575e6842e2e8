//! Threads that do their work beside the serving ones: they step back when both want the processor.

use std::cell::Cell;
use std::io;
use std::thread;
use std::time::Duration;

use rustix::process::{getpriority_process, setpriority_process};
use tokio::sync::oneshot;

/// The nice value of work that can wait. A thread that serves weighs 1024 with the kernel's scheduler, this one 110: it
/// gets a tenth of a processor that is fully busy. The weakest value, 19, would let a flood starve the record and a reload.
const NICE: i32 = 10;

/// How long a thread that makes way sleeps; the kernel makes it about twice as long.
const WAY: Duration = Duration::from_micros(50);

thread_local! {
    /// Whether this thread has stepped back.
    static BEHIND: Cell<bool> = const { Cell::new(false) };
}

/// Lowers the priority of the calling thread for the rest of its life (to raise it again takes a privilege), so only a thread
/// that does such work alone may call this, never one of a pool. A thread that is weaker already stays so. Never fails:
/// without the kernel's consent the thread goes on as it was.
pub fn yield_to_serving() {
    BEHIND.set(true);
    // On Linux a nice value belongs to a thread, and no id means the calling one (setpriority(2), "C library/kernel
    // differences").
    let lowered = getpriority_process(None).and_then(|nice| setpriority_process(None, nice.max(NICE)));
    if let Err(error) = lowered {
        tracing::debug!(%error, "A thread's priority can't be lowered; it runs like those that serve.");
    }
}

/// Lets whoever waits for this processor have it, if the calling thread has stepped back; to be called every 100 to 200
/// microseconds of work. A weak thread is not enough, and neither is one that yields: the kernel lets it finish its turn of some
/// 3 ms against one that wakes, and that is what a client would wait for. One that sleeps has no turn to finish.
pub fn make_way() {
    if BEHIND.get() {
        thread::sleep(WAY);
    }
}

/// Does work that can wait on a thread of its own behind the serving ones; one of the runtime's would stay so for others.
///
/// # Errors
/// There is no thread, or it ended without a result.
pub async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    thread::Builder::new().name("lists".to_owned()).spawn(move || {
        yield_to_serving();
        // Nobody waits any longer when the server is stopping.
        drop(done.send(work()));
    })?;
    result.await.map_err(io::Error::other)
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
            make_way();
            (once, getpriority_process(None).unwrap())
        };
        let lowered = thread::spawn(twice).join().unwrap();
        assert_eq!(lowered, (before.max(NICE), before.max(NICE)));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
