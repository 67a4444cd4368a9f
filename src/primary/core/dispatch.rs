//! The way of a connection, from top to bottom: accepted, or taken back, it waits at its listener; the
//! policy chooses a worker; the connection goes into that worker's queue. From there the worker takes it,
//! or [`reclaim`](super::reclaim) does.

use core::net::IpAddr;
use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use super::{
    driver::{Acceptors, Connection, Driver, HandOver, Lanes},
    listener::{Delivery, Listener, Membership, Origin},
    state::Core,
    worker::Worker,
};
use crate::{
    protocol::{ListenerId, WorkerId},
    scheduler::Situation,
};

/// What became of the connection that had waited longest.
enum Placed {
    /// A worker has it.
    At(WorkerId),
    /// The chosen worker had no room after all.
    Refused(WorkerId, HandOver),
    /// No worker can take it now.
    NoRoom,
    /// There was none.
    NonePending,
}

impl<D: Driver> Core<D> {
    /// Whether connections of the listener may be accepted now: a worker serves it, and there is room for
    /// those that are accepted already.
    pub(crate) fn may_accept(&self, listener: ListenerId) -> bool {
        let listener = self.listeners.get(&listener).filter(|listener| listener.is_served());
        listener.and_then(|it| it.distribution()).is_some_and(|it| !it.has_pending())
    }

    /// A new connection. It waits behind the others.
    pub(crate) fn accepted(&mut self, id: ListenerId, connection: D::Connection, now: Instant) {
        if let Some(distribution) = self.distribution(id) {
            distribution.add_accepted(connection, now);
            self.dispatch(id, now);
        }
    }

    /// A connection that was at a worker. It waits before the new ones; with the listener gone, it is
    /// closed.
    pub(super) fn accepted_before(
        &mut self,
        id: ListenerId,
        connection: D::Connection,
        now: Instant,
    ) {
        match self.distribution(id) {
            Some(distribution) => {
                distribution.add_returned(connection);
                self.dispatch(id, now);
            }
            None => self.driver.close(connection),
        }
    }

    /// Hands out what waits at the listener, as far as workers can take it.
    pub(super) fn dispatch(&mut self, id: ListenerId, now: Instant) {
        loop {
            match self.place_first(id, now) {
                Placed::At(worker) => self.begin_to_wait(worker, now),
                // It is not asked again before it has room.
                Placed::Refused(worker, how) => self.set_full(worker, how == HandOver::Lost, now),
                Placed::NoRoom => return,
                Placed::NonePending => break,
            }
        }
        if let Some(distribution) = self.distribution(id) {
            distribution.acceptors.notify_room();
            if !distribution.quiet.is_empty() {
                self.end_quiet(id);
            }
        }
    }

    /// Puts the connection that has waited longest into the queue of the worker that the policy chooses.
    fn place_first(&mut self, id: ListenerId, now: Instant) -> Placed {
        let Self { driver, workers, listeners, .. } = self;
        let Some(listener) = listeners.get_mut(&id) else {
            return Placed::NonePending;
        };
        let Listener { delivery, members, http_members, name, .. } = listener;
        let Delivery::Distributed(distribution) = delivery else {
            return Placed::NonePending;
        };
        let Some(pending) = distribution.take_pending() else {
            return Placed::NonePending;
        };
        let candidates = Candidates { workers, members, connection: &pending.connection };
        let can_any = pending.origin != Origin::Parked || http_members.len() == members.len();
        let chosen = if can_any {
            distribution.policy.choose(&candidates)
        } else {
            // A policy would take the others for unavailable.
            candidates.least_waiting(http_members)
        };
        let Some((chosen, worker)) = chosen.and_then(|it| Some((it, workers.get_mut(&it)?))) else {
            distribution.restore_pending(pending);
            return Placed::NoRoom;
        };
        // A client that is served finds itself counted.
        let counters = &distribution.counters;
        let time = match pending.origin {
            Origin::Accepted(accepted) => Some(now.duration_since(accepted)),
            Origin::Queue | Origin::Parked => None,
        };
        counters.count(|counts| counts.handed_over += 1);
        time.inspect(|time| counters.add_handover(*time));
        worker.count(|counts| counts.handed_over += 1);
        let handed_over = worker.lanes.hand_over(id, &pending.connection);
        if handed_over != HandOver::Done {
            worker.count(|counts| counts.handed_over -= 1);
            counters.count(|counts| counts.handed_over -= 1);
            time.inspect(|time| counters.remove_handover(*time));
            distribution.restore_pending(pending);
            return Placed::Refused(chosen, handed_over);
        }
        worker.add_given(id);
        driver.close(pending.connection);
        driver.debug_log(format_args!("a connection to {name} goes to worker {chosen}"));
        Placed::At(chosen)
    }

    /// A worker says that it can't serve this connection, and gets no other one of the listener before
    /// `cooldown` is over.
    pub(crate) fn returned(
        &mut self,
        id: WorkerId,
        listener: ListenerId,
        connection: D::Connection,
        cooldown: Instant,
        now: Instant,
    ) {
        self.driver.debug_log(format_args!("worker {id} returned a connection"));
        self.count(id, listener, |counts| counts.returned += 1);
        self.cool_down(id, listener, cooldown);
        self.accepted_before(listener, connection, now);
    }
}

/// What a policy can ask about the members of a listener, and about the connection.
struct Candidates<'a, D: Driver> {
    workers: &'a HashMap<WorkerId, Worker<D>>,
    members: &'a HashMap<WorkerId, Membership>,
    connection: &'a D::Connection,
}

impl<D: Driver> Candidates<'_, D> {
    /// The worker, unless it has just returned a connection of the listener.
    fn worker(&self, id: WorkerId) -> Option<&Worker<D>> {
        match self.members.get(&id)? {
            Membership::Active | Membership::Quiet => self.workers.get(&id),
            Membership::CoolingDown(_) => None,
        }
    }

    /// That one of these workers that can take the connection for which the fewest wait.
    fn least_waiting(&self, workers: &HashSet<WorkerId>) -> Option<WorkerId> {
        let waiting = workers.iter().filter_map(|&it| Some((self.waiting(it)?, it)));
        waiting.min().map(|(_, worker)| worker)
    }
}

impl<D: Driver> Situation for Candidates<'_, D> {
    fn waiting(&self, worker: WorkerId) -> Option<usize> {
        self.worker(worker)?.waiting()
    }

    fn open(&self, worker: WorkerId) -> Option<usize> {
        self.worker(worker)?.open()
    }

    fn source(&self) -> Option<IpAddr> {
        self.connection.source()
    }
}
