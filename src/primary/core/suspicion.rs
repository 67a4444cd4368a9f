//! Whether a worker that takes no connections is stuck, or only waits for a processor.
//!
//! The processor clock of its process costs one system call, the state of its threads dozens. A thread that runs
//! moves the clock at the latest when it stops running. So while the clock stands, a thread that was runnable
//! still is, and one that sleeps has slept since the clock was first seen there: the state is read only when the
//! clock has moved, or once it has stood for long enough to show that the worker sleeps.

use std::time::{Duration, Instant};

/// How long connections may wait in a hand-off queue, with none taken, before their worker is suspected.
pub(crate) const SUSPICION: Duration = Duration::from_millis(2);

/// The same where clients would rather wait than have another worker, which does not know them.
pub(crate) const LOYAL_SUSPICION: Duration = Duration::from_secs(1);

/// How often a worker that is stuck is looked at, where no other is left to ask: one that gets free says so.
pub(crate) const SLOW_SWEEP: Duration = Duration::from_millis(50);

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
    /// The processor time that all threads have had, up to the same tick.
    pub(crate) all: Duration,
    /// Whether the main thread has a processor, or waits for one.
    pub(crate) is_runnable: bool,
    /// Whether the main thread waits for something else, which may be another thread that is runnable.
    pub(crate) may_wait_for_thread: bool,
}

/// What may be asked about the process of a worker that is suspected. `None` where the kernel does not say.
pub(crate) trait Suspect {
    /// The processor time that all threads have had. Costs a system call.
    fn processor_time(&self) -> Option<Duration>;

    /// The processor time that the main thread has had. Costs a few system calls.
    fn main_time(&self) -> Option<Duration>;

    /// How the process gets on. Costs dozens of system calls.
    fn load(&self) -> Option<Load>;
}

/// What is known of a worker that is suspected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suspicion {
    /// Since when it is, and the processor time that it had had then.
    since: Instant,
    all: Option<Duration>,
    main: Option<Duration>,
    /// The processor time at the last look, and since when it is the same.
    spent: Option<Duration>,
    still: Instant,
    /// How it got on since the clock is the same, if that was read.
    load: Option<Load>,
    /// Since when it has been seen to sleep, with no other of its threads running.
    asleep: Option<Instant>,
    /// It is stuck, as long as it takes nothing.
    pub(crate) confirmed: bool,
}

impl Suspicion {
    /// A suspicion that begins now.
    pub(crate) fn new(suspect: &impl Suspect, now: Instant) -> Self {
        let all = suspect.processor_time();
        let main = suspect.main_time();
        Self {
            since: now,
            all,
            main,
            spent: all,
            still: now,
            load: None,
            asleep: None,
            confirmed: false,
        }
    }

    /// The suspicion later, when the worker still has taken nothing. `loads` is how often the state of threads may
    /// be read until the next sweep; with none left, the worker is looked at then.
    pub(crate) fn confirm(self, suspect: &impl Suspect, loads: &mut usize, now: Instant) -> Self {
        let spent = suspect.processor_time();
        let has_run = spent != self.spent;
        let is_due = has_run || self.next_load().is_some_and(|next| next <= now);
        if !is_due || *loads == 0 {
            return self;
        }
        *loads -= 1;
        let still = if has_run { now } else { self.still };
        Self { spent, still, ..self }.judge(suspect.load(), now)
    }

    /// When to read the state of the threads again, if none has run until then: never, if that would be known.
    fn next_load(&self) -> Option<Instant> {
        match self.load {
            Some(load) if load.is_runnable => None,
            // Only the main thread may have been woken.
            Some(load) if load.may_wait_for_thread => Some(self.since + LONG_OBSERVATION),
            _ => Some(self.asleep.unwrap_or(self.still) + OBSERVATION),
        }
    }

    /// The suspicion of a worker that gets on like this.
    fn judge(self, load: Option<Load>, now: Instant) -> Self {
        let asleep = match load {
            Some(load) => is_asleep(load).then_some(self.asleep.unwrap_or(self.still)),
            // Where the kernel does not say, the worker counts as asleep, but only from then on.
            None => Some(self.asleep.unwrap_or(now)),
        };
        let has_slept = asleep.is_some_and(|since| now.duration_since(since) >= OBSERVATION);
        let had = |before: Option<Duration>, now: Duration| {
            before.map_or(Duration::ZERO, |before| now.saturating_sub(before))
        };
        let has_run = load.is_some_and(|load| {
            had(self.all, load.all) >= OBSERVATION && had(self.main, load.main) >= OF_MAIN_THREAD
        });
        let is_long_off = load.is_some_and(|load| !load.is_runnable)
            && now.duration_since(self.since) >= LONG_OBSERVATION;
        Self { load, asleep, confirmed: has_slept || has_run || is_long_off, ..self }
    }
}

/// Whether neither the main thread nor another has, or waits for, a processor.
fn is_asleep(load: Load) -> bool {
    !load.is_runnable && !load.may_wait_for_thread
}

#[cfg(test)]
mod tests;
