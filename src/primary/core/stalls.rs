//! The stall detector: finds workers that take none of the connections that wait for them, and lets others
//! have those.
//!
//! While connections wait for workers, it looks at these every 2 ms. Where a worker takes none, others that
//! seem free are probed: they may be stuck as well, with nothing to show it. The first that answers, and
//! has nothing else to do, gets what waits at the stuck one.

use std::{
    ops::Bound,
    time::{Duration, Instant},
};

use super::{
    deadlines::Due,
    driver::{Driver, Lanes},
    listener::Listener,
    progress::Sight,
    state::Core,
    suspicion::{LOYAL_SUSPICION, SUSPICION},
};
use crate::{
    protocol::{WorkerId, control::ToWorker},
    scheduler::Scheduling,
};

/// How often the detector looks at workers for which connections wait.
const SWEEP: Duration = Duration::from_millis(2);

/// How often it looks when all of these are stuck and no worker is left to ask: one that gets free says so.
pub(super) const SLOW_SWEEP: Duration = Duration::from_millis(50);

/// Workers of which one sweep reads the state of the threads: each takes a third of a millisecond.
const LOADS_A_SWEEP: usize = 4;

/// Workers probed in one sweep for each that is stuck: usually the first is free.
const PROBES: usize = 2;

impl<D: Driver> Core<D> {
    /// A connection waits for the worker: in its queue, or at a socket of its own.
    pub(crate) fn begin_to_wait(&mut self, id: WorkerId, now: Instant) {
        if let Some(worker) = self.workers.get_mut(&id)
            && self.backlogged.insert(id)
        {
            worker.begin_watch(now);
            self.deadlines.add(now + SWEEP, Due::Sweep);
        }
    }

    /// Looks after connections that wait for workers.
    pub(super) fn sweep(&mut self, now: Instant) {
        let stuck = self.find_stuck(now);
        let probed = self.probe_others(&stuck, now);
        match self.backlogged.len() {
            0 => {}
            backlogged if backlogged == stuck.len() && probed == 0 => {
                self.deadlines.add(now + SLOW_SWEEP, Due::Sweep);
            }
            _ => self.deadlines.add(now + SWEEP, Due::Sweep),
        }
    }

    /// Looks once at each worker for which connections may wait, and forgets those for which none do.
    /// Returns those of which connections have waited too long, with none taken.
    fn find_stuck(&mut self, now: Instant) -> Vec<WorkerId> {
        let patience = match self.scheduling {
            Scheduling::SourceHash => LOYAL_SUSPICION,
            _ => SUSPICION,
        };
        let mut stuck = Vec::new();
        let mut loads = LOADS_A_SWEEP;
        let Self { backlogged, workers, last_loaded, .. } = self;
        // Those come first that had no turn in the last sweep.
        let last = *last_loaded;
        let after = backlogged.range((Bound::Excluded(last), Bound::Unbounded));
        let in_turn = after.chain(backlogged.range(..=last));
        for id in in_turn.copied().collect::<Vec<_>>() {
            let left = loads;
            let sight = match workers.get_mut(&id) {
                Some(worker) => worker.watch(patience, &mut loads, now),
                None => Sight::Nothing,
            };
            match sight {
                Sight::Nothing => drop(backlogged.remove(&id)),
                Sight::Waits => {}
                Sight::Stuck => stuck.push(id),
            }
            if loads < left {
                *last_loaded = id;
            }
        }
        stuck
    }

    /// Probes workers that may be free to take what waits at those that are stuck. Says how many.
    fn probe_others(&mut self, stuck: &[WorkerId], now: Instant) -> usize {
        let mut asked = Vec::new();
        if stuck.is_empty() {
            return 0;
        }
        for listener in self.listeners.values() {
            let count = stuck.iter().filter(|id| listener.has(**id)).count();
            let others = listener.members.keys().filter(|it| !self.backlogged.contains(it));
            let may_be_free = |id: &&WorkerId| {
                !asked.contains(*id)
                    && self.workers.get(id).is_some_and(|it| it.availability.may_be_free())
            };
            let chosen: Vec<_> = others.filter(may_be_free).take(count * PROBES).copied().collect();
            asked.extend(chosen);
        }
        asked.into_iter().filter(|id| self.probe(*id, now)).count()
    }

    /// Asks the worker whether its event loop turns, unless it has been asked. Says whether a probe is
    /// unanswered: none can be sent to one that does not read its messages.
    pub(super) fn probe(&mut self, id: WorkerId, now: Instant) -> bool {
        let Some(worker) = self.workers.get(&id) else {
            return false;
        };
        if worker.availability.is_probed() {
            return true;
        }
        let is_sent = worker.lanes.send(&ToWorker::Probe, None).is_ok();
        if is_sent {
            self.set_probed(id, now);
        }
        is_sent
    }

    /// The worker's event loop turns: it has answered a probe.
    pub(crate) fn answered(&mut self, id: WorkerId, now: Instant) {
        // An answer that was not asked for says nothing.
        if !self.workers.get(&id).is_some_and(|worker| worker.availability.is_probed()) {
            return;
        }
        self.note_answer(id, now);
        if self.set_answered(id, now) {
            self.driver.debug_log(format_args!("worker {id} moves again"));
            self.deadlines.add(now + SWEEP, Due::Sweep);
        }
        for stuck in self.still_stuck() {
            if !self.is_free(id) {
                return;
            }
            if self.share_listener(id, stuck) {
                self.stall(stuck, now);
            }
        }
    }

    /// Gives the worker nothing more until it answers a probe, and what waits at it to others.
    fn stall(&mut self, id: WorkerId, now: Instant) {
        let is_stalled = self.workers.get(&id).is_some_and(|it| it.availability.is_stalled());
        if self.probe(id, now) && !is_stalled {
            self.set_stalled(id, now);
        } else {
            self.rescue(id, now);
        }
    }

    fn still_stuck(&mut self) -> Vec<WorkerId> {
        let Self { backlogged, workers, .. } = self;
        let is_stuck = |id: &WorkerId| workers.get_mut(id).is_some_and(|it| it.is_still_stuck());
        backlogged.iter().copied().filter(is_stuck).collect()
    }

    /// Whether the worker, which has answered a probe, has nothing else to do.
    fn is_free(&mut self, id: WorkerId) -> bool {
        let may_have_work = self.backlogged.contains(&id);
        self.workers.get_mut(&id).is_some_and(|worker| {
            worker.availability.may_be_free() && !(may_have_work && worker.look() != Some(false))
        })
    }

    /// Whether both serve one listener.
    fn share_listener(&self, one: WorkerId, other: WorkerId) -> bool {
        let has_both = |listener: &Listener<D>| listener.has(one) && listener.has(other);
        self.listeners.values().any(has_both)
    }
}
