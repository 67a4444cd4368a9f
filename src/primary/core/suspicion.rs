//! Whether a worker that takes no connections is stuck, or only waits for a processor.

use std::time::{Duration, Instant};

/// How long connections may wait in a hand-off queue, with none taken, before their worker is suspected.
pub(crate) const SUSPICION: Duration = Duration::from_millis(2);

/// The same where clients would rather wait than have another worker, which does not know them.
pub(crate) const LOYAL_SUSPICION: Duration = Duration::from_secs(1);

/// How long a suspected worker is observed: it is stuck when it takes nothing meanwhile. On a busy
/// machine that is processor time, not time, because one that waits for a processor is not stuck.
pub(crate) const OBSERVATION: Duration = Duration::from_millis(5);

/// As much of it the main thread must have had, as far as the kernel has counted that.
const OF_MAIN_THREAD: Duration = Duration::from_millis(3);

/// How long a worker is observed that sleeps now and then, or waits for one of its own threads, as in a
/// garbage collection.
const LONG_OBSERVATION: Duration = Duration::from_millis(20);

/// How the process of a worker gets on, as the kernel's scheduler knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// The processor time that the main thread has had, up to the last tick or so of the kernel.
    pub(crate) main: Duration,
    /// The processor time that all threads have had, up to now.
    pub(crate) all: Duration,
    /// Whether the main thread has a processor, or waits for one.
    pub(crate) is_runnable: bool,
    /// Whether the main thread waits for something else, which may be another thread that is runnable.
    pub(crate) may_wait_for_thread: bool,
}

/// What is known of a worker that is suspected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suspicion {
    /// Since when it is, and how it got on then.
    since: Instant,
    load: Option<Load>,
    /// Since when it has been seen to sleep, with no other of its threads running.
    asleep: Option<Instant>,
    /// It is stuck, as long as it takes nothing.
    pub(crate) confirmed: bool,
}

impl Suspicion {
    /// A suspicion that begins now, when the worker gets on like this.
    pub(crate) fn new(load: Option<Load>, now: Instant) -> Self {
        let asleep = load.is_none_or(is_asleep).then_some(now);
        Self { since: now, load, asleep, confirmed: false }
    }

    /// The suspicion later, when the worker gets on like this and still has taken nothing.
    pub(crate) fn confirm(self, load: Option<Load>, now: Instant) -> Self {
        // Where the kernel does not say, the worker counts as asleep.
        let asleep = load.is_none_or(is_asleep).then_some(self.asleep.unwrap_or(now));
        let has_slept = asleep.is_some_and(|since| now.duration_since(since) >= OBSERVATION);
        let has_run = load.zip(self.load).is_some_and(|(load, before)| {
            load.all.saturating_sub(before.all) >= OBSERVATION
                && load.main.saturating_sub(before.main) >= OF_MAIN_THREAD
        });
        let is_long_off = load.is_some_and(|load| !load.is_runnable)
            && now.duration_since(self.since) >= LONG_OBSERVATION;
        Self { asleep, confirmed: has_slept || has_run || is_long_off, ..self }
    }
}

/// Whether neither the main thread nor another has, or waits for, a processor.
fn is_asleep(load: Load) -> bool {
    !load.is_runnable && !load.may_wait_for_thread
}
