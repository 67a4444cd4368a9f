//! The way of a connection, from top to bottom: accepted, or taken back, it waits at its listener; the
//! policy chooses a worker; the connection goes into that worker's queue. From there the worker takes it,
//! or [`reclaim`](super::reclaim) does.

use core::net::IpAddr;
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::{
    driver::{Acceptors, Connection, Driver, Forwarded, HandOver, Lanes},
    listener::{Delivery, Distribution, Listener, Membership, Origin},
    state::Core,
    supervise::report::Generation,
    worker::Worker,
};
use crate::{
    protocol::{ListenerId, WorkerId},
    scheduler::Situation,
};

/// Which members may get a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takers {
    All,
    /// Those that serve HTTP, if one of them has room.
    HttpFirst,
    HttpOnly,
}

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
        if self.stands_by || self.has_stopped_accepting(listener) {
            return false;
        }
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

    /// A connection that was at a worker. It waits before the new ones. Where connections do not wait, because workers
    /// share the socket, one that no worker has room for is closed, as it is with the listener gone. `prefers_http` says
    /// that the worker served HTTP, so the client may have begun to speak that.
    pub(super) fn accepted_before(
        &mut self,
        id: ListenerId,
        connection: D::Connection,
        prefers_http: bool,
        now: Instant,
    ) {
        if let Some(distribution) = self.distribution(id) {
            distribution.add_returned(connection, prefers_http);
            self.dispatch(id, now);
        } else if self.is_handed_over(id) {
            self.driver.forward(id, connection, Forwarded::New { prefers_http });
        } else if let Some(refused) = self.hand_to_sharer(id, connection, prefers_http, now) {
            self.driver.close(refused);
        }
    }

    /// Hands out what waits at the listener, as far as workers can take it.
    pub(super) fn dispatch(&mut self, id: ListenerId, now: Instant) {
        if self.is_handed_over(id) {
            return self.forward_pending(id);
        }
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
        let Some(pending) = self.distribution(id).and_then(Distribution::take_pending) else {
            return Placed::NonePending;
        };
        let (time, takers) = match pending.origin {
            Origin::Accepted(accepted) => (Some(now.duration_since(accepted)), Takers::All),
            Origin::Queue { prefers_http: true } => (None, Takers::HttpFirst),
            Origin::Queue { prefers_http: false } => (None, Takers::All),
        };
        let placed = self.place(id, &pending.connection, time, takers);
        if let Placed::At(_) = placed {
            self.driver.close(pending.connection);
        } else if let Some(distribution) = self.distribution(id) {
            distribution.restore_pending(pending);
        }
        placed
    }

    /// Puts a connection into the queue of the worker that the policy chooses. `time` is how long it has
    /// waited since it was accepted.
    fn place(
        &mut self,
        id: ListenerId,
        connection: &D::Connection,
        time: Option<Duration>,
        takers: Takers,
    ) -> Placed {
        let Self { driver, workers, listeners, .. } = self;
        let Some(listener) = listeners.get_mut(&id) else {
            return Placed::NoRoom;
        };
        let Listener { delivery, members, http_members, name, .. } = listener;
        let Delivery::Distributed(distribution) = delivery else {
            return Placed::NoRoom;
        };
        let candidates = Candidates { workers, members, connection };
        let serve_all = http_members.len() == members.len();
        let chosen = match takers {
            // A policy would take workers that can't serve it for unavailable, and those that are about to leave.
            Takers::HttpOnly if !serve_all || candidates.has_outdated(http_members) => {
                candidates.newest(http_members)
            }
            Takers::HttpFirst if !serve_all => candidates
                .least_waiting(http_members)
                .or_else(|| distribution.policy.choose(&candidates)),
            _ => distribution.policy.choose(&candidates),
        };
        let Some((chosen, worker)) = chosen.and_then(|it| Some((it, workers.get_mut(&it)?))) else {
            return Placed::NoRoom;
        };
        // A client that is served finds itself counted.
        let counters = &distribution.counters;
        counters.count(|counts| counts.handed_over += 1);
        time.inspect(|time| counters.add_handover(*time));
        worker.count(|counts| counts.handed_over += 1);
        let handed_over = worker.lanes.hand_over(id, connection);
        if handed_over != HandOver::Done {
            worker.count(|counts| counts.handed_over -= 1);
            counters.count(|counts| counts.handed_over -= 1);
            time.inspect(|time| counters.remove_handover(*time));
            return Placed::Refused(chosen, handed_over);
        }
        worker.add_given(id);
        driver.debug_log(format_args!("a connection to {name} goes to worker {chosen}"));
        Placed::At(chosen)
    }

    /// Hands a connection that was parked, or is about to be, to a worker that serves HTTP. Says whether one
    /// had room for it; then the caller closes it.
    pub(super) fn place_parked(
        &mut self,
        id: ListenerId,
        connection: &D::Connection,
        now: Instant,
    ) -> bool {
        loop {
            match self.place(id, connection, None, Takers::HttpOnly) {
                Placed::At(worker) => {
                    self.begin_to_wait(worker, now);
                    return true;
                }
                Placed::Refused(worker, how) => self.set_full(worker, how == HandOver::Lost, now),
                Placed::NoRoom | Placed::NonePending => return false,
            }
        }
    }

    /// Whether a worker that serves HTTP has room for a connection of the listener.
    pub(super) fn has_room_for_parked(&self, id: ListenerId) -> bool {
        let Some(listener) = self.listeners.get(&id) else {
            return false;
        };
        let is_available = |id: &WorkerId| {
            let is_member = |it: &Membership| !matches!(it, Membership::CoolingDown(_));
            listener.members.get(id).is_some_and(is_member)
                && self.workers.get(id).is_some_and(Worker::is_available)
        };
        listener.http_members.iter().any(is_available)
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
        let prefers_http = self.has_served_http(id, listener);
        self.accepted_before(listener, connection, prefers_http, now);
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

    /// The newest generation among these workers of those that can take the connection.
    fn newest_generation(&self, workers: &HashSet<WorkerId>) -> Option<Generation> {
        let workers = workers.iter().filter_map(|it| self.worker(*it));
        workers.filter(|it| it.is_available()).filter_map(|it| it.generation).max()
    }

    /// Whether one of these workers is about to be replaced: another one, which can take the connection, is of a
    /// newer generation.
    fn has_outdated(&self, workers: &HashSet<WorkerId>) -> bool {
        let newest = self.newest_generation(workers);
        workers.iter().any(|&it| self.is_outdated(it, newest))
    }

    fn is_outdated(&self, worker: WorkerId, newest: Option<Generation>) -> bool {
        // One without a generation is not supervised.
        let generation = self.worker(worker).and_then(|it| it.generation);
        generation.is_some_and(|generation| Some(generation) < newest)
    }

    /// As [`least_waiting`](Self::least_waiting), but those that are outdated come last: what they take they soon
    /// have to leave to others again.
    fn newest(&self, workers: &HashSet<WorkerId>) -> Option<WorkerId> {
        let newest = self.newest_generation(workers);
        let rank = |&it| Some((self.is_outdated(it, newest), self.waiting(it)?, it));
        workers.iter().filter_map(rank).min().map(|(.., worker)| worker)
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
