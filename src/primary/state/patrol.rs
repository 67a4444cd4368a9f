use std::time::Instant;

use super::{
    super::{listener::Listener, worker::Worker},
    State,
};
use crate::protocol::WorkerId;

/// Workers probed in one look of the patrol for each that is stuck: usually the first is free.
const PROBES: usize = 2;

/// What the patrol has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Outlook {
    /// Nothing waits.
    Idle,
    /// Connections wait for workers that may take them any time.
    Loaded,
    /// Connections wait for workers that are all stuck, and those that may be free have been asked.
    Stuck,
}

impl State {
    /// Looks after connections that wait in lanes.
    ///
    /// Where a worker takes none, others that seem free are probed: they may be stuck as well, with
    /// nothing to show it.
    pub(in super::super) fn patrol(&mut self, now: Instant) -> Outlook {
        let stuck = self.find_stuck(now);
        let Self { loaded, workers, listeners, .. } = self;
        let mut probed = 0;
        let has_stuck = |it: &&Listener| stuck.iter().any(|id| it.has(*id));
        for listener in listeners.values().filter(has_stuck) {
            let count = stuck.iter().filter(|id| listener.has(**id)).count();
            let others = listener.members().filter(|member| !loaded.contains(member));
            probed += others
                .filter_map(|member| workers.get(member))
                .filter(|worker| worker.seems_free())
                .take(count * PROBES)
                .map(Worker::probe)
                .count();
        }
        match loaded.len() {
            0 => Outlook::Idle,
            loaded if loaded == stuck.len() && probed == 0 => Outlook::Stuck,
            _ => Outlook::Loaded,
        }
    }

    /// Looks once at each worker for which connections may wait, and forgets those for which none do. Returns
    /// those of which connections have waited too long, with none taken.
    fn find_stuck(&mut self, now: Instant) -> Vec<WorkerId> {
        let patience = self.scheduling.patience();
        let mut stuck = Vec::new();
        let Self { loaded, workers, .. } = self;
        loaded.retain(|id| {
            let worker = workers.get(id);
            let waits = worker.map_or(Some(false), Worker::look);
            if waits == Some(true) && worker.is_some_and(|it| it.is_stuck(now, patience)) {
                stuck.push(*id);
            }
            waits != Some(false)
        });
        stuck
    }

    /// Whether the worker, which has answered a probe, has nothing else to do.
    fn is_free(&self, id: WorkerId) -> bool {
        let may_have_work = self.loaded.contains(&id);
        let is_free = |it: &Worker| it.seems_free() && !(may_have_work && it.look() != Some(false));
        self.workers.get(&id).is_some_and(is_free)
    }

    /// Whether there is something that both serve.
    fn are_siblings(&self, one: WorkerId, other: WorkerId) -> bool {
        self.listeners.values().any(|listener| listener.has(one) && listener.has(other))
    }

    /// The worker's event loop turns: it has answered a probe.
    pub(in super::super) fn alive(&mut self, id: WorkerId) {
        // What nobody has asked for says nothing.
        let Some(worker) = self.workers.get(&id).filter(|worker| worker.is_probed()) else {
            return;
        };
        if worker.answered() {
            self.story.tell(format_args!("worker {id} moves again"));
            self.loading.notify_one();
            self.reseat(id);
            self.restore(id);
        }
        let is_stuck = |id: &WorkerId| self.workers.get(id).is_some_and(Worker::is_still_stuck);
        let stuck: Vec<_> = self.loaded.iter().copied().filter(is_stuck).collect();
        for stuck in stuck {
            if !self.is_free(id) {
                return;
            }
            if self.are_siblings(id, stuck) {
                self.rescue(stuck);
            }
        }
    }

    /// Takes back what waits at a worker whose event loop does not turn, as far as others have room:
    /// the rest has a better place where it is.
    fn rescue(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get(&id) else {
            return;
        };
        self.story.tell(format_args!("worker {id} is stuck"));
        worker.stall();
        self.reseat(id);
        // What there is no descriptor for now, the next probe that is answered brings here again.
        while let Some(Ok(listener)) = self.take_back_one(id, |counts| counts.rescued += 1) {
            if self.distribution(listener).is_some_and(|it| !it.pending.is_empty()) {
                return;
            }
        }
    }
}
