//! What is done before all workers leave: whatever waits in the engine goes to them, because none is left
//! afterwards that could serve it.

use std::time::{Duration, Instant};

use super::{
    deadlines::Due,
    driver::{Driver, Lanes},
    listener::Listener,
    state::Core,
};
use crate::protocol::WorkerId;

/// How long that may take at most: a worker that is stuck may keep its idle connections for longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(5);

impl<D: Driver> Core<D> {
    /// Has workers that drain keep their idle connections from now on, and gives those that wait here to other
    /// workers. Tells supervision when that is done.
    pub(super) fn begin_flush(&mut self, now: Instant) {
        for (id, _) in self.draining() {
            if let Some(worker) = self.workers.get_mut(&id)
                && let Some(drain) = &mut worker.drain
                && drain.keep_all()
            {
                worker.lanes.send_drain(drain.order(now));
                // What it has sent before it hears of that has come before the answer.
                self.probe(id, now);
            }
        }
        self.flush = Some(now + PATIENCE);
        self.deadlines.add(now, Due::Flush);
    }

    pub(super) fn look_at_flush(&mut self, now: Instant) {
        let Some(until) = self.flush else {
            return;
        };
        self.unpark_all(now);
        if now < until && !self.is_flushed() {
            return self.deadlines.add(now + LOOK, Due::Flush);
        }
        self.flush = None;
        self.supervise(now, |supervisor| supervisor.flushed(now));
    }

    /// The workers that drain, and whether they are asked for an answer.
    fn draining(&self) -> Vec<(WorkerId, bool)> {
        let draining = self.workers.iter().filter(|(_, worker)| worker.drain.is_some());
        draining.map(|(&id, worker)| (id, worker.availability.is_probed())).collect()
    }

    /// Whether nothing waits here, and nothing is about to come.
    fn is_flushed(&self) -> bool {
        let distributions = self.listeners.values().filter_map(Listener::distribution);
        // Those that have been ended already wait for nothing but their clients.
        let waiting = distributions.map(|it| it.parked.len() + usize::from(it.has_pending()));
        let is_empty = waiting.sum::<usize>() == 0;
        is_empty && self.draining().iter().all(|(_, is_asked)| !is_asked)
    }
}
