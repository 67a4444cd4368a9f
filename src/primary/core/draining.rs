//! The drain of a worker: it gets nothing more, is told to finish what it has, and is ended if it does not go
//! in time. These deadlines need no JavaScript, neither the primary's nor the worker's.

use std::time::{Duration, Instant};

use super::{
    deadlines::{Awaited, Due},
    drain::{Drain, DrainOptions, Phase},
    driver::{Driver, EndSignal, Lanes},
    listener::Listener,
    state::Core,
    worker::Worker,
};
use crate::{
    protocol::{ListenerId, WorkerId},
    scheduler::Scheduling,
};

/// How long a worker that has nothing open may take to exit by itself.
const LEAVING: Duration = Duration::from_secs(1);

impl<D: Driver> Core<D> {
    /// Drains a worker. If it drains already, the shorter time applies.
    pub(crate) fn drain(&mut self, id: WorkerId, options: DrainOptions, now: Instant) {
        let (served, takers) = self.served_by(id, options.hands_over);
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        let DrainOptions { timeout, kill_timeout, reason, keeps_queue, .. } = options;
        // Far beyond what JavaScript can ask for.
        let deadline = now + timeout;
        if let Some(drain) = &mut worker.drain {
            drain.kill_timeout = drain.kill_timeout.min(kill_timeout);
            if deadline >= drain.deadline {
                return;
            }
            drain.deadline = deadline;
            if let Phase::Leaving(at) = &mut drain.phase {
                *at = deadline.min(*at);
            }
        } else {
            let phase = Phase::Finishing;
            let awaited = Awaited::default();
            let keeps_all = false;
            let drain =
                Drain { deadline, kill_timeout, reason, phase, awaited, served, takers, keeps_all };
            worker.drain = Some(drain);
            worker.keeps_queue = keeps_queue;
        }
        // Its listeners stay until its idle connections have come, even if no other worker serves them.
        self.withdraw(id, now);
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if let Some(drain) = &worker.drain {
            worker.lanes.send_drain(drain.order(now));
        }
        self.await_drain(id, now);
        self.driver.debug_log(format_args!("worker {id} drains"));
    }

    /// The listeners of the worker that others may serve too, if it is to hand over, and those of them that
    /// others serve now.
    fn served_by(&self, id: WorkerId, hands_over: bool) -> (Vec<ListenerId>, Vec<ListenerId>) {
        let is_served = |it: &Listener<D>| hands_over && it.distribution().is_some() && it.has(id);
        let served = self.listeners.iter().filter(|(_, it)| is_served(it));
        let served: Vec<_> = served.map(|(&listener, _)| listener).collect();
        let takers = served.iter().copied();
        let takers = takers.filter(|it| self.has_taker_beside(Some(id), *it)).collect();
        (served, takers)
    }

    /// A worker has joined the listener, or left it: those that drain hear whether others can take their idle
    /// connections. Those that wait already do so for `timeout` at most, if none can.
    pub(super) fn tell_takers(&mut self, listener: ListenerId, timeout: Duration, now: Instant) {
        let has_taker = self.has_taker_beside(None, listener);
        for worker in self.workers.values_mut() {
            if let Some(drain) = &mut worker.drain
                && drain.set_taker(listener, has_taker)
            {
                worker.lanes.send_drain(drain.order(now));
            }
        }
        self.set_abandoned(listener, (!has_taker).then_some(timeout), now);
    }

    /// Whether the worker may leave idle connections of the listener to the engine.
    pub(crate) fn may_park(&self, id: WorkerId, listener: ListenerId) -> bool {
        let drain = self.worker_or_departed(id).and_then(|worker| worker.drain.as_ref());
        drain.is_some_and(|drain| drain.moves(listener))
    }

    /// Whether idle connections of the listener may come from workers that drain.
    pub(super) fn expects_parked(&self, listener: ListenerId) -> bool {
        let workers = self.workers.values().chain(self.departed.values());
        let mut drains = workers.filter_map(|worker| worker.drain.as_ref());
        drains.any(|drain| drain.moves(listener))
    }

    /// The worker, which drains, says that it has nothing open, and is about to exit.
    pub(crate) fn set_drained(&mut self, id: WorkerId, now: Instant) {
        let Some(drain) = self.workers.get_mut(&id).and_then(|worker| worker.drain.as_mut()) else {
            return;
        };
        if drain.phase == Phase::Finishing {
            let at = drain.deadline.min(now + LEAVING);
            drain.phase = Phase::Leaving(at);
            self.await_drain(id, now);
        }
    }

    /// Asks to be called when something is to be done about the drain.
    fn await_drain(&mut self, id: WorkerId, now: Instant) {
        let drain = self.workers.get_mut(&id).and_then(|worker| worker.drain.as_mut());
        if let Some(next) = drain.and_then(|drain| drain.next_deadline(now)) {
            self.deadlines.add(next, Due::Drain(id));
        }
    }

    /// It may be time to end a worker that drains.
    pub(super) fn look_at_drain(&mut self, id: WorkerId, now: Instant) {
        let knows_open = self.scheduling != Scheduling::Shared;
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        let Some(drain) = &mut worker.drain else {
            return;
        };
        if !drain.awaited.take(now) {
            return;
        }
        let knows_open = knows_open && worker.lanes.has_shared_counters();
        let has_nothing_open = knows_open && worker.lanes.open() == 0;
        // It was not stuck if it answers in time what it is asked last.
        let is_last_look = drain.phase == Phase::Finishing && drain.is_about_to_end(now);
        let is_stuck = worker.availability.is_probed();
        let signal = match drain.phase {
            Phase::Finishing if now >= drain.deadline => Some(EndSignal::Terminate),
            Phase::Finishing if has_nothing_open => {
                drain.phase = Phase::Leaving(drain.deadline.min(now + LEAVING));
                None
            }
            // A connection was on its way to it.
            Phase::Leaving(at) if now >= at && knows_open && !has_nothing_open => {
                drain.phase = Phase::Finishing;
                (now >= drain.deadline).then_some(EndSignal::Terminate)
            }
            Phase::Leaving(at) if now >= at => Some(EndSignal::Terminate),
            Phase::Terminated(at) if now >= at => Some(EndSignal::Kill),
            _ => None,
        };
        match signal {
            Some(EndSignal::Terminate) => {
                drain.phase = Phase::Terminated(now + drain.kill_timeout);
            }
            Some(EndSignal::Kill) => drain.phase = Phase::Killed,
            None => {}
        }
        if let Some(signal) = signal {
            worker.lanes.signal(signal, is_stuck);
        }
        self.await_drain(id, now);
        if is_last_look || signal == Some(EndSignal::Terminate) {
            self.probe(id, now);
        }
        if let Some(signal) = signal {
            self.driver.debug_log(format_args!("worker {id} has not left in time: {signal:?}"));
        }
    }

    /// How many connections the end of the worker's process has cut; 0 for a worker that ended by itself.
    pub(crate) fn count_cut(&self, id: WorkerId) -> usize {
        let knows_open = self.scheduling != Scheduling::Shared;
        let is_ended = |worker: &&Worker<D>| worker.drain.is_some() || worker.is_killed;
        self.workers.get(&id).filter(is_ended).map_or(0, |worker| {
            let open = if knows_open { worker.lanes.open() } else { usize::MAX };
            worker.lanes.cut().min(open)
        })
    }
}
