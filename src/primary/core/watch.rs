//! Whether a worker takes the connections that wait for it.
//!
//! What the worker counts in shared memory is read without a system call, and shows in most sweeps that it goes on. It
//! is the worker's own word, so it is believed for a while only: whether connections wait, and whether a worker is
//! stuck, the kernel says.

use std::time::{Duration, Instant};

use super::{
    driver::{Driver, Lanes, Socket},
    progress::Progress,
    suspicion::{Load, SLOW_SWEEP, Suspect, Suspicion},
    worker::Worker,
};

/// For how long it is believed that a worker goes on, before the kernel is asked.
const BELIEF: Duration = Duration::from_millis(20);

/// What a sweep finds at a worker for which connections may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// None wait.
    Nothing,
    /// Some may wait, and the worker seems to take them.
    Waits,
    /// It takes none, though it could.
    Stuck,
}

struct Of<'a, L>(&'a L);

impl<L: Lanes> Suspect for Of<'_, L> {
    fn processor_time(&self) -> Option<Duration> {
        self.0.processor_time()
    }

    fn main_time(&self) -> Option<Duration> {
        self.0.main_time()
    }

    fn load(&self) -> Option<Load> {
        self.0.load()
    }
}

impl<D: Driver> Worker<D> {
    /// Connections begin to wait for it, for which none did: time runs from now.
    pub(crate) fn begin_watch(&mut self, now: Instant) {
        // It may lie, which shows when the kernel is asked.
        let taken = self.lanes.taken_beside(self.lanes.waiting());
        self.progress = Progress::new(taken, self.lanes.counted(), now);
    }

    /// Looks whether it takes the connections that wait for it: it is stuck if for so long it has taken none, though it
    /// could. `loads` is how often the state of threads may be read until the next sweep.
    pub(super) fn watch(&mut self, patience: Duration, loads: &mut usize, now: Instant) -> Sight {
        let counted = self.lanes.counted();
        let is_known = counted.is_some() && self.sockets.is_empty() && self.lanes.waiting() > 0;
        if is_known && let Some(sight) = self.believe(counted, patience, loads, now) {
            return sight;
        }
        let queued = self.lanes.queued();
        match self.look_beside(queued) {
            Some(false) => return Sight::Nothing,
            None => return Sight::Waits,
            Some(true) => {}
        }
        let taken = self.lanes.taken_beside(queued);
        if taken != self.progress.taken {
            self.progress = Progress::new(taken, counted, now);
            return Sight::Waits;
        }
        (self.progress.asked, self.progress.counted) = (now, counted);
        if now.duration_since(self.progress.since) >= patience {
            self.suspect(loads, now);
        }
        if self.progress.is_confirmed() { Sight::Stuck } else { Sight::Waits }
    }

    /// What a sweep finds where connections wait as the worker counts; `None` if the kernel is to be asked.
    fn believe(
        &mut self,
        counted: Option<u64>,
        patience: Duration,
        loads: &mut usize,
        now: Instant,
    ) -> Option<Sight> {
        let progress = &mut self.progress;
        if counted != progress.counted {
            let is_believed = now.duration_since(progress.believed) < BELIEF;
            return is_believed.then(|| {
                *progress = Progress { counted, since: now, suspicion: None, ..*progress };
                Sight::Waits
            });
        }
        if progress.is_confirmed() {
            let is_known = now.duration_since(progress.asked) < SLOW_SWEEP;
            return is_known.then_some(Sight::Stuck);
        }
        if now.duration_since(progress.since) < patience {
            return Some(Sight::Waits);
        }
        progress.suspicion?;
        self.suspect(loads, now);
        (!self.progress.is_confirmed()).then_some(Sight::Waits)
    }

    /// Suspects it from now on, or looks whether the suspicion is right.
    fn suspect(&mut self, loads: &mut usize, now: Instant) {
        let process = &Of(&self.lanes);
        self.progress.suspicion = Some(match self.progress.suspicion {
            None => Suspicion::new(process, now),
            Some(suspicion) if suspicion.confirmed => suspicion,
            Some(suspicion) => suspicion.confirm(process, loads, now),
        });
    }

    /// Whether it was stuck when it was looked at last, and has taken nothing since of what still waits.
    pub(super) fn is_still_stuck(&mut self) -> bool {
        if !self.progress.is_confirmed() {
            return false;
        }
        let queued = self.lanes.queued();
        self.lanes.taken_beside(queued) == self.progress.taken
            && self.look_beside(queued) == Some(true)
    }

    /// Looks whether connections wait for it. `None` when it has many sockets, and it takes more looks to know.
    pub(super) fn look(&mut self) -> Option<bool> {
        self.look_beside(self.lanes.queued())
    }

    /// The same, if so many are in its queue.
    fn look_beside(&mut self, queued: usize) -> Option<bool> {
        if queued > 0 {
            return Some(true);
        }
        let Self { sockets, round, .. } = self;
        let waits = round
            .look(sockets.len(), |at| sockets.get(at).is_some_and(|own| own.socket.backlog() > 0));
        if waits == Some(false) {
            self.lanes.emptied();
        }
        waits
    }
}
