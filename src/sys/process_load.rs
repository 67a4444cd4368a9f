//! What the kernel's scheduler reports about a process.

use std::time::Duration;

/// How many threads of a process are checked; Node has about a dozen. If a process has at least this
/// many, perhaps to keep the engine busy, only its main thread is checked.
pub(super) const THREADS: usize = 64;

/// The state of a process, above all of its main thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The processor time of the main thread, exact to about one tick of the kernel.
    pub main: Duration,
    /// The processor time of all threads, up to now.
    pub all: Duration,
    /// Whether the main thread runs, or waits for a processor.
    pub is_runnable: bool,
    /// Whether the main thread sleeps, and may wait for another thread that is runnable. Also true if
    /// there are too many threads to check.
    pub may_wait_for_thread: bool,
}
