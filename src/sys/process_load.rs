//! How a process gets on: what the kernel's scheduler knows of it.

use std::time::Duration;

/// Threads of a process that are looked at. Node has about a dozen. Of a process with as many, or more, which
/// may be meant to keep this one busy, the main thread alone is.
pub(super) const THREADS: usize = 64;

/// How the main thread of a process gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The processor time that the main thread has had, up to the last tick or so of the kernel.
    pub main: Duration,
    /// That all threads have had, up to now.
    pub all: Duration,
    /// Whether the main thread has a processor, or waits for one.
    pub is_runnable: bool,
    /// Whether it waits for something else, which may be another thread that is runnable. So it may where there
    /// are too many threads to look at.
    pub may_wait_for_thread: bool,
}
