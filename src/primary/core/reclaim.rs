//! The way back of a connection: out of the queue of a worker that has not taken it, to another worker.

use std::time::{Duration, Instant};

use super::{
    deadlines::Due,
    driver::{Add, Driver, Lanes, TakenBack},
    state::Core,
};
use crate::protocol::{ListenerId, WorkerId};

/// How long to wait after a shortage of descriptors or memory before the next try.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(10);

/// What waits can't be taken back now.
#[derive(Debug)]
struct Later;

impl<D: Driver> Core<D> {
    /// Takes back what waits in the worker's queue, and gives it to others: one at a time, so that it takes
    /// no descriptors but for those that no worker has room for. Where there are no descriptors, the rest
    /// stays in the queue until there are.
    pub(super) fn reclaim(&mut self, id: WorkerId, now: Instant) {
        // The worker itself may get some of it again, which are not to be taken once more.
        let waiting = self.workers.get(&id).map_or(0, |worker| worker.lanes.queued());
        for _ in 0..waiting {
            match self.reclaim_one(id, |counts| counts.reclaimed += 1, now) {
                Some(Ok(_)) => {}
                Some(Err(Later)) => {
                    self.owed.insert(id);
                    self.deadlines.add(now + SHORTAGE_PAUSE, Due::Reclaim);
                    return;
                }
                None => return,
            }
        }
    }

    /// Takes back what waits at a worker whose event loop is blocked, as far as others have room: the rest
    /// has a better place where it is.
    pub(super) fn rescue(&mut self, id: WorkerId, now: Instant) {
        // What there is no descriptor for now, the next answer to a probe brings here again.
        while let Some(Ok(listener)) = self.reclaim_one(id, |counts| counts.rescued += 1, now) {
            if self.distribution(listener).is_some_and(|it| it.has_pending()) {
                return;
            }
        }
    }

    /// Takes back what could not be taken back before, and from workers whose processes have ended.
    pub(super) fn reclaim_owed(&mut self, now: Instant) {
        for id in std::mem::take(&mut self.owed) {
            self.reclaim(id, now);
        }
        let mut is_left = false;
        for (id, mut worker) in std::mem::take(&mut self.departed) {
            let has_more = loop {
                match worker.take_back() {
                    TakenBack::Connection(listener, connection) => {
                        let add: Add = |counts| counts.reclaimed += 1;
                        self.taken_back(id, listener, connection, add, now);
                    }
                    TakenBack::Nothing | TakenBack::Closed(_) => break false,
                    TakenBack::Later => break true,
                }
            };
            if has_more || self.returning.contains(&id) {
                self.departed.insert(id, worker);
            }
            is_left |= has_more;
        }
        if is_left {
            self.deadlines.add(now + SHORTAGE_PAUSE, Due::Reclaim);
        }
    }

    /// Takes back one connection, if there is one, and says of which listener. `add` counts it.
    fn reclaim_one(
        &mut self,
        id: WorkerId,
        add: Add,
        now: Instant,
    ) -> Option<Result<ListenerId, Later>> {
        match self.workers.get_mut(&id)?.take_back() {
            TakenBack::Nothing | TakenBack::Closed(_) => None,
            TakenBack::Later => Some(Err(Later)),
            TakenBack::Connection(listener, connection) => {
                self.taken_back(id, listener, connection, add, now);
                Some(Ok(listener))
            }
        }
    }

    fn taken_back(
        &mut self,
        id: WorkerId,
        listener: ListenerId,
        connection: D::Connection,
        add: Add,
        now: Instant,
    ) {
        self.driver.debug_log(format_args!("a connection taken back from worker {id}"));
        self.count(id, listener, add);
        let prefers_http = self.has_served_http(id, listener);
        self.accepted_before(listener, connection, prefers_http, now);
    }

    /// Counts what became of a connection.
    pub(super) fn count(&mut self, id: WorkerId, listener: ListenerId, add: Add) {
        if let Some(worker) = self.workers.get(&id) {
            worker.count(add);
        }
        if let Some(distribution) = self.distribution(listener) {
            distribution.counters.count(add);
        }
    }
}
